package stories

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/tests/harness"
	"github.com/holdfast-go/holdfast/tests/seeds"
	"github.com/holdfast-go/holdfast/zkdiscovery"
)

// Two goroutines called WatchService at once on an unlocked slice; the racing append lost one of the channels, and its program kept dialling
// servers that had been gone for days (rpcx-zookeeper).
func TestStoryOfTheLostChannel(t *testing.T) {
	harness.OnRealZooKeeper(t, func(t *harness.World, _ *harness.RealZooKeeper) {
		path := t.Node("Arith", 0)
		t.Put(path, "n=0")
		d := t.Discover("Arith")
		var churn, changes sync.WaitGroup
		var stop atomic.Bool
		changes.Go(func() {
			for n := 1; !stop.Load(); n++ {
				t.Set(path, fmt.Sprintf("n=%d", n))
			}
		})
		kept := make([]*harness.Replica, 64)
		clones := make([]*zkdiscovery.Discovery, 64)
		for i := range kept {
			churn.Go(func() {
				for range 20 {
					ch := d.WatchService()
					d.GetServices()
					_, _ = d.Snapshot(), d.Status()
					if i%16 == 0 {
						d.SetFilter(harness.Without("nobody"))
					}
					c, err := d.Clone("Arith")
					harness.Must(t, err)
					one := c.WatchService()
					c.RemoveWatcher(one)
					close(one)
					c.Close()
					d.RemoveWatcher(ch)
					close(ch)
				}
				kept[i] = t.Follow(d)
				clones[i] = t.Clone(d, "Arith")
			})
		}
		churn.Wait()
		stop.Store(true)
		changes.Wait()
		t.Set(path, "n=last")
		last := map[string]string{harness.Instance(0): "n=last"}
		for i, r := range kept {
			t.Eventually(fmt.Sprintf("watcher %d of 64 has the last list", i), func() bool { return maps.Equal(r.Last(), last) })
			t.Eventually(fmt.Sprintf("clone %d of 64 has the last list", i), func() bool { return maps.Equal(harness.Listed(clones[i].GetServices()), last) })
		}
		if n := d.Status().Watchers; n != len(kept) {
			t.Errorf("%d watchers are counted, there are %d", n, len(kept))
		}

		var closing sync.WaitGroup
		for i := range 64 {
			closing.Go(func() {
				switch i % 8 {
				case 0:
					d.Close()
				case 1:
					kept[i].Stop()
				case 2:
					clones[i].Close()
				case 3:
					d.SetFilter(func(*client.KVPair) bool { return true })
				default:
					ch := d.WatchService()
					d.GetServices()
					_, _ = d.Clone("Arith")
					d.RemoveWatcher(ch)
					close(ch)
				}
			})
		}
		closing.Wait()
		t.NothingLeft()
	})
}

// Of 60 rounds of 5 quick registrations, 26 ended with a list that stayed incomplete: it was read without a watch and watched without being
// read (rpcx-zookeeper).
func TestStoryOfTheMissingInstance(t *testing.T) {
	harness.OnRealZooKeeper(t, func(t *harness.World, _ *harness.RealZooKeeper) {
		const services, bursts, size = 10, 100, 5
		template := t.Template()
		var deployments sync.WaitGroup
		for s := range services {
			name := fmt.Sprintf("Service%d", s)
			t.Put(t.Service(name), "")
			d := t.Clone(template, name)
			watcher := t.Follow(d)
			path := func(i int) string { return t.Node(name, i) }
			deployments.Go(func() {
				var all sync.WaitGroup
				for burst := range bursts {
					for i := range size {
						all.Go(func() { t.Create(path(i)) })
					}
					all.Wait()
					t.Eventually(fmt.Sprintf("burst %d of %s is complete", burst, name), func() bool { return len(watcher.Last()) == size })
					for i := range size {
						all.Go(func() { t.Remove(path(i)) })
					}
					all.Wait()
					t.Eventually(fmt.Sprintf("burst %d of %s is gone", burst, name), func() bool { return len(watcher.Last()) == 0 })
				}
				if n := d.Status().Mended; n > 0 {
					t.Errorf("%d changes of %s were found by looking at rest only", n, name)
				}
			})
		}
		deployments.Wait()
	})
}

// Every deployment replaces every server, at its own pace, over a network that takes its time.
func TestStoryOfTheRollingReplacement(t *testing.T) {
	harness.OnRealZooKeeper(t, func(t *harness.World, zk *harness.RealZooKeeper) {
		const rounds, instances, workers = 100, 50, 5
		zk.Proxies[0].Delay(2 * time.Millisecond)
		seed := seeds.One(t.Name())
		path := func(round, i int) string {
			return fmt.Sprintf("%s/tcp@127.1.%d.%d:8972", t.Service("Arith"), round%200, i+1)
		}
		for i := range instances {
			t.Put(path(0, i), "n=1")
		}
		d := t.Discover("Arith")
		watcher := t.Follow(d)
		for round := 1; round <= rounds; round++ {
			var deploy sync.WaitGroup
			for w := range workers {
				r := rand.New(rand.NewPCG(seed, uint64(round*workers+w)))
				deploy.Go(func() {
					for i := w; i < instances; i += workers {
						t.Create(path(round, i))
						t.Remove(path(round-1, i))
						for range r.IntN(3) {
							t.Set(path(round, i), fmt.Sprintf("n=%d", r.IntN(9)))
						}
					}
				})
			}
			deploy.Wait()
			want := t.Children(t.Service("Arith"))
			t.Eventually(fmt.Sprintf("round %d (seed %d) is equal", round, seed), func() bool {
				return maps.Equal(harness.Listed(d.GetServices()), want) && maps.Equal(watcher.Last(), want)
			})
		}
		for _, list := range watcher.Heard() {
			if len(list) < instances || len(list) > instances+workers {
				t.Fatalf("a list has %d instances: at least %d were there at any time, and at most %d more", len(list), instances, workers)
			}
		}
	})
}

// A network cut of longer than the session closed a channel, and the loop that read it span: a CPU core, and so many log lines that the
// container runtime fell over (rpcx-zookeeper).
func TestStoryOfTheClosedChannel(t *testing.T) {
	harness.OnRealZooKeeper(t, func(t *harness.World, zk *harness.RealZooKeeper) {
		t.Put(t.Node("Arith", 0), "n=0")
		d := t.Discover("Arith")
		watcher := t.Follow(d)
		session := d.Status().SessionID
		lines := len(t.Logbook.Edges())
		used, began := cpuTime(), time.Now()
		t.Cut(true)
		zk.UntilExpired()
		time.Sleep(harness.RealSession) // how long it lasts is what is tested
		t.Source(d, zkdiscovery.Stale)
		busy, took := cpuTime()-used, time.Since(began)
		t.Set(t.Node("Arith", 0), "n=1")
		t.Cut(false)
		t.Equal(d, "Arith")
		if d.Status().SessionID == session {
			t.Error("it is the session from before the cut: nothing was tested")
		}
		// This process polls ZooKeeper for the session's end, and is instrumented by the race detector.
		if busy > took/4 {
			t.Errorf("%v of CPU time were used in %v of a cut", busy, took)
		}
		if got := t.Logbook.Edges()[lines:]; len(got) > 8 {
			t.Errorf("logged %d lines: %q", len(got), got)
		}
		t.Eventually("the watcher has it", func() bool { return watcher.Last()[harness.Instance(0)] == "n=1" })
		if n := len(watcher.Heard()); n != 2 {
			t.Errorf("the watcher has heard %d lists, not the first and the change", n)
		}
	})
}

// The three outages: a restart within the session, one that outlasts it, and an ensemble that is not what it was.
func TestStoryOfTheThreeOutages(t *testing.T) {
	harness.OnRealZooKeeper(t, func(t *harness.World, zk *harness.RealZooKeeper) {
		t.Put(t.Node("Arith", 0), "n=0")
		d := t.Discover("Arith")
		change := func() {
			t.Helper()
			t.Put(t.Node("Arith", int(d.Status().Connections)), "n=1")
			t.Set(t.Node("Arith", 0), fmt.Sprintf("n=%d", d.Status().Connections))
			t.Equal(d, "Arith")
		}
		session := d.Status().SessionID
		harness.Must(t, zk.Ensemble.Kill(0))
		t.Eventually("the death is noticed", func() bool { return d.Snapshot().Source == zkdiscovery.Stale })
		harness.Must(t, zk.Ensemble.Restart(0))
		t.Equal(d, "Arith")
		change()

		harness.Must(t, zk.Ensemble.Pause(0))
		t.Eventually("the silence is noticed", func() bool { return d.Snapshot().Source == zkdiscovery.Stale })
		harness.Must(t, zk.Ensemble.Resume(0))
		t.Equal(d, "Arith")
		change()

		t.Wipe()
		t.Put(t.Node("Arith", 7), "n=0")
		t.Put(t.Node("Arith", 0), "n=0")
		t.Equal(d, "Arith")
		change()
		if d.Status().SessionID == session {
			t.Error("the session has survived the ensemble")
		}
	})
}

// A rolling upgrade of ZooKeeper itself.
func TestStoryOfTheRollingUpgrade(t *testing.T) {
	harness.OnRealEnsemble(t, func(t *harness.World, zk *harness.RealZooKeeper) {
		e := zk.Ensemble
		t.Put(t.Node("Arith", 0), "n=0")
		d := t.Discover("Arith")
		watcher := t.Follow(d)
		for i := range 3 {
			harness.Must(t, e.Kill(i))
			_, err := e.Leader()
			harness.Must(t, err)
			t.Put(t.Node("Arith", i+1), "n=1")
			t.Equal(d, "Arith")
			harness.Must(t, e.Restart(i))
		}
		t.Set(t.Node("Arith", 0), "n=1")
		t.Equal(d, "Arith")
		t.Eventually("the watcher has it all", func() bool { return len(watcher.Last()) == 4 && watcher.Last()[harness.Instance(0)] == "n=1" })
		for i, list := range watcher.Heard() {
			if len(list) < min(i, 1) {
				t.Errorf("a list has lost instances while servers came and went: %v", list)
			}
		}
	})
}
