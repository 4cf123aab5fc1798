package guard

import (
	"context"
	"maps"
	"os"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/tests/harness"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// O7 while a program runs. What a real outage does to real servers is in real_test.go.

// F3, too: what happens to the file in the outage of TestO7AnOutageOfTheRegistryIsNoneOfTheService.
func TestO7TheFileKeepsTheHeldAndTakesTheNewHistoryWhenNobodyIsHeld(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, _ *zktest.Server) {
		t.Register("Arith", harness.Between(0, 20)...)
		t.Guarded("Arith", harness.NewFleet(), zkdiscovery.Guard{})
		harness.Pass(time.Minute)
		before, err := t.File("Arith")
		harness.Must(t, err)

		t.WipeOut()
		harness.Pass(15 * time.Second)
		if since := t.HeldInFile("Arith"); len(since) != 20 {
			t.Errorf("the file says of %d that they are held", len(since))
		}
		if s, _ := t.File("Arith"); s.Era != before.Era || s.Lineage != before.Lineage {
			t.Errorf("the new history is in the file (era %d, was %d) before it was accepted", s.Era, before.Era)
		}
		t.Register("Arith", harness.Between(0, 20)...) // the servers come back
		harness.Pass(6 * time.Second)
		if s, err := t.File("Arith"); err != nil || s.Era <= before.Era || len(t.HeldInFile("Arith")) > 0 || len(s.Servers) != 20 {
			t.Errorf("afterwards the file has era %d (was %d), %d instances, %d held: %v", s.Era, before.Era, len(s.Servers), len(t.HeldInFile("Arith")), err)
		}
	})
}

func TestO7WithoutTheGuardAnOutageOfTheRegistryIsObeyed(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
		t.Register("Arith", harness.Between(0, 20)...)
		d := t.Discover("Arith")
		t.WipeOut()
		harness.Pass(15 * time.Second)
		t.Source(d, zkdiscovery.Live)
		t.Lists(d, map[string]string{})
	})
}

func TestO7TheDeadAreOutWithinSecondsAndTheOthersStay(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
		f := harness.NewFleet()
		all := t.Register("Arith", harness.Between(0, 20)...)
		d := t.Guarded("Arith", f, zkdiscovery.Guard{})
		watcher := t.Follow(d)
		f.Become(harness.Refuses, harness.Between(0, 4)...)
		f.Become(harness.IsBlackHole, harness.Between(4, 8)...)
		for i := range 8 {
			delete(all, harness.Instance(i))
		}
		t.WipeOut()
		t.Eventually("ZooKeeper answers", func() bool { return d.Snapshot().Source == zkdiscovery.Live })
		harness.Pass(5 * time.Second)
		t.Lists(d, all)
		t.Held(d, 12)
		watcher.NeverFewer(12)
		harness.Pass(24 * time.Hour) // servers that do not come back to ZooKeeper by themselves: there are such
		t.Lists(d, all)
		if s, err := t.File("Arith"); err != nil || len(s.Servers) != 12 || time.Since(s.AsOf) > 20*time.Minute {
			t.Errorf("the file has %d instances, not the 12 that are held, confirmed %v ago: %v", len(s.Servers), time.Since(s.AsOf), err)
		}
		newcomer := t.Register("Arith", 100)
		harness.Pass(5 * time.Second)
		maps.Copy(all, newcomer)
		t.Lists(d, all)
		if t.Saved("Arith")[harness.Instance(100)] == "" {
			t.Error("an addition is not in the file because somebody is held")
		}
		f.Become(harness.Refuses, harness.Between(8, 20)...)
		harness.Pass(3 * time.Minute) // an instance that has answered for a day is asked every two minutes
		t.Lists(d, newcomer)
		t.Held(d, 0)
		if diff := t.Saved("Arith"); !maps.Equal(diff, newcomer) {
			t.Errorf("nobody is held, and the file has %v", diff)
		}
	})
}

func TestO7ALossIsHeldHoweverItComes(t *testing.T) {
	for name, loss := range map[string]func(*harness.World, *zktest.Server){
		"at once":           func(t *harness.World, _ *zktest.Server) { t.Lose("Arith", harness.Between(0, 20)...) },
		"with the sessions": func(t *harness.World, zk *zktest.Server) { t.Lose("Arith", harness.Between(1, 20)...); zk.ExpireAll() },
		"with the path": func(t *harness.World, _ *zktest.Server) {
			t.Lose("Arith", harness.Between(0, 20)...)
			t.Remove(t.Service("Arith"))
		},
		"all but one":  func(t *harness.World, _ *zktest.Server) { t.Lose("Arith", harness.Between(0, 19)...) },
		"by a backup":  func(_ *harness.World, zk *zktest.Server) { zk.Rollback() },
		"in a trickle": func(t *harness.World, _ *zktest.Server) { trickle(t, 20, 300*time.Millisecond) },
		"one after a reconnect": func(t *harness.World, zk *zktest.Server) {
			zk.DropConnections()
			harness.Pass(3 * time.Second)
			t.Lose("Arith", 7)
		},
		"by a wipe, one is there": func(t *harness.World, zk *zktest.Server) { t.Stop(); zk.Wipe(); t.Register("Arith", 3); t.Start() },
	} {
		t.Run(name, func(t *testing.T) {
			harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
				f := harness.NewFleet()
				t.Put(t.Service("Arith"), "")
				zk.Checkpoint()
				all := t.Register("Arith", harness.Between(0, 20)...)
				d := t.Guarded("Arith", f, zkdiscovery.Guard{})
				watcher := t.Follow(d)
				harness.Pass(time.Minute)
				loss(t, zk)
				harness.Pass(30 * time.Second)
				t.Source(d, zkdiscovery.Live)
				t.Lists(d, all)
				t.Held(d, 20-len(t.Children(t.Service("Arith"))))
				harness.Pass(time.Hour)
				floor := 20
				if name == "in a trickle" {
					floor = 10 // until it is seen to be more than half
				}
				watcher.NeverFewer(floor)
				t.Lists(d, all)
				f.Become(harness.Refuses, harness.Between(0, 20)...)
				harness.Pass(3 * time.Minute)
				t.Lists(d, t.Children(t.Service("Arith")))
				t.Held(d, 0)
			})
		})
	}
}

func TestO7FewAndGoodbyesPassAtOnce(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, _ *zktest.Server) {
		f := harness.NewFleet()
		t.Register("Arith", harness.Between(0, 20)...)
		d := t.Guarded("Arith", f, zkdiscovery.Guard{})
		harness.Pass(time.Minute)
		t.Lose("Arith", harness.Between(0, 9)...)
		harness.Pass(time.Second)
		t.Lists(d, t.Children(t.Service("Arith")))
		harness.Pass(time.Minute)
		for i := 9; i < 20; i++ { // a drain
			t.Set(t.Node("Arith", i), "state=inactive")
		}
		harness.Pass(time.Second)
		t.Lose("Arith", harness.Between(9, 20)...)
		harness.Pass(time.Second)
		t.Lists(d, map[string]string{})
		if n, _, _ := f.Probes(); n > 1 { // one, to find out whether the probe reaches anybody
			t.Errorf("%d probes", n)
		}
		if saved := t.Saved("Arith"); len(saved) > 0 {
			t.Errorf("the file has %v", saved)
		}
	})
}

// Two deployments within the window, each with new addresses for all, ended with dead instances in the list.
func TestO7AFleetReplacedAgainAndAgainIsFollowed(t *testing.T) {
	harness.Everywhere(t, func(t *harness.World) {
		const size, rounds = 12, 3
		f := harness.NewFleet() // all answer: whoever is held is held for good
		t.Register("Arith", harness.Between(0, size)...)
		d := t.Guarded("Arith", f, zkdiscovery.Guard{Window: time.Minute})
		watcher := t.Follow(d)
		t.Equal(d, "Arith")
		for round := range rounds {
			for i := range size {
				going, coming := round*size+i, (round+1)*size+i
				if round == 1 {
					t.Lose("Arith", going)
					t.Register("Arith", coming)
				} else {
					t.Register("Arith", coming)
					t.Lose("Arith", going)
				}
			}
			replaced := time.Now()
			t.Equal(d, "Arith")
			took := time.Since(replaced)
			t.Logf("round %d: the list is ZooKeeper's within %v", round+1, took.Round(time.Millisecond))
			if took > time.Second {
				t.Errorf("round %d: the list is another than ZooKeeper's for %v", round+1, took)
			}
			t.Held(d, 0)
		}
		for _, list := range watcher.Heard() {
			if len(list) < size-1 || len(list) > size+1 {
				t.Errorf("a list has %d instances: there were %d at any time, one more, or one fewer", len(list), size)
			}
		}
		if n, _, _ := f.Probes(); n > 1 || harness.Count(t.Logbook.Edges(), "are missing in the registry") > 0 {
			t.Errorf("%d probes: somebody was held", n)
		}
	})
}

func TestO7TheEndOfAnOverrideIsNoLoss(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, _ *zktest.Server) {
		f := harness.NewFleet()
		all := t.Register("Arith", harness.Between(0, 2)...)
		d := t.Guarded("Arith", f, zkdiscovery.Guard{})
		harness.Pass(time.Minute)
		override := d.Status().OverrideFile
		harness.Must(t, os.WriteFile(override, []byte(`{"servers": [{"key": "tcp@127.0.0.9:1"}, {"key": "tcp@127.0.0.9:2"}, {"key": "tcp@127.0.0.9:3"}]}`), 0o600))
		harness.Pass(time.Minute)
		t.Source(d, zkdiscovery.Override)
		harness.Must(t, os.Remove(override))
		harness.Pass(time.Minute)
		t.Source(d, zkdiscovery.Live)
		t.Lists(d, all)
		if n, _, _ := f.Probes(); n > 1 { // one, to find out whether the probe reaches anybody
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
			harness.InBubble(t, func(t *harness.World, _ *zktest.Server) {
				release := make(chan struct{})
				f := harness.NewFleet()
				f.Become(func(context.Context) error { return misbehave(release) }, harness.Between(0, 10)...)
				all := t.Register("Arith", harness.Between(0, 20)...)
				d := t.Guarded("Arith", f, zkdiscovery.Guard{})
				t.Lose("Arith", harness.Between(0, 20)...)
				for i := range 10 {
					delete(all, harness.Instance(i))
				}
				harness.Pass(10 * time.Second)
				t.Lists(d, all)
				t.Register("Arith", 30)
				harness.Pass(time.Second)
				all[harness.Instance(30)] = "n=1"
				t.Lists(d, all)
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

// trickle removes n instances, one by one.
func trickle(w *harness.World, n int, every time.Duration) {
	for i := range n {
		w.Lose("Arith", i)
		harness.Pass(every)
	}
}
