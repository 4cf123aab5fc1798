package lists

import (
	"fmt"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/tests/harness"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// What a discovery costs ZooKeeper and its program, counted.

func TestAChangeCostsAtMostTwoRequestsWhateverTheSize(t *testing.T) {
	for _, size := range []int{10, 100, 1000, 5000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
				path := func(i int) string { return t.Node("Arith", i) }
				for i := range size {
					t.Put(path(i), "n=0")
				}
				before := zk.Stats()
				d := t.Discover("Arith", zkdiscovery.WithoutWireExtension())
				t.Follow(d)
				if asked := asked(zk.Stats().Since(before)); asked > int64(size)+2 {
					t.Errorf("starting has cost %d requests", asked)
				}
				for name, change := range map[string]struct {
					requests int64
					make     func()
				}{
					"added":     {2, func() { t.Put(path(size), "n=0") }},
					"removed":   {1, func() { harness.Must(t, zk.Delete(path(1))) }},
					"changed":   {1, func() { t.Set(path(2), "n=1") }},
					"taken":     {2, func() { t.Takeover(path(3), "n=2") }},
					"the same":  {1, func() { t.Set(path(4), "n=0") }},
					"unrelated": {0, func() { t.Set(t.Service("Arith"), "x"); t.Put(t.Node("Other", 0), "") }},
				} {
					before := zk.Stats()
					change.make()
					harness.Pass(100 * time.Millisecond)
					st := zk.Stats().Since(before)
					if asked := asked(st); asked > change.requests {
						t.Errorf("%s: %d requests, not %d at most: %v", name, asked, change.requests, st.Requests)
					}
					t.Lists(d, t.Children(t.Service("Arith")))
				}
				if got := zk.Stats().Watches; got != size+1 {
					t.Errorf("%d watches for %d instances", got, size)
				}
			})
		})
	}
}

// asked is the number of requests that are not a server's or an operator's.
func asked(st zktest.Stats) int64 {
	return st.Total() - st.Requests[zktest.OpMulti] - st.Requests[zktest.OpClose]
}

func TestGoroutinesDoNotGrowWithInstancesOrWatchers(t *testing.T) {
	goroutines := func(instances, watchers int) (n int) {
		harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
			for i := range instances {
				t.Put(t.Node("Arith", i), "n=0")
			}
			d := t.Discover("Arith")
			for range watchers {
				d.WatchService()
			}
			harness.Pass(time.Minute)
			n = len(harness.LibraryGoroutines())
		})
		return n
	}
	few, many := goroutines(1, 1), goroutines(3000, 500)
	if few == 0 || few != many {
		t.Errorf("%d goroutines for one instance and one watcher, %d for thousands and hundreds", few, many)
	}
}

func TestADayAtRestCostsNextToNothing(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
		const instances = 1000
		for i := range instances {
			t.Put(t.Node("Arith", i), "n=0")
		}
		d := t.Discover("Arith", zkdiscovery.WithSessionTimeout(30*time.Second))
		watcher := t.Follow(d)
		harness.Pass(time.Second)
		before := zk.Stats()
		harness.Pass(24 * time.Hour)
		st := zk.Stats().Since(before)
		// Looks at intervals that double from 20 s to 15 min, each the path's stat and the data of a few instances.
		const looks = 24*60/13 + 10
		if n := st.Total(); n > looks*9 || n < 50 {
			t.Errorf("%d requests in a day: %v", n, st.Requests)
		}
		if n := st.Requests[zktest.OpPing]; n > int64(24*time.Hour/(9*time.Second)) {
			t.Errorf("%d pings in a day with a session timeout of 30s", n)
		}
		if st.Accepted > 0 || st.WatchesSet > 0 {
			t.Errorf("%d connections and %d watches at rest", st.Accepted, st.WatchesSet)
		}
		if n := len(watcher.Heard()); n != 1 {
			t.Errorf("a watcher has heard %d lists in a day without a change", n)
		}
		if mended := d.Status().Mended; mended > 0 {
			t.Errorf("%d changes were found although there was none", mended)
		}
	})
}

func TestListsAreDeliveredAtOnceAndThenEveryTenMilliseconds(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, _ *zktest.Server) {
		path := t.Node("Arith", 0)
		t.Put(path, "n=0")
		d := t.Discover("Arith")
		ch := d.WatchService()
		<-ch
		harness.Pass(time.Second)
		began := time.Now()
		t.Set(path, "n=1")
		<-ch
		if took := time.Since(began); took > 0 {
			t.Errorf("the first change was held back for %v", took)
		}
		began = time.Now()
		t.Set(path, "n=2")
		t.Put(t.Node("Arith", 1), "n=0")
		if list := <-ch; len(list) != 2 {
			t.Errorf("a burst came in parts: %v", harness.Listed(list))
		}
		if took := time.Since(began); took != 10*time.Millisecond {
			t.Errorf("the burst was delivered after %v", took)
		}

		harness.Pass(time.Minute)
		revision := d.Snapshot().Revision
		for n := range 600 { // what rpcx's metrics plugin does: no news for anybody who selects by weight
			t.Set(path, fmt.Sprintf("calls=%d.00&connections=%d.00&weight=3", n, n%7))
			time.Sleep(100 * time.Millisecond)
		}
		harness.Pass(2 * time.Second)
		if n := d.Snapshot().Revision - revision; n > 65 || n < 50 {
			t.Errorf("%d lists were delivered in a minute of nothing but metrics", n)
		}
		if got := harness.Listed(d.GetServices())[harness.Instance(0)]; got != "calls=599.00&connections=4.00&weight=3" {
			t.Errorf("the last metrics have not arrived: %s", got)
		}
		t.Set(path, "calls=600.00&connections=5.00&weight=3")
		harness.Pass(0)
		t.Set(path, "calls=601.00&connections=5.00&weight=4")
		harness.Pass(20 * time.Millisecond)
		if got := harness.Listed(d.GetServices())[harness.Instance(0)]; got != "calls=601.00&connections=5.00&weight=4" {
			t.Errorf("a weight was held back with the metrics: %s", got)
		}
	})
}

func TestWithoutMetadataWatchThereIsOneWatchPerService(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
		for i := range 20 {
			t.Put(t.Node("Arith", i), "n=0")
		}
		d := t.Discover("Arith", zkdiscovery.WithoutMetadataWatch())
		if got := zk.Stats().Watches; got != 1 {
			t.Errorf("%d watches", got)
		}
		t.Put(t.Node("Arith", 20), "n=7")
		harness.Must(t, zk.Delete(t.Node("Arith", 0)))
		harness.Pass(100 * time.Millisecond)
		t.Lists(d, t.Children(t.Service("Arith")))
		before := zk.Stats()
		for n := range 100 {
			t.Set(t.Node("Arith", 1), fmt.Sprintf("calls=%d", n))
		}
		harness.Pass(time.Second)
		if n := zk.Stats().Since(before).Total(); n > 0 {
			t.Errorf("%d requests for changes that nobody wants to hear of", n)
		}
		t.Set(t.Node("Arith", 1), "n=0")
		harness.Pass(time.Minute)
		t.Lists(d, t.Children(t.Service("Arith")))
	})
}
