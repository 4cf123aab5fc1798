package lists

import (
	"fmt"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/tests/harness"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// What changes, and when it is told: L4, L6, L7 and L9.

func TestL4NothingIsLostDuringARead(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
		service := t.Service("Arith")
		t.Put(t.Node("Arith", 0), "n=0")
		d := t.Discover("Arith")
		zk.Delay(40 * time.Millisecond) // every read takes so long, and changes come in the middle of it
		for i := 1; i < 300; i++ {
			switch i % 5 {
			case 0:
				harness.Must(t, zk.Delete(t.Node("Arith", i-1)))
			default:
				t.Put(t.Node("Arith", i), "n=0")
			}
			t.Set(t.Node("Arith", 0), fmt.Sprintf("n=%d", i))
			time.Sleep(time.Duration(i%13) * time.Millisecond)
		}
		harness.Pass(time.Second)
		t.Lists(d, t.Children(service))
		if n := d.Status().Mended; n > 0 {
			t.Errorf("%d changes were found by looking at rest only: no watch had told of them", n)
		}
	})
}

func TestL6NothingIsPublishedWhenNothingChanged(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
		service := t.Service("Arith")
		t.Put(t.Node("Arith", 0), "n=1")
		t.Put(t.Node("Arith", 1), "n=2")
		d := t.Discover("Arith")
		watcher := t.Follow(d)
		nothing := func(what string, f func()) {
			t.Helper()
			revision := d.Snapshot().Revision
			f()
			harness.Pass(time.Minute)
			if s := d.Snapshot(); s.Revision != revision || len(watcher.Heard()) != 1 {
				t.Fatalf("%s: published %d times, and the watcher has heard %v", what, s.Revision-revision, watcher.Heard())
			}
			t.Source(d, zkdiscovery.Live)
		}
		nothing("at rest", func() { harness.Pass(2 * time.Hour) })
		nothing("the same metadata written again", func() { t.Set(t.Node("Arith", 0), "n=1") })
		nothing("the service's own data written", func() { t.Set(service, "owner") })
		nothing("a child that is no instance", func() { t.Put(service+"/config", "x") })
		nothing("another service", func() { t.Put(t.Node("Other", 0), "n=1") })
		nothing("a connection lost", zk.DropConnections)
		nothing("a session expired", zk.ExpireAll)
		nothing("a server restarted", func() { zk.Stop(); harness.Pass(time.Hour); t.Start() })
		nothing("the same set again", func() { t.Takeover(t.Node("Arith", 0), "n=1") })
	})
}

func TestL6ChildThatVanishesWhileItIsReadIsNoError(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
		t.Put(t.Node("Arith", 0), "n=1")
		d := t.Discover("Arith")
		watcher := t.Follow(d)
		zk.Delay(20 * time.Millisecond)
		for at := time.Duration(0); at < 100*time.Millisecond; at += time.Millisecond {
			harness.Must(t, zk.Create(t.Node("Arith", 1), []byte("n=1")))
			time.Sleep(at) // until it has been listed, read, or told of
			harness.Must(t, zk.Delete(t.Node("Arith", 1)))
			harness.Pass(time.Second)
			t.Lists(d, map[string]string{harness.Instance(0): "n=1"})
		}
		for _, list := range watcher.Heard() {
			if data, ok := list[harness.Instance(1)]; ok && data != "n=1" {
				t.Errorf("listed as %q: it was never that", data)
			}
		}
		if st := d.Status(); st.LastErr != nil {
			t.Errorf("an instance that was gone when it was read is reported as an error: %v", st.LastErr)
		}
		if lines := t.Logbook.Edges(); len(lines) > 2 {
			t.Errorf("logged: %q", lines)
		}
	})
}

// A server that was held up answers from its past until it has caught up, also to a client that comes from a better one.
func TestL7LaggingServerDoesNotTakeTheListBack(t *testing.T) {
	harness.OnRealEnsemble(t, func(t *harness.World, zk *harness.RealZooKeeper) {
		e := zk.Ensemble
		leader, err := e.Leader()
		harness.Must(t, err)
		lagging := (leader + 1) % 3
		zk.ControlThrough(e.Servers()[leader])
		path := t.Node("Arith", 0)
		t.Put(path, "n=0")

		only := func(server int) {
			for i, p := range zk.Proxies {
				harness.Must(t, p.Refuse(i != server))
				if i != server {
					p.Drop()
				}
			}
		}
		only(leader)
		d := t.Discover("Arith")
		watcher := t.Follow(d)
		n := 0
		for range 2 {
			harness.Must(t, e.Pause(lagging)) // for less long than its leader minds: it stays a follower, and hears the rest later
			for range 20 {
				n++
				t.Set(path, fmt.Sprintf("n=%d", n))
			}
			t.Eventually("the list has the newest", func() bool { return harness.Listed(d.GetServices())[harness.Instance(0)] == fmt.Sprintf("n=%d", n) })
			only(lagging)
			harness.Must(t, e.Resume(lagging))
			t.Equal(d, "Arith")
			only(leader)
			t.Eventually("back at the leader", func() bool { return d.Status().Server == zk.Servers()[leader] })
			t.Equal(d, "Arith")
		}
		watcher.Ascending(harness.Instance(0))
	})
}

func TestL9NothingIsSentWhileThereIsNothingToSay(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
		zk.Stop()
		d := t.Discover("Arith", zkdiscovery.WithLazyStart())
		ch := d.WatchService()
		harness.Pass(time.Hour)
		t.Source(d, zkdiscovery.None)
		if len(ch) > 0 || len(d.GetServices()) > 0 || d.Snapshot().Revision != 0 {
			t.Fatal("something was published although nothing is known")
		}
		t.Start()
		harness.Pass(10 * time.Second)
		if list := <-ch; list == nil || len(list) > 0 {
			t.Errorf("first list is %v: a service that nobody has registered is an empty list", list)
		}
	})
}
