package belief

import (
	"slices"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"
)

// The rules for what a file knows, one by one.

func TestWhatOnlyTheFileKnowsEntersWhenItAnswers(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(20)
	for _, name := range s[10:] {
		b.up[name] = false
	}
	b.remembers(s, time.Time{}, false)
	b.lineage = "b"
	b.hear(nil)
	b.want("nobody was asked yet", nil)
	if !b.isHolding() {
		t.Error("the file may shrink while they wait for their first answer")
	}
	b.pass(time.Second)
	b.want("the ten that answer", s[:10])
	if !b.isPending() {
		t.Error("accepted while ten are held")
	}
}

// The disk of a machine that has just begun takes its time, and the registry was wiped.
func TestAFileThatComesRightAfterTheFirstListIsStillTheGuardsMemory(t *testing.T) {
	for what, tc := range map[string]struct {
		late    time.Duration
		lineage string
		listed  int
		want    int
	}{
		"most are lost":                        {time.Second, "a", 1, 5},
		"few are lost":                         {time.Second, "a", 4, 4},
		"few are lost, of another life":        {time.Second, "b", 4, 5},
		"after the window it is a mere record": {2 * DefaultWindow, "a", 1, 1},
	} {
		b := newBench(t, Config{})
		s := b.servers(6)
		file := b.file(s[:5], time.Time{})
		b.lineage = tc.lineage
		b.list(s[:tc.listed])
		b.pass(tc.late)
		b.b.Found(file, false, b.now)
		b.want(what+": asked first", s[:tc.listed])
		b.pass(time.Second)
		b.want(what, s[:tc.want])
	}
}

func TestAFileThatComesRightAfterTheFirstListDoesNotBringBackWhoWentSince(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(5)
	file := b.file(s[:4], b.now.Add(-time.Second))
	file.add(Server{Pair: pairs(s[4:], "weight=1")[0]})
	b.list(s)
	b.list(s[1:])
	b.b.Found(file, false, b.now)
	b.pass(time.Minute)
	b.want("one went, the others were held by the process before and are listed", s[1:])
	if b.isHolding() {
		t.Error("somebody is held")
	}
}

func TestTheDeadOfAnOldFileAreNeverListed(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(40)
	for _, name := range s[:20] {
		b.up[name] = false
	}
	b.remembers(s[:20], time.Time{}, false)
	b.list(s[20:])
	for range 600 {
		b.want("at any time", s[20:])
		b.pass(time.Second)
	}
	if b.isHolding() {
		t.Error("somebody is held after ten minutes")
	}
}

func TestWhatTheFileAloneKnowsIsBelievedGoneWhenItIsOneOfFew(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(20)
	b.remembers(s, time.Time{}, false)
	b.list(s[1:])
	b.pass(time.Minute)
	b.want("it was taken out while this process was away, and answers still", s[1:])
}

func TestAListServedFromTheFileIsHeldLikeOneOfOurOwn(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(20)
	b.remembers(s, time.Time{}, true)
	b.want("the file's list", s)
	b.reconnect()
	b.list(nil)
	b.want("the registry came back empty", s)
}

func TestACrashLoopDoesNotRenewAHold(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(4)
	for _, name := range s {
		b.up[name] = false
	}
	b.remembers(s, b.now.Add(-time.Hour), true)
	b.hear(nil)
	b.pass(2 * retryAfter)
	b.want("held since an hour, and dead", nil)
}

func TestAHoldFromTheFileThatAnswersStays(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(4)
	b.remembers(s, b.now.Add(-time.Hour), true)
	b.hear(nil)
	b.pass(time.Hour)
	b.want("held since an hour, and alive", s)
}

func TestARelayedListEndsWhatItDoesNotHave(t *testing.T) {
	b := newBench(t, Config{Window: time.Hour})
	s := b.servers(6)
	b.list(s)
	b.list(s[1:])
	b.reconnect()
	b.list(s[2:])
	b.wantHeld(2) // the lost one came back as held, and answers
	b.relayed(s[3:], time.Time{})
	b.pass(0)
	b.reconnect()
	b.list(s[4:])
	b.want("one is lost since the other process's list, the others it has let go", s[3:])
}

func TestARelayedHoldGoesOn(t *testing.T) {
	b := newBench(t, Config{})
	b.unaskable = func(string) bool { return true }
	s := b.servers(3)
	b.list(s)
	b.relayed(s, b.now.Add(-30*time.Second))
	b.list(nil)
	b.pass(29 * time.Second)
	b.want("the other process's minute", s)
	b.pass(2 * time.Second)
	b.want("is over", nil)
}

// The other process could not read what this one has saved since, and holds the instance with what it was told before.
func TestARelayedHoldHasTheMetadataThatItsHolderKnewLast(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(3)
	b.listed(pairs(s, "weight=2"))
	b.relayed(s[:1], b.now.Add(-30*time.Second))
	is := b.b.Shown()
	if len(is.Held) != 1 || *is.Pairs[0] != *pairs(s[:1], "weight=1")[0] {
		t.Errorf("%v, held %v", *is.Pairs[0], is.Held)
	}
}

// What the file kept of those that were let go came back with the next process, a month later, too.
func TestARecordHasEverybodyWhoIsListedOrHeldAndNobodyElse(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(20)
	b.list(s)
	b.wantRecord("all are listed", s, nil)
	b.pass(time.Minute)
	for _, name := range s[:12] {
		b.up[name] = false
	}
	b.hear(nil)
	lost := b.now
	b.wantRecord("all are held", nil, s)
	b.pass(10 * time.Second)
	b.wantHeld(8)
	b.wantRecord("twelve were let go", nil, s[12:])
	for key, since := range heldIn(b.record().Servers()) {
		if !since.Equal(lost) {
			t.Errorf("%s is held since %v, the file says %v", key, lost, since)
		}
	}
	more := b.servers(25)[20:]
	b.list(more)
	b.wantRecord("five are new", more, s[12:])
	b.listed(pairs(more, "state=inactive"))
	b.list(nil)
	clear(b.up)
	b.pass(maxAgain + time.Minute)
	b.wantRecord("nobody is held any more", nil, nil)
}

func TestARecordHasThoseThatWaitForAFirstAnswer(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(4)
	b.remembers(s, time.Time{}, false)
	b.hear(nil)
	b.want("nobody was asked yet", nil)
	b.wantRecord("nobody was asked yet", nil, s)
	b.up[s[0]] = false
	b.pass(time.Minute)
	b.wantRecord("one was let go", nil, s[1:])
}

func TestAFileIsForBeforeTheFirstListAndASiblingsForAfterIt(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(4)
	b.remembers(s[3:], time.Time{}, false)
	b.want("the file's, which may not serve yet", nil)
	b.b.MayServe()
	b.want("the file's", s[3:])
	b.remembers(s[2:], time.Time{}, true)
	b.want("a newer one's", s[2:])
	b.list(s)
	b.remembers(s[:2], time.Time{}, true)
	b.want("the registry's", s)
	b.b.Remember(b.memory(s[:1]))
	b.b.Away(b.now)
	b.want("the registry's, which cannot be asked", s)
}

// No pass has told which of the two is later, the file or the list, when the registry goes away.
func TestAListThatIsNotPlacedStaysWhenTheRegistryGoesAway(t *testing.T) {
	for name, since := range map[string]func(b *bench){ // the file was written
		"the path was deleted and made again": func(b *bench) { b.lineage = "b" },
		"a backup was restored":               func(b *bench) { b.zxid -= 10 },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Config{})
			s := b.servers(4)
			b.remembers(s[3:], time.Time{}, false)
			b.now = b.now.Add(time.Minute)
			since(b)
			l := b.listing(pairs(s[:2], "weight=1"))
			l.Synced = false
			b.b.Live(b.link, 0, b.now)
			b.b.Listed(l, b.now)
			b.want("the registry's", s[:2])
			b.b.Away(b.now)
			b.want("the registry's, which cannot be asked", s[:2])
			if source := b.b.Source(); source != Stale {
				t.Error(source)
			}
		})
	}
}

// P1 has counted one era more than P2, and has not heard of the newest list. P2, whose disk is read-only, hears of P1's era and not that a list of its own
// was refused.
func TestAnotherProcesssEraIsTakenOverWhileTheRegistryCanBeAsked(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(4)
	old := b.file(s[3:], time.Time{})
	old.Era = 2
	b.list(s[2:])
	b.b.Found(old, false, b.now)
	b.list(s[:2])
	b.b.Away(b.now)
	b.want("the registry's, which cannot be asked", s[:2])
	if g := b.b.Shown().Generation; g.Era != 2 {
		t.Errorf("era %d", g.Era)
	}
}

func TestAFileOfManyHeldIsBounded(t *testing.T) {
	for _, shown := range []bool{false, true} {
		b := newBench(t, Config{})
		many := b.servers(MaxHeld + 50)
		b.remembers(many, b.now.Add(-time.Second), shown)
		b.hear(nil)
		if n := b.b.guard.holds.len(); n > MaxHeld {
			t.Errorf("%d held from the file", n)
		}
		b.relayed(many, b.now.Add(-time.Second))
		if n := b.b.guard.holds.len(); n > MaxHeld {
			t.Errorf("%d held from another process", n)
		}
	}
}

// P1 has asked A in vain and let it go. P2 reaches A, holds it and saves it. P1 cannot ask the registry any more and turns to the file.
func TestAnInstanceThatThisProcessHasLetGoDoesNotComeBackWithAnotherProcesssHold(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(4)
	b.list(s)
	b.up[s[0]] = false
	b.list(s[3:])
	b.pass(time.Minute)
	b.want("one was let go", s[1:])
	rec := b.file(s, b.now)
	rec.Zxid += 7
	rec.Listed, rec.Held = []*client.KVPair{rec.Held[3].Pair}, rec.Held[:3]
	b.b.Away(b.now)
	b.b.Found(rec, false, b.now)
	b.want("the file's list, but for that one", s[1:])
	b.zxid += 7
	b.reconnect()
	b.list(s)
	b.want("it is listed again", s)
	b.pass(2 * DefaultWindow)
	b.list(s[1:])
	b.want("one of few", s[1:])
	b.relayed(s, b.now)
	b.want("and known like any other", s)
}

// The file's A has not answered yet. Another process has heard of it, holds it, and the file is turned to: so it is shown.
func TestWhatWaitsForAFirstAnswerEntersWithAnotherProcesssHold(t *testing.T) {
	b := newBench(t, Config{})
	b.busy = func(string) bool { return true }
	s := b.servers(2)
	b.remembers(s, time.Time{}, false)
	b.hear(nil)
	b.want("nobody has answered", nil)
	b.relayed(s, b.now)
	b.want("another process's list", s)
	b.reconnect()
	b.hear(nil)
	b.want("when the registry is back", s)
}

// A file from a process whose clock is a year ahead.
func TestAHoldThatHasNotBegunYetBeginsNow(t *testing.T) {
	b := newBench(t, Config{})
	b.unaskable = func(string) bool { return true }
	s := b.servers(2)
	b.remembers(s, b.now.AddDate(1, 0, 0), true)
	b.list(nil)
	b.want("held", s)
	b.pass(DefaultUnprobed)
	b.want("for a minute", nil)
}

func (b *bench) wantRecord(what string, listed, held []string) {
	b.Helper()
	rec := b.record()
	servers := rec.Servers()
	since := heldIn(servers)
	var gotListed, gotHeld []string
	for _, s := range servers {
		if key := s.Pair.Key; since[key].IsZero() {
			gotListed = append(gotListed, key)
		} else {
			gotHeld = append(gotHeld, key)
		}
	}
	if !slices.IsSortedFunc(servers, byServerKey) || !slices.Equal(gotListed, listed) || !slices.Equal(gotHeld, held) {
		b.Fatalf("%s: the file is to have %v, and as held %v", what, short(gotListed), short(gotHeld))
	}
}

func heldIn(servers []Server) map[string]time.Time {
	held := make(map[string]time.Time)
	for _, s := range servers {
		if !s.HeldSince.IsZero() {
			held[s.Pair.Key] = s.HeldSince
		}
	}
	return held
}
