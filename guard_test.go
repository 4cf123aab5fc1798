package holdfast_test

import (
	"context"
	"maps"
	"os"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// O7: a sudden loss of many or all instances is suspected, not obeyed. What a real outage does to real servers is in guard_real_test.go.

func TestO7AnOutageOfTheRegistryIsNoneOfTheService(t *testing.T) {
	inBubble(t, func(t *world, zk *zktest.Server) {
		f := newFleet()
		all := t.register("Arith", between(0, 20)...)
		d := t.guarded("Arith", f, zkdiscovery.Guard{})
		watcher := follow(t.T, d)
		pass(time.Minute)
		before, err := t.file("Arith")
		must(t.T, err)
		if n, _, _ := f.probes(); n > 0 {
			t.Errorf("%d probes although nobody is held", n)
		}

		wipeOut(t, zk)
		pass(15 * time.Second)
		t.source(d, zkdiscovery.Live)
		t.lists(d, all)
		t.held(d, 20)
		if since := t.heldInFile("Arith"); len(since) != 20 {
			t.Errorf("the file says of %d that they are held", len(since))
		}
		if s, _ := t.file("Arith"); s.Era != before.Era || s.Lineage != before.Lineage {
			t.Errorf("the new history is in the file (era %d, was %d) before it was accepted", s.Era, before.Era)
		}
		for i := range 20 { // the servers come back, at their leisure
			pass(1500 * time.Millisecond)
			t.register("Arith", i)
		}
		pass(time.Second)
		t.lists(d, all)
		t.held(d, 0)
		t.neverLess(watcher, 20)
		pass(5 * time.Second)
		if s, err := t.file("Arith"); err != nil || s.Era <= before.Era || len(t.heldInFile("Arith")) > 0 || len(s.Servers) != 20 {
			t.Errorf("afterwards the file has era %d (was %d), %d instances, %d held: %v", s.Era, before.Era, len(s.Servers), len(t.heldInFile("Arith")), err)
		}
		edges := t.log.edges()
		if begin, end := count(edges, "has lost many"), count(edges, "nobody is held any more"); begin != 1 || end != 1 {
			t.Errorf("%d lines say that a hold begins and %d that it ends: %q", begin, end, edges)
		}
		probes, _, _ := f.probes()
		pass(time.Hour)
		if n, _, _ := f.probes(); n > probes {
			t.Errorf("%d probes after nobody was held any more", n-probes)
		}
	})
}

func TestO7WithoutTheGuardAnOutageOfTheRegistryIsObeyed(t *testing.T) {
	inBubble(t, func(t *world, zk *zktest.Server) {
		t.register("Arith", between(0, 20)...)
		d := t.discover("Arith")
		wipeOut(t, zk)
		pass(15 * time.Second)
		t.source(d, zkdiscovery.Live)
		t.lists(d, map[string]string{})
	})
}

func TestO7TheDeadAreOutWithinSecondsAndTheOthersStay(t *testing.T) {
	inBubble(t, func(t *world, zk *zktest.Server) {
		f := newFleet()
		all := t.register("Arith", between(0, 20)...)
		d := t.guarded("Arith", f, zkdiscovery.Guard{})
		watcher := follow(t.T, d)
		f.become(refuses, between(0, 4)...)
		f.become(isBlackHole, between(4, 8)...)
		for i := range 8 {
			delete(all, instance(i))
		}
		wipeOut(t, zk)
		t.eventually("ZooKeeper answers", func() bool { return d.Snapshot().Source == zkdiscovery.Live })
		pass(5 * time.Second)
		t.lists(d, all)
		t.held(d, 12)
		t.neverLess(watcher, 12)
		pass(24 * time.Hour) // servers that do not come back to ZooKeeper by themselves: there are such
		t.lists(d, all)
		if s, err := t.file("Arith"); err != nil || len(s.Servers) != 20 || time.Since(s.AsOf) > 20*time.Minute {
			t.Errorf("while somebody is held the file has %d instances of 20, confirmed %v ago: %v", len(s.Servers), time.Since(s.AsOf), err)
		}
		newcomer := t.register("Arith", 100)
		pass(5 * time.Second)
		maps.Copy(all, newcomer)
		t.lists(d, all)
		if t.saved("Arith")[instance(100)] == "" {
			t.Error("an addition is not in the file because somebody is held")
		}
		f.become(refuses, between(8, 20)...)
		pass(15 * time.Second)
		t.lists(d, newcomer)
		t.held(d, 0)
		if diff := t.saved("Arith"); !maps.Equal(diff, newcomer) {
			t.Errorf("nobody is held, and the file has %v", diff)
		}
	})
}

func TestO7ALossIsHeldHoweverItComes(t *testing.T) {
	for name, loss := range map[string]func(*world, *zktest.Server){
		"at once":                 func(t *world, _ *zktest.Server) { t.lose("Arith", between(0, 20)...) },
		"with the sessions":       func(t *world, zk *zktest.Server) { t.lose("Arith", between(1, 20)...); zk.ExpireAll() },
		"with the path":           func(t *world, _ *zktest.Server) { t.lose("Arith", between(0, 20)...); t.remove(t.service("Arith")) },
		"all but one":             func(t *world, _ *zktest.Server) { t.lose("Arith", between(0, 19)...) },
		"by a backup":             func(_ *world, zk *zktest.Server) { zk.Rollback() },
		"in a trickle":            func(t *world, _ *zktest.Server) { trickle(t, 20, 300*time.Millisecond) },
		"one after a reconnect":   func(t *world, zk *zktest.Server) { zk.DropConnections(); pass(3 * time.Second); t.lose("Arith", 7) },
		"by a wipe, one is there": func(t *world, zk *zktest.Server) { t.stop(); zk.Wipe(); t.register("Arith", 3); t.start() },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *world, zk *zktest.Server) {
				f := newFleet()
				t.put(t.service("Arith"), "")
				zk.Checkpoint()
				all := t.register("Arith", between(0, 20)...)
				d := t.guarded("Arith", f, zkdiscovery.Guard{})
				watcher := follow(t.T, d)
				pass(time.Minute)
				loss(t, zk)
				pass(30 * time.Second)
				t.source(d, zkdiscovery.Live)
				t.lists(d, all)
				t.held(d, 20-len(t.children(t.service("Arith"))))
				pass(time.Hour)
				floor := 20
				if name == "in a trickle" {
					floor = 10 // until it is seen to be more than half
				}
				t.neverLess(watcher, floor)
				t.lists(d, all)
				f.become(refuses, between(0, 20)...)
				pass(20 * time.Second)
				t.lists(d, t.children(t.service("Arith")))
				t.held(d, 0)
			})
		})
	}
}

func TestO7FewAndGoodbyesPassAtOnce(t *testing.T) {
	inBubble(t, func(t *world, _ *zktest.Server) {
		f := newFleet()
		t.register("Arith", between(0, 20)...)
		d := t.guarded("Arith", f, zkdiscovery.Guard{})
		pass(time.Minute)
		t.lose("Arith", between(0, 9)...)
		pass(time.Second)
		t.lists(d, t.children(t.service("Arith")))
		pass(time.Minute)
		for i := 9; i < 20; i++ { // a drain
			t.set(t.service("Arith")+"/"+instance(i), "state=inactive")
		}
		pass(time.Second)
		t.lose("Arith", between(9, 20)...)
		pass(time.Second)
		t.lists(d, map[string]string{})
		if n, _, _ := f.probes(); n > 0 {
			t.Errorf("%d probes", n)
		}
		if saved := t.saved("Arith"); len(saved) > 0 {
			t.Errorf("the file has %v", saved)
		}
	})
}

// Two deployments within the window, each with new addresses for all, ended with dead instances in the list.
func TestO7AFleetReplacedAgainAndAgainIsFollowed(t *testing.T) {
	everywhere(t, func(t *world) {
		const size, rounds = 12, 3
		f := newFleet() // all answer: whoever is held is held for good
		t.register("Arith", between(0, size)...)
		d := t.guarded("Arith", f, zkdiscovery.Guard{Window: time.Minute})
		watcher := follow(t.T, d)
		t.equal(d, "Arith")
		for round := range rounds {
			for i := range size {
				going, coming := round*size+i, (round+1)*size+i
				if round == 1 {
					t.lose("Arith", going)
					t.register("Arith", coming)
				} else {
					t.register("Arith", coming)
					t.lose("Arith", going)
				}
			}
			replaced := time.Now()
			t.equal(d, "Arith")
			took := time.Since(replaced)
			t.Logf("round %d: the list is ZooKeeper's within %v", round+1, took.Round(time.Millisecond))
			if took > time.Second {
				t.Errorf("round %d: the list is another than ZooKeeper's for %v", round+1, took)
			}
			t.held(d, 0)
		}
		for _, list := range watcher.heard() {
			if len(list) < size-1 || len(list) > size+1 {
				t.Errorf("a list has %d instances: there were %d at any time, one more, or one fewer", len(list), size)
			}
		}
		if n, _, _ := f.probes(); n > 0 || count(t.log.edges(), "has lost many") > 0 {
			t.Errorf("%d probes: somebody was held", n)
		}
	})
}

func TestO7TheEndOfAnOverrideIsNoLoss(t *testing.T) {
	inBubble(t, func(t *world, _ *zktest.Server) {
		f := newFleet()
		all := t.register("Arith", between(0, 2)...)
		d := t.guarded("Arith", f, zkdiscovery.Guard{})
		pass(time.Minute)
		override := d.Status().OverrideFile
		must(t.T, os.WriteFile(override, []byte(`{"servers": [{"key": "tcp@127.0.0.9:1"}, {"key": "tcp@127.0.0.9:2"}, {"key": "tcp@127.0.0.9:3"}]}`), 0o600))
		pass(time.Minute)
		t.source(d, zkdiscovery.Override)
		must(t.T, os.Remove(override))
		pass(time.Minute)
		t.source(d, zkdiscovery.Live)
		t.lists(d, all)
		if n, _, _ := f.probes(); n > 0 {
			t.Errorf("%d probes", n)
		}
	})
}

func TestO7AProbeThatPanicsOrHangsIsNoAnswer(t *testing.T) {
	for name, misbehave := range map[string]func(release <-chan struct{}) error{
		"panics": func(<-chan struct{}) error { panic("probe") },
		"hangs":  func(release <-chan struct{}) error { <-release; return nil },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *world, _ *zktest.Server) {
				release := make(chan struct{})
				f := newFleet()
				f.become(func(context.Context) error { return misbehave(release) }, between(0, 10)...)
				all := t.register("Arith", between(0, 20)...)
				d := t.guarded("Arith", f, zkdiscovery.Guard{})
				t.lose("Arith", between(0, 20)...)
				for i := range 10 {
					delete(all, instance(i))
				}
				pass(10 * time.Second)
				t.lists(d, all)
				t.register("Arith", 30)
				pass(time.Second)
				all[instance(30)] = "n=1"
				t.lists(d, all)
				began := time.Now()
				d.Close()
				if took := time.Since(began); took > 0 {
					t.Errorf("Close waits %v for a probe", took)
				}
				close(release)
			})
		})
	}
}
