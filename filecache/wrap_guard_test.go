package filecache

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/tests/bubbles"
)

// Hazard B3: one empty list from below, and every client is without servers.
func TestARegistryThatComesBackEmptyIsNotObeyed(t *testing.T) {
	inGuardedBubble(t, func(t *testing.T, f *fleet, wrap func(Guard, ...string) *guarded) {
		all := named(20)
		w := wrap(Guard{}, all...)
		defer w.Close()
		w.pass(time.Minute)
		if n, _ := f.probes(); n > 1 { // one finds out whether probes reach anybody
			t.Errorf("%d probes although nobody is held", n)
		}
		w.say(24 * time.Hour)
		w.lists(all)
		if keys, held := w.file(); len(keys) != 20 || len(held) != 20 {
			t.Errorf("the file has %d, says of %d that they are held", len(keys), len(held))
		}
		for i := range all { // they register again
			w.say(time.Second, all[:i+1]...)
		}
		w.lists(all)
		w.neverLess(20)
		w.pass(2 * saveGap)
		if keys, held := w.file(); len(keys) != 20 || len(held) > 0 {
			t.Errorf("afterwards the file has %d, %d of them held", len(keys), len(held))
		}
		if begin, end := w.logs.count("are missing in the registry"), w.logs.count("no instance is held any more"); begin != 1 || end != 1 {
			t.Errorf("%d lines say that a hold begins, %d that it ends:\n%s", begin, end, w.logs)
		}
		before, _ := f.probes()
		w.pass(time.Hour)
		if n, _ := f.probes(); n > before {
			t.Errorf("%d probes after nobody was held any more", n-before)
		}
	})
}

func TestTheDeadLeaveWithinSecondsAndTheOthersStay(t *testing.T) {
	inGuardedBubble(t, func(t *testing.T, f *fleet, wrap func(Guard, ...string) *guarded) {
		all := named(20)
		w := wrap(Guard{}, all...)
		defer w.Close()
		w.pass(time.Minute)
		f.become(isDead, all[:4]...)
		f.become(isBlackHole, all[4:8]...)
		w.say(5 * time.Second)
		w.lists(all[8:])
		w.neverLess(12)
		w.say(24*time.Hour, all[19])
		w.lists(all[8:])
		if keys, held := w.file(); !slices.Equal(keys, all[8:]) || len(held) != 11 {
			t.Errorf("the file has %q, of which %d are held: want who is listed or held", keys, len(held))
		}
		f.become(isDead, all...)
		w.pass(5 * time.Minute)
		w.lists(all[19:])
		if keys, _ := w.file(); !slices.Equal(keys, all[19:]) {
			t.Errorf("nobody is held, and the file has %q", keys)
		}
	})
}

func TestFewAndGoodbyesPassAtOnce(t *testing.T) {
	inGuardedBubble(t, func(t *testing.T, f *fleet, wrap func(Guard, ...string) *guarded) {
		all := named(20)
		w := wrap(Guard{}, all...)
		defer w.Close()
		w.say(2*time.Minute, all[9:]...)
		w.lists(all[9:])
		goodbye := pairs(all[9:]...)
		for _, kv := range goodbye {
			kv.Value = "weight=5&state=inactive"
		}
		w.s.updates <- goodbye
		w.pass(time.Second)
		w.say(0)
		w.lists(nil)
		w.pass(2 * saveGap)
		if keys, _ := w.file(); len(keys) > 0 {
			t.Errorf("the file has %q", keys)
		}
		if n, _ := f.probes(); n > 1 {
			t.Errorf("%d probes", n)
		}
	})
}

func TestAFleetReplacedAgainAndAgainIsFollowed(t *testing.T) {
	inGuardedBubble(t, func(t *testing.T, f *fleet, wrap func(Guard, ...string) *guarded) {
		const size, rounds = 12, 3
		all := named(size * (rounds + 1)) // all answer: whoever is held is held for good
		w := wrap(Guard{}, all[:size]...)
		defer w.Close()
		for i := range size * rounds { // within half of the minute
			w.say(200*time.Millisecond, all[i+1:i+size]...)
			w.lists(all[i+1 : i+size])
			w.say(200*time.Millisecond, all[i+1:i+1+size]...)
			w.lists(all[i+1 : i+1+size])
		}
		if n, _ := f.probes(); n > 1 {
			t.Errorf("%d probes: somebody was held", n)
		}
	})
}

func TestWhatOnlyTheFileKnowsIsAskedBeforeItIsListed(t *testing.T) {
	inGuardedBubble(t, func(t *testing.T, f *fleet, wrap func(Guard, ...string) *guarded) {
		all := named(20)
		wrap(Guard{}, all...).Close()
		f.become(isDead, all[:5]...)
		f.become(isBlackHole, all[5:10]...)
		w := wrap(Guard{}, all[19]) // right after a wipe: one has registered already
		defer w.Close()
		for range 600 {
			w.pass(100 * time.Millisecond)
			keys, _ := w.file()
			for _, living := range all[10:] {
				if !slices.Contains(keys, living) {
					t.Fatalf("%s lives, waits to be asked, and is not in the file any more", living)
				}
			}
		}
		w.lists(all[10:])
		for _, list := range w.heard {
			for _, kv := range list {
				if slices.Contains(all[:10], kv.Key) {
					t.Fatalf("%s has never answered and is in the list", kv.Key)
				}
			}
		}
	})
}

func TestTheFirstListAfterTheFilesIsInDoubtAsAWhole(t *testing.T) {
	inGuardedBubble(t, func(t *testing.T, f *fleet, wrap func(Guard, ...string) *guarded) {
		all := named(20)
		wrap(Guard{}, all...).Close()
		f.become(isDead, all[0])
		w := wrap(Guard{}) // which has nothing to say: the registry is away
		defer w.Close()
		w.pass(time.Hour)
		w.lists(all)
		w.say(24*time.Hour, all[2:]...)
		w.lists(all[1:])
		w.neverLess(19)
	})
}

func TestACrashLoopDoesNotRenewAHold(t *testing.T) {
	inGuardedBubble(t, func(t *testing.T, f *fleet, wrap func(Guard, ...string) *guarded) {
		all := named(4)
		f.become(cannotBeAsked, all...)
		w := wrap(Guard{}, all...)
		w.pass(time.Minute)
		w.say(5 * time.Second)
		_, since := w.file()
		for range 4 {
			w.Close()
			w = wrap(Guard{})
			w.say(15 * time.Second)
			if _, now := w.file(); len(now) > 0 && !now[all[0]].Equal(since[all[0]]) {
				t.Errorf("held since %v, and after a restart since %v", since, now)
			}
		}
		w.pass(15 * time.Second)
		w.lists(nil)
		if keys, _ := w.file(); len(keys) > 0 {
			t.Errorf("the file has %q still", keys)
		}
		w.Close()
	})
}

func TestWithoutGuardTheSourceIsObeyedAtOnce(t *testing.T) {
	dir := t.TempDir()
	bubbles.Test(t, func(t *testing.T) {
		s := newSource("tcp@a:1")
		w := mustWrap(t, s, dir, WithPollingOnly(), WithoutGuard())
		s.say()
		synctest.Wait()
		wantKeys(t, w.GetServices())
		w.Close()
		again := mustWrap(t, newSource(), dir, WithPollingOnly(), WithoutGuard())
		if list := again.GetServices(); list == nil || len(list) != 0 {
			t.Errorf("the file says %v, want the empty list", list)
		}
		again.Close()
		synctest.Wait()
	})
}

// withoutDescriptor is what a probe meets in a process that has no file descriptor left.
func withoutDescriptor(context.Context) error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", syscall.EMFILE)}
}

// Every field of Guard, by what differs when it is ignored: how many of twenty are listed so long after the source has lost so many.
func TestEachFieldOfGuardIsHeeded(t *testing.T) {
	slow := func(ctx context.Context) error {
		pause := time.NewTimer(1500 * time.Millisecond)
		defer pause.Stop()
		select {
		case <-pause.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for name, rule := range map[string]struct {
		guard Guard
		fate  func(context.Context) error
		lost  int
		every time.Duration // between two losses; zero: all at once
		after time.Duration
		want  int
	}{
		"Share, half by default":             {Guard{}, nil, 10, 0, time.Second, 10},
		"Share":                              {Guard{Share: 0.4}, nil, 10, 0, time.Second, 20},
		"Window, a minute by default":        {Guard{}, nil, 20, 2900 * time.Millisecond, time.Second, 20},
		"Window":                             {Guard{Window: time.Second}, nil, 19, 2900 * time.Millisecond, time.Second, 1},
		"Hold, five minutes by default":      {Guard{HoldUnprobed: time.Hour}, isBlackHole, 20, 0, 299 * time.Second, 20},
		"Hold's default ends":                {Guard{HoldUnprobed: time.Hour}, isBlackHole, 20, 0, 320 * time.Second, 0},
		"Hold":                               {Guard{Hold: 10 * time.Second}, isBlackHole, 20, 0, 20 * time.Second, 0},
		"no Hold ends before it was asked":   {Guard{ProbeTimeout: 2 * time.Hour, Hold: time.Second}, isBlackHole, 20, 0, 59 * time.Minute, 20},
		"but for an hour":                    {Guard{ProbeTimeout: 2 * time.Hour, Hold: time.Second}, isBlackHole, 20, 0, 61 * time.Minute, 0},
		"HoldUnprobed, a minute by default":  {Guard{}, cannotBeAsked, 20, 0, 59 * time.Second, 20},
		"HoldUnprobed's default ends":        {Guard{}, cannotBeAsked, 20, 0, 61 * time.Second, 0},
		"HoldUnprobed":                       {Guard{HoldUnprobed: time.Hour}, cannotBeAsked, 20, 0, 59 * time.Minute, 20},
		"ProbeTimeout, a second by default":  {Guard{}, slow, 20, 0, 70 * time.Second, 0},
		"ProbeTimeout":                       {Guard{ProbeTimeout: 2 * time.Second}, slow, 20, 0, time.Minute, 20},
		"a Probe that could not ask is none": {Guard{}, withoutDescriptor, 20, 0, 50 * time.Minute, 20},
		"a Probe that panics is no answer":   {Guard{}, func(context.Context) error { panic("probe") }, 20, 0, 70 * time.Second, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inGuardedBubble(t, func(t *testing.T, f *fleet, wrap func(Guard, ...string) *guarded) {
				all := named(20)
				f.become(rule.fate, all...)
				w := wrap(rule.guard, all...)
				defer w.Close()
				w.pass(10 * time.Minute)
				if rule.every > 0 {
					for i := range rule.lost {
						w.say(rule.every, all[i+1:]...)
					}
				} else {
					w.say(0, all[rule.lost:]...)
				}
				w.pass(rule.after)
				if n := len(w.GetServices()); n != rule.want {
					t.Errorf("%d are listed, want %d", n, rule.want)
				}
			})
		})
	}
	for parallel, want := range map[int]int{0: 20, 1: 1, 15: 15} {
		inGuardedBubble(t, func(t *testing.T, f *fleet, wrap func(Guard, ...string) *guarded) {
			all := named(20)
			f.become(isBlackHole, all...)
			w := wrap(Guard{Parallel: parallel, ProbeTimeout: 10 * time.Second}, all...)
			defer w.Close()
			w.say(time.Minute)
			if f.most != want {
				t.Errorf("Parallel %d: %d probes at once", parallel, f.most)
			}
		})
	}
}

func TestCloseDoesNotWaitForAProbeThatHangs(t *testing.T) {
	inGuardedBubble(t, func(t *testing.T, f *fleet, wrap func(Guard, ...string) *guarded) {
		release := make(chan struct{})
		w := wrap(Guard{}, named(20)...)
		w.pass(10 * time.Second)
		f.become(func(context.Context) error { <-release; return nil }, named(20)...)
		w.say(10 * time.Second)
		w.lists(nil)
		began := time.Now()
		w.Close()
		if took := time.Since(began); took > 0 {
			t.Errorf("Close waits %v for a probe", took)
		}
		close(release)
	})
}

// A registry that somebody else writes to: waves of addresses that nobody answers at.
func TestAHostileRegistryCostsLittle(t *testing.T) {
	inGuardedBubble(t, func(t *testing.T, f *fleet, wrap func(Guard, ...string) *guarded) {
		const wave = 10_000
		w := wrap(Guard{Probe: func(ctx context.Context, _, _ string) error { return isBlackHole(ctx) }}, "tcp@127.0.0.1:1")
		defer w.Close()
		goroutines := runtime.NumGoroutine()
		var heap [4]uint64
		for i := range heap {
			keys := make([]string, wave)
			for n := range keys {
				keys[n] = fmt.Sprintf("tcp@127.%d.%d.%d:1", i+1, n/250, n%250+1)
			}
			w.s.say(keys...)
			pass(2 * time.Second)
			w.s.say()
			pass(3 * time.Second)
			if n := len(w.GetServices()); n > wave+1 {
				t.Errorf("wave %d: the list has %d", i, n)
			}
			if more := runtime.NumGoroutine() - goroutines; more > 3*64 { // so many probes at once, and what each needs
				t.Errorf("wave %d: %d more goroutines", i, more)
			}
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			heap[i] = m.HeapAlloc
		}
		if grown := int64(heap[3]) - int64(heap[1]); grown > 10<<20 {
			t.Errorf("the heap has grown by %d MB since the second wave: %v", grown>>20, heap)
		}
		pass(6 * time.Minute)
		w.lists(nil)
		w.say(time.Second, "tcp@127.0.0.1:1")
		w.lists([]string{"tcp@127.0.0.1:1"})
	})
}
