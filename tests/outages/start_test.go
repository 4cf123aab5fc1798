package outages

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/tests/harness"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// Starts without ZooKeeper: O2 and O3.

func TestO2StartsFromTheFileOnRealZooKeeper(t *testing.T) {
	for name, absence := range map[string]struct{ begin, end func(*harness.World) }{
		"refused": {(*harness.World).Stop, (*harness.World).Start},
		"cut":     {func(w *harness.World) { w.Cut(true) }, func(w *harness.World) { w.Cut(false) }},
	} {
		t.Run(name, func(t *testing.T) {
			harness.OnRealZooKeeper(t, func(t *harness.World, _ *harness.RealZooKeeper) {
				t.Put(t.Node("Arith", 0), "n=0")
				t.LeaveFile("Arith")
				absence.begin(t)
				d := t.Discover("Arith", zkdiscovery.WithStartTimeout(time.Second))
				t.Source(d, zkdiscovery.File)
				t.Lists(d, map[string]string{harness.Instance(0): "n=0"})
				t.Set(t.Node("Arith", 0), "n=1")
				absence.end(t)
				t.Equal(d, "Arith")
			})
		})
	}
}

func TestO3NewWaitsForAZooKeeperThatBootsWithIt(t *testing.T) {
	for _, absence := range harness.Absences() {
		t.Run(absence.Name, func(t *testing.T) {
			harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
				t.Put(t.Node("Arith", 0), "n=0")
				absence.Begin(t, zk)
				time.AfterFunc(2*time.Second, func() { absence.End(t, zk) })
				d := t.Discover("Arith", zkdiscovery.WithStartTimeout(20*time.Second))
				t.Source(d, zkdiscovery.Live)
				t.Lists(d, map[string]string{harness.Instance(0): "n=0"})
			})
		})
	}
}

func TestO3TheErrorSaysWhyNeitherZooKeeperNorTheFileServes(t *testing.T) {
	for _, absence := range harness.Absences() {
		t.Run(absence.Name, func(t *testing.T) {
			harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
				absence.Begin(t, zk)
				_, err := zkdiscovery.New(t.Base, "Arith", t.Servers(), t.Common()...)
				if !errors.Is(err, zkdiscovery.ErrNoSnapshot) || !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("the error does not wrap why the file could not serve: %v", err)
				}
				if absence.Name == "refused" && !errors.Is(err, syscall.ECONNREFUSED) {
					t.Errorf("the error does not wrap why ZooKeeper could not serve: %v", err)
				}
				if absence.Name == "without an answer" && !errors.Is(err, zktest.CodeRuntimeInconsistency) && !strings.Contains(err.Error(), "ZooKeeper at zk:2181") {
					t.Errorf("the error does not say what ZooKeeper said: %v", err)
				}
			})
		})
	}
}

// A server that hangs up on one connection too many says nothing, and one that demands credentials hangs up right behind its answer: "EOF" helps nobody.
func TestO3TheErrorNamesWhatTheServerMayMean(t *testing.T) {
	for words, refuse := range map[string]func(*zktest.Server){
		"maxClientCnxns": func(zk *zktest.Server) { zk.CutBefore(zktest.OpConnect, 1<<30) },
		"demands credentials": func(zk *zktest.Server) {
			for _, op := range []zktest.Op{zktest.OpSync, zktest.OpAddWatch, zktest.OpGetChildren2} {
				zk.FailNext(op, -124, 1<<30)
			}
		},
	} {
		t.Run(words, func(t *testing.T) {
			harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
				refuse(zk)
				_, err := zkdiscovery.New(t.Base, "Arith", t.Servers(), t.Common(zkdiscovery.WithStartTimeout(time.Second))...)
				if !errors.Is(err, zkdiscovery.ErrNoSnapshot) || !strings.Contains(err.Error(), words) {
					t.Errorf("New: %v", err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if err := t.Clone(t.Template(), "Arith").WaitLive(ctx); err == nil || !strings.Contains(err.Error(), words) {
					t.Errorf("WaitLive: %v", err)
				}
			})
		})
	}
}

func TestO3LazyStartAndTemplateDoNotFail(t *testing.T) {
	for _, absence := range harness.Absences() {
		t.Run(absence.Name, func(t *testing.T) {
			harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
				t.Put(t.Node("Arith", 0), "n=0")
				absence.Begin(t, zk)
				began := time.Now()
				template := t.Template()
				if took := time.Since(began); took > 0 {
					t.Errorf("NewTemplate has taken %v", took)
				}
				c := t.Clone(template, "Arith")
				if took := time.Since(began); took > 3*time.Second { // the start timeout
					t.Errorf("Clone has taken %v", took)
				}
				d := t.Discover("Arith", zkdiscovery.WithLazyStart(), zkdiscovery.WithStartTimeout(time.Second))
				for _, x := range []*zkdiscovery.Discovery{d, c} {
					t.Source(x, zkdiscovery.None)
					t.Lists(x, map[string]string{})
				}
				watchers := []*harness.Replica{t.Follow(d), t.Follow(c)}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				for _, x := range []*zkdiscovery.Discovery{d, c} {
					if err := x.WaitLive(ctx); !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("WaitLive returned %v", err)
					}
				}
				absence.End(t, zk)
				for _, x := range []*zkdiscovery.Discovery{template, d, c} {
					harness.Must(t, x.WaitLive(t.Context()))
				}
				harness.Pass(0)
				for _, r := range watchers {
					if heard := r.Heard(); len(heard) != 1 || heard[0][harness.Instance(0)] != "n=0" {
						t.Errorf("a watcher that was there before the first list has heard %v", heard)
					}
				}
			})
		})
	}
}

// The connection attempts of a New that has failed half-way went on for months, several times a second (rpcx-zookeeper).
func TestO3FailedNewOnTheNetworkLeavesNothingBehind(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	harness.Must(t, err)
	accepted := make(chan net.Conn, 100)
	go func() {
		defer close(accepted)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			accepted <- c // and not a word
		}
	}()
	_, err = zkdiscovery.New("/rpcx", "Arith", []string{ln.Addr().String()}, zkdiscovery.WithoutCache(), zkdiscovery.WithStartTimeout(500*time.Millisecond))
	if !errors.Is(err, zkdiscovery.ErrNoSnapshot) {
		t.Fatalf("New returned %v", err)
	}
	harness.WithoutZooKeeper(t).NothingLeft()
	attempts := len(accepted)
	for range attempts {
		c := <-accepted
		harness.Must(t, c.SetReadDeadline(time.Now().Add(10*time.Second)))
		for {
			if _, err := c.Read(make([]byte, 1024)); errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
				t.Error("a connection is left")
				break
			} else if err != nil {
				break
			}
		}
		harness.Must(t, c.Close())
	}
	harness.Must(t, ln.Close())
	for range accepted {
		t.Error("a connection was tried after New had failed")
	}
}

func isTimeout(err error) bool {
	ne, ok := errors.AsType[net.Error](err)
	return ok && ne.Timeout()
}
