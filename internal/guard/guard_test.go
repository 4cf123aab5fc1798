package guard

import (
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
	b.pass(12 * time.Second)
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

func TestInTheWindowAfterAReconnectEveryRemovalIsHeld(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(20)
	b.list(s)
	b.g.SetWindow(6 * time.Second)
	b.g.Suspect(b.now)
	b.list(s[1:])
	b.want("one of twenty", s)
	b.pass(7 * time.Second)
	b.list(s[2:])
	b.want("after the window one passes, and the held one answers still", append(s[2:], s[0]))
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
	for _, p := range b.g.List() {
		if p.Key == s[4] && p.Value != "weight=9" {
			t.Errorf("the one that is back has %q", p.Value)
		}
	}
}

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

func TestTheFirstListOfAnotherLineageIsAMassRemoval(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(20)
	b.list(s)
	b.lineage = "b"
	b.list(s[1:])
	b.want("one of twenty, in another lineage", s)
	if !b.g.Pending() {
		t.Error("the lineage is accepted while somebody is held")
	}
	b.pass(DefaultHold)
	if b.g.Pending() {
		t.Error("the lineage is not accepted after the hold")
	}
	b.want("the held one answers still", s)
}

func TestAnotherLineageThatLacksNobodyIsAcceptedAtOnce(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(3)
	b.list(s)
	b.lineage = "b"
	b.list(s)
	if b.g.Pending() {
		t.Error("pending with nobody held")
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

func TestAnAcceptedLineageIsToldLikeAHold(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(2)
	b.list(s)
	b.lineage = "b"
	b.list(nil)
	b.pass(DefaultHold - time.Second)
	holds := b.g.Holds()
	b.pass(time.Second)
	if b.g.Pending() || b.g.Holds() == holds {
		t.Errorf("pending %v, Holds %d as before: nobody would stamp the file anew", b.g.Pending(), holds)
	}
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
			b.g.Probed(p.Key, Silent, b.now)
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

func TestANewLineageIsAcceptedWhenNobodyIsHeldAnyMore(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(3)
	b.list(s)
	b.lineage = "b"
	b.list(s[1:])
	if !b.g.Pending() {
		t.Error("accepted while one is held")
	}
	b.list(s)
	if b.g.Pending() {
		t.Error("not accepted although all are back")
	}
}

func TestDisabledObeysAtOnce(t *testing.T) {
	b := newBench(t, Config{Disabled: true})
	s := b.servers(5)
	b.g.Remember(known(s, b.now), "a", true)
	b.list(s)
	b.list(nil)
	b.want("an empty list", nil)
	if b.g.Holding() || b.g.Pending() {
		t.Error("disabled, and yet it holds")
	}
}
