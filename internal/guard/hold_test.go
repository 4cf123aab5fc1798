package guard

import (
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/probe"
)

// The rules for who is held, one by one.

func TestAHeldOneThatIsListedAgainIsSimplyKnown(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(5)
	b.list(s)
	b.list(nil)
	b.wantHeld(5)
	b.list(s)
	b.wantHeld(0)
	if at := b.g.Wake(); !at.IsZero() {
		t.Errorf("nothing is held, and yet the guard wants to be woken at %v", at)
	}
}

func TestTheDeadLeaveWithinSeconds(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(20)
	b.list(s)
	for _, name := range s[:8] {
		b.up[name] = false
	}
	b.list(nil)
	b.pass(5 * time.Second)
	b.want("eight of twenty are dead", s[8:])
}

func TestWhoCannotBeAskedLeavesWhenItsHoldEnds(t *testing.T) {
	b := newBench(t, Config{})
	b.unaskable = func(key string) bool { return strings.HasSuffix(key, "1") }
	s := b.servers(2)
	b.list(s)
	b.list(nil)
	b.pass(DefaultUnprobed - time.Second)
	b.want("before the end", s)
	b.pass(2 * time.Second)
	b.want("after it", s[1:])
}

func TestWhoCannotBeAskedAnyMoreIsNotKeptForEver(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(1)
	b.list(s)
	b.list(nil)
	b.pass(time.Hour)
	b.unaskable = func(string) bool { return true }
	b.pass(againAfter)
	b.want("its last answer is history", nil)
}

// With 512 descriptors, 6,119 of 8,000 living instances were let go in 2 s.
func TestNobodyIsLetGoBecauseThisProcessCouldNotAsk(t *testing.T) {
	b := newBench(t, Config{Parallel: 64})
	s := b.servers(8000)
	dead := s[:100]
	for _, name := range dead {
		b.up[name] = false
	}
	b.cutOff = true
	b.list(s)
	b.list(nil)
	b.pass(DefaultHold - grace)
	b.want("no descriptor", s)
	for _, name := range s[100:200] {
		if n := len(b.probes[name]); n < 2 {
			t.Errorf("%s was to be asked %d times meanwhile", name, n)
		}
	}
	b.cutOff = false
	b.pass(5 * time.Second)
	b.want("the dead leave when they can be asked", s[len(dead):])
}

func TestWhoHasAnsweredStaysHoweverLongItCannotBeAsked(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(2)
	b.list(s)
	b.list(nil)
	b.pass(time.Second)
	b.up[s[0]] = false
	b.cutOff = true
	b.pass(24 * time.Hour)
	b.want("a day without a descriptor", s)
	b.cutOff = false
	b.pass(againAfter)
	b.want("the one that has died leaves then", s[1:])
}

func TestAnAskSaysWhetherItIsTheFirst(t *testing.T) {
	b := newBench(t, Config{})
	b.list(b.servers(1))
	b.g.Listed(nil, "a", b.now)
	for i := range 3 {
		asks := b.g.Probes(b.now)
		if len(asks) != 1 || asks[0].First != (i == 0) {
			t.Fatalf("ask %d: %v", i, asks)
		}
		b.g.Probed(asks[0].Key, probe.CouldNotAsk, b.now)
		b.now = b.now.Add(retryAfter)
	}
}

func TestOneThatHasAnsweredSurvivesASingleMissAfterItsHold(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(2)
	b.list(s)
	b.list(nil)
	b.pass(time.Hour)
	b.up[s[0]], b.up[s[1]] = false, false
	b.pass(againAfter) // each is asked once in that time
	b.want("one miss each, an hour after the hold's end", s)
	b.up[s[1]] = true
	b.pass(retryAfter)
	b.want("one has missed twice", s[1:])
	b.up[s[1]] = false
	b.pass(againAfter)
	b.want("the other has missed again, but not in a row", s[1:])
}

func TestHoldsGrowsWithWhateverBecomesOfAHold(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(3)
	b.g.Remember(known(s[:1], b.now), "a", false)
	var holds int64
	grows := func(what string, do func()) {
		t.Helper()
		do()
		if b.g.Holds() <= holds {
			t.Errorf("%s: Holds is %d, as before", what, b.g.Holds())
		}
		holds = b.g.Holds()
	}
	grows("one that only the file knows waits for an answer", func() { b.g.Listed(pairs(s[1:], ""), "a", b.now) })
	grows("it enters", func() { b.pass(0) })
	grows("it is listed", func() { b.g.Listed(pairs(s, ""), "a", b.now) })
	grows("all are held", func() { b.g.Listed(nil, "a", b.now) })
	clear(b.up)
	grows("they do not answer, and leave", func() { b.pass(time.Minute) })
}

func TestFirstProbesAreSpreadAndThoseOfTheFileAreNot(t *testing.T) {
	b := newBench(t, Config{Jitter: func(d time.Duration) time.Duration { return d / 2 }})
	s := b.servers(2)
	b.list(s)
	b.list(nil)
	b.pass(spread/2 - 1)
	if len(b.probes) > 0 {
		t.Errorf("asked at once: %v", b.probes)
	}
	b.pass(1)
	if len(b.probes) != len(s) {
		t.Errorf("not asked: %v", b.probes)
	}

	b = newBench(t, Config{Jitter: func(d time.Duration) time.Duration { return d / 2 }})
	b.g.Remember(known(b.servers(2), time.Time{}), "a", false)
	b.list(nil)
	b.want("the file's are asked at once: they are not in the list meanwhile", s)
}

func TestAnAnswerThatComesTooLateIsNoAnswer(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(1)
	b.list(s)
	b.g.Listed(nil, "a", b.now)
	b.g.Probes(b.now)
	b.g.Listed(pairs(s, ""), "a", b.now)
	b.g.Listed(nil, "a", b.now)
	b.g.Probed(s[0], probe.Silent, b.now) // which is about the hold before
	if h, n := b.g.held[s[0]], len(b.g.queue); h.fails > 0 || n != 1 {
		t.Errorf("%d probes of this hold have failed, and it waits for %d", h.fails, n)
	}
}

func TestAnEndThatIsNearWhenTheRegistryIsBackIsPutOff(t *testing.T) {
	const hold = time.Minute
	for name, rule := range map[string]struct {
		before func(b *bench) // the registry goes and is back
		then   time.Duration
		wants  bool // to be held
	}{
		"while it waits to be asked": {func(b *bench) { b.now = b.now.Add(hold - time.Second) }, 2 * time.Second, true},
		"while it is asked":          {func(b *bench) { b.now = b.now.Add(hold - time.Second); b.g.Probes(b.now) }, 2 * time.Second, true},
		"but not for ever":           {func(b *bench) { b.now = b.now.Add(hold - time.Second) }, grace, false},
		"not if it cannot be asked": {func(b *bench) {
			b.unaskable = func(string) bool { return true }
			b.pass(hold - time.Second)
		}, 2 * time.Second, false},
	} {
		b := newBench(t, Config{Hold: hold, Unprobed: hold})
		b.list(b.servers(1))
		b.g.Listed(nil, "a", b.now)
		rule.before(b)
		b.g.Away(true, b.now)
		b.g.Away(false, b.now)
		b.now = b.now.Add(rule.then)
		b.g.Tick(b.now)
		if held := b.g.Holding(); held != rule.wants {
			t.Errorf("%s: held %v", name, held)
		}
	}
}

func TestAListThatFlapsMakesNoMoreProbes(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(4)
	for range 1000 {
		b.list(s)
		b.list(nil)
		b.pass(10 * time.Millisecond)
	}
	for key, at := range b.probes {
		if len(at) > 11 {
			t.Errorf("%s was probed %d times in ten seconds", key, len(at))
		}
	}
	b.list(s)
	b.pass(time.Minute)
	b.list(s)
	if len(b.g.asked) > 0 {
		t.Errorf("probes of a minute ago are remembered: %v", b.g.asked)
	}
}

func TestNoEndIsBroughtForwardWhenTheRegistryIsBack(t *testing.T) {
	b := newBench(t, Config{Hold: time.Minute})
	s := b.servers(3)
	b.list(s)
	b.g.Listed(pairs(s[2:], ""), "a", b.now)
	b.wantHeld(2)
	b.now = b.now.Add(40 * time.Second)
	b.g.Listed(nil, "a", b.now)
	b.g.Away(true, b.now)
	b.g.Away(false, b.now)
	b.now = b.now.Add(20 * time.Second) // the first two's end
	b.g.Tick(b.now)
	b.want("held for twenty seconds, of sixty", s[2:])
}

func TestNobodyLeavesWhileTheRegistryIsAway(t *testing.T) {
	b := newBench(t, Config{})
	b.unaskable = func(key string) bool { return strings.HasSuffix(key, "1") }
	s := b.servers(4)
	b.list(s)
	b.list(nil)
	b.pass(20 * time.Second)
	clear(b.up) // or it is this process that is cut off: who could tell
	b.g.Away(true, b.now)
	clear(b.probes)
	b.pass(time.Hour)
	b.want("while the registry is away", s)
	if ask := b.g.Probes(b.now); len(ask) > 0 || len(b.probes) > 0 || !b.g.Wake().IsZero() {
		t.Fatalf("asked while the registry is away: %v, %v", b.probes, ask)
	}
	b.g.Away(false, b.now)
	b.want("when it is back", s)
	b.up[s[1]] = true
	b.pass(grace)
	b.want("when they were asked", s[1:2])
}

func TestAProbeUnderWayWhenTheRegistryGoesSaysNothing(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(2)
	b.list(s)
	b.g.Listed(nil, "a", b.now)
	miss := func(goes bool) {
		t.Helper()
		b.now = b.now.Add(retryAfter)
		ask := b.g.Probes(b.now)
		if len(ask) != len(s) {
			t.Fatalf("%d are asked, of %d", len(ask), len(s))
		}
		b.g.Away(goes, b.now)
		for _, p := range ask {
			b.g.Probed(p.Key, probe.Silent, b.now)
		}
	}
	miss(false)
	miss(true)
	b.want("the second miss is none", s)
	b.g.Away(false, b.now)
	miss(false)
	b.want("two in a row are two that nothing has come between", s)
	miss(false)
	b.want("like these", nil)
}
