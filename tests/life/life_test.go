package life

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/tests/harness"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// C1, C2 and C4.

// closing is the longest that Close may take, when ZooKeeper cannot be told.
const closing = 2*time.Second + 500*time.Millisecond

func TestC1CloseEndsEverythingInEveryState(t *testing.T) {
	for name, state := range map[string]func(*harness.World, *zktest.Server){
		"live":         func(*harness.World, *zktest.Server) { harness.Pass(time.Minute) },
		"just begun":   func(*harness.World, *zktest.Server) {},
		"refused":      func(w *harness.World, _ *zktest.Server) { w.Stop(); harness.Pass(time.Minute) },
		"just refused": func(w *harness.World, _ *zktest.Server) { w.Stop() },
		"silent":       func(_ *harness.World, zk *zktest.Server) { zk.Silence(true); harness.Pass(time.Minute) },
		"just silent":  func(_ *harness.World, zk *zktest.Server) { zk.Silence(true) },
		"in a long read": func(w *harness.World, zk *zktest.Server) {
			zk.Delay(time.Second)
			w.Put(w.Service("Arith/tcp@127.1.1.1:1"), "")
			time.Sleep(1500 * time.Millisecond)
		},
		"in a handshake": func(_ *harness.World, zk *zktest.Server) {
			zk.Delay(time.Second)
			zk.DropConnections()
			time.Sleep(1500 * time.Millisecond)
		},
		"expired":           func(_ *harness.World, zk *zktest.Server) { zk.ExpireAll() },
		"between two waits": func(w *harness.World, _ *zktest.Server) { w.Stop(); time.Sleep(777 * time.Millisecond) },
		"not listed": func(_ *harness.World, zk *zktest.Server) {
			zk.FailNext(zktest.OpGetChildren2, -4, 1<<20)
			zk.ExpireAll()
			harness.Pass(time.Minute)
		},
		"wiped": func(_ *harness.World, zk *zktest.Server) { zk.Wipe(); time.Sleep(time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
				for i := range 20 {
					t.Put(t.Node("Arith", i), "n=0")
				}
				d, template := t.Discover("Arith"), t.Template()
				var clones []*zkdiscovery.Discovery
				for i := range 3 {
					clones = append(clones, t.Clone(template, "Arith"), t.Clone(d, fmt.Sprintf("Service%d", i)))
				}
				ch := d.WatchService()
				list := d.GetServices()
				state(t, zk)

				began := time.Now()
				var wg sync.WaitGroup
				for range 4 {
					wg.Go(d.Close)
					wg.Go(template.Close)
					wg.Go(clones[0].Close)
				}
				wg.Wait()
				if took := time.Since(began); took > closing {
					t.Errorf("Close has taken %v", took)
				}
				t.NothingLeft()
				d.Close()
				template.Close()
				zk.Silence(false)
				zk.Delay(0)
				harness.Pass(time.Second)
				if st := zk.Stats(); st.Connections > 0 {
					t.Errorf("%d connections are left", st.Connections)
				}
				if n := len(zk.Sessions()); n > 0 && (name == "live" || name == "just begun" || name == "expired") {
					t.Errorf("%d sessions are left although ZooKeeper could be told", n)
				}
				if got := d.GetServices(); len(got) < len(list) {
					t.Errorf("%d instances of %d can still be read", len(got), len(list))
				}
				<-ch
				d.RemoveWatcher(ch)
				close(ch)
			})
		})
	}
}

func TestC1ClosingACloneDoesNotHurtItsSiblings(t *testing.T) {
	harness.Everywhere(t, func(t *harness.World) {
		path := t.Node("Arith", 0)
		t.Put(path, "n=0")
		template := t.Template()
		var clones []*zkdiscovery.Discovery
		for range 5 {
			clones = append(clones, t.Clone(template, "Arith"))
		}
		for i, c := range clones {
			t.Equal(c, "Arith")
			c.Close()
			c.Close()
			t.Set(path, fmt.Sprintf("n=%d", i+1))
			for _, other := range clones[i+1:] {
				t.Equal(other, "Arith")
			}
			if got := harness.Listed(c.GetServices())[harness.Instance(0)]; got != fmt.Sprintf("n=%d", i) {
				t.Errorf("the clone that was closed lists %s, not the last it knew, n=%d", got, i)
			}
		}
		t.Equal(t.Clone(template, "Arith"), "Arith")
	})
}

func TestC2OneConnectionAndOneWatchPerZnode(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
		const services, instances = 10, 7
		template := t.Template()
		harness.Must(t, template.WaitLive(t.Context()))
		for s := range services {
			for i := range instances {
				t.Put(t.Node(fmt.Sprintf("Service%d", s), i), "n=0")
			}
		}
		var clones []*zkdiscovery.Discovery
		for s := range services {
			for range 4 {
				c := t.Clone(template, fmt.Sprintf("Service%d", s))
				clones = append(clones, c)
				for range 3 {
					t.Follow(c)
				}
			}
		}
		check := func(when string, sessions int64) {
			t.Helper()
			st := zk.Stats()
			if st.Connections != 1 || st.Sessions != 1 || st.SessionsOpened != sessions {
				t.Errorf("%s: %d connections, %d sessions, %d opened so far", when, st.Connections, st.Sessions, st.SessionsOpened)
			}
			if want := services * harness.Watches(instances); st.Watches != want {
				t.Errorf("%s: %d watches, want one per znode, %d", when, st.Watches, want)
			}
			for _, c := range clones {
				t.Source(c, zkdiscovery.Live)
			}
		}
		check("at first", 1)
		for n := range 20 {
			for s := range services {
				t.Set(t.Node(fmt.Sprintf("Service%d", s), n%instances), fmt.Sprintf("n=%d", n))
			}
			harness.Pass(50 * time.Millisecond)
		}
		check("after changes", 1)
		zk.DropConnections()
		harness.Pass(10 * time.Second)
		check("after a reconnect", 1)
		zk.ExpireAll()
		harness.Pass(10 * time.Second)
		check("after an expiry", 2)
		harness.Pass(time.Hour)
		check("after an hour", 2)
	})
}

// Whoever asks a template for what a user types meets names that no service has. 5,000 of them left 5,000 watches, which each reconnect set again.
func TestC2ServicesThatNeverExistedLeaveNoWatchBehind(t *testing.T) {
	for version, resting := range map[zktest.Version]int{zktest.Version34: 2, zktest.Version38: harness.Watches(1)} { // watches, of Arith
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
				zk.SetVersion(version)
				t.Register("Arith", 0)
				template := t.Template()
				arith := t.Clone(template, "Arith")
				t.Follow(arith)
				for i := range 500 {
					t.Clone(template, fmt.Sprint("Nobody", i)).Close()
				}
				zk.DropConnections()
				harness.Pass(time.Minute)
				t.Source(arith, zkdiscovery.Live)
				if got := zk.Stats().Watches; got != resting {
					t.Errorf("%d watches after a reconnect, want %d", got, resting)
				}
			})
		})
	}
}

func TestC4OwnerEndsItsClonesAndTheLastListStaysReadable(t *testing.T) {
	harness.Everywhere(t, func(t *harness.World) {
		t.Put(t.Node("Arith", 0), "n=0")
		for _, d := range []*zkdiscovery.Discovery{t.Template(), t.Discover("Other")} {
			c := t.Clone(d, "Arith")
			grandchild := t.Clone(c, "Arith")
			ch := c.WatchService()
			t.Equal(grandchild, "Arith")
			t.Equal(c, "Arith")
			revision := c.Snapshot().Revision
			d.Close()
			for _, x := range []*zkdiscovery.Discovery{c, grandchild} {
				t.Lists(x, map[string]string{harness.Instance(0): "n=0"})
				if s := x.Snapshot(); s.Source != zkdiscovery.Stale || s.Revision != revision {
					t.Errorf("after Close: %+v", s)
				}
				if err := x.WaitLive(t.Context()); !errors.Is(err, zkdiscovery.ErrClosed) {
					t.Errorf("WaitLive returned %v", err)
				}
			}
			if err := d.WaitLive(t.Context()); !errors.Is(err, zkdiscovery.ErrClosed) {
				t.Errorf("WaitLive returned %v", err)
			}
			if list, ok := <-ch; !ok || len(list) != 1 {
				t.Errorf("the watcher that has not read yet finds %v, %v", list, ok)
			}
			c.RemoveWatcher(ch)
			close(ch)

			late := t.Clone(d, "Arith") // and no error, for which OneClient would panic
			t.Lists(late, map[string]string{})
			late.SetFilter(harness.Without("x"))
			if watcher := late.WatchService(); len(watcher) > 0 {
				t.Error("an inert clone has a list")
			}
			if st := late.Status(); st.LastErr == nil {
				t.Errorf("the status of an inert clone does not say why: %v", st)
			}
			late.Close()
		}
	})
}

func TestC4CloneThatNobodyUsesLetsItsMirrorGoAndTakesItUpAgain(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
		path := t.Node("Arith", 0)
		t.Put(path, "n=0")
		template := t.Template()
		harness.Must(t, template.WaitLive(t.Context()))
		idle, used := t.Clone(template, "Arith"), t.Clone(template, "Arith")
		watcher := t.Follow(used)
		ch := idle.WatchService()
		harness.Pass(10 * time.Minute)
		if zk.Stats().Watches != harness.Watches(1) {
			t.Fatalf("%d watches while there are watchers", zk.Stats().Watches)
		}
		watcher.Stop()
		idle.RemoveWatcher(ch)
		harness.Pass(3 * time.Minute)
		before := zk.Stats()
		t.Set(path, "n=1")
		harness.Pass(time.Hour)
		if asked := zk.Stats().Since(before).Total(); asked > 0 {
			t.Errorf("ZooKeeper was asked %d times for a service that nobody uses", asked)
		}

		watcher = t.Follow(used)
		harness.Pass(time.Second)
		if got := watcher.Last()[harness.Instance(0)]; got != "n=1" {
			t.Errorf("a watcher that came later has %s", got)
		}
		t.Source(used, zkdiscovery.Live)
		harness.Pass(10 * time.Minute)
		idle.GetServices()
		harness.Pass(time.Second)
		t.Lists(idle, map[string]string{harness.Instance(0): "n=1"})
		t.Source(idle, zkdiscovery.Live)

		// Taking up and letting go at once, again and again.
		watcher.Stop()
		for at := range 40 {
			harness.Pass(time.Minute + time.Duration(at-20)*time.Second/4)
			t.Set(path, fmt.Sprintf("n=%d", at+100))
			r := t.Follow(used)
			harness.Pass(time.Second)
			if got := r.Last()[harness.Instance(0)]; got != fmt.Sprintf("n=%d", at+100) {
				t.Fatalf("a watcher has %s, not n=%d", got, at+100)
			}
			r.Stop()
		}

		// While ZooKeeper is away, too.
		harness.Pass(3 * time.Minute)
		t.Stop()
		harness.Pass(time.Minute)
		r := t.Follow(used)
		harness.Pass(time.Minute)
		if got := r.Last()[harness.Instance(0)]; got != "n=139" {
			t.Errorf("a watcher that came in an outage has %s", got)
		}
		t.Start()
		harness.Pass(15 * time.Second)
		t.Set(path, "n=200")
		harness.Pass(time.Second)
		if got := r.Last()[harness.Instance(0)]; got != "n=200" {
			t.Errorf("a watcher has %s, not n=200", got)
		}
	})
}

// A clone that nobody had used was taken up while ZooKeeper did not answer. It never looked at the file: an override that was deleted went on for the whole
// outage, and what another process heard was not followed.
func TestC4CloneThatIsTakenUpWhileZooKeeperIsSilentFollowsTheFile(t *testing.T) {
	silence := func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }
	for what, away := range map[string]harness.Dial{"refused": harness.Refuse, "silent": silence} {
		t.Run(what, func(t *testing.T) {
			harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
				t.Register("Arith", 1, 2)
				way := harness.NewDialer(zk.Dial)
				d := t.Clone(t.Template(zkdiscovery.WithDialer(way.Dial)), "Arith")
				t.Discover("Arith") // which can ask
				harness.Pass(5 * time.Second)
				override := d.Status().OverrideFile
				harness.Must(t, os.WriteFile(override, []byte(`{"servers": [{"key": "tcp@127.9.9.9:1"}]}`), 0o600))
				harness.Pass(10 * time.Second)
				t.Source(d, zkdiscovery.Override)
				way.Redirect(away)
				way.Drop()
				harness.Pass(2 * time.Minute) // it is let go
				harness.Must(t, os.Remove(override))
				want := t.Register("Arith", 1, 2, 3)
				harness.Pass(2 * time.Minute)
				t.Follow(d)
				harness.Pass(time.Minute)
				t.Source(d, zkdiscovery.File)
				t.Lists(d, want)
			})
		})
	}
}
