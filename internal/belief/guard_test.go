package belief

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// The rules, one by one.

func TestAFirstListIsBelieved(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(5)
	b.list(s)
	b.want("the first list", s)
	b.wantHeld(0)
}

func TestARemovalPassesAtOnceWhenItIsOneOfFew(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(5)
	b.list(s)
	b.list(s[2:])
	b.want("two of five are few", s[2:])
}

func TestMoreThanHalfAreHeldAndStayWhileTheyAnswer(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(5)
	b.list(s)
	b.list(s[3:])
	b.want("three of five", s)
	b.wantHeld(3)
	b.pass(24 * time.Hour)
	b.want("a day later, answering", s)
	b.up[s[0]] = false
	b.pass(maxAgain + retryAfter)
	b.want("after one of them died", s[1:])
}

func TestAnEmptyListIsAlwaysSuspicious(t *testing.T) {
	b := newBench(t, Config{Share: 1})
	s := b.servers(1)
	b.list(s)
	b.list(nil)
	b.want("the only one is gone from the registry", s)
	b.up[s[0]] = false
	b.pass(12 * time.Second)
	b.want("and dead", nil)
}

func TestALossThatTricklesInIsSeenAsOne(t *testing.T) {
	b := newBench(t, Config{Window: 10 * time.Second})
	s := b.servers(20)
	b.list(s)
	for i := range s {
		b.list(s[i+1:])
		b.pass(400 * time.Millisecond)
	}
	b.want("all twenty, one by one within eight seconds", s)
	b.wantHeld(20)
}

func TestLossesFurtherApartThanTheWindowAreBelieved(t *testing.T) {
	b := newBench(t, Config{Window: 10 * time.Second})
	s := b.servers(20)
	b.list(s)
	for i := range 18 {
		b.list(s[i+1:])
		b.pass(11 * time.Second)
	}
	b.want("eighteen, one every eleven seconds", s[18:])
}

func TestALossCountsUntilTheWindowIsOver(t *testing.T) {
	for after, held := range map[time.Duration]int{10 * time.Second: 11, 10*time.Second + 1: 0} {
		b := newBench(t, Config{Window: 10 * time.Second})
		s := b.servers(20)
		b.list(s)
		b.list(s[6:])
		b.pass(after)
		b.list(s[11:])
		if n := len(b.b.Shown().Held); n != held {
			t.Errorf("six of twenty, and five more after %v: %d are held, want %d", after, n, held)
		}
	}
}

func TestAGoodbyeMakesNoEarlierLossSuspicious(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(20)
	b.list(s)
	b.list(s[8:])
	b.listed(append(pairs(s[8:14], "state=inactive"), pairs(s[14:], "")...))
	b.want("eight of twenty, and then six who said so", s[8:])
	b.list(s[14:])
	b.want("these are gone", s[14:])
	b.list(s[15:])
	b.want("nine of fifteen", slices.Concat(s[:8], s[14:]))
}

// Only so many losses are remembered, and those alone were counted: a loss of 13,000 of 25,000 passed as one of 10,000 among 22,000.
func TestALossOfMoreThanAreRememberedIsCountedInFull(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(25_000)
	b.listed(pairs(s, ""))
	b.hear(pairs(s[13_000:], ""))
	b.wantHeld(MaxHeld)

	b = newBench(t, Config{Share: 1})
	b.listed(pairs(s, ""))
	b.listed(pairs(s[13_000:], ""))
	if n := len(b.b.guard.lost); n > MaxHeld {
		t.Errorf("%d losses are remembered", n)
	}
}

func TestInTheWindowAfterAReconnectEveryRemovalIsHeld(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(20)
	b.list(s)
	b.reconnect()
	b.list(s[1:])
	b.want("one of twenty", s)
	b.pass(DefaultWindow - 1)
	b.list(s[2:])
	b.want("another one, at the window's end", s)
	b.pass(1)
	b.list(s[3:])
	b.want("after it one passes, and the held ones answer still", append(s[3:], s[:2]...))
}

func TestAGoodbyePassesAtOnceWhateverTheShare(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(20)
	b.list(s)
	b.listed(pairs(s, "state=inactive"))
	b.want("a mass of goodbyes changes metadata only", s)
	b.list(nil)
	b.want("and then they are gone", nil)
	b.wantHeld(0)
}

func TestAdditionsAndChangesPassAtOnceDuringAnIncident(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(6)
	b.list(s[:5])
	b.list(nil)
	b.listed(pairs(s[4:], "weight=9"))
	b.want("one back with other metadata, one new", s)
	b.wantHeld(4)
	for _, p := range b.b.Shown().Pairs {
		if p.Key == s[4] && p.Value != "weight=9" {
			t.Errorf("the one that is back has %q", p.Value)
		}
	}
}

func TestTheFirstListOfAnotherLineageIsAMassRemoval(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(20)
	b.list(s)
	b.lineage = "b"
	b.list(s[1:])
	b.want("one of twenty, in another lineage", s)
	if !b.isPending() {
		t.Error("the lineage is accepted while somebody is held")
	}
	b.pass(DefaultHold)
	if b.isPending() {
		t.Error("the lineage is not accepted after the hold")
	}
	b.want("the held one answers still", s)
}

func TestAnotherLineageThatLacksNobodyIsAcceptedAtOnce(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(3)
	b.list(s)
	b.lineage = "b"
	b.hear(pairs(s, ""))
	if b.isPending() || b.b.guard.holds.changes > 0 {
		t.Errorf("pending %v with nobody held, Holds %d", b.isPending(), b.b.guard.holds.changes)
	}
}

func TestAnAcceptedLineageIsToldLikeAHold(t *testing.T) {
	const hold = 14 * time.Second // no probe is due then
	b := newBench(t, Config{Hold: hold})
	s := b.servers(2)
	b.list(s)
	b.lineage = "b"
	b.list(nil)
	b.pass(hold - time.Second)
	holds := b.b.guard.holds.changes
	b.pass(time.Second)
	if b.isPending() || b.b.guard.holds.changes == holds {
		t.Errorf("pending %v, Holds %d as before: nobody would stamp the file anew", b.isPending(), holds)
	}
}

func TestALineageThatHoldsNobodyAnewIsAcceptedInTime(t *testing.T) {
	const hold = 14 * time.Second // no probe is due then
	b := newBench(t, Config{Hold: hold})
	s := b.servers(3)
	b.list(s[:2])
	b.lineage = "b"
	b.listed(pairs(s[2:], "state=inactive"))
	b.wantHeld(2)
	b.pass(time.Minute)
	b.lineage = "c"
	b.list(nil)
	if !b.isPending() {
		t.Error("accepted although somebody is missing, and others are held")
	}
	b.pass(hold)
	if b.isPending() {
		t.Error("not accepted after the hold")
	}
}

func TestANewLineageIsAcceptedWhenNobodyIsHeldAnyMore(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(3)
	b.list(s)
	b.lineage = "b"
	b.list(s[1:])
	if !b.isPending() {
		t.Error("accepted while one is held")
	}
	b.list(s)
	if b.isPending() {
		t.Error("not accepted although all are back")
	}
}

func TestObeyObeysAtOnce(t *testing.T) {
	b := newBench(t, Config{Obey: true})
	s := b.servers(5)
	b.remembers(s, b.now, true)
	b.list(s)
	b.list(nil)
	b.want("an empty list", nil)
	b.relayed(s, b.now)
	b.want("another process's list", s)
	if b.isHolding() || b.isPending() {
		t.Error("disabled, and yet it holds")
	}
}

func TestAConfigSaysWhichValueBreaksWhichRule(t *testing.T) {
	for field, c := range map[string]Config{
		"Share 1.5": {Share: 1.5}, "Share -1": {Share: -1}, "Share NaN": {Share: math.NaN()},
		"Window -1s": {Window: -time.Second}, "Hold -1s": {Hold: -time.Second}, "HoldUnprobed -1s": {Unprobed: -time.Second},
	} {
		if mistakes := c.Validate(); len(mistakes) != 1 || !strings.Contains(mistakes[0].Error(), field) {
			t.Errorf("%s: %v", field, mistakes)
		}
	}
	if mistakes := (Config{}).Validate(); len(mistakes) > 0 {
		t.Errorf("the defaults: %v", mistakes)
	}
	if mistakes := (Config{Share: 2, Hold: -1, Window: -1, Unprobed: -1}).Validate(); len(mistakes) != 4 {
		t.Errorf("four mistakes: %v", mistakes)
	}
}

// Sessions end by the timeouts of the servers, which are longer than the client's own: with its two seconds, eleven of twenty living instances were
// let go.
func TestTheWindowIsAsLongAsExpiriesTrickleIn(t *testing.T) {
	for name, rule := range map[string]struct {
		window, timeout, want time.Duration
	}{
		"a short session":            {0, 2 * time.Second, DefaultWindow},
		"a long one":                 {0, 40 * time.Second, 40 * time.Second},
		"what the user has said":     {5 * time.Second, 40 * time.Second, 5 * time.Second},
		"the timeout is not known":   {0, 0, DefaultWindow},
		"and the user has said more": {time.Hour, 0, time.Hour},
	} {
		b := newBench(t, Config{Window: rule.window})
		s := b.servers(20)
		b.b.Live(b.link, rule.timeout, b.now)
		b.list(s)
		for i := range 10 {
			b.list(s[i+1:])
		}
		b.want(name+": half of them", s[10:])
		b.pass(rule.want)
		b.list(s[11:])
		b.want(name+": one more at the end of the window", s)

		b = newBench(t, Config{Window: rule.window})
		b.b.Live(b.link, rule.timeout, b.now)
		b.list(s)
		b.list(s[10:])
		b.pass(rule.want + 1)
		b.list(s[11:])
		b.want(name+": and after it", s[11:])
	}
}
