package holdfast_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// Lists: L1 to L10.

func TestL1PublishedSnapshotNeverChanges(t *testing.T) {
	inBubble(t, func(t *world, _ *zktest.Server) {
		for i := range 3 {
			t.put(t.service("Arith")+"/"+instance(i), "n=1")
		}
		d := t.discover("Arith")
		kept, spoiled := d.GetServices(), d.GetServices()
		one, other := <-d.WatchService(), <-d.WatchService()
		want := listed(kept)
		order := slices.Clone(kept)

		// What XClient does, and worse.
		slices.Reverse(spoiled)
		spoiled[0] = nil
		slices.Reverse(one)
		snapshot := d.Snapshot()
		snapshot.Servers[0].Key = "spoiled"
		if !slices.Equal(kept, order) || !slices.Equal(other, order) {
			t.Error("a list changed although it is its holder's own")
		}
		t.lists(d, want)
		if got := d.Snapshot().Servers[0].Key; got != instance(0) {
			t.Errorf("a snapshot that was spoiled by its holder is returned again: %v", got)
		}

		for i := range 3 {
			t.set(t.service("Arith")+"/"+instance(i), "n=2")
		}
		t.remove(t.service("Arith") + "/" + instance(1))
		pass(time.Second)
		t.lists(d, map[string]string{instance(0): "n=2", instance(2): "n=2"})
		if diff := cmp.Diff(want, listed(kept)); diff != "" {
			t.Errorf("a list that was handed out has changed (-then +now):\n%s", diff)
		}
	})
}

func TestL2WatcherGetsTheCurrentListAtOnceAndTheNewestAlways(t *testing.T) {
	everywhere(t, func(t *world) {
		const changes = 200
		path := t.service("Arith") + "/" + instance(0)
		t.put(path, "n=0")
		d := t.discover("Arith")
		dead, slow := d.WatchService(), d.WatchService()
		if len(dead) != 1 || len(slow) != 1 {
			t.Fatal("a new watcher's channel does not hold the current list")
		}
		keen := follow(t.T, d)
		for n := 1; n <= changes; n++ {
			t.set(path, fmt.Sprintf("n=%d", n))
			if n%20 == 0 {
				t.wait()
			}
			if n == changes/2 {
				<-slow // and never again until the end
			}
		}
		newest := map[string]string{instance(0): fmt.Sprintf("n=%d", changes)}
		t.eventually("the one that reads has the newest list", func() bool { return maps.Equal(keen.last(), newest) })
		for name, ch := range map[string]chan []*client.KVPair{"that never read": dead, "that read once": slow} {
			if got := listed(<-ch); !maps.Equal(got, newest) {
				t.Errorf("the watcher %s finds %v, not the newest list", name, got)
			}
		}
		if n := ascending(t, keen, instance(0)); n < 5 {
			t.Errorf("the watcher that reads all the time has heard %d lists of %d changes", n, changes)
		}
	})
}

// ascending fails the test unless the counter in an instance's metadata has never gone back, and returns how many values it had.
func ascending(w *world, r *replica, key string) (values int) {
	w.Helper()
	last := -1
	for _, list := range r.heard() {
		if list[key] == "" {
			continue
		}
		n, err := strconv.Atoi(list[key][len("n="):])
		must(w.T, err)
		if n < last {
			w.Errorf("a watcher that had heard of n=%d was told n=%d after it", last, n)
		}
		if n > last {
			values++
		}
		last = n
	}
	return values
}

func TestL3NothingIsSentAfterRemoveWatcherAndNothingIsClosed(t *testing.T) {
	inBubble(t, func(t *world, _ *zktest.Server) {
		path := t.service("Arith") + "/" + instance(0)
		t.put(path, "n=0")
		d := t.discover("Arith")
		stays := d.WatchService()
		var stop atomic.Bool
		var wg sync.WaitGroup
		wg.Go(func() { // changes without a pause
			for n := 1; !stop.Load(); n++ {
				t.set(path, fmt.Sprintf("n=%d", n))
				time.Sleep(10 * time.Millisecond)
			}
		})
		for range 8 {
			wg.Go(func() {
				for !stop.Load() {
					ch := d.WatchService()
					time.Sleep(7 * time.Millisecond)
					d.RemoveWatcher(ch)
					close(ch) // a send would panic
					d.RemoveWatcher(ch)
				}
			})
		}
		d.RemoveWatcher(nil)
		d.RemoveWatcher(make(chan []*client.KVPair))
		pass(10 * time.Second)
		stop.Store(true)
		wg.Wait()
		d.Close()
		if _, ok := <-stays; !ok {
			t.Error("Close has closed a watcher's channel, which is the watcher's to close")
		}
		d.RemoveWatcher(stays)
		close(stays)
	})
}

func TestL4NoUpdateIsLostWhateverTheTiming(t *testing.T) {
	everywhere(t, func(t *world) {
		service := t.service("Arith")
		for i := range 10 {
			t.put(service+"/"+instance(i), "n=1")
		}
		d := t.discover("Arith")

		before := d.GetServices()
		t.put(service+"/"+instance(10), "n=1") // between the two calls that XClient makes
		watcher := follow(t.T, d)
		t.eventually("the change after GetServices arrives", func() bool { return len(watcher.last()) == len(before)+1 })

		var paths []string
		for i := 11; i < 60; i++ {
			paths = append(paths, service+"/"+instance(i))
			t.create(paths[len(paths)-1])
		}
		t.equal(d, "Arith")
		t.remove(paths[:40]...)
		for i, p := range paths[40:] {
			t.set(p, fmt.Sprintf("n=%d", i))
		}
		t.equal(d, "Arith")

		during := func(what string, fault func(change func())) {
			t.Helper()
			fault(func() {
				t.put(service+"/"+instance(100), "during="+what)
				t.set(service+"/"+instance(0), "during="+what)
				t.takeover(service+"/"+instance(1), "during="+what)
				t.remove(service + "/" + instance(2))
			})
			t.equal(d, "Arith")
			t.put(service+"/"+instance(2), "after="+what) // the watches are in place again
			t.equal(d, "Arith")
		}
		during("nothing", func(change func()) { change() })
		during("a restart", func(change func()) { t.stop(); change(); t.start() })
		during("an expiry", func(change func()) { change(); t.expire() })
		during("a cut", func(change func()) { t.cut(true); change(); t.cut(false) })
		t.eventually("the watcher has it all", func() bool { return maps.Equal(watcher.last(), t.children(service)) })
		if n := d.Status().Mended; n > 0 {
			t.Errorf("%d changes were found by looking at rest only: no watch had told of them", n)
		}
	})
}

func TestL4NothingIsLostDuringARead(t *testing.T) {
	inBubble(t, func(t *world, zk *zktest.Server) {
		service := t.service("Arith")
		t.put(service+"/"+instance(0), "n=0")
		d := t.discover("Arith")
		zk.Delay(40 * time.Millisecond) // every read takes so long, and changes come in the middle of it
		for i := 1; i < 300; i++ {
			switch i % 5 {
			case 0:
				must(t.T, zk.Delete(service+"/"+instance(i-1)))
			default:
				t.put(service+"/"+instance(i), "n=0")
			}
			t.set(service+"/"+instance(0), fmt.Sprintf("n=%d", i))
			time.Sleep(time.Duration(i%13) * time.Millisecond)
		}
		pass(time.Second)
		t.lists(d, t.children(service))
		if n := d.Status().Mended; n > 0 {
			t.Errorf("%d changes were found by looking at rest only: no watch had told of them", n)
		}
	})
}

func TestL5MetadataChangesArriveLikeMembership(t *testing.T) {
	everywhere(t, func(t *world) {
		path := t.service("Arith") + "/" + instance(0)
		t.put(path, "weight=0")
		d := t.discover("Arith")
		watcher := follow(t.T, d)
		arrives := func(data string) {
			t.Helper()
			t.eventually(data+" arrives", func() bool { return watcher.last()[instance(0)] == data })
		}
		for i := range 30 { // each needs a watch that was set again
			data := fmt.Sprintf("weight=%d", i)
			t.set(path, data)
			arrives(data)
		}
		t.set(path, "state=inactive")
		arrives("state=inactive")
		t.stop()
		t.set(path, "state=active")
		t.start()
		arrives("state=active")
		t.takeover(path, "weight=2")
		arrives("weight=2")
	})
}

func TestL6NoPartialListIsPublished(t *testing.T) {
	everywhere(t, func(t *world) {
		const group = 25
		t.put(t.service("Arith"), "")
		d := t.discover("Arith")
		watcher := follow(t.T, d)
		var groups [][]string
		for g := range 8 {
			var paths []string
			for i := range group {
				paths = append(paths, t.service("Arith")+"/"+instance(g*group+i))
			}
			groups = append(groups, paths)
		}
		for g, paths := range groups {
			t.create(paths...)
			if g%2 == 1 {
				t.remove(groups[g-1]...)
			}
			t.wait()
		}
		t.equal(d, "Arith")
		t.eventually("the watcher has it all", func() bool { return maps.Equal(watcher.last(), t.children(t.service("Arith"))) })
		for _, list := range watcher.heard() {
			for g := range groups {
				n := 0
				for i := range group {
					if _, ok := list[instance(g*group+i)]; ok {
						n++
					}
				}
				if n != 0 && n != group {
					t.Errorf("a list has %d of the %d instances that came, and went, in one transaction", n, group)
				}
			}
		}
	})
}

func TestL6NothingIsPublishedWhenNothingChanged(t *testing.T) {
	inBubble(t, func(t *world, zk *zktest.Server) {
		service := t.service("Arith")
		t.put(service+"/"+instance(0), "n=1")
		t.put(service+"/"+instance(1), "n=2")
		d := t.discover("Arith")
		watcher := follow(t.T, d)
		nothing := func(what string, f func()) {
			t.Helper()
			revision := d.Snapshot().Revision
			f()
			pass(time.Minute)
			if s := d.Snapshot(); s.Revision != revision || len(watcher.heard()) != 1 {
				t.Fatalf("%s: published %d times, and the watcher has heard %v", what, s.Revision-revision, watcher.heard())
			}
			t.source(d, zkdiscovery.Live)
		}
		nothing("at rest", func() { pass(2 * time.Hour) })
		nothing("the same metadata written again", func() { t.set(service+"/"+instance(0), "n=1") })
		nothing("the service's own data written", func() { t.set(service, "owner") })
		nothing("a child that is no instance", func() { t.put(service+"/config", "x") })
		nothing("another service", func() { t.put(t.service("Other")+"/"+instance(0), "n=1") })
		nothing("a connection lost", zk.DropConnections)
		nothing("a session expired", zk.ExpireAll)
		nothing("a server restarted", func() { zk.Stop(); pass(time.Hour); t.start() })
		nothing("the same set again", func() { t.takeover(service+"/"+instance(0), "n=1") })
	})
}

func TestL6ChildThatVanishesWhileItIsReadIsNoError(t *testing.T) {
	inBubble(t, func(t *world, zk *zktest.Server) {
		service := t.service("Arith")
		t.put(service+"/"+instance(0), "n=1")
		d := t.discover("Arith")
		watcher := follow(t.T, d)
		zk.Delay(20 * time.Millisecond)
		for at := time.Duration(0); at < 100*time.Millisecond; at += time.Millisecond {
			must(t.T, zk.Create(service+"/"+instance(1), []byte("n=1")))
			time.Sleep(at) // until it has been listed, read, or told of
			must(t.T, zk.Delete(service+"/"+instance(1)))
			pass(time.Second)
			t.lists(d, map[string]string{instance(0): "n=1"})
		}
		for _, list := range watcher.heard() {
			if data, ok := list[instance(1)]; ok && data != "n=1" {
				t.Errorf("listed as %q: it was never that", data)
			}
		}
		if st := d.Status(); st.LastErr != nil {
			t.Errorf("an instance that was gone when it was read is reported as an error: %v", st.LastErr)
		}
		if lines := t.log.edges(); len(lines) > 2 {
			t.Errorf("logged: %q", lines)
		}
	})
}
