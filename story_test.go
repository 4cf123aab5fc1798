package holdfast_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/zkdiscovery"
)

// The stories, replayed on a real ZooKeeper: what happened to people who used what there was before.

// Two goroutines called WatchService at once on an unlocked slice; the racing append lost one of the channels, and its program kept dialling
// servers that had been gone for days (rpcx-zookeeper).
func TestStoryOfTheLostChannel(t *testing.T) {
	onRealZooKeeper(t, func(t *world) {
		path := t.service("Arith") + "/" + instance(0)
		t.put(path, "n=0")
		d := t.discover("Arith")
		var churn, changes sync.WaitGroup
		var stop atomic.Bool
		changes.Go(func() {
			for n := 1; !stop.Load(); n++ {
				t.set(path, fmt.Sprintf("n=%d", n))
			}
		})
		kept := make([]*replica, 64)
		clones := make([]*zkdiscovery.Discovery, 64)
		for i := range kept {
			churn.Go(func() {
				for range 20 {
					ch := d.WatchService()
					d.GetServices()
					_, _ = d.Snapshot(), d.Status()
					if i%16 == 0 {
						d.SetFilter(without("nobody"))
					}
					c, err := d.Clone("Arith")
					must(t.T, err)
					one := c.WatchService()
					c.RemoveWatcher(one)
					close(one)
					c.Close()
					d.RemoveWatcher(ch)
					close(ch)
				}
				kept[i] = follow(t.T, d)
				clones[i] = t.clone(d, "Arith")
			})
		}
		churn.Wait()
		stop.Store(true)
		changes.Wait()
		t.set(path, "n=last")
		last := map[string]string{instance(0): "n=last"}
		for i, r := range kept {
			t.eventually(fmt.Sprintf("watcher %d of 64 has the last list", i), func() bool { return maps.Equal(r.last(), last) })
			t.eventually(fmt.Sprintf("clone %d of 64 has the last list", i), func() bool { return maps.Equal(listed(clones[i].GetServices()), last) })
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
					kept[i].stop()
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
		t.nothingLeft()
	})
}

// Of 60 rounds of 5 quick registrations, 26 ended with a list that stayed incomplete: it was read without a watch and watched without being
// read (rpcx-zookeeper).
func TestStoryOfTheMissingInstance(t *testing.T) {
	onRealZooKeeper(t, func(t *world) {
		const services, bursts, size = 10, 100, 5
		template := t.template()
		var deployments sync.WaitGroup
		for s := range services {
			name := fmt.Sprintf("Service%d", s)
			t.put(t.service(name), "")
			d := t.clone(template, name)
			watcher := follow(t.T, d)
			path := func(i int) string { return t.service(name) + "/" + instance(i) }
			deployments.Go(func() {
				var all sync.WaitGroup
				for burst := range bursts {
					for i := range size {
						all.Go(func() { t.create(path(i)) })
					}
					all.Wait()
					t.eventually(fmt.Sprintf("burst %d of %s is complete", burst, name), func() bool { return len(watcher.last()) == size })
					for i := range size {
						all.Go(func() { t.remove(path(i)) })
					}
					all.Wait()
					t.eventually(fmt.Sprintf("burst %d of %s is gone", burst, name), func() bool { return len(watcher.last()) == 0 })
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
	onRealZooKeeper(t, func(t *world) {
		const rounds, instances, workers = 100, 50, 5
		t.zooKeeper.(*realZooKeeper).proxies[0].Delay(2 * time.Millisecond)
		seed := rand.Uint64()
		path := func(round, i int) string {
			return fmt.Sprintf("%s/tcp@127.1.%d.%d:8972", t.service("Arith"), round%200, i+1)
		}
		for i := range instances {
			t.put(path(0, i), "n=1")
		}
		d := t.discover("Arith")
		watcher := follow(t.T, d)
		for round := 1; round <= rounds; round++ {
			var deploy sync.WaitGroup
			for w := range workers {
				r := rand.New(rand.NewPCG(seed, uint64(round*workers+w)))
				deploy.Go(func() {
					for i := w; i < instances; i += workers {
						t.create(path(round, i))
						t.remove(path(round-1, i))
						for range r.IntN(3) {
							t.set(path(round, i), fmt.Sprintf("n=%d", r.IntN(9)))
						}
					}
				})
			}
			deploy.Wait()
			want := t.children(t.service("Arith"))
			t.eventually(fmt.Sprintf("round %d (seed %d) is equal", round, seed), func() bool {
				return maps.Equal(listed(d.GetServices()), want) && maps.Equal(watcher.last(), want)
			})
		}
		for _, list := range watcher.heard() {
			if len(list) < instances || len(list) > instances+workers {
				t.Fatalf("a list has %d instances: at least %d were there at any time, and at most %d more", len(list), instances, workers)
			}
		}
	})
}

// A network cut of longer than the session closed a channel, and the loop that read it span: a CPU core, and so many log lines that the
// container runtime fell over (rpcx-zookeeper).
func TestStoryOfTheClosedChannel(t *testing.T) {
	onRealZooKeeper(t, func(t *world) {
		t.put(t.service("Arith")+"/"+instance(0), "n=0")
		d := t.discover("Arith")
		watcher := follow(t.T, d)
		session := d.Status().SessionID
		lines := len(t.log.edges())
		used, began := cpuTime(), time.Now()
		t.cut(true)
		t.zooKeeper.(*realZooKeeper).untilExpired()
		time.Sleep(realSession) // how long it lasts is what is tested
		t.source(d, zkdiscovery.Stale)
		busy, took := cpuTime()-used, time.Since(began)
		t.set(t.service("Arith")+"/"+instance(0), "n=1")
		t.cut(false)
		t.equal(d, "Arith")
		if d.Status().SessionID == session {
			t.Error("it is the session from before the cut: nothing was tested")
		}
		// This process polls ZooKeeper for the session's end, and is instrumented by the race detector.
		if busy > took/4 {
			t.Errorf("%v of CPU time were used in %v of a cut", busy, took)
		}
		if got := t.log.edges()[lines:]; len(got) > 8 {
			t.Errorf("logged %d lines: %q", len(got), got)
		}
		t.eventually("the watcher has it", func() bool { return watcher.last()[instance(0)] == "n=1" })
		if n := len(watcher.heard()); n != 2 {
			t.Errorf("the watcher has heard %d lists, not the first and the change", n)
		}
	})
}

// The three outages: a restart within the session, one that outlasts it, and an ensemble that is not what it was.
func TestStoryOfTheThreeOutages(t *testing.T) {
	onRealZooKeeper(t, func(t *world) {
		zk := t.zooKeeper.(*realZooKeeper)
		t.put(t.service("Arith")+"/"+instance(0), "n=0")
		d := t.discover("Arith")
		change := func() {
			t.Helper()
			t.put(t.service("Arith")+"/"+instance(int(d.Status().Connections)), "n=1")
			t.set(t.service("Arith")+"/"+instance(0), fmt.Sprintf("n=%d", d.Status().Connections))
			t.equal(d, "Arith")
		}
		session := d.Status().SessionID
		must(t.T, zk.ensemble.Kill(0))
		t.eventually("the death is noticed", func() bool { return d.Snapshot().Source == zkdiscovery.Stale })
		must(t.T, zk.ensemble.Restart(0))
		t.equal(d, "Arith")
		change()

		must(t.T, zk.ensemble.Pause(0))
		t.eventually("the silence is noticed", func() bool { return d.Snapshot().Source == zkdiscovery.Stale })
		must(t.T, zk.ensemble.Resume(0))
		t.equal(d, "Arith")
		change()

		must(t.T, zk.ensemble.Wipe())
		zk.reconnect()
		t.put(t.service("Arith")+"/"+instance(7), "n=0")
		t.put(t.service("Arith")+"/"+instance(0), "n=0")
		t.equal(d, "Arith")
		change()
		if d.Status().SessionID == session {
			t.Error("the session has survived the ensemble")
		}
	})
}

// A rolling upgrade of ZooKeeper itself.
func TestStoryOfTheRollingUpgrade(t *testing.T) {
	e := triple.get(t)
	zk := newReal(t, e)
	w := &world{T: t, zooKeeper: zk, base: fmt.Sprintf("/holdfast/%d", scenarios.Add(1)), log: newLogbook(t), dir: t.TempDir()}
	t.Cleanup(func() { zk.removeAll(w.base) })
	w.put(w.service("Arith")+"/"+instance(0), "n=0")
	d := w.discover("Arith")
	watcher := follow(t, d)
	for i := range 3 {
		must(t, e.Kill(i))
		_, err := e.Leader()
		must(t, err)
		w.put(w.service("Arith")+"/"+instance(i+1), "n=1")
		w.equal(d, "Arith")
		must(t, e.Restart(i))
	}
	w.set(w.service("Arith")+"/"+instance(0), "n=1")
	w.equal(d, "Arith")
	w.eventually("the watcher has it all", func() bool { return len(watcher.last()) == 4 && watcher.last()[instance(0)] == "n=1" })
	for i, list := range watcher.heard() {
		if len(list) < min(i, 1) {
			t.Errorf("a list has lost instances while servers came and went: %v", list)
		}
	}
}
