package guard

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"
)

// The rules for what a file knows, one by one.

func known(names []string, since time.Time) []Known {
	var k []Known
	for _, n := range names {
		k = append(k, Known{&client.KVPair{Key: n, Value: "weight=1"}, since})
	}
	return k
}

func TestWhatOnlyTheFileKnowsEntersWhenItAnswers(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(20)
	for _, name := range s[10:] {
		b.up[name] = false
	}
	b.g.Remember(known(s, time.Time{}), "a", false)
	b.g.Listed(nil, "b", b.now)
	b.want("nobody was asked yet", nil)
	if !b.g.Holding() {
		t.Error("the file may shrink while they wait for their first answer")
	}
	b.pass(time.Second)
	b.want("the ten that answer", s[:10])
	if !b.g.Pending() {
		t.Error("accepted while ten are held")
	}
}

func TestTheDeadOfAnOldFileAreNeverListed(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(40)
	for _, name := range s[:20] {
		b.up[name] = false
	}
	b.g.Remember(known(s[:20], time.Time{}), "a", false)
	b.list(s[20:])
	for range 600 {
		b.want("at any time", s[20:])
		b.pass(time.Second)
	}
	if b.g.Holding() {
		t.Error("somebody is held after ten minutes")
	}
}

func TestWhatTheFileAloneKnowsIsBelievedGoneWhenItIsOneOfFew(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(20)
	b.g.Remember(known(s, time.Time{}), "a", false)
	b.list(s[1:])
	b.pass(time.Minute)
	b.want("it was taken out while this process was away, and answers still", s[1:])
}

func TestAListServedFromTheFileIsHeldLikeOneOfOurOwn(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(20)
	b.g.Remember(known(s, time.Time{}), "a", true)
	b.want("the file's list", s)
	b.g.Suspect(b.now)
	b.list(nil)
	b.want("the registry came back empty", s)
}

func TestACrashLoopDoesNotRenewAHold(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(4)
	for _, name := range s {
		b.up[name] = false
	}
	b.g.Remember(known(s, b.now.Add(-time.Hour)), "a", true)
	b.g.Listed(nil, "a", b.now)
	b.pass(grace)
	b.want("held since an hour, and dead", nil)
}

func TestAHoldFromTheFileThatAnswersStays(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(4)
	b.g.Remember(known(s, b.now.Add(-time.Hour)), "a", true)
	b.g.Listed(nil, "a", b.now)
	b.pass(time.Hour)
	b.want("held since an hour, and alive", s)
}

func TestARelayedListEndsWhatItDoesNotHave(t *testing.T) {
	b := newBench(t, Config{Window: time.Hour})
	s := b.servers(6)
	b.list(s)
	b.list(s[1:])
	b.g.Suspect(b.now)
	b.list(s[2:])
	b.wantHeld(2) // the lost one came back as held, and answers
	b.g.Relayed(known(s[3:], time.Time{}), b.now)
	b.pass(0)
	b.g.Suspect(b.now)
	b.list(s[4:])
	b.want("one is lost since the sibling's list, the others the sibling has let go", s[3:])
}

func TestARelayedHoldGoesOn(t *testing.T) {
	b := newBench(t, Config{})
	b.unaskable = func(string) bool { return true }
	s := b.servers(3)
	b.list(s)
	b.g.Relayed(known(s, b.now.Add(-30*time.Second)), b.now)
	b.list(nil)
	b.pass(29 * time.Second)
	b.want("the sibling's minute", s)
	b.pass(2 * time.Second)
	b.want("is over", nil)
}

func TestARecordNeverShrinksWhileAnybodyIsHeld(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(20)
	b.list(s)
	file := b.g.Record(nil, b.now)
	if len(file) != 20 || len(heldIn(file)) != 0 {
		t.Fatalf("%d, %d held", len(file), len(heldIn(file)))
	}
	for _, name := range s[:19] {
		b.up[name] = false
	}
	b.list(nil)
	lost := b.now
	file = b.g.Record(file, b.now)
	for range 10 {
		b.pass(time.Second)
		if file = b.g.Record(file, b.now); len(file) != 20 || len(heldIn(file)) != 20 || !slices.IsSortedFunc(file, byKnownKey) {
			t.Fatalf("%d, %d held, sorted %v", len(file), len(heldIn(file)), slices.IsSortedFunc(file, byKnownKey))
		}
	}
	b.wantHeld(1)
	for key, since := range heldIn(file) {
		if !since.Equal(lost) {
			t.Errorf("%s is held since %v, the file says %v", key, lost, since)
		}
	}
	more := b.servers(25)[20:]
	b.list(more)
	if file = b.g.Record(file, b.now); len(file) != 20 || len(heldIn(file)) != 15 {
		t.Errorf("five are listed, one is held, and the file has %d, %d of them as held", len(file), len(heldIn(file)))
	}
	b.listed(pairs(more, "state=inactive"))
	b.list(nil)
	b.up[s[19]] = false
	b.pass(time.Minute)
	if file = b.g.Record(file, b.now); len(file) != 0 {
		t.Errorf("nobody is held, and the file has %d", len(file))
	}
}

func TestWhoIsLetGoBetweenTwoRecordsIsMissingSinceTheSecond(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(3)
	b.list(s)
	file := b.g.Record(nil, b.now)
	b.up[s[0]] = false
	b.list(nil)
	b.pass(time.Minute)
	b.wantHeld(2)
	file = b.g.Record(file, b.now)
	if since := heldIn(file); len(file) != 3 || len(since) != 3 || !since[s[0]].Equal(b.now) {
		t.Errorf("the file has %d, missing since %v", len(file), since)
	}
}

func TestAFileIsForBeforeTheFirstListAndASiblingsForAfterIt(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(4)
	b.g.Relayed(known(s[3:], time.Time{}), b.now)
	b.want("a sibling's, before anything is known", nil)
	file := known(s[:2], time.Time{})
	slices.Reverse(file)
	b.g.Remember(file, "a", true)
	b.want("the file's, which somebody has written by hand", s[:2])
	b.g.Remember(known(s[2:], time.Time{}), "a", true)
	b.want("a newer one's", s[2:])
	b.list(s)
	b.g.Remember(file, "a", true)
	b.want("the registry's", s)
}

func TestAFileOfManyHeldIsBounded(t *testing.T) {
	b := newBench(t, Config{})
	file := known(b.servers(MaxHeld+50), b.now.Add(-time.Second))
	for _, shown := range []bool{false, true} {
		b.g.Remember(file, "a", shown)
		if n := len(b.g.held); n > MaxHeld {
			t.Errorf("%d held from the file", n)
		}
	}
	b.g.Listed(nil, "a", b.now)
	b.g.Relayed(file, b.now)
	if n := len(b.g.held); n > MaxHeld {
		t.Errorf("%d held from a sibling", n)
	}
}

func heldIn(file []Known) map[string]time.Time {
	held := make(map[string]time.Time)
	for _, k := range file {
		held[k.Pair.Key] = k.HeldSince
	}
	maps.DeleteFunc(held, func(_ string, since time.Time) bool { return since.IsZero() })
	return held
}
