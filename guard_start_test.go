package holdfast_test

import (
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// O7 at a start, where the file is the guard's memory.

func TestO7ACrashLoopDoesNotRenewAHold(t *testing.T) {
	inBubble(t, func(t *world, _ *zktest.Server) {
		f := newFleet()
		f.become(cannotBeAsked, between(0, 4)...)
		all := t.register("Arith", between(0, 4)...)
		d := t.guarded("Arith", f, zkdiscovery.Guard{})
		pass(time.Minute)
		t.lose("Arith", between(0, 4)...)
		pass(5 * time.Second)
		t.lists(d, all)
		since := t.heldInFile("Arith")
		for range 4 {
			d.Close()
			d = t.guarded("Arith", f, zkdiscovery.Guard{})
			pass(15 * time.Second)
			if now := t.heldInFile("Arith"); len(now) > 0 && !maps.EqualFunc(since, now, time.Time.Equal) {
				t.Errorf("held since %v, and after a restart since %v", since, now)
			}
		}
		pass(15 * time.Second)
		t.lists(d, map[string]string{})
		if saved := t.saved("Arith"); len(saved) > 0 {
			t.Errorf("the file has %v still", saved)
		}
	})
}

func TestO7AStartRightAfterAWipeKeepsWhoAnswersAndTheFile(t *testing.T) {
	inBubble(t, func(t *world, zk *zktest.Server) {
		f := newFleet()
		all := t.register("Arith", between(0, 20)...)
		withFile(t, "Arith")
		zk.Wipe()
		f.become(refuses, between(0, 5)...)
		f.become(isBlackHole, between(5, 10)...)
		for i := range 10 {
			delete(all, instance(i))
		}
		var mu sync.Mutex
		shortest := 20
		d := t.guarded("Arith", f, zkdiscovery.Guard{}, zkdiscovery.WithObserver(zkdiscovery.Observer{Saved: func(s zkdiscovery.Saved) {
			mu.Lock()
			defer mu.Unlock()
			shortest = min(shortest, s.Instances)
		}}))
		watcher := follow(t.T, d)
		pass(5 * time.Second)
		t.source(d, zkdiscovery.Live)
		t.lists(d, all)
		t.held(d, 10)
		for _, list := range watcher.heard() {
			for i := range 10 {
				if _, there := list[instance(i)]; there {
					t.Fatalf("%s has never answered and is in the list", instance(i))
				}
			}
		}
		pass(time.Hour)
		t.lists(d, all)
		mu.Lock()
		defer mu.Unlock()
		if shortest < 20 {
			t.Errorf("a list of %d was saved over one of 20 while somebody is held", shortest)
		}
		if saved := t.saved("Arith"); len(saved) != 20 {
			t.Errorf("the file has %d", len(saved))
		}
	})
}

func TestO7AStartFromTheFileKeepsItsListWhenZooKeeperComesBackEmpty(t *testing.T) {
	for name, comeBack := range map[string]func(*world, *zktest.Server){
		"wiped":   func(_ *world, zk *zktest.Server) { zk.Wipe() },
		"expired": func(t *world, _ *zktest.Server) { t.lose("Arith", between(0, 20)...) },
		"one is gone": func(t *world, _ *zktest.Server) {
			t.lose("Arith", 3)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *world, zk *zktest.Server) {
				f := newFleet()
				all := t.register("Arith", between(0, 20)...)
				withFile(t, "Arith")
				t.stop()
				d := t.guarded("Arith", f, zkdiscovery.Guard{})
				t.source(d, zkdiscovery.File)
				watcher := follow(t.T, d)
				pass(time.Hour)
				comeBack(t, zk)
				t.start()
				pass(time.Minute)
				t.source(d, zkdiscovery.Live)
				t.lists(d, all)
				t.held(d, 20-len(t.children(t.service("Arith"))))
				t.neverLess(watcher, 20)
			})
		})
	}
}

func TestO7TheDeadOfAnOldFileAreNeverListed(t *testing.T) {
	inBubble(t, func(t *world, zk *zktest.Server) {
		f := newFleet()
		t.register("Arith", between(0, 20)...)
		withFile(t, "Arith")
		pass(30 * 24 * time.Hour)
		t.lose("Arith", between(0, 20)...)
		f.become(refuses, between(0, 10)...)
		f.become(isBlackHole, between(10, 20)...)
		t.register("Arith", between(20, 25)...)
		for _, history := range []func(){func() {}, func() { zk.Wipe(); t.register("Arith", between(20, 25)...) }} {
			history()
			d := t.guarded("Arith", f, zkdiscovery.Guard{})
			watcher := follow(t.T, d)
			pass(time.Hour)
			for _, list := range watcher.heard() {
				if !maps.Equal(list, t.children(t.service("Arith"))) {
					t.Errorf("listed: %v", list)
				}
			}
			if saved := t.saved("Arith"); len(saved) != 5 {
				t.Errorf("the file has %d of five", len(saved))
			}
			watcher.stop()
			d.Close()
		}
	})
}
