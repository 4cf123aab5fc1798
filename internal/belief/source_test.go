package belief

import (
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"
)

func TestWhoDecidesTheList(t *testing.T) {
	ours := Generation{"a", 2, 50}
	sibling, older, other := Generation{"a", 2, 51}, Generation{"a", 2, 49}, Generation{"b", 3, 1}
	const (
		cold = iota
		stale
		live
	)
	for _, tc := range []struct {
		name     string
		override bool
		phase    int
		file     Generation
		may      bool
		want     Source
	}{
		{"nothing is known", false, cold, Generation{}, false, None},
		{"nothing is known, and the registry does not answer", false, cold, Generation{}, true, None},
		{"the registry may still answer", false, cold, older, false, None},
		{"the registry does not answer", false, cold, older, true, File},
		{"the registry does not answer, whatever history the file has", false, cold, other, true, File},
		{"the registry has answered", false, live, older, true, Live},
		{"the registry has answered, the file claims to know more", false, live, sibling, true, Live},
		{"the registry has gone", false, stale, Generation{}, true, Stale},
		{"the registry has gone, the file is older", false, stale, older, true, Stale},
		{"the registry has gone, the file is ours", false, stale, ours, true, Stale},
		{"the registry has gone, another process has heard more", false, stale, sibling, false, File},
		{"the registry has gone, another process has heard of another history", false, stale, other, true, Stale},
		{"a person has decided, live", true, live, older, true, Override},
		{"a person has decided, at the start", true, cold, Generation{}, false, Override},
		{"a person has decided, in an outage", true, stale, sibling, true, Override},
	} {
		for _, late := range []bool{false, true} { // the file is found after the registry has gone
			b := New(Config{})
			now := time.Unix(1e9, 0)
			find := func() {
				if tc.file.Era > 0 {
					b.Found(&Record{Generation: tc.file, AsOf: now}, false, now)
				}
			}
			if tc.may {
				b.MayServe()
			}
			if tc.phase != cold {
				b.Found(&Record{Generation: Generation{"a", 2, 1}}, false, now)
				b.Live(1, 0, now)
				b.Listed(Listing{Lineage: "a", Zxid: 50, AsOf: now}, now)
			}
			if !late {
				find()
			}
			if tc.phase == stale {
				b.Away(now)
			}
			if late {
				find()
			}
			if tc.override {
				b.Overridden(&Decision{})
			}
			if got := b.Shown().Source; got != tc.want {
				t.Errorf("%s, the file found late %v: %v, want %v", tc.name, late, got, tc.want)
			}
		}
	}
}

func TestAnOverrideStandsUntilItIsGoneAndItsEndIsNoLoss(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(5)
	b.list(s[:4])
	was := b.b.Version()
	d := &Decision{Pairs: pairs(s[4:], ""), AsOf: b.now.Add(-time.Hour)}
	b.b.Overridden(d)
	b.want("a person has decided", s[4:])
	if is := b.b.Version(); is.All == was.All || !b.b.Shown().AsOf.Equal(d.AsOf) || b.b.Shown().Generation != (Generation{}) {
		t.Errorf("version %v after %v, %+v", is, was, b.b.Shown())
	}
	b.list(s[1:4])
	b.want("whatever the registry says", s[4:])
	b.wantRecord("the file has what the registry says", s[1:4], nil)
	b.b.Overridden(nil)
	b.want("it is gone", s[1:4])
	b.wantHeld(0)
}

func TestTheVersionIsTheSameWhileNothingChanges(t *testing.T) {
	b := newBench(t, Config{})
	s := pairs(b.servers(3), "")
	b.remembers(nil, time.Time{}, true)
	b.hear(s)
	same := b.listing(s)
	same.Edits--
	b.b.Listed(same, b.now)
	was := b.b.Version()
	for what, do := range map[string]func(){
		"the same list again":         func() { b.b.Listed(same, b.now) },
		"a later look at it":          func() { same.Zxid++; b.b.Listed(same, b.now) },
		"live still":                  func() { b.b.Live(b.link, 0, b.now) },
		"no override":                 func() { b.b.Overridden(nil) },
		"the file may serve":          b.b.MayServe,
		"confirmed":                   func() { b.b.Confirmed(b.now.Add(time.Second)) },
		"its own record":              func() { b.b.Found(b.record(), false, b.now) },
		"no file":                     func() { b.b.Found(nil, false, b.now) },
		"a file that is ahead":        func() { b.b.Found(b.ahead(b.file(nil, time.Time{})), false, b.now) },
		"nothing, for an hour":        func() { b.pass(time.Hour) },
		"a record that is in the way": func() { b.b.Found(b.file(nil, time.Time{}), true, b.now) },
	} {
		if do(); b.b.Version() != was {
			t.Errorf("%s: version %v after %v", what, b.b.Version(), was)
			was = b.b.Version()
		}
	}

	calls := []*client.KVPair{{Key: s[0].Key, Value: "calls=7"}, s[1], s[2]}
	l := b.listing(calls)
	l.Edits = b.b.heard.Edits
	b.b.Listed(l, b.now)
	if is := b.b.Version(); is.All == was.All || is.Edits != was.Edits {
		t.Errorf("only calls have changed: version %v after %v", is, was)
	}
}

func TestAListThatIsConfirmedAgainIsAsOfTheLaterTime(t *testing.T) {
	b := newBench(t, Config{})
	s := pairs(b.servers(3), "")
	b.hear(s)
	l := b.b.heard.Listing
	at := b.now
	b.b.Confirmed(at.Add(10 * time.Second))
	b.b.Confirmed(at.Add(5 * time.Second))
	b.b.Listed(l, b.now)
	if got := b.b.Shown().AsOf; !got.Equal(at.Add(10 * time.Second)) {
		t.Errorf("as of %v", got)
	}
	l.AsOf = at.Add(20 * time.Second)
	b.b.Listed(l, b.now)
	b.b.Away(b.now)
	b.b.Confirmed(at.Add(30 * time.Second))
	if got := b.b.Shown().AsOf; !got.Equal(at.Add(20 * time.Second)) {
		t.Errorf("as of %v: nothing is confirmed while the registry cannot be asked", got)
	}
}

func TestTheFirstListWaitsForTheFileAndNotForEver(t *testing.T) {
	for name, end := range map[string]struct {
		do   func(b *bench)
		held int
	}{
		"the file is there":  {func(b *bench) { b.remembers(b.servers(4), time.Time{}, false) }, 4},
		"there is no file":   {func(b *bench) { b.b.Found(nil, false, b.now) }, 0},
		"the disk hangs":     {func(b *bench) { b.pass(time.Second) }, 0},
		"and there is a gap": {func(b *bench) { b.b.Away(b.now); b.reconnect(); b.pass(time.Second) }, 0},
	} {
		b := newBench(t, Config{FileBy: time.Unix(1e9, 0).Add(250 * time.Millisecond)})
		b.hear(nil)
		if b.b.Ready() || b.b.Source() != None {
			t.Errorf("%s: ready %v, source %v", name, b.b.Ready(), b.b.Source())
		}
		if at := b.b.Wake(); !at.Equal(b.b.cfg.FileBy) {
			t.Errorf("%s: to be woken at %v", name, at)
		}
		end.do(b)
		b.pass(0)
		if n := len(b.b.Shown().Held); !b.b.Ready() || b.b.Source() != Live || n != end.held {
			t.Errorf("%s: ready %v, source %v, %d held", name, b.b.Ready(), b.b.Source(), n)
		}
	}
}

// A file that says the same again is no reason to read the registry again.
func TestAPassThatBeginsAfterTheFileWasFoundSettlesWhatIsInDoubt(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(3)
	b.remembers(s, time.Time{}, false)
	if !b.b.Doubting() || b.b.Doubts() != 1 {
		t.Errorf("in doubt %v, %d", b.b.Doubting(), b.b.Doubts())
	}
	l := Listing{Pairs: pairs(s, "weight=1"), Lineage: "a", Zxid: b.zxid - 7, Synced: true, Proof: true, Doubt: b.b.Doubts(), AsOf: b.now}
	b.remembers(s, time.Time{}, true)
	b.b.Live(1, 0, b.now)
	b.b.Listed(l, b.now)
	if b.b.Doubting() || b.b.course.now != (Generation{"a", 2, l.Zxid}) {
		t.Errorf("%+v: a backup was restored while nobody looked", b.b.course)
	}
}

// P1 has heard zxid 5 and cannot ask any more; P2 saves 7. P1 is connected again, to a server that has heard 6.
func TestAListThatIsBehindWhatAnotherProcessHasHeardIsPassedOver(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(5)
	b.list(s[:3])
	b.b.Found(b.ahead(b.file(s, time.Time{})), false, b.now)
	b.want("live", s[:3])
	b.b.Away(b.now)
	b.want("what the other has heard", s)
	if b.b.Source() != File || !b.b.Doubting() {
		t.Errorf("source %v, in doubt %v", b.b.Source(), b.b.Doubting())
	}
	if rec, _ := b.b.ToSave(b.now); rec != nil {
		t.Errorf("to be saved: %+v", rec)
	}
	b.link++
	b.b.Live(b.link, 0, b.now)
	lags := Listing{Pairs: pairs(s[:4], "weight=1"), Lineage: "a", Zxid: b.zxid - 1, Edits: b.edits + 1, AsOf: b.now}
	b.b.Listed(lags, b.now)
	b.want("a list that lags", s)
	if rec, _ := b.b.ToSave(b.now); rec != nil || b.b.Source() != File {
		t.Errorf("source %v, to be saved: %+v", b.b.Source(), rec)
	}
	lags.Synced, lags.Doubt, lags.Zxid = true, b.b.Doubts(), b.zxid+1
	b.b.Listed(lags, b.now)
	b.want("one that follows a sync; in the window after a reconnect the missing one is held", s)
	b.wantHeld(1)
	if b.b.Source() != Live || b.b.Doubting() {
		t.Errorf("source %v, in doubt %v", b.b.Source(), b.b.Doubting())
	}
}

// P2 heard zxid 150 and could not write it, its disk was full. A backup was restored, P1 lists zxid 101, and loses ZooKeeper. Now P2 can write: it has
// counted as many eras, and its zxid is higher (tests/weather, seed 20261141279). Or P1 could not look at the file until then (seed 20261140130).
func TestWhatWasConfirmedBeforeTheListWasAskedForIsNotLater(t *testing.T) {
	for _, late := range []bool{false, true} { // the file is found when the registry has gone
		for zxid, era := range map[int64]int64{90: 2, 200: 1} { // of the pass that decides: the file's is from before a backup, or it is not
			b := newBench(t, Config{})
			s := b.servers(5)
			file := b.file(s[:2], time.Time{})
			file.Zxid = 150
			b.now = b.now.Add(time.Minute)
			b.list(s[2:])
			if !late {
				b.b.Found(file, false, b.now)
			}
			b.b.Away(b.now)
			if late {
				b.b.Found(file, false, b.now)
			}
			b.want("in the outage", s[2:])
			if b.b.Source() != Stale || !b.b.Doubting() {
				t.Errorf("source %v, in doubt %v", b.b.Source(), b.b.Doubting())
			}
			again := *file
			again.AsOf = b.now
			b.b.Found(&again, false, b.now)
			b.want("it is followed when it is confirmed since", s[:2])
			later := b.file(s[1:], time.Time{})
			later.Zxid = 160
			b.b.Found(later, false, b.now)
			b.want("what was confirmed later is followed", s[1:])
			file.Zxid = 170
			b.b.Found(file, false, b.now)
			b.want("and is not left for what was before that", s[1:])
			b.reconnect()
			l := b.listing(pairs(s[1:], "weight=1"))
			l.Zxid, l.Proof = zxid, true
			b.b.Listed(l, b.now)
			if b.b.Doubting() || b.b.course.now != (Generation{"a", era, zxid}) {
				t.Errorf("%+v, want era %d", b.b.course, era)
			}
		}
	}
}

// Two processes have heard the same, and each holds others. Both write the file again and again.
func TestARelayedListIsNotLeftForAnotherOfTheSameGeneration(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(3)
	b.list(s)
	b.b.Away(b.now)
	obeys := b.ahead(b.file(s[1:], time.Time{}))
	b.b.Found(obeys, false, b.now)
	b.want("one process has let it go", s[1:])
	b.now = b.now.Add(time.Minute)
	holds := *obeys
	holds.AsOf, holds.Held = b.now, []Server{{&client.KVPair{Key: s[0], Value: "weight=1"}, b.now}}
	b.b.Found(&holds, false, b.now)
	b.want("and another holds it", s[1:])
}

// It is not asked for again: a look at rest has only ended what the list proves, or a doubt is told with it.
func TestAListThatIsOnlyConfirmedIsFollowedByWhatWasHeardSinceItWasAskedFor(t *testing.T) {
	for _, inTheWay := range []bool{false, true} {
		b := newBench(t, Config{})
		s := b.servers(4)
		b.list(s[:3])
		b.now = b.now.Add(10 * time.Second)
		b.b.Found(b.ahead(b.file(s, time.Time{})), inTheWay, b.now)
		b.now = b.now.Add(10 * time.Second)
		l := b.b.heard.Listing
		l.Synced, l.Proof, l.AsOf, l.Doubt = false, false, b.now, b.b.Doubts()
		b.b.Listed(l, b.now)
		b.b.Away(b.now)
		b.want("another process has heard later", s)
	}
}

// It was found before the list came, and is no less a reason to ask than one that is found after.
func TestANumberThatIsAheadOfALaterListRaisesADoubt(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(4)
	b.list(s[:3])
	file := b.ahead(b.file(s, time.Time{}))
	file.Zxid += 10
	b.b.Found(file, false, b.now)
	b.now = b.now.Add(time.Second)
	b.list(s[:2])
	if !b.b.Doubting() {
		t.Error("nobody asks whether the registry was restored from a backup, or its server lags")
	}
}

// One of few that is missing in a list in doubt is let go when that is no backup, also if it answers.
func TestALossIsNoLossOfABackupThatWasNone(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(20)
	b.list(s)
	b.list(s[1:])
	b.want("one of twenty", s[1:])
	b.b.Found(b.ahead(b.file(s, time.Time{})), true, b.now)
	l := b.listing(pairs(s[2:], "weight=1"))
	l.Synced, l.Zxid = false, b.zxid-2
	b.b.Listed(l, b.now)
	b.want("the second is held while the list is in doubt, the first stays away", s[1:])
	b.wantHeld(1)
	l.Synced, l.Doubt, l.Zxid = true, b.b.Doubts(), b.zxid+10
	b.b.Listed(l, b.now)
	b.want("it was no backup", s[2:])
	b.wantHeld(0)
}

func TestTheLossesOfAListInDoubtAreHeldUntilTheDoubtIsDecided(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(20)
	b.list(s)
	b.b.Found(b.ahead(b.file(s, time.Time{})), true, b.now)
	l := b.listing(pairs(s[1:], "weight=1"))
	l.Synced, l.Zxid = false, b.zxid-2
	b.b.Listed(l, b.now)
	b.want("one of twenty is missing, and it may be a backup", s)
	if r, _ := b.b.Report(b.now); !r.Began || r.NewHistory {
		t.Errorf("%+v: it is no new history yet", r)
	}
	l.Synced, l.Proof, l.Doubt = true, true, b.b.Doubts()
	b.b.Listed(l, b.now)
	if r, _ := b.b.Report(b.now); b.b.Doubting() || b.b.course.now.Era != 2 || r.Held != 1 || !r.NewHistory {
		t.Errorf("%+v, %+v: it is a backup", b.b.course, r)
	}
	if rec := b.record(); rec.Era != 1 || len(rec.Servers()) != 20 {
		t.Errorf("era %d and %d servers in the file, before the era is accepted", rec.Era, len(rec.Servers()))
	}
	b.up[s[0]] = false
	b.pass(DefaultHold)
	if rec := b.record(); rec.Era != 2 || len(rec.Servers()) != 19 {
		t.Errorf("era %d and %d servers in the file, after it is", rec.Era, len(rec.Servers()))
	}
}
