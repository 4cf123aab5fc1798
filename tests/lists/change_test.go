package lists

import (
	"fmt"
	"sync"
	"testing"
	"time"

	gozk "github.com/go-zookeeper/zk"

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

// A group of instances takes the place of another in one transaction, again and again, faster than a list can be asked for and read. At every moment
// ZooKeeper has five.
func TestL6GroupsThatReplaceEachOtherAreNeverShownInPart(t *testing.T) {
	for _, v := range []zktest.Version{zktest.Version35, zktest.Version38, zktest.Version39} {
		t.Run(v.String(), func(t *testing.T) {
			harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
				const group = 5
				zk.SetVersion(v)
				paths := func(g int) (paths []string) {
					for i := range group {
						paths = append(paths, t.Node("Arith", g%50*group+i))
					}
					return paths
				}
				t.Put(t.Service("Arith"), "")
				t.Create(paths(0)...)
				d := t.Discover("Arith", zkdiscovery.WithoutGuard())
				watcher := t.Follow(d)
				zk.Delay(20 * time.Millisecond)
				t.As(func(c *gozk.Conn) {
					var writes sync.WaitGroup
					for g := 1; g < 300; g++ {
						var ops []any
						for _, path := range paths(g - 1) {
							ops = append(ops, &gozk.DeleteRequest{Path: path, Version: -1})
						}
						for _, path := range paths(g) {
							ops = append(ops, &gozk.CreateRequest{Path: path, Data: []byte("n=1"), Acl: gozk.WorldACL(gozk.PermAll)})
						}
						writes.Go(func() {
							_, err := c.Multi(ops...)
							harness.Must(t, err)
						})
						time.Sleep(9 * time.Millisecond)
					}
					writes.Wait()
				})
				harness.Pass(10 * time.Second)
				t.Equal(d, "Arith")
				for _, list := range watcher.Heard() {
					if len(list) != group {
						t.Errorf("a list of %d: %v", len(list), list)
					}
				}
			})
		})
	}
}

// ZooKeeper 3.9.2 tells nobody of an instance that may not be read. What it tells of others meanwhile does not make up for that.
func TestL6AnInstanceThatMayNotBeReadIsListedAlsoAmongOthersThatCome(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
		zk.SetVersion(zktest.Version39)
		t.Put(t.Node("Arith", 0), "n=1")
		d := t.Discover("Arith")
		harness.Pass(time.Minute)
		t.As(func(c *gozk.Conn) {
			harness.Must(t, c.AddAuth("digest", []byte("me:secret")))
			zk.Delay(20 * time.Millisecond)
			harness.Must(t, zk.Create(t.Node("Arith", 1), nil))
			time.Sleep(10 * time.Millisecond)
			harness.Must(t, zk.Create(t.Node("Arith", 2), nil)) // while the first is read
			time.Sleep(25 * time.Millisecond)
			harness.Must(t, zk.Create(t.Node("Arith", 3), nil)) // while the second is
			_, err := c.Create(t.Node("Arith", 4), nil, 0, gozk.AuthACL(gozk.PermAll))
			harness.Must(t, err)
			harness.Pass(time.Hour)
		})
		if n := len(d.GetServices()); n != 5 {
			t.Errorf("%d instances are listed, ZooKeeper has 5", n)
		}
	})
}
