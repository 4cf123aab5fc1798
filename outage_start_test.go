package holdfast_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// Starts without ZooKeeper: O2, O3 and O4.

const startTimeout = 3 * time.Second // the default

// absences are the ways in which ZooKeeper can be away when a program starts.
var absences = []struct {
	name    string
	refused bool // at once, so that there is nothing to wait for
	begin   func(*world, *zktest.Server)
	end     func(*world, *zktest.Server)
}{
	{"refused", true, func(w *world, _ *zktest.Server) { w.stop() }, func(w *world, _ *zktest.Server) { w.start() }},
	{"silent", false, func(w *world, _ *zktest.Server) { w.cut(true) }, func(w *world, _ *zktest.Server) { w.cut(false) }},
	{
		"hanging up", true,
		func(_ *world, zk *zktest.Server) { zk.CutBefore(zktest.OpConnect, 1<<20) },
		func(_ *world, zk *zktest.Server) { zk.CutBefore(zktest.OpConnect, 0) },
	},
	{
		"slow", false,
		func(_ *world, zk *zktest.Server) { zk.Delay(time.Minute) },
		func(_ *world, zk *zktest.Server) { zk.Delay(0) },
	},
	{
		"without an answer", false,
		func(_ *world, zk *zktest.Server) {
			zk.FailNext(zktest.OpGetChildren2, zktest.CodeRuntimeInconsistency, 1<<20)
		},
		func(_ *world, zk *zktest.Server) { zk.FailNext(zktest.OpGetChildren2, 0, 0) },
	},
}

// withFile runs a discovery until it has written its file.
func withFile(w *world, service string) {
	w.Helper()
	d, err := zkdiscovery.New(w.base, service, w.servers(), w.common(nil)...)
	must(w.T, err)
	w.equal(d, service)
	d.Close()
}

func TestO2StartsFromTheFileAndGoesLiveSeamlessly(t *testing.T) {
	for _, absence := range absences {
		t.Run(absence.name, func(t *testing.T) {
			inBubble(t, func(t *world, zk *zktest.Server) {
				want := map[string]string{instance(0): "n=0", instance(1): "n=1"}
				for key, data := range want {
					t.put(t.service("Arith")+"/"+key, data)
				}
				withFile(t, "Arith")
				absence.begin(t, zk)
				pass(time.Hour)

				began := time.Now()
				d := t.discover("Arith")
				took := time.Since(began)
				if took > startTimeout || absence.refused && took > 0 {
					t.Errorf("New has taken %v", took)
				}
				t.source(d, zkdiscovery.File)
				t.lists(d, want)
				if age := time.Since(d.Snapshot().AsOf); age < time.Hour || age > time.Hour+time.Minute {
					t.Errorf("the list was confirmed %v ago, says the snapshot: that is an hour", age)
				}
				watcher := follow(t.T, d)
				pass(10 * time.Minute)
				t.source(d, zkdiscovery.File)
				t.lists(d, want)

				absence.end(t, zk)
				pass(10*time.Second + 5*time.Second)
				t.source(d, zkdiscovery.Live)
				t.lists(d, want)
				if heard := watcher.heard(); len(heard) != 1 || d.Snapshot().Revision != 1 {
					t.Errorf("the switch to the live list, which is the same, was told: %v", heard)
				}
				t.put(t.service("Arith")+"/"+instance(2), "n=2")
				pass(time.Second)
				t.lists(d, t.children(t.service("Arith")))
			})
		})
	}
}

func TestO2StartsFromTheFileOnRealZooKeeper(t *testing.T) {
	for name, absence := range map[string]struct{ begin, end func(*world) }{
		"refused": {(*world).stop, (*world).start},
		"cut":     {func(w *world) { w.cut(true) }, func(w *world) { w.cut(false) }},
	} {
		t.Run(name, func(t *testing.T) {
			onRealZooKeeper(t, func(t *world) {
				t.put(t.service("Arith")+"/"+instance(0), "n=0")
				withFile(t, "Arith")
				absence.begin(t)
				d := t.discover("Arith", zkdiscovery.WithStartTimeout(time.Second))
				t.source(d, zkdiscovery.File)
				t.lists(d, map[string]string{instance(0): "n=0"})
				t.set(t.service("Arith")+"/"+instance(0), "n=1")
				absence.end(t)
				t.equal(d, "Arith")
			})
		})
	}
}

func TestO3NewFailsInTimeAndLeavesNothingBehind(t *testing.T) {
	for _, absence := range absences {
		t.Run(absence.name, func(t *testing.T) {
			inBubble(t, func(t *world, zk *zktest.Server) {
				absence.begin(t, zk)
				way := &dialer{to: zk.Dial}
				began := time.Now()
				d, err := zkdiscovery.New(t.base, "Arith", t.servers(), t.common([]zkdiscovery.Option{zkdiscovery.WithDialer(way.dial)})...)
				took := time.Since(began)
				if d != nil || !errors.Is(err, zkdiscovery.ErrNoSnapshot) {
					t.Fatalf("New returned %v, %v", d, err)
				}
				if !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("the error does not wrap why the file could not serve: %v", err)
				}
				if absence.name == "refused" && !errors.Is(err, syscall.ECONNREFUSED) {
					t.Errorf("the error does not wrap why ZooKeeper could not serve: %v", err)
				}
				if absence.name == "without an answer" && !errors.Is(err, zktest.CodeRuntimeInconsistency) && !containsAll(err.Error(), "ZooKeeper at zk:2181") {
					t.Errorf("the error does not say what ZooKeeper said: %v", err)
				}
				if took < startTimeout || took > startTimeout+2*time.Second {
					t.Errorf("it has taken %v: not the start timeout of %v and at most 2s more", took, startTimeout)
				}
				t.nothingLeft()
				attempts := len(way.attempts())
				pass(time.Hour)
				if n := len(way.attempts()) - attempts; n > 0 {
					t.Errorf("%d connections were tried after New had failed", n)
				}
				absence.end(t, zk)
				pass(time.Minute)
				if st := zk.Stats(); st.Connections > 0 || st.Sessions > 0 {
					t.Errorf("%d connections and %d sessions are left", st.Connections, st.Sessions)
				}
			})
		})
	}
}

func TestO3NewWaitsForAZooKeeperThatBootsWithIt(t *testing.T) {
	for _, absence := range absences {
		t.Run(absence.name, func(t *testing.T) {
			inBubble(t, func(t *world, zk *zktest.Server) {
				t.put(t.service("Arith")+"/"+instance(0), "n=0")
				absence.begin(t, zk)
				time.AfterFunc(2*time.Second, func() { absence.end(t, zk) })
				d := t.discover("Arith", zkdiscovery.WithStartTimeout(20*time.Second))
				t.source(d, zkdiscovery.Live)
				t.lists(d, map[string]string{instance(0): "n=0"})
			})
		})
	}
}

func TestO3LazyStartAndTemplateDoNotFail(t *testing.T) {
	for _, absence := range absences {
		t.Run(absence.name, func(t *testing.T) {
			inBubble(t, func(t *world, zk *zktest.Server) {
				t.put(t.service("Arith")+"/"+instance(0), "n=0")
				absence.begin(t, zk)
				began := time.Now()
				template := t.template()
				if took := time.Since(began); took > 0 {
					t.Errorf("NewTemplate has taken %v", took)
				}
				c := t.clone(template, "Arith")
				if took := time.Since(began); took > 200*time.Millisecond {
					t.Errorf("Clone has taken %v", took)
				}
				d := t.discover("Arith", zkdiscovery.WithLazyStart(), zkdiscovery.WithStartTimeout(time.Second))
				for _, x := range []*zkdiscovery.Discovery{d, c} {
					t.source(x, zkdiscovery.None)
					t.lists(x, map[string]string{})
				}
				watchers := []*replica{follow(t.T, d), follow(t.T, c)}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				for _, x := range []*zkdiscovery.Discovery{d, c} {
					if err := x.WaitLive(ctx); !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("WaitLive returned %v", err)
					}
				}
				absence.end(t, zk)
				for _, x := range []*zkdiscovery.Discovery{template, d, c} {
					must(t.T, x.WaitLive(t.Context()))
				}
				pass(0)
				for _, r := range watchers {
					if heard := r.heard(); len(heard) != 1 || heard[0][instance(0)] != "n=0" {
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
	must(t, err)
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
	(&world{T: t}).nothingLeft()
	attempts := len(accepted)
	for range attempts {
		c := <-accepted
		must(t, c.SetReadDeadline(time.Now().Add(10*time.Second)))
		for {
			if _, err := c.Read(make([]byte, 1024)); errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
				t.Error("a connection is left")
				break
			} else if err != nil {
				break
			}
		}
		must(t, c.Close())
	}
	must(t, ln.Close())
	for range accepted {
		t.Error("a connection was tried after New had failed")
	}
}

func isTimeout(err error) bool {
	ne, ok := errors.AsType[net.Error](err)
	return ok && ne.Timeout()
}

func TestO4ServiceThatIsNotRegisteredYetIsNoError(t *testing.T) {
	everywhere(t, func(t *world) {
		d := t.discover("not/registered/yet")
		t.source(d, zkdiscovery.Live)
		t.lists(d, map[string]string{})
		watcher := follow(t.T, d)
		for _, step := range []func(){ // the parents appear one by one, and go again
			func() { t.put(t.base, "") },
			func() { t.put(t.service("not/registered"), "") },
			func() { t.put(t.service("not/registered/yet"), "") },
			func() { t.remove(t.service("not/registered/yet")) },
			func() { t.put(t.service("not/registered/yet/"+instance(0)), "n=0") },
		} {
			step()
			t.equal(d, "not/registered/yet")
		}
		t.eventually("the watcher has it", func() bool { return watcher.last()[instance(0)] == "n=0" })
		t.remove(t.service("not/registered/yet/"+instance(0)), t.service("not/registered/yet"))
		t.equal(d, "not/registered/yet")
		t.put(t.service("not/registered/yet/"+instance(1)), "n=0")
		t.equal(d, "not/registered/yet")
		if st := d.Status(); st.LastErr != nil || st.Mended > 0 {
			t.Errorf("a service that is not registered is reported as an error, or was found by looking only: %v, mended %d", st.LastErr, st.Mended)
		}
	})
}
