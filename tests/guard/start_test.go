package guard

import (
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/tests/harness"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// O7 at a start, where the file is the guard's memory.

func TestO7ACrashLoopDoesNotRenewAHold(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, _ *zktest.Server) {
		f := harness.NewFleet()
		f.Become(harness.CannotBeAsked, harness.Between(0, 4)...)
		all := t.Register("Arith", harness.Between(0, 4)...)
		d := t.Guarded("Arith", f, zkdiscovery.Guard{})
		harness.Pass(time.Minute)
		t.Lose("Arith", harness.Between(0, 4)...)
		harness.Pass(5 * time.Second)
		t.Lists(d, all)
		since := t.HeldInFile("Arith")
		for range 4 {
			d.Close()
			d = t.Guarded("Arith", f, zkdiscovery.Guard{})
			harness.Pass(15 * time.Second)
			if now := t.HeldInFile("Arith"); len(now) > 0 && !maps.EqualFunc(since, now, time.Time.Equal) {
				t.Errorf("held since %v, and after a restart since %v", since, now)
			}
		}
		harness.Pass(15 * time.Second)
		t.Lists(d, map[string]string{})
		if saved := t.Saved("Arith"); len(saved) > 0 {
			t.Errorf("the file has %v still", saved)
		}
	})
}

func TestO7AStartRightAfterAWipeKeepsWhoAnswersAndTheFile(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
		f := harness.NewFleet()
		all := t.Register("Arith", harness.Between(0, 20)...)
		t.LeaveFile("Arith")
		zk.Wipe()
		f.Become(harness.Refuses, harness.Between(0, 5)...)
		f.Become(harness.IsBlackHole, harness.Between(5, 10)...)
		for i := range 10 {
			delete(all, harness.Instance(i))
		}
		var mu sync.Mutex
		shortest := 20
		d := t.Guarded("Arith", f, zkdiscovery.Guard{}, zkdiscovery.WithObserver(zkdiscovery.Observer{Saved: func(s zkdiscovery.Saved) {
			mu.Lock()
			defer mu.Unlock()
			shortest = min(shortest, s.Instances)
		}}))
		watcher := t.Follow(d)
		harness.Pass(5 * time.Second)
		t.Source(d, zkdiscovery.Live)
		t.Lists(d, all)
		t.Held(d, 10)
		for _, list := range watcher.Heard() {
			for i := range 10 {
				if _, there := list[harness.Instance(i)]; there {
					t.Fatalf("%s has never answered and is in the list", harness.Instance(i))
				}
			}
		}
		harness.Pass(time.Hour)
		t.Lists(d, all)
		mu.Lock()
		defer mu.Unlock()
		if shortest < 10 {
			t.Errorf("a list of %d was saved while ten are held", shortest)
		}
		if saved := t.Saved("Arith"); len(saved) != 10 { // an instance that was let go is not in it
			t.Errorf("the file has %d", len(saved))
		}
	})
}

func TestO7AStartFromTheFileKeepsItsListWhenZooKeeperComesBackEmpty(t *testing.T) {
	for name, comeBack := range map[string]func(*harness.World, *zktest.Server){
		"wiped":   func(_ *harness.World, zk *zktest.Server) { zk.Wipe() },
		"expired": func(t *harness.World, _ *zktest.Server) { t.Lose("Arith", harness.Between(0, 20)...) },
		"one is gone": func(t *harness.World, _ *zktest.Server) {
			t.Lose("Arith", 3)
		},
	} {
		t.Run(name, func(t *testing.T) {
			harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
				f := harness.NewFleet()
				all := t.Register("Arith", harness.Between(0, 20)...)
				t.LeaveFile("Arith")
				t.Stop()
				d := t.Guarded("Arith", f, zkdiscovery.Guard{})
				t.Source(d, zkdiscovery.File)
				watcher := t.Follow(d)
				harness.Pass(time.Hour)
				comeBack(t, zk)
				t.Start()
				harness.Pass(time.Minute)
				t.Source(d, zkdiscovery.Live)
				t.Lists(d, all)
				t.Held(d, 20-len(t.Children(t.Service("Arith"))))
				watcher.NeverFewer(20)
			})
		})
	}
}

func TestO7TheDeadOfAnOldFileAreNeverListed(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
		f := harness.NewFleet()
		t.Register("Arith", harness.Between(0, 20)...)
		t.LeaveFile("Arith")
		harness.Pass(30 * 24 * time.Hour)
		t.Lose("Arith", harness.Between(0, 20)...)
		f.Become(harness.Refuses, harness.Between(0, 10)...)
		f.Become(harness.IsBlackHole, harness.Between(10, 20)...)
		t.Register("Arith", harness.Between(20, 25)...)
		for _, history := range []func(){func() {}, func() { zk.Wipe(); t.Register("Arith", harness.Between(20, 25)...) }} {
			history()
			d := t.Guarded("Arith", f, zkdiscovery.Guard{})
			watcher := t.Follow(d)
			harness.Pass(time.Hour)
			for _, list := range watcher.Heard() {
				if !maps.Equal(list, t.Children(t.Service("Arith"))) {
					t.Errorf("listed: %v", list)
				}
			}
			if saved := t.Saved("Arith"); len(saved) != 5 {
				t.Errorf("the file has %d of five", len(saved))
			}
			watcher.Stop()
			d.Close()
		}
	})
}
