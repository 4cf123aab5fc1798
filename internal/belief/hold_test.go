package belief

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
	if at := b.b.Wake(); !at.IsZero() {
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
	b.pass(maxAgain)
	b.want("its last answer is history", nil)
}

func TestWhoHasAnsweredStaysHoweverLongItCannotBeAsked(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(2)
	b.list(s)
	b.list(nil)
	b.pass(time.Second)
	b.up[s[0]] = false
	cutOff := true
	b.busy = func(string) bool { return cutOff }
	b.pass(24 * time.Hour)
	b.want("a day without a descriptor", s)
	cutOff = false
	b.pass(maxRetry + 5*retryAfter)
	b.want("the one that has died leaves then", s[1:])
}

func TestAnAskSaysWhetherItIsTheFirst(t *testing.T) {
	b := newBench(t, Config{})
	b.list(b.servers(1))
	b.hear(nil)
	for i := range 3 {
		asks := b.b.Asks(b.now)
		if len(asks) != 1 || asks[0].First != (i == 0) {
			t.Fatalf("ask %d: %v", i, asks)
		}
		b.b.Probed(asks[0], Outcome{Answer: probe.Alive}, b.now)
		b.now = b.now.Add(2 * maxAgain)
	}
}

func TestOneThatHasAnsweredSurvivesASingleMissAfterItsHold(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(2)
	b.list(s)
	b.list(nil)
	b.pass(time.Hour)
	b.up[s[0]], b.up[s[1]] = false, false
	b.pass(b.held(s[0]).due.Sub(b.now)) // each is asked once in that time
	b.want("one miss each, an hour after the hold's end", s)
	b.up[s[1]] = true
	b.pass(retryAfter)
	b.want("one has missed twice", s[1:])
	b.up[s[1]] = false
	b.pass(againAfter)
	b.want("the other has missed again, but not in a row", s[1:])
}

func TestTheVersionGrowsWithWhateverBecomesOfAHold(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(3)
	b.remembers(s[:1], b.now, false)
	var was Version
	grows := func(what string, do func()) {
		t.Helper()
		do()
		is := b.b.Version()
		if is.All <= was.All || is.Edits <= was.Edits {
			t.Errorf("%s: version %v after %v", what, is, was)
		}
		was = is
	}
	grows("one that only the file knows waits for an answer", func() { b.hear(pairs(s[1:], "")) })
	grows("it enters", func() { b.pass(0) })
	grows("it is listed", func() { b.hear(pairs(s, "")) })
	grows("all are held", func() { b.hear(nil) })
	clear(b.up)
	grows("they do not answer, and leave", func() { b.pass(time.Minute) })
}

func TestFirstProbesAreSpreadAndThoseOfTheFileAreNot(t *testing.T) {
	b := newBench(t, Config{Random: func(n int64) int64 { return n / 2 }})
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

	b = newBench(t, Config{Random: func(n int64) int64 { return n / 2 }})
	b.remembers(b.servers(2), time.Time{}, false)
	b.list(nil)
	b.want("the file's are asked at once: they are not in the list meanwhile", s)
}

func TestAnAnswerThatComesTooLateIsNoAnswer(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(1)
	b.list(s)
	b.hear(nil)
	asks := b.b.Asks(b.now)
	b.hear(pairs(s, ""))
	b.hear(nil)
	b.b.Probed(asks[0], Outcome{Answer: probe.Silent}, b.now) // which is about the hold before
	if h, n := b.held(s[0]), len(b.b.guard.holds.queue); h.fails > 0 || n != 1 {
		t.Errorf("%d probes of this hold have failed, and it waits for %d", h.fails, n)
	}
}

func TestAHoldEndsWhenItWasAskedTwiceOrAnHourHasPassed(t *testing.T) {
	const hold = time.Minute
	silent := Outcome{Answer: probe.Silent, Err: errSilent}
	busy := Outcome{Answer: probe.CouldNotAsk, Err: errBusy}
	for name, rule := range map[string]struct {
		answers []Outcome // one a second, from the beginning
		held    time.Duration
	}{
		"never asked":                        {nil, time.Hour},
		"asked once":                         {[]Outcome{silent}, time.Hour},
		"asked twice, in vain":               {[]Outcome{silent, silent}, hold},
		"it could not be asked":              {[]Outcome{busy, busy}, time.Hour},
		"asked, and then it could not be":    {[]Outcome{silent, busy}, time.Hour},
		"its network has no probe after all": {[]Outcome{silent, {Answer: probe.Unaskable}}, hold},
	} {
		b := newcomer(t, Config{Hold: hold, Unprobed: hold})
		s := b.servers(1)
		b.list(s)
		b.hear(nil)
		since := b.now
		for _, o := range rule.answers {
			asks := b.b.Asks(b.now)
			if len(asks) != 1 {
				t.Fatalf("%s: %d are asked", name, len(asks))
			}
			b.b.Probed(asks[0], o, b.now)
			b.now = b.now.Add(time.Second)
		}
		b.now = since.Add(rule.held - 1)
		b.b.Tick(b.now)
		b.want(name+", a moment before the end", s)
		b.now = since.Add(rule.held)
		if at := b.b.Wake(); at.After(b.now) {
			t.Errorf("%s: to be woken at %v", name, at)
		}
		b.b.Tick(b.now)
		b.want(name+", at the end", nil)
		if r, _ := b.b.Report(b.now); len(r.Gone) != 1 || r.Gone[0].Key != s[0] {
			t.Errorf("%s: %+v is told", name, r.Gone)
		}
	}
}

// After an outage of hours the holds of before are over by the clock, and nobody was asked meanwhile.
func TestAfterAnOutageEverybodyHeldIsAskedTwiceBeforeItLeaves(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(3)
	b.list(s)
	b.hear(nil)
	b.pass(retryAfter / 2) // all were asked once
	clear(b.up)
	b.busy = func(key string) bool { return key != s[0] }
	b.b.Away(b.now)
	b.pass(3 * time.Hour)
	b.back()
	b.pass(maxAgain)
	b.want("one was asked twice, the others could not be", s[1:])
	b.pass(maxUnasked)
	b.want("they have answered before the outage", s[1:])
	b.busy = nil
	b.pass(maxAgain)
	b.want("when they could be asked", nil)

	b = newBench(t, Config{})
	b.list(s)
	b.busy = func(string) bool { return true }
	b.list(nil)
	b.pass(maxUnasked - time.Minute)
	b.b.Away(b.now)
	b.pass(time.Hour)
	b.back()
	b.pass(maxUnasked - time.Minute)
	b.want("two times 59 minutes", s)
	b.pass(time.Minute)
	b.want("an hour in one piece", nil)
}

func TestAnInstanceThatCannotBeAskedLeavesAfterAnOutageIfItsHoldIsOver(t *testing.T) {
	b := newBench(t, Config{})
	b.unaskable = func(string) bool { return true }
	b.list(b.servers(1))
	b.list(nil)
	b.pass(DefaultUnprobed - time.Second)
	b.wantHeld(1)
	b.b.Away(b.now)
	b.pass(time.Hour)
	b.wantHeld(1)
	b.back()
	b.pass(0)
	b.wantHeld(0)
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
	if len(b.b.guard.holds.asked) > 0 {
		t.Errorf("probes of a minute ago are remembered: %v", b.b.guard.holds.asked)
	}
}

func TestNoEndIsBroughtForwardWhenTheRegistryIsBack(t *testing.T) {
	b := newcomer(t, Config{Hold: time.Minute, Unprobed: time.Minute})
	s := b.servers(3)
	b.list(s)
	clear(b.up)
	b.hear(pairs(s[2:], ""))
	b.wantHeld(2)
	b.pass(40 * time.Second)
	b.hear(nil)
	b.b.Away(b.now)
	b.back()
	b.pass(20*time.Second - 1)
	b.want("before the first two's end", s)
	b.pass(1)
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
	b.b.Away(b.now)
	clear(b.probes)
	b.pass(time.Hour)
	b.want("while the registry is away", s)
	if ask := b.b.Asks(b.now); len(ask) > 0 || len(b.probes) > 0 || !b.b.Wake().IsZero() {
		t.Fatalf("asked while the registry is away: %v, %v", b.probes, ask)
	}
	b.back()
	b.want("when it is back", s)
	b.up[s[1]] = true
	b.pass(2 * maxAgain)
	b.want("when they were asked", s[1:2])
}

func TestAnInstanceWhoseNetworkHasNoProbeStaysWhileTheRegistryIsAway(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(1)
	b.list(s)
	b.hear(nil)
	asks := b.b.Asks(b.now)
	b.b.Away(b.now)
	b.now = b.now.Add(time.Hour)
	b.b.Probed(asks[0], Outcome{Answer: probe.Unaskable}, b.now)
	b.want("its minute is over", s)
	b.unaskable = func(string) bool { return true }
	b.back()
	b.pass(0)
	b.want("the registry is back", nil)
}

func TestAProbeUnderWayWhenTheRegistryGoesSaysNothing(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(2)
	b.list(s)
	b.hear(nil)
	miss := func(goes bool) {
		t.Helper()
		b.now = b.now.Add(retryAfter)
		ask := b.b.Asks(b.now)
		if len(ask) != len(s) {
			t.Fatalf("%d are asked, of %d", len(ask), len(s))
		}
		if goes {
			b.b.Away(b.now)
		}
		for _, a := range ask {
			b.b.Probed(a, Outcome{Answer: probe.Silent}, b.now)
		}
	}
	miss(false)
	miss(true)
	b.want("the second miss is none", s)
	b.back()
	miss(false)
	b.want("two in a row are two that nothing has come between", s)
	miss(false)
	b.want("like these", nil)
}

// Weather, seed 20261410498: the hold of one without a probe ended as soon as the registry could be asked again, however long that had been away.
func TestOneThatCouldNotBeProbedIsAskedAgainWhenTheRegistryIsBack(t *testing.T) {
	for what, mute := range map[string]bool{"it answers now": false, "it has no probe still": true} {
		b := newBench(t, Config{})
		s := b.servers(4)
		b.unaskable = func(string) bool { return true }
		b.list(s)
		b.list(nil)
		b.pass(time.Second)
		b.b.Away(b.now)
		b.pass(10 * time.Minute)
		b.unaskable = func(string) bool { return mute }
		b.reconnect()
		b.hear(nil)
		b.want(what+": at once", s)
		b.pass(time.Second)
		if mute {
			b.want(what, nil)
		} else {
			b.want(what, s)
		}
	}
}
