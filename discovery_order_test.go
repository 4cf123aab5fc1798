package holdfast_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// The order of things: L7, L9 and L10.

func TestL7TheListNeverGoesBack(t *testing.T) {
	inBubble(t, func(t *world, zk *zktest.Server) {
		seed := rand.Uint64()
		r := rand.New(rand.NewPCG(seed, 0))
		path := t.service("Arith") + "/" + instance(0)
		t.put(path, "n=0")
		d := t.discover("Arith")
		watcher := follow(t.T, d)
		faults := []func(){
			zk.DropConnections, zk.ExpireAll,
			func() { zk.Delay(rand.N(100 * time.Millisecond)) },
			func() { zk.Silence(true); pass(rand.N(20 * time.Second)); zk.Silence(false) },
			func() { zk.Stop(); pass(rand.N(20 * time.Second)); t.start() },
			func() { zk.CutAfter(zktest.OpGetData, 1) },
			func() { zk.CutAfter(zktest.OpGetChildren2, 1) },
		}
		zxid := int64(0)
		for n := 1; n < 400; n++ {
			t.set(path, fmt.Sprintf("n=%d", n))
			if r.IntN(4) == 0 {
				faults[r.IntN(len(faults))]()
			}
			time.Sleep(rand.N(30 * time.Millisecond))
			s := d.Snapshot()
			if s.Zxid < zxid {
				t.Fatalf("seed %d: zxid %#x after %#x", seed, s.Zxid, zxid)
			}
			zxid = s.Zxid
		}
		zk.Delay(0)
		pass(time.Minute)
		t.lists(d, map[string]string{instance(0): "n=399"})
		ascending(t, watcher, instance(0))
	})
}

// A server that was held up answers from its past until it has caught up, also to a client that comes from a better one.
func TestL7LaggingServerDoesNotTakeTheListBack(t *testing.T) {
	e := triple.get(t)
	zk := newReal(t, e)
	leader, err := e.Leader()
	must(t, err)
	lagging := (leader + 1) % 3
	w := &world{T: t, zooKeeper: zk, base: fmt.Sprintf("/holdfast/%d", scenarios.Add(1)), log: newLogbook(t), dir: t.TempDir()}
	t.Cleanup(func() { zk.removeAll(w.base) })
	zk.control.Close()
	zk.control = connect(t, e.Servers()[leader:leader+1], nil)
	path := w.service("Arith") + "/" + instance(0)
	w.put(path, "n=0")

	only := func(server int) {
		for i, p := range zk.proxies {
			must(t, p.Refuse(i != server))
			if i != server {
				p.Drop()
			}
		}
	}
	only(leader)
	d := w.discover("Arith")
	watcher := follow(t, d)
	n := 0
	for range 2 {
		must(t, e.Pause(lagging)) // for less long than its leader minds: it stays a follower, and hears the rest later
		for range 20 {
			n++
			w.set(path, fmt.Sprintf("n=%d", n))
		}
		w.eventually("the list has the newest", func() bool { return listed(d.GetServices())[instance(0)] == fmt.Sprintf("n=%d", n) })
		only(lagging)
		must(t, e.Resume(lagging))
		w.equal(d, "Arith")
		only(leader)
		w.eventually("back at the leader", func() bool { return d.Status().Server == zk.servers()[leader] })
		w.equal(d, "Arith")
	}
	ascending(w, watcher, instance(0))
}

func TestL9NobodyIsAheadOfTheList(t *testing.T) {
	everywhere(t, func(t *world) {
		path := t.service("Arith") + "/" + instance(0)
		t.put(path, "n=0")
		t.put(t.service("Arith")+"/"+instance(1), "n=0")
		d := t.discover("Arith")
		var stop atomic.Bool
		var readers, filters sync.WaitGroup
		counter := func(list []*client.KVPair) int {
			n, _ := strconv.Atoi(listed(list)[instance(0)][len("n="):])
			return n
		}
		var watchers []chan []*client.KVPair
		for range 4 {
			ch := d.WatchService()
			watchers = append(watchers, ch)
			readers.Go(func() {
				revision := int64(0)
				for list := range ch {
					seen := counter(list)
					if got := counter(d.GetServices()); got < seen {
						t.Errorf("the watcher has n=%d, GetServices n=%d", seen, got)
					}
					s := d.Snapshot()
					if got := counter([]*client.KVPair{&s.Servers[0]}); got < seen || s.Revision < revision {
						t.Errorf("the watcher has n=%d and revision %d or later, Snapshot n=%d and revision %d", seen, revision, got, s.Revision)
					}
					revision = s.Revision
				}
			})
		}
		for i := range 2 {
			filters.Go(func() {
				for !stop.Load() {
					d.SetFilter(func(p *client.KVPair) bool { return p.Key == instance(0) || i == 0 })
					time.Sleep(time.Millisecond)
				}
			})
		}
		for n := 1; n <= 300; n++ {
			t.set(path, fmt.Sprintf("n=%d", n))
			if n%3 == 0 {
				t.wait()
			}
		}
		t.eventually("the last change arrives", func() bool { return counter(d.GetServices()) == 300 })
		stop.Store(true)
		filters.Wait()
		for _, ch := range watchers {
			d.RemoveWatcher(ch)
			close(ch)
		}
		readers.Wait()
	})
}

func TestL9NothingIsSentWhileThereIsNothingToSay(t *testing.T) {
	inBubble(t, func(t *world, zk *zktest.Server) {
		zk.Stop()
		d := t.discover("Arith", zkdiscovery.WithLazyStart())
		ch := d.WatchService()
		pass(time.Hour)
		t.source(d, zkdiscovery.None)
		if len(ch) > 0 || len(d.GetServices()) > 0 || d.Snapshot().Revision != 0 {
			t.Fatal("something was published although nothing is known")
		}
		t.start()
		pass(10 * time.Second)
		if list := <-ch; list == nil || len(list) > 0 {
			t.Errorf("first list is %v: a service that nobody has registered is an empty list", list)
		}
	})
}

func TestL10TakeoverDoesNotShowAsAFlap(t *testing.T) {
	everywhere(t, func(t *world) {
		const takeovers = 100
		service := t.service("Arith")
		for i := range 3 {
			t.put(service+"/"+instance(i), "n=0")
		}
		d := t.discover("Arith")
		watcher := follow(t.T, d)
		for n := 1; n <= takeovers; n++ {
			t.takeover(service+"/"+instance(n%3), fmt.Sprintf("n=%d", n))
		}
		t.equal(d, "Arith")
		t.eventually("the watcher has the last", func() bool { return maps.Equal(watcher.last(), t.children(service)) })
		for _, list := range watcher.heard() {
			if len(list) != 3 {
				t.Fatalf("an instance that was replaced in one transaction was missing: %v", list)
			}
		}
	})
}
