package belief

import (
	"slices"
	"testing"
	"time"
)

// The rules for what the file is to hold, and with which time, one by one. That time is the only thing by which two records of one generation are
// told apart: the file takes only what is later.

func TestNothingIsSavedThatTheRegistryDoesNotSayNow(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(3)
	nothing := func(when string) {
		t.Helper()
		b.b.SaveAgain()
		if rec, at := b.b.ToSave(b.now); rec != nil || !at.IsZero() {
			t.Errorf("%s: %+v, %v", when, rec, at)
		}
	}
	nothing("nothing is known")
	b.remembers(s, time.Time{}, true)
	nothing("the file serves")
	b.b.Overridden(&Decision{Pairs: pairs(s, "")})
	nothing("a person has decided")
	b.list(s)
	b.b.Away(b.now)
	nothing("the registry cannot be asked")
	b.relayed(s[1:], time.Time{})
	nothing("another process has heard more")
	b.reconnect()
	nothing("the registry can be asked, and has not listed yet")
}

func TestARecordIsReturnedOnceUntilItDiffersInMoreThanCalls(t *testing.T) {
	b := newBench(t, Config{})
	s := pairs(b.servers(3), "")
	saves := func(what string, want bool) {
		t.Helper()
		if rec, at := b.b.ToSave(b.now); rec != nil != want || !at.IsZero() {
			t.Errorf("%s: %+v, %v", what, rec, at)
		}
	}
	b.hear(s)
	saves("a first list", true)
	saves("nothing new", false)
	b.b.Confirmed(b.now.Add(time.Second))
	saves("confirmed", false)
	b.b.SaveAgain()
	saves("asked for", true)
	saves("asked for once", false)
	l := b.listing(slices.Clone(s))
	l.Edits = b.b.heard.Edits
	b.b.Listed(l, b.now)
	saves("only calls have changed", false)
	b.hear(slices.Clone(s))
	saves("metadata have changed", true)
	b.lineage = "b"
	l = b.listing(s)
	l.Edits = b.b.heard.Edits
	b.b.Listed(l, b.now)
	saves("another history", true)
	b.now = b.now.Add(time.Minute)
	b.hear(nil)
	saves("all are held", true)
	if rec, at := b.b.ToSave(b.now); rec != nil || !at.IsZero() {
		t.Errorf("nothing new: %v, %v", rec, at)
	}
	b.up[s[0].Key] = false
	b.pass(retryAfter) // one is let go
	b.b.saved.at = b.now.Add(-saveGap / 2)
	if rec, at := b.b.ToSave(b.now); rec != nil || !at.Equal(b.now.Add(saveGap/2)) {
		t.Errorf("half a second later: %v, %v", rec, at)
	}
	b.now = b.now.Add(-time.Hour) // the clock is set back
	saves("one was let go, and it is long ago", true)
}

// What the guard lets go one after the other while the registry has nothing to say is later for the file each time.
func TestARecordThatDiffersIsLaterAndOneThatDoesNotKeepsItsTime(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(6)
	b.list(s)
	b.now = b.now.Add(time.Minute)
	b.hear(nil)
	last := b.record()
	for i, name := range s {
		b.up[name] = false
		b.pass(maxAgain)
		is := b.record()
		if len(is.Servers()) != 5-i || !is.AsOf.After(last.AsOf) || is.Generation != last.Generation {
			t.Errorf("%d let go: %d, %+v as of %v after %+v as of %v", i+1, len(is.Servers()), is.Generation, is.AsOf, last.Generation, last.AsOf)
		}
		again := b.record()
		if !again.AsOf.Equal(is.AsOf) {
			t.Errorf("the same again: as of %v after %v", again.AsOf, is.AsOf)
		}
		last = again
	}
	b.b.Confirmed(b.now)
	if is := b.record(); !is.AsOf.Equal(b.now) {
		t.Errorf("as of %v, confirmed %v", is.AsOf, b.now)
	}
}

// The wall's clock was an hour ahead, and is set back: what the file says is in the future, and is put right by the next record that says the same.
// One that says something else must be later than the file until then.
func TestAfterTheClockWasSetBackTheFileIsPutRight(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(3)
	b.list(s)
	ahead := b.record()
	b.now = b.now.Add(-time.Hour)
	l := b.b.heard.Listing
	l.Pairs, l.AsOf = pairs(s[1:], "weight=1"), b.now
	l.Edits++
	b.b.Listed(l, b.now) // the registry knows no zxids, or only metadata have changed
	is := b.record()
	if !is.AsOf.After(ahead.AsOf) {
		t.Errorf("another list is as of %v, the file of %v: it would not be taken", is.AsOf, ahead.AsOf)
	}
	if is = b.record(); !is.AsOf.Equal(b.now) {
		t.Errorf("the same list again is as of %v, want %v", is.AsOf, b.now)
	}
}

// By time.Time's own clock the second list is later, by the wall's it is not.
func TestTheFileIsComparedByTheClockOfTheWall(t *testing.T) {
	b := New(Config{})
	now := time.Now() // with both clocks
	b.Live(1, 0, now)
	b.Listed(Listing{Pairs: pairs([]string{"tcp@a:1"}, ""), Edits: 1, AsOf: now}, now)
	file, _ := b.ToSave(now)
	file = &Record{Generation: file.Generation, AsOf: file.AsOf.Add(time.Hour)} // it was set back since
	b.Found(file, true, now)
	rec, _ := b.ToSave(now)
	if rec == nil || !rec.AsOf.After(file.AsOf) || rec.AsOf != rec.AsOf.Round(0) {
		t.Errorf("%+v, the file is as of %v", rec, file.AsOf)
	}
}

// Another process, by its clock an hour ahead, has saved a list of the same generation which differs: it holds others, or the registry knows no zxids.
func TestTheNewestIsWhatWasSaidLast(t *testing.T) {
	for name, skew := range map[string]time.Duration{"an hour": time.Hour, "a moment": time.Nanosecond, "nothing": 0} {
		b := newBench(t, Config{})
		s := b.servers(3)
		b.list(s)
		was := b.record()
		b.b.SaveAgain()
		refused := b.record()
		b.b.Found(&Record{Generation: was.Generation, AsOf: refused.AsOf.Add(skew)}, true, b.now)
		is, _ := b.b.ToSave(b.now)
		if is == nil || !is.AsOf.After(refused.AsOf.Add(skew)) || is.Generation != was.Generation {
			t.Errorf("ahead by %s: %+v, refused as of %v", name, is, refused.AsOf)
		}
		if rec, _ := b.b.ToSave(b.now); rec != nil {
			t.Errorf("ahead by %s: and again %+v", name, rec)
		}
		if b.b.Doubting() || b.b.course.now.Era != 1 {
			t.Errorf("ahead by %s: a clock makes no era: %+v", name, b.b.course)
		}
	}
}

func TestARefusalThatIsOvertakenIsFollowedByTheNewest(t *testing.T) {
	b := newBench(t, Config{})
	s := pairs(b.servers(3), "")
	b.hear(s)
	file := b.record()
	l := b.listing(s) // later, and the same
	l.Edits = b.b.heard.Edits
	b.b.Listed(l, b.now)
	b.b.Found(file, true, b.now)
	if rec, _ := b.b.ToSave(b.now); rec == nil || rec.Zxid != b.zxid {
		t.Errorf("%+v", rec)
	}
}

// P1 may not read everything, P2 may, and has saved a later zxid. What P1 has let go since must get into the file nevertheless.
func TestWhatIsRefusedInDoubtIsSavedWhenTheDoubtIsSettled(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(3)
	b.list(s)
	b.record()
	l := b.b.heard.Listing
	file := b.ahead(b.file(s, time.Time{}))
	b.b.SaveAgain()
	b.record()
	b.b.Found(file, true, b.now)
	if rec, _ := b.b.ToSave(b.now); rec != nil || !b.b.Doubting() {
		t.Errorf("in doubt %v: %+v", b.b.Doubting(), rec)
	}
	l.Doubt, l.AsOf = b.b.Doubts(), b.now.Add(time.Second)
	b.b.Listed(l, b.now)
	rec, _ := b.b.ToSave(b.now)
	if rec == nil || rec.Generation != file.Generation || !rec.AsOf.After(file.AsOf) {
		t.Errorf("%+v, the file is at %+v", rec, file.Generation)
	}
}

func TestWhatIsRefusedWhileTheRegistryIsAwayIsSavedWhenItIsBack(t *testing.T) {
	b := newBench(t, Config{})
	b.list(b.servers(3))
	was := b.record()
	b.b.Away(b.now)
	b.b.Found(&Record{Generation: was.Generation, AsOf: was.AsOf}, true, b.now)
	if rec, _ := b.b.ToSave(b.now); rec != nil {
		t.Errorf("away: %+v", rec)
	}
	b.reconnect()
	if rec, _ := b.b.ToSave(b.now); rec == nil || rec.Generation != was.Generation || len(rec.Servers()) != 3 {
		t.Errorf("back: %+v", rec)
	}
}

func TestAHistoryThatIsNotAcceptedIsSavedAsTheOneBefore(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(3)
	b.list(s)
	was := b.record()
	b.now = b.now.Add(time.Minute)
	b.lineage = "b"
	b.hear(nil)
	is := b.record()
	if is.Generation != was.Generation || !is.AsOf.After(was.AsOf) {
		t.Errorf("%+v as of %v after %+v as of %v", is.Generation, is.AsOf, was.Generation, was.AsOf)
	}
	b.wantRecord("all are held", nil, s)
	b.pass(DefaultHold)
	if is = b.record(); is.Generation != (Generation{"b", 2, b.zxid}) {
		t.Errorf("%+v after the hold", is.Generation)
	}
	b.list(s)
	if b.isPending() {
		t.Error("pending, and nobody is held")
	}
}

func TestASecondStartWithTheSameListSavesItWithItsTime(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(3)
	file := b.file(s, time.Time{})
	file.AsOf = b.now.Add(time.Minute / 2)
	b.b.Found(file, false, b.now)
	b.now = b.now.Add(time.Minute)
	l := b.listing(pairs(s, "weight=1"))
	l.Zxid, l.AsOf = file.Zxid, file.AsOf.Add(-time.Second)
	b.b.Live(1, 0, b.now)
	b.b.Listed(l, b.now)
	if rec, _ := b.b.ToSave(b.now); !rec.AsOf.Equal(file.AsOf) || rec.Generation != file.Generation {
		t.Errorf("%+v as of %v, the file is as of %v", rec.Generation, rec.AsOf, file.AsOf)
	}
}
