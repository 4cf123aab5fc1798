// Package holdfast_test is the black box: what zkdiscovery promises of lists and of outages (L1 to L10 and O1 to O7 in its doc), one test per
// promise, in that order. Most are played twice: in a bubble against the in-process server, where hours take milliseconds and no schedule is
// luck, and on a real ZooKeeper. What else shows a promise, in more situations, is below tests. How to read and write such a test is in the doc
// of tests/harness.
package holdfast_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/smallnest/rpcx/client"
	"go.uber.org/goleak"

	"github.com/holdfast-go/holdfast/tests/harness"
	"github.com/holdfast-go/holdfast/tests/seeds"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(harness.Tests(m)) }

// Lists.

func TestL1PublishedSnapshotNeverChanges(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, _ *zktest.Server) {
		t.Register("Arith", 0, 1, 2)
		d := t.Discover("Arith")
		kept, spoiled := d.GetServices(), d.GetServices()
		one, other := <-d.WatchService(), <-d.WatchService()
		want := harness.Listed(kept)
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
		t.Lists(d, want)
		if got := d.Snapshot().Servers[0].Key; got != harness.Instance(0) {
			t.Errorf("a snapshot that was spoiled by its holder is returned again: %v", got)
		}

		for i := range 3 {
			t.Set(t.Node("Arith", i), "n=2")
		}
		t.Remove(t.Node("Arith", 1))
		harness.Pass(time.Second)
		t.Lists(d, map[string]string{harness.Instance(0): "n=2", harness.Instance(2): "n=2"})
		if diff := cmp.Diff(want, harness.Listed(kept)); diff != "" {
			t.Errorf("a list that was handed out has changed (-then +now):\n%s", diff)
		}
	})
}

func TestL2WatcherGetsTheCurrentListAtOnceAndTheNewestAlways(t *testing.T) {
	harness.Everywhere(t, func(t *harness.World) {
		const changes = 200
		path := t.Node("Arith", 0)
		t.Put(path, "n=0")
		d := t.Discover("Arith")
		dead, slow := d.WatchService(), d.WatchService()
		if len(dead) != 1 || len(slow) != 1 {
			t.Fatal("a new watcher's channel does not hold the current list")
		}
		keen := t.Follow(d)
		for n := 1; n <= changes; n++ {
			t.Set(path, fmt.Sprintf("n=%d", n))
			if n%20 == 0 {
				t.Wait()
			}
			if n == changes/2 {
				<-slow // and never again until the end
			}
		}
		newest := map[string]string{harness.Instance(0): fmt.Sprintf("n=%d", changes)}
		t.Eventually("the one that reads has the newest list", func() bool { return maps.Equal(keen.Last(), newest) })
		for name, ch := range map[string]chan []*client.KVPair{"that never read": dead, "that read once": slow} {
			if got := harness.Listed(<-ch); !maps.Equal(got, newest) {
				t.Errorf("the watcher %s finds %v, not the newest list", name, got)
			}
		}
		if n := keen.Ascending(harness.Instance(0)); n < 5 {
			t.Errorf("the watcher that reads all the time has heard %d lists of %d changes", n, changes)
		}
	})
}

func TestL3NothingIsSentAfterRemoveWatcherAndNothingIsClosed(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, _ *zktest.Server) {
		path := t.Node("Arith", 0)
		t.Put(path, "n=0")
		d := t.Discover("Arith")
		stays := d.WatchService()
		var stop atomic.Bool
		var wg sync.WaitGroup
		wg.Go(func() { // changes without a pause
			for n := 1; !stop.Load(); n++ {
				t.Set(path, fmt.Sprintf("n=%d", n))
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
		harness.Pass(10 * time.Second)
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
	harness.Everywhere(t, func(t *harness.World) {
		t.Register("Arith", harness.Between(0, 10)...)
		d := t.Discover("Arith")

		before := d.GetServices()
		t.Register("Arith", 10) // between the two calls that XClient makes
		watcher := t.Follow(d)
		t.Eventually("the change after GetServices arrives", func() bool { return len(watcher.Last()) == len(before)+1 })

		var paths []string
		for i := 11; i < 60; i++ {
			paths = append(paths, t.Node("Arith", i))
			t.Create(paths[len(paths)-1])
		}
		t.Equal(d, "Arith")
		t.Remove(paths[:40]...)
		for i, p := range paths[40:] {
			t.Set(p, fmt.Sprintf("n=%d", i))
		}
		t.Equal(d, "Arith")

		during := func(what string, fault func(change func())) {
			t.Helper()
			fault(func() {
				t.Put(t.Node("Arith", 100), "during="+what)
				t.Set(t.Node("Arith", 0), "during="+what)
				t.Takeover(t.Node("Arith", 1), "during="+what)
				t.Remove(t.Node("Arith", 2))
			})
			t.Equal(d, "Arith")
			t.Put(t.Node("Arith", 2), "after="+what) // the watches are in place again
			t.Equal(d, "Arith")
		}
		during("nothing", func(change func()) { change() })
		during("a restart", func(change func()) { t.Stop(); change(); t.Start() })
		during("an expiry", func(change func()) { change(); t.Expire() })
		during("a cut", func(change func()) { t.Cut(true); change(); t.Cut(false) })
		t.Eventually("the watcher has it all", func() bool { return maps.Equal(watcher.Last(), t.Children(t.Service("Arith"))) })
		if n := d.Status().Mended; n > 0 {
			t.Errorf("%d changes were found by looking at rest only: no watch had told of them", n)
		}
	})
}

func TestL5MetadataChangesArriveLikeMembership(t *testing.T) {
	harness.Everywhere(t, func(t *harness.World) {
		path := t.Node("Arith", 0)
		t.Put(path, "weight=0")
		d := t.Discover("Arith")
		watcher := t.Follow(d)
		arrives := func(data string) {
			t.Helper()
			t.Eventually(data+" arrives", func() bool { return watcher.Last()[harness.Instance(0)] == data })
		}
		for i := range 30 { // each needs a watch that was set again
			data := fmt.Sprintf("weight=%d", i)
			t.Set(path, data)
			arrives(data)
		}
		t.Set(path, "state=inactive")
		arrives("state=inactive")
		t.Stop()
		t.Set(path, "state=active")
		t.Start()
		arrives("state=active")
		t.Takeover(path, "weight=2")
		arrives("weight=2")
	})
}

func TestL6NoPartialListIsPublished(t *testing.T) {
	harness.Everywhere(t, func(t *harness.World) {
		const group = 25
		t.Put(t.Service("Arith"), "")
		d := t.Discover("Arith")
		watcher := t.Follow(d)
		var groups [][]string
		for g := range 8 {
			var paths []string
			for i := range group {
				paths = append(paths, t.Node("Arith", g*group+i))
			}
			groups = append(groups, paths)
		}
		for g, paths := range groups {
			t.Create(paths...)
			if g%2 == 1 {
				t.Remove(groups[g-1]...)
			}
			t.Wait()
		}
		t.Equal(d, "Arith")
		t.Eventually("the watcher has it all", func() bool { return maps.Equal(watcher.Last(), t.Children(t.Service("Arith"))) })
		for _, list := range watcher.Heard() {
			for g := range groups {
				n := 0
				for i := range group {
					if _, ok := list[harness.Instance(g*group+i)]; ok {
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

func TestL7TheListNeverGoesBack(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
		seed := seeds.One(t.Name())
		r := rand.New(rand.NewPCG(seed, 0))
		path := t.Node("Arith", 0)
		t.Put(path, "n=0")
		d := t.Discover("Arith")
		watcher := t.Follow(d)
		faults := []func(){
			zk.DropConnections, zk.ExpireAll,
			func() { zk.Delay(rand.N(100 * time.Millisecond)) },
			func() { zk.Silence(true); harness.Pass(rand.N(20 * time.Second)); zk.Silence(false) },
			func() { zk.Stop(); harness.Pass(rand.N(20 * time.Second)); t.Start() },
			func() { zk.CutAfter(zktest.OpGetData, 1) },
			func() { zk.CutAfter(zktest.OpGetChildren2, 1) },
		}
		zxid := int64(0)
		for n := 1; n < 400; n++ {
			t.Set(path, fmt.Sprintf("n=%d", n))
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
		harness.Pass(time.Minute)
		t.Lists(d, map[string]string{harness.Instance(0): "n=399"})
		watcher.Ascending(harness.Instance(0))
	})
}

func TestL8FilterTakesEffectAtOnceAndIsInherited(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, _ *zktest.Server) {
		all := t.Register("Arith", 0, 1, 2)
		but := func(i int) map[string]string {
			m := maps.Clone(all)
			delete(m, harness.Instance(i))
			return m
		}
		d := t.Discover("Arith", zkdiscovery.WithFilter(harness.Without(harness.Instance(0))))
		t.Lists(d, but(0))
		earlier := t.Clone(d, "Arith")
		ch := d.WatchService()
		<-ch

		d.SetFilter(harness.Without(harness.Instance(1)))
		t.Lists(d, but(1))
		if len(ch) != 1 || len(<-ch) != 2 {
			t.Error("SetFilter has returned, and the watcher does not have the list")
		}
		t.Lists(earlier, but(0))
		later := t.Clone(d, "Arith")
		t.Lists(later, but(1))
		t.Lists(t.Clone(later, "Arith"), but(1))
		d.SetFilter(nil)
		t.Lists(d, all)
		t.Lists(later, but(1))
	})
}

func TestL9NobodyIsAheadOfTheList(t *testing.T) {
	harness.Everywhere(t, func(t *harness.World) {
		path := t.Node("Arith", 0)
		t.Put(path, "n=0")
		t.Put(t.Node("Arith", 1), "n=0")
		d := t.Discover("Arith")
		var stop atomic.Bool
		var readers, filters sync.WaitGroup
		counter := func(list []*client.KVPair) int {
			n, _ := strconv.Atoi(harness.Listed(list)[harness.Instance(0)][len("n="):])
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
					d.SetFilter(func(p *client.KVPair) bool { return p.Key == harness.Instance(0) || i == 0 })
					time.Sleep(time.Millisecond)
				}
			})
		}
		for n := 1; n <= 300; n++ {
			t.Set(path, fmt.Sprintf("n=%d", n))
			if n%3 == 0 {
				t.Wait()
			}
		}
		t.Eventually("the last change arrives", func() bool { return counter(d.GetServices()) == 300 })
		stop.Store(true)
		filters.Wait()
		for _, ch := range watchers {
			d.RemoveWatcher(ch)
			close(ch)
		}
		readers.Wait()
	})
}

func TestL10TakeoverDoesNotShowAsAFlap(t *testing.T) {
	harness.Everywhere(t, func(t *harness.World) {
		const takeovers = 100
		for i := range 3 {
			t.Put(t.Node("Arith", i), "n=0")
		}
		d := t.Discover("Arith")
		watcher := t.Follow(d)
		for n := 1; n <= takeovers; n++ {
			t.Takeover(t.Node("Arith", n%3), fmt.Sprintf("n=%d", n))
		}
		t.Equal(d, "Arith")
		t.Eventually("the watcher has the last", func() bool { return maps.Equal(watcher.Last(), t.Children(t.Service("Arith"))) })
		for _, list := range watcher.Heard() {
			if len(list) != 3 {
				t.Fatalf("an instance that was replaced in one transaction was missing: %v", list)
			}
		}
	})
}

// Outages.

const startTimeout = 3 * time.Second // the default

func TestO1SilenceIsNotNews(t *testing.T) {
	harness.Everywhere(t, func(t *harness.World) {
		want := t.Register("Arith", harness.Between(0, 5)...)
		d := t.Discover("Arith")
		watcher := t.Follow(d)
		for _, outage := range []struct {
			name       string
			begin, end func()
		}{
			{"refused", t.Stop, t.Start},
			{"cut", func() { t.Cut(true) }, func() { t.Cut(false) }},
			{"expired", t.Expire, func() {}},
		} {
			connections := d.Status().Connections
			outage.begin()
			if outage.name != "expired" {
				t.Eventually("the outage is noticed", func() bool { return d.Snapshot().Source == zkdiscovery.Stale })
				t.Lists(d, want)
			}
			outage.end()
			t.Eventually("the list is live again", func() bool {
				return d.Snapshot().Source == zkdiscovery.Live && d.Status().Connections > connections
			})
			t.Lists(d, want)
		}
		t.Put(t.Node("Arith", 5), "n=1") // comes behind everything that may still be on the way
		t.Eventually("the news is there", func() bool { return len(watcher.Last()) == 6 })
		if heard := watcher.Heard(); len(heard) != 2 {
			t.Errorf("watchers have heard of silence: %v", heard)
		}
	})
}

func TestO2StartsFromTheFileAndGoesLiveSeamlessly(t *testing.T) {
	for _, absence := range harness.Absences() {
		t.Run(absence.Name, func(t *testing.T) {
			harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
				want := map[string]string{harness.Instance(0): "n=0", harness.Instance(1): "n=1"}
				for key, data := range want {
					t.Put(t.Service("Arith")+"/"+key, data)
				}
				t.LeaveFile("Arith")
				absence.Begin(t, zk)
				harness.Pass(time.Hour)

				began := time.Now()
				d := t.Discover("Arith")
				took := time.Since(began)
				if took > startTimeout || absence.Refused && took > 0 {
					t.Errorf("New has taken %v", took)
				}
				t.Source(d, zkdiscovery.File)
				t.Lists(d, want)
				if age := time.Since(d.Snapshot().AsOf); age < time.Hour || age > time.Hour+time.Minute {
					t.Errorf("the list was confirmed %v ago, says the snapshot: that is an hour", age)
				}
				watcher := t.Follow(d)
				harness.Pass(10 * time.Minute)
				t.Source(d, zkdiscovery.File)
				t.Lists(d, want)

				absence.End(t, zk)
				harness.Pass(10*time.Second + 5*time.Second)
				t.Source(d, zkdiscovery.Live)
				t.Lists(d, want)
				if heard := watcher.Heard(); len(heard) != 1 || d.Snapshot().Revision != 1 {
					t.Errorf("the switch to the live list, which is the same, was told: %v", heard)
				}
				t.Put(t.Node("Arith", 2), "n=2")
				harness.Pass(time.Second)
				t.Lists(d, t.Children(t.Service("Arith")))
			})
		})
	}
}

func TestO3NewFailsInTimeAndLeavesNothingBehind(t *testing.T) {
	for _, absence := range harness.Absences() {
		t.Run(absence.Name, func(t *testing.T) {
			harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
				absence.Begin(t, zk)
				way := harness.NewDialer(zk.Dial)
				began := time.Now()
				d, err := zkdiscovery.New(t.Base, "Arith", t.Servers(), t.Common(zkdiscovery.WithDialer(way.Dial))...)
				took := time.Since(began)
				if d != nil || !errors.Is(err, zkdiscovery.ErrNoSnapshot) {
					t.Fatalf("New returned %v, %v", d, err)
				}
				if took < startTimeout || took > startTimeout+2*time.Second {
					t.Errorf("it has taken %v: not the start timeout of %v and at most 2s more", took, startTimeout)
				}
				t.NothingLeft()
				attempts := len(way.Attempts())
				harness.Pass(time.Hour)
				if n := len(way.Attempts()) - attempts; n > 0 {
					t.Errorf("%d connections were tried after New had failed", n)
				}
				absence.End(t, zk)
				harness.Pass(time.Minute)
				if st := zk.Stats(); st.Connections > 0 || st.Sessions > 0 {
					t.Errorf("%d connections and %d sessions are left", st.Connections, st.Sessions)
				}
			})
		})
	}
}

func TestO4ServiceThatIsNotRegisteredYetIsNoError(t *testing.T) {
	harness.Everywhere(t, func(t *harness.World) {
		d := t.Discover("not/registered/yet")
		t.Source(d, zkdiscovery.Live)
		t.Lists(d, map[string]string{})
		watcher := t.Follow(d)
		for _, step := range []func(){ // the parents appear one by one, and go again
			func() { t.Put(t.Base, "") },
			func() { t.Put(t.Service("not/registered"), "") },
			func() { t.Put(t.Service("not/registered/yet"), "") },
			func() { t.Remove(t.Service("not/registered/yet")) },
			func() { t.Put(t.Service("not/registered/yet/"+harness.Instance(0)), "n=0") },
		} {
			step()
			t.Equal(d, "not/registered/yet")
		}
		t.Eventually("the watcher has it", func() bool { return watcher.Last()[harness.Instance(0)] == "n=0" })
		t.Remove(t.Service("not/registered/yet/"+harness.Instance(0)), t.Service("not/registered/yet"))
		t.Equal(d, "not/registered/yet")
		t.Put(t.Service("not/registered/yet/"+harness.Instance(1)), "n=0")
		t.Equal(d, "not/registered/yet")
		if st := d.Status(); st.LastErr != nil || st.Mended > 0 {
			t.Errorf("a service that is not registered is reported as an error, or was found by looking only: %v, mended %d", st.LastErr, st.Mended)
		}
	})
}

func TestO5LiveAgainWithinTheSessionTimeoutAndOneBackoff(t *testing.T) {
	for _, fault := range harness.Faults() {
		for _, lasts := range []time.Duration{0, 3 * time.Second, 40 * time.Second, 20 * time.Minute} {
			t.Run(fmt.Sprintf("%s for %v", fault.Name, lasts), func(t *testing.T) {
				harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
					way := harness.NewDialer(zk.Dial)
					for i := range 5 {
						t.Put(t.Node("Arith", i), "n=0")
					}
					d := t.Discover("Arith", zkdiscovery.WithDialer(way.Dial), zkdiscovery.WithAuth("digest", []byte("user:secret")))
					watcher := t.Follow(d)
					fault.Begin(t, zk, way)
					harness.Pass(lasts)
					harness.Must(t, zk.Set(t.Node("Arith", 0), []byte("n=1")))
					harness.Must(t, zk.Delete(t.Node("Arith", 1)))
					fault.End(t, zk, way)
					harness.Pass(10*time.Second + 5*time.Second)
					t.Source(d, zkdiscovery.Live)
					t.Lists(d, t.Children(t.Service("Arith")))
					t.Put(t.Node("Arith", 9), "n=9")
					t.Set(t.Node("Arith", 9), "n=10")
					harness.Pass(time.Second)
					want := t.Children(t.Service("Arith"))
					t.Lists(d, want)
					if got := watcher.Last(); got[harness.Instance(9)] != "n=10" {
						t.Errorf("a watcher has %v, not %v", got, want)
					}
				})
			})
		}
	}
}

func TestO6OutageIsAHandfulOfLinesAndSpacedAttempts(t *testing.T) {
	for _, fault := range harness.Faults() {
		if strings.HasPrefix(fault.Name, "expired, and") {
			continue // that is no outage
		}
		t.Run(fault.Name, func(t *testing.T) {
			harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
				way := harness.NewDialer(zk.Dial)
				t.Put(t.Node("Arith", 0), "n=0")
				d := t.Discover("Arith", zkdiscovery.WithDialer(way.Dial), zkdiscovery.WithAuth("digest", []byte("user:secret")))
				harness.Pass(time.Minute)
				lines, attempts := len(t.Logbook.Edges()), len(way.Attempts())
				fault.Begin(t, zk, way)
				harness.Pass(2 * time.Hour)
				harness.Spaced(t, way.Attempts()[attempts:])
				fault.End(t, zk, way)
				harness.Pass(time.Minute)
				t.Source(d, zkdiscovery.Live)
				if got := t.Logbook.Edges()[lines:]; len(got) > 20 { // four of a message, and counts
					t.Errorf("logged %d lines in an outage, such as %q", len(got), got[max(0, len(got)-20):])
				}
			})
		})
	}
}

func TestO7AnOutageOfTheRegistryIsNoneOfTheService(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
		f := harness.NewFleet()
		all := t.Register("Arith", harness.Between(0, 20)...)
		d := t.Guarded("Arith", f, zkdiscovery.Guard{})
		watcher := t.Follow(d)
		harness.Pass(time.Minute)
		if n, _, _ := f.Probes(); n > 1 { // one, to find out whether the probe reaches anybody
			t.Errorf("%d probes although nobody is held", n)
		}

		t.WipeOut()
		harness.Pass(15 * time.Second)
		t.Source(d, zkdiscovery.Live)
		t.Lists(d, all)
		t.Held(d, 20)
		for i := range 20 { // the servers come back, at their leisure
			harness.Pass(1500 * time.Millisecond)
			t.Register("Arith", i)
		}
		harness.Pass(time.Second)
		t.Lists(d, all)
		t.Held(d, 0)
		watcher.NeverFewer(20)
		edges := t.Logbook.Edges()
		if begin, end := harness.Count(edges, "are missing in the registry"), harness.Count(edges, "no instance is held any more"); begin != 1 || end != 1 {
			t.Errorf("%d lines say that a hold begins and %d that it ends: %q", begin, end, edges)
		}
		probes, _, _ := f.Probes()
		harness.Pass(time.Hour)
		if n, _, _ := f.Probes(); n > probes {
			t.Errorf("%d probes after nobody was held any more", n-probes)
		}
	})
}
