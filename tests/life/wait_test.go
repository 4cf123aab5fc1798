package life

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/tests/harness"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// C3: whom a method may wait for.

func TestC3NoMethodWaitsForZooKeeper(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
		t.Put(t.Node("Arith", 0), "n=0")
		d := t.Discover("Arith")
		takes := func(what string, limit time.Duration, f func()) {
			t.Helper()
			began := time.Now()
			f()
			if took := time.Since(began); took > limit {
				t.Errorf("%s has taken %v", what, took)
			}
		}
		all := func(state string, known time.Duration) {
			takes(state+": reading", 0, func() { d.GetServices(); _ = d.Snapshot(); _ = d.Status() })
			takes(state+": watching", 0, func() { d.RemoveWatcher(d.WatchService()) })
			takes(state+": filtering", 0, func() { d.SetFilter(harness.Without("x")) })
			takes(state+": cloning what is known", 0, func() { t.Clone(d, "Arith") })
			takes(state+": cloning", known, func() { t.Clone(d, state) })
			takes(state+": cloning again", min(known, 200*time.Millisecond), func() { t.Clone(d, state+" again") })
			c := t.Clone(d, state)
			takes(state+": closing a clone", 0, c.Close)
		}
		const start = 3 * time.Second
		all("live", 0)
		zk.Delay(start + time.Second) // so that the first list comes too late in any case
		all("slow", start)
		zk.Delay(0)
		harness.Pass(10 * time.Second)
		zk.Silence(true)
		all("silent", start)
		harness.Pass(time.Minute)
		all("known to be silent", 0)
		zk.Silence(false)
		t.Stop()
		harness.Pass(time.Minute)
		all("refused", 0)
		takes("closing", closing, d.Close)
		all("closed", 0)
	})
}

func TestC3NoUserCodeRunsUnderALock(t *testing.T) {
	for name, option := range map[string]func(hold func()) zkdiscovery.Option{
		"filter": func(hold func()) zkdiscovery.Option {
			return zkdiscovery.WithFilter(func(*client.KVPair) bool { hold(); return true })
		},
		"published hook": func(hold func()) zkdiscovery.Option {
			return zkdiscovery.WithObserver(zkdiscovery.Observer{Published: func(zkdiscovery.Published) { hold() }})
		},
		"connection hook": func(hold func()) zkdiscovery.Option {
			return zkdiscovery.WithObserver(zkdiscovery.Observer{Connection: func(zkdiscovery.ConnectionChange) { hold() }})
		},
		"saved hook": func(hold func()) zkdiscovery.Option {
			return zkdiscovery.WithObserver(zkdiscovery.Observer{Saved: func(zkdiscovery.Saved) { hold() }})
		},
	} {
		t.Run(name, func(t *testing.T) {
			harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
				t.Put(t.Node("Arith", 0), "n=0")
				held, release := make(chan struct{}), make(chan struct{})
				var first atomic.Bool
				d := t.Discover("Arith", zkdiscovery.WithLazyStart(), zkdiscovery.WithStartTimeout(time.Second), option(func() {
					if first.CompareAndSwap(false, true) {
						close(held)
						<-release
					}
				}))
				<-held
				began := time.Now()
				d.RemoveWatcher(d.WatchService())
				d.GetServices()
				_, _ = d.Snapshot(), d.Status()
				other := t.Clone(d, "Other")
				t.Clone(other, "Arith")
				other.Close()
				if took := time.Since(began); took > 400*time.Millisecond {
					t.Errorf("others have waited %v for the user's code", took)
				}
				close(release)
				t.Put(t.Node("Arith", 1), "n=1")
				harness.Pass(time.Second)
				t.Lists(d, t.Children(t.Service("Arith")))
			})
		})
	}
}

func TestC3DiallerThatIgnoresItsContextIsLeftBehind(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
		stuck := make(chan struct{})
		d := t.Discover("Arith", zkdiscovery.WithLazyStart(), zkdiscovery.WithDialer(func(context.Context, string, string) (net.Conn, error) {
			<-stuck
			return zk.Dial(context.Background(), "tcp", "zk:2181")
		}))
		began := time.Now()
		d.Close()
		if took := time.Since(began); took > closing {
			t.Errorf("Close has taken %v", took)
		}
		close(stuck)
		harness.Pass(time.Second)
		t.NothingLeft()
		if st := zk.Stats(); st.Connections > 0 {
			t.Errorf("%d connections that were made too late are left", st.Connections)
		}
	})
}
