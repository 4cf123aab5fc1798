package holdfast_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// Life: C1 to C4.

// closing is the longest that Close may take, when ZooKeeper cannot be told.
const closing = 2*time.Second + 500*time.Millisecond

func TestC1CloseEndsEverythingInEveryState(t *testing.T) {
	for name, state := range map[string]func(*world, *zktest.Server){
		"live":         func(*world, *zktest.Server) { pass(time.Minute) },
		"just begun":   func(*world, *zktest.Server) {},
		"refused":      func(w *world, _ *zktest.Server) { w.stop(); pass(time.Minute) },
		"just refused": func(w *world, _ *zktest.Server) { w.stop() },
		"silent":       func(_ *world, zk *zktest.Server) { zk.Silence(true); pass(time.Minute) },
		"just silent":  func(_ *world, zk *zktest.Server) { zk.Silence(true) },
		"in a long read": func(w *world, zk *zktest.Server) {
			zk.Delay(time.Second)
			w.put(w.service("Arith/tcp@127.1.1.1:1"), "")
			time.Sleep(1500 * time.Millisecond)
		},
		"in a handshake": func(_ *world, zk *zktest.Server) {
			zk.Delay(time.Second)
			zk.DropConnections()
			time.Sleep(1500 * time.Millisecond)
		},
		"expired":           func(_ *world, zk *zktest.Server) { zk.ExpireAll() },
		"between two waits": func(w *world, _ *zktest.Server) { w.stop(); time.Sleep(777 * time.Millisecond) },
		"not listed": func(_ *world, zk *zktest.Server) {
			zk.FailNext(zktest.OpGetChildren2, -4, 1<<20)
			zk.ExpireAll()
			pass(time.Minute)
		},
		"wiped": func(_ *world, zk *zktest.Server) { zk.Wipe(); time.Sleep(time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *world, zk *zktest.Server) {
				for i := range 20 {
					t.put(t.service("Arith")+"/"+instance(i), "n=0")
				}
				d, template := t.discover("Arith"), t.template()
				var clones []*zkdiscovery.Discovery
				for i := range 3 {
					clones = append(clones, t.clone(template, "Arith"), t.clone(d, fmt.Sprintf("Service%d", i)))
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
				t.nothingLeft()
				d.Close()
				template.Close()
				zk.Silence(false)
				zk.Delay(0)
				pass(time.Second)
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
	everywhere(t, func(t *world) {
		path := t.service("Arith") + "/" + instance(0)
		t.put(path, "n=0")
		template := t.template()
		var clones []*zkdiscovery.Discovery
		for range 5 {
			clones = append(clones, t.clone(template, "Arith"))
		}
		for i, c := range clones {
			t.equal(c, "Arith")
			c.Close()
			c.Close()
			t.set(path, fmt.Sprintf("n=%d", i+1))
			for _, other := range clones[i+1:] {
				t.equal(other, "Arith")
			}
			if got := listed(c.GetServices())[instance(0)]; got != fmt.Sprintf("n=%d", i) {
				t.Errorf("the clone that was closed lists %s, not the last it knew, n=%d", got, i)
			}
		}
		t.equal(t.clone(template, "Arith"), "Arith")
	})
}

func TestC2OneConnectionAndOneWatchPerZnode(t *testing.T) {
	inBubble(t, func(t *world, zk *zktest.Server) {
		const services, instances = 10, 7
		template := t.template()
		must(t.T, template.WaitLive(t.Context()))
		for s := range services {
			for i := range instances {
				t.put(t.service(fmt.Sprintf("Service%d", s))+"/"+instance(i), "n=0")
			}
		}
		var clones []*zkdiscovery.Discovery
		for s := range services {
			for range 4 {
				c := t.clone(template, fmt.Sprintf("Service%d", s))
				clones = append(clones, c)
				for range 3 {
					follow(t.T, c)
				}
			}
		}
		check := func(when string, sessions int64) {
			t.Helper()
			st := zk.Stats()
			if st.Connections != 1 || st.Sessions != 1 || st.SessionsOpened != sessions {
				t.Errorf("%s: %d connections, %d sessions, %d opened so far", when, st.Connections, st.Sessions, st.SessionsOpened)
			}
			if want := services * (1 + instances); st.Watches != want {
				t.Errorf("%s: %d watches, want one per znode, %d", when, st.Watches, want)
			}
			for _, c := range clones {
				t.source(c, zkdiscovery.Live)
			}
		}
		check("at first", 1)
		for n := range 20 {
			for s := range services {
				t.set(t.service(fmt.Sprintf("Service%d", s))+"/"+instance(n%instances), fmt.Sprintf("n=%d", n))
			}
			pass(50 * time.Millisecond)
		}
		check("after changes", 1)
		zk.DropConnections()
		pass(10 * time.Second)
		check("after a reconnect", 1)
		zk.ExpireAll()
		pass(10 * time.Second)
		check("after an expiry", 2)
		pass(time.Hour)
		check("after an hour", 2)
	})
}

func TestC4OwnerEndsItsClonesAndTheLastListStaysReadable(t *testing.T) {
	everywhere(t, func(t *world) {
		t.put(t.service("Arith")+"/"+instance(0), "n=0")
		for _, d := range []*zkdiscovery.Discovery{t.template(), t.discover("Other")} {
			c := t.clone(d, "Arith")
			grandchild := t.clone(c, "Arith")
			ch := c.WatchService()
			t.equal(grandchild, "Arith")
			t.equal(c, "Arith")
			revision := c.Snapshot().Revision
			d.Close()
			for _, x := range []*zkdiscovery.Discovery{c, grandchild} {
				t.lists(x, map[string]string{instance(0): "n=0"})
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

			late := t.clone(d, "Arith") // and no error, for which OneClient would panic
			t.lists(late, map[string]string{})
			late.SetFilter(without("x"))
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
	inBubble(t, func(t *world, zk *zktest.Server) {
		path := t.service("Arith") + "/" + instance(0)
		t.put(path, "n=0")
		template := t.template()
		must(t.T, template.WaitLive(t.Context()))
		idle, used := t.clone(template, "Arith"), t.clone(template, "Arith")
		watcher := follow(t.T, used)
		ch := idle.WatchService()
		pass(10 * time.Minute)
		if zk.Stats().Watches != 2 {
			t.Fatalf("%d watches while there are watchers", zk.Stats().Watches)
		}
		watcher.stop()
		idle.RemoveWatcher(ch)
		pass(3 * time.Minute)
		before := zk.Stats()
		t.set(path, "n=1")
		pass(time.Hour)
		if asked := zk.Stats().Since(before).Total(); asked > 0 {
			t.Errorf("ZooKeeper was asked %d times for a service that nobody uses", asked)
		}

		watcher = follow(t.T, used)
		pass(time.Second)
		if got := watcher.last()[instance(0)]; got != "n=1" {
			t.Errorf("a watcher that came later has %s", got)
		}
		t.source(used, zkdiscovery.Live)
		pass(10 * time.Minute)
		idle.GetServices()
		pass(time.Second)
		t.lists(idle, map[string]string{instance(0): "n=1"})
		t.source(idle, zkdiscovery.Live)

		// Taking up and letting go at once, again and again.
		watcher.stop()
		for at := range 40 {
			pass(time.Minute + time.Duration(at-20)*time.Second/4)
			t.set(path, fmt.Sprintf("n=%d", at+100))
			r := follow(t.T, used)
			pass(time.Second)
			if got := r.last()[instance(0)]; got != fmt.Sprintf("n=%d", at+100) {
				t.Fatalf("a watcher has %s, not n=%d", got, at+100)
			}
			r.stop()
		}

		// While ZooKeeper is away, too.
		pass(3 * time.Minute)
		t.stop()
		pass(time.Minute)
		r := follow(t.T, used)
		pass(time.Minute)
		if got := r.last()[instance(0)]; got != "n=139" {
			t.Errorf("a watcher that came in an outage has %s", got)
		}
		t.start()
		pass(15 * time.Second)
		t.set(path, "n=200")
		pass(time.Second)
		if got := r.last()[instance(0)]; got != "n=200" {
			t.Errorf("a watcher has %s, not n=200", got)
		}
	})
}
