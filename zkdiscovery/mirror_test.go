package zkdiscovery

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

// liveRig is a mirror that has listed these instances, with "weight=1" each, and is at rest.
func liveRig(t *testing.T, watchData bool, names ...string) *rig {
	t.Helper()
	r := newRig(t, watchData)
	r.zk.txn(func(s *state) {
		s.create("", "")
		for _, name := range names {
			s.create(name, "weight=1")
		}
	})
	r.noteValues()
	r.zk.connect(0)
	r.settle()
	r.equal()
	return r
}

func (r *rig) change(f func(*state)) {
	r.zk.txn(f)
	r.noteValues()
}

// told lets the mirror hear of everything that has happened, without asking anything yet.
func (r *rig) told() {
	for r.zk.advance() || r.zk.deliver() {
	}
	r.look()
}

// ask lets the mirror begin its next job, which must be of this kind.
func (r *rig) ask(want jobKind) job {
	r.tb.Helper()
	r.zk.now = r.zk.now.Add(time.Millisecond)
	r.turn(false)
	if r.zk.job == nil || r.zk.job.kind != want {
		r.fatalf("job is %+v, want kind %d", r.zk.job, want)
	}
	return r.zk.job.job
}

// served lets ZooKeeper answer the job, and the mirror take the answer.
func (r *rig) served() {
	for r.zk.serve() || r.zk.deliver() {
	}
	r.zk.now = r.zk.now.Add(time.Millisecond)
	r.look()
	j := r.zk.job
	r.zk.job = nil
	r.answer(j)
	r.check()
}

// shows is the list as "key metadata" lines.
func (r *rig) shows() []string {
	var lines []string
	for _, p := range r.m.whole.pairs {
		lines = append(lines, p.Key+" "+p.Value)
	}
	return lines
}

func (r *rig) mustShow(want ...string) {
	r.tb.Helper()
	if diff := cmp.Diff(want, r.shows()); diff != "" {
		r.fatalf("list (-want +got):\n%s", diff)
	}
}

func TestADeletionIsBelievedAfterTheNextList(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1", "tcp@b:1")
	r.change(func(s *state) { s.remove("tcp@a:1") })
	r.told()
	r.mustShow("tcp@a:1 weight=1", "tcp@b:1 weight=1")
	r.ask(jobList)
	r.mustShow("tcp@a:1 weight=1", "tcp@b:1 weight=1")
	r.served()
	r.mustShow("tcp@b:1 weight=1")
}

func TestATakeoverInOneTransactionIsNoFlap(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1", "tcp@b:1")
	r.change(func(s *state) { s.remove("tcp@a:1"); s.create("tcp@a:1", "weight=2") })
	r.settle()
	r.mustShow("tcp@a:1 weight=2", "tcp@b:1 weight=1")
	for _, p := range r.published {
		if len(p.pairs) != 2 {
			t.Fatalf("published in between: %v", p.copy)
		}
	}
	r.change(func(s *state) { s.set("tcp@a:1", "weight=3") })
	r.settle()
	r.mustShow("tcp@a:1 weight=3", "tcp@b:1 weight=1") // the successor is watched as its predecessor was
}

// The read of a changed instance found it gone, the list that was to confirm it found its successor, and nobody read or watched that.
func TestAnInstanceThatComesBackBetweenReadAndListIsReadAgain(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1")
	r.change(func(s *state) { s.set("tcp@a:1", "weight=2") })
	r.told()
	r.ask(jobRead)
	r.change(func(s *state) { s.remove("tcp@a:1") })
	r.zk.advance()
	r.served()
	r.mustShow("tcp@a:1 weight=1")
	r.change(func(s *state) { s.create("tcp@a:1", "weight=3") })
	r.settle()
	r.mustShow("tcp@a:1 weight=3")
	r.equal()
}

func TestAnAnswerFromAnEarlierSessionDoesNotCount(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1")
	r.change(func(s *state) { s.create("tcp@b:1", "weight=1") })
	r.told()
	j := r.ask(jobList)
	for r.zk.serve() || r.zk.deliver() {
	}
	answer := r.zk.job.listing
	r.zk.job = nil
	r.zk.expire()
	r.zk.connect(0)
	r.look()
	r.m.listed(j, answer)
	r.mustShow("tcp@a:1 weight=1")
	if next := r.ask(jobList); !next.sync || next.session != 2 {
		t.Errorf("the next job is %+v, want a list after a sync in the new session", next)
	}
	r.settle()
	r.equal()
}

func TestAnAnswerFromAnEarlierConnectionCountsButMakesNothingLive(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1")
	r.change(func(s *state) { s.remove("tcp@a:1") })
	r.told()
	r.ask(jobList)
	for r.zk.serve() || r.zk.deliver() {
	}
	r.zk.cut(session.ErrLost)
	r.zk.connect(0)
	r.served()
	r.mustShow()
	if r.m.phase != phaseStale {
		t.Errorf("phase %d after an answer of the connection before, want stale", r.m.phase)
	}
	r.settle()
	if r.m.phase != phaseLive {
		t.Error("not live after a list over the new connection")
	}
}

func TestTheFirstListOfASessionFollowsASyncAndNoOther(t *testing.T) {
	r := newRig(t, true)
	r.zk.connect(0)
	if j := r.ask(jobList); !j.sync {
		t.Error("the first list of all does not follow a sync")
	}
	r.settle()
	r.zk.cut(session.ErrLost)
	r.zk.connect(0)
	if j := r.ask(jobList); j.sync {
		t.Error("a list in the same session follows a sync")
	}
	r.settle()
	r.zk.expire()
	r.zk.connect(0)
	if j := r.ask(jobList); !j.sync {
		t.Error("the first list of the second session does not follow a sync")
	}
}

func TestAListIsShownWhenItIsWhole(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1", "tcp@b:1")
	r.change(func(s *state) {
		s.remove("tcp@a:1")
		s.remove("tcp@b:1")
		s.create("tcp@c:1", "weight=1")
	})
	r.told()
	r.ask(jobList)
	r.served()
	// The list is answered, its new instance not read yet: what was whole stays, also through the loss of the connection.
	r.mustShow("tcp@a:1 weight=1", "tcp@b:1 weight=1")
	r.ask(jobRead)
	r.zk.cut(session.ErrLost)
	r.look()
	r.served()
	r.mustShow("tcp@a:1 weight=1", "tcp@b:1 weight=1")
	r.zk.connect(0)
	r.settle()
	r.mustShow("tcp@c:1 weight=1")
}

func TestAnInstanceThatVanishedWhileBeingReadIsNoError(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1")
	r.change(func(s *state) { s.create("tcp@b:1", "weight=1"); s.create("tcp@c:1", "weight=1") })
	r.told()
	r.ask(jobList)
	r.served()
	r.ask(jobRead)
	r.change(func(s *state) { s.remove("tcp@b:1") })
	r.zk.advance()
	r.served()
	r.mustShow("tcp@a:1 weight=1") // they may have come in one transaction, and be going in another
	if r.m.err != nil || r.m.phase != phaseLive {
		t.Errorf("error %v, phase %d", r.m.err, r.m.phase)
	}
	r.settle()
	r.mustShow("tcp@a:1 weight=1", "tcp@c:1 weight=1")
	r.equal()
}

func TestInstancesThatComeAndGoAllTheTimeDoNotHoldUpTheOthers(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1")
	r.change(func(s *state) { s.create("tcp@c:1", "weight=1") })
	for range maxTorn + 1 {
		r.mustShow("tcp@a:1 weight=1")
		r.change(func(s *state) { s.create("tcp@b:1", "weight=1") })
		r.told()
		r.ask(jobList)
		r.served()
		r.ask(jobRead)
		r.change(func(s *state) { s.remove("tcp@b:1") })
		r.zk.advance()
		r.served()
	}
	r.mustShow("tcp@a:1 weight=1", "tcp@c:1 weight=1")
}

func TestConstantChangeStarvesNobody(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1")
	began := len(r.published)
	for i := range 200 {
		// A change of the list before every single step: every list finds another one waiting.
		name := rigNames[1+i%3]
		r.change(func(s *state) { s.remove(name); s.create(name, fmt.Sprintf("weight=%d&calls=%d", i%4, i%3)) })
		if i%2 == 0 {
			r.change(func(s *state) { s.remove(rigNames[4]) })
		} else {
			r.change(func(s *state) { s.create(rigNames[4], "weight=1") })
		}
		r.told()
		r.turn(true)
		for r.zk.serve() || r.zk.deliver() {
		}
	}
	if n := len(r.published) - began; n < 60 {
		t.Errorf("%d lists published in 200 turns of constant change", n)
	}
	r.settle()
	r.equal()
}

func TestOneJobAtATime(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1")
	r.change(func(s *state) { s.create("tcp@b:1", "") })
	r.told()
	j := r.ask(jobList)
	r.change(func(s *state) { s.set("tcp@a:1", "weight=2") })
	r.told()
	if next, wake := r.m.todo(r.zk.now.Add(time.Hour)); next.kind != jobNone || !wake.IsZero() {
		t.Errorf("job %+v while %+v is under way, wake %v", next, j, wake)
	}
}

func TestSilenceIsNoNews(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1", "tcp@b:1")
	published := len(r.published)
	for range 100 {
		r.zk.cut(session.ErrLost)
		r.zk.now = r.zk.now.Add(time.Hour)
		r.turn(true)
		r.zk.connect(0)
		r.look()
		r.zk.expire()
		r.turn(true)
	}
	r.mustShow("tcp@a:1 weight=1", "tcp@b:1 weight=1")
	if n := len(r.published) - published; n > 0 || r.m.phase != phaseStale {
		t.Errorf("%d lists published, phase %d", n, r.m.phase)
	}
}

func TestAServiceThatIsNotRegisteredIsAnEmptyList(t *testing.T) {
	r := newRig(t, true)
	r.zk.connect(0)
	r.settle()
	r.mustShow()
	if r.m.phase != phaseLive || r.m.err != nil {
		t.Errorf("phase %d, error %v", r.m.phase, r.m.err)
	}
	r.change(func(s *state) { s.create("tcp@a:1", "weight=1") })
	r.settle()
	r.mustShow("tcp@a:1 weight=1")
	r.change((*state).removePath)
	r.settle()
	r.mustShow()
}

func TestChildrenThatAreNoInstancesAreSkippedAndCounted(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1", "lock-0001", "readme")
	r.mustShow("tcp@a:1 weight=1")
	if r.m.skipped != 2 || r.m.odd == "" {
		t.Errorf("skipped %d, one of them %q; want 2 and a name", r.m.skipped, r.m.odd)
	}
	r.change(func(s *state) { s.remove("readme") })
	r.settle()
	if r.m.skipped != 1 {
		t.Errorf("skipped %d after one is gone, want 1", r.m.skipped)
	}
}

func TestADeniedInstanceKeepsItsMetadata(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1", "tcp@b:1")
	r.change(func(s *state) { s.deny("tcp@a:1", true) })
	r.change(func(s *state) { s.set("tcp@a:1", "weight=2") })
	r.change(func(s *state) { s.create("tcp@c:1", "weight=7"); s.deny("tcp@c:1", true) })
	var denied []string
	for range 10 {
		r.told()
		r.turn(false)
		for r.zk.serve() || r.zk.deliver() {
		}
		if j := r.zk.job; j != nil {
			r.zk.job = nil
			r.look()
			if j.kind == jobList {
				r.m.listed(j.job, j.listing)
			} else {
				r.m.read(j.job, j.nodes)
			}
			denied = append(denied, r.m.takeNews().denied...)
		}
	}
	r.mustShow("tcp@a:1 weight=1", "tcp@b:1 weight=1", "tcp@c:1 ")
	if slices.Sort(denied); !slices.Equal(denied, []string{"tcp@a:1", "tcp@c:1"}) {
		t.Errorf("reported as denied: %v, want each once", denied)
	}
	r.published = nil // the lists above went past publish
	// Of permission nobody tells: the next look at rest finds it.
	r.change(func(s *state) { s.deny("tcp@a:1", false); s.deny("tcp@c:1", false) })
	r.listed = map[string]bool{"tcp@a:1": true, "tcp@b:1": true, "tcp@c:1": true}
	r.zk.now = r.zk.now.Add(time.Minute)
	r.settle()
	r.mustShow("tcp@a:1 weight=2", "tcp@b:1 weight=1", "tcp@c:1 weight=7")
}

func TestRestoredBackupBeginsAnEra(t *testing.T) {
	for _, tc := range []struct {
		name   string
		later  func(r *rig) // after the backup was made
		begins bool
	}{
		{"nothing was undone", func(*rig) {}, false},
		{"an instance was undone", func(r *rig) { r.change(func(s *state) { s.create("tcp@b:1", "weight=1") }) }, true},
		{"metadata was undone", func(r *rig) { r.change(func(s *state) { s.set("tcp@a:1", "weight=2") }) }, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := liveRig(t, true, "tcp@a:1")
			backup := len(r.zk.history) - 1
			tc.later(r)
			r.settle()
			was := r.m.whole.generation
			r.zk.rollback(backup)
			r.rolledBack = true
			r.zk.connect(0)
			r.settle()
			r.equal()
			if is := r.m.whole.generation; is.lineage != was.lineage || is.era > was.era != tc.begins {
				t.Errorf("%+v after %+v, want a new era: %v", is, was, tc.begins)
			}
		})
	}
}

func TestAPathMadeAnewBeginsAnEra(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1")
	was := r.m.whole.generation
	r.change((*state).removePath)
	r.change(func(s *state) { s.create("tcp@a:1", "weight=1") })
	r.settle()
	r.equal()
	if is := r.m.whole.generation; is.lineage == was.lineage || is.era <= was.era {
		t.Errorf("%+v after %+v, want another lineage and a later era", is, was)
	}
}

func TestALaggingServerMakesNoEra(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1")
	for range 5 {
		r.change(func(s *state) { s.set("tcp@a:1", "weight=2") })
		r.change(func(s *state) { s.create("tcp@b:1", "weight=1") })
		r.change(func(s *state) { s.remove("tcp@b:1") })
		r.settle()
		r.zk.expire()
		r.zk.connect(3) // the sync makes it catch up
		r.settle()
		r.equal()
	}
	if r.m.whole.era != 1 {
		t.Errorf("era %d, want 1", r.m.whole.era)
	}
}

func TestWhatTheFileHasDecidesTheEra(t *testing.T) {
	for _, tc := range []struct {
		name     string
		file     func(live generation) generation
		inTheWay bool
		settled  bool // by another list
		wantEra  func(live int64) int64
	}{
		{"an older file says nothing", func(g generation) generation { g.zxid--; return g }, true, false, func(e int64) int64 { return e }},
		{
			"a newer one of our history is a sibling's: it was told first", func(g generation) generation { g.zxid++; return g }, false, false,
			func(e int64) int64 { return e },
		},
		{
			"a newer one in the way was undone by a backup, if the ensemble has caught up", func(g generation) generation { g.zxid++; return g }, true, true,
			func(e int64) int64 { return e + 1 },
		},
		{"a later era of our lineage is ours too", func(g generation) generation { g.era += 4; return g }, true, false, func(e int64) int64 { return e + 4 }},
		{"another lineage in the way is earlier than ours, which ZooKeeper says now", func(g generation) generation {
			return generation{"f-f", g.era + 2, g.zxid}
		}, true, false, func(e int64) int64 { return e + 3 }},
		{
			"another lineage in nobody's way says nothing", func(g generation) generation { return generation{"f-f", g.era + 2, g.zxid} }, false, false,
			func(e int64) int64 { return e },
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := liveRig(t, true, "tcp@a:1")
			live := r.m.whole.generation
			r.rolledBack = true
			r.m.heardOf(tc.file(live), tc.inTheWay)
			if asks := r.m.needList; asks != tc.settled {
				t.Errorf("asks for a list: %v, want %v", asks, tc.settled)
			}
			r.settle()
			if is := r.m.whole.generation; is.era != tc.wantEra(live.era) || is.lineage != live.lineage {
				t.Errorf("%+v after %+v, want era %d", is, live, tc.wantEra(live.era))
			}
		})
	}
}

func TestAFileThatIsAheadMakesTheNextListFollowASync(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1")
	r.zk.cut(session.ErrLost)
	r.look()
	file := r.m.whole.generation
	file.zxid += 5
	r.m.heardOf(file, false) // a sibling's, who can still ask
	for range 5 {
		r.change(func(s *state) { s.set("tcp@a:1", "weight=2") })
	}
	r.zk.connect(4)
	if j := r.ask(jobList); !j.sync {
		t.Error("the list may be older than the sibling's, which was shown")
	}
	r.settle()
	r.equal()
	if r.m.whole.era != file.era {
		t.Errorf("era %d, want %d: the ensemble had only to catch up", r.m.whole.era, file.era)
	}
}

// What the file has was written after the sync of the pass under way: that pass cannot prove that it was undone.
func TestAFileThatGetsAheadDuringAPassIsJudgedByTheNext(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1")
	r.zk.expire()
	r.zk.connect(0)
	r.ask(jobList)
	r.served()
	r.ask(jobRead)
	file := r.m.whole.generation
	file.zxid++
	r.change(func(s *state) { s.create("tcp@b:1", "weight=1") })
	r.m.heardOf(file, false)
	for r.zk.serve() || r.zk.deliver() {
	}
	r.served()
	r.settle()
	r.equal()
	if r.m.whole.era != file.era {
		t.Errorf("era %d, want %d", r.m.whole.era, file.era)
	}
}

func TestAFileInTheWayOfAnEarlierListIsNoMatterOnceThereIsALaterOne(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1")
	was := r.m.whole.generation
	r.change((*state).removePath)
	r.change(func(s *state) { s.create("tcp@a:1", "weight=1") })
	r.told()
	r.ask(jobList)
	r.served()
	half := r.m.generation
	r.m.heardOf(generation{"f-f", was.era, 1}, true)
	if r.m.whole.generation != was || r.m.generation != half {
		t.Errorf("%+v and %+v, half-way from %+v to %+v", r.m.whole.generation, r.m.generation, was, half)
	}
}

// An instance vanished between the first list of a session and its read: its deletion is newer than what the pass has seen, which may so look
// older than what was known before.
func TestAPassThatProvesNothingNeitherGoesBackNorBeginsAnEra(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1", "tcp@b:1")
	r.change(func(s *state) { s.set("tcp@b:1", "weight=2") })
	r.settle()
	was := r.m.whole.generation
	r.zk.expire()
	r.zk.connect(0)
	r.ask(jobList)
	r.served()
	r.ask(jobRead)
	r.change(func(s *state) { s.remove("tcp@b:1") })
	r.zk.advance()
	r.served()
	if is := r.m.whole.generation; is != was {
		t.Errorf("%+v after %+v", is, was)
	}
	r.settle()
	r.equal()
	if is := r.m.whole.generation; is.era != was.era {
		t.Errorf("%+v after %+v", is, was)
	}
}

func TestAnInstanceThatCannotBeReadBringsNoZxidFromAnotherLineage(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1")
	for range 20 {
		r.change(func(s *state) { s.set("tcp@a:1", "weight=2") })
	}
	r.settle()
	r.zk.wipe()
	r.rolledBack = true
	r.change(func(s *state) { s.create("tcp@a:1", "weight=2"); s.deny("tcp@a:1", true) })
	r.zk.connect(0)
	r.settle()
	if got, want := r.m.whole.zxid, r.zk.leader().zxid; got != want {
		t.Errorf("zxid %d in an ensemble that has made %d transactions", got, want)
	}
}

func TestHintsSayWhatIsToBeAsked(t *testing.T) {
	for _, tc := range []struct {
		name  string
		hints session.Hints
		want  jobKind
		reads []string
	}{
		{"the list may have changed", session.Hints{List: true}, jobList, nil},
		{"an instance may have changed", session.Hints{Children: map[string]session.Change{"tcp@a:1": session.Changed}}, jobRead, []string{"tcp@a:1"}},
		{"an instance may be gone, of which the list will tell", session.Hints{List: true, Children: map[string]session.Change{"tcp@a:1": session.Gone}}, jobList, nil},
		{"an instance may be gone", session.Hints{Children: map[string]session.Change{"tcp@a:1": session.Gone}}, jobRead, []string{"tcp@a:1"}},
		{"nobody we know", session.Hints{Children: map[string]session.Change{"tcp@x:1": session.Changed}}, jobNone, nil},
		{"nothing", session.Hints{}, jobNone, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := liveRig(t, true, "tcp@a:1", "tcp@b:1")
			r.m.hinted(tc.hints, r.zk.now)
			if j, _ := r.m.todo(r.zk.now); j.kind != tc.want || !slices.Equal(j.names, tc.reads) {
				t.Errorf("job %+v, want kind %d of %v", j, tc.want, tc.reads)
			}
		})
	}
}

func TestAnErasCountGoesOnFromTheFile(t *testing.T) {
	zk := newModel()
	zk.txn(func(s *state) { s.create("tcp@a:1", "weight=1") })
	same := generation{zk.leader().lineage(), 5, zk.leader().newest()}
	for _, tc := range []struct {
		name string
		file generation
		want int64
	}{
		{"the same history", same, 5},
		{"the same path, restored from a backup while nobody looked", generation{same.lineage, 5, same.zxid + 10}, 6},
		{"another history", generation{"f-f", 5, 100}, 6},
		{"no file", generation{}, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, true)
			r.zk = newModel()
			r.change(func(s *state) { s.create("tcp@a:1", "weight=1") })
			if tc.file.era > 0 {
				r.m.heardOf(tc.file, false)
			}
			r.zk.connect(0)
			r.settle()
			r.equal()
			if r.m.whole.era != tc.want {
				t.Errorf("era %d, want %d", r.m.whole.era, tc.want)
			}
		})
	}
}

func TestAnErrorIsKeptUntilAWholePassHasSucceeded(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1")
	throttled := errors.New("throttled")
	var waits []time.Duration
	for range 8 {
		r.change(func(s *state) { s.create("tcp@b:1", ""); s.set("tcp@b:1", "weight=1") })
		r.told()
		if r.m.needList {
			r.zk.now = later(r.zk.now, r.m.retryAt)
			r.ask(jobList)
			r.served()
		}
		// The list is answered, the read is not: the next list must not be a new beginning.
		r.ask(jobRead)
		r.zk.job.finish(throttled)
		r.served()
		if !errors.Is(r.m.err, throttled) || r.m.phase != phaseStale {
			t.Fatalf("error %v, phase %d", r.m.err, r.m.phase)
		}
		waits = append(waits, r.m.retryAt.Sub(r.zk.now))
	}
	for i, want := range []time.Duration{1, 2, 4, 5, 5, 5, 5, 5} {
		if want *= time.Second; waits[i] < want*9/10 || waits[i] > want*11/10 {
			t.Errorf("waited %v, want %v, give or take a tenth", waits, want)
		}
	}
	r.settle()
	r.equal()
	if r.m.err != nil {
		t.Errorf("error %v after a whole pass", r.m.err)
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func TestANewConnectionIsAskedAtOnceUnlessAnAnswerOverTheLimitCostTheLast(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1")
	for _, tc := range []struct {
		err  error
		last time.Duration // the longest wait
		wait bool
	}{
		{session.ErrNoAuth, lastRetry, false},
		{fmt.Errorf("%w: %w", session.ErrLost, session.ErrReplyTooLarge), lastCostly, true},
	} {
		for range 10 {
			r.m.refused(job{kind: jobList, session: 1}, tc.err, r.zk.now)
		}
		if wait := r.m.retryAt.Sub(r.zk.now); wait < tc.last*9/10 || wait > tc.last*11/10 {
			t.Errorf("%v: waits %v at last, want %v, give or take a tenth", tc.err, wait, tc.last)
		}
		r.zk.cut(session.ErrLost)
		r.zk.connect(0)
		r.look()
		if waits := r.zk.now.Before(r.m.retryAt); waits != tc.wait {
			t.Errorf("%v: the new connection waits: %v, want %v", tc.err, waits, tc.wait)
		}
		r.settle()
	}
}

func TestALookAtRestFindsWhatNoWatchHasTold(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*state)
		mended int
	}{
		{"nothing", func(*state) {}, 0},
		{"an instance more", func(s *state) { s.create("tcp@c:1", "weight=1") }, 1},
		{"an instance less", func(s *state) { s.remove("tcp@b:1") }, 2}, // the path tells, and so does its data
		{"other metadata", func(s *state) { s.set("tcp@a:1", "weight=2") }, 1},
		{"the path made anew", func(s *state) { s.removePath(); s.create("tcp@a:1", "weight=1"); s.create("tcp@b:1", "weight=1") }, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := liveRig(t, true, "tcp@a:1", "tcp@b:1")
			r.zk.loseWatches()
			r.change(tc.change)
			r.told()
			if j, _ := r.m.todo(r.zk.now); j.kind != jobNone {
				t.Fatalf("job %+v, although nobody was told", j)
			}
			r.lossy = true
			r.zk.now = r.m.checkAt
			r.ask(jobCheck)
			for r.zk.serve() || r.zk.deliver() {
			}
			j := r.zk.job
			r.zk.job = nil
			r.m.checked(j.job, j.stat != nil, *j.stat, j.nodes)
			if got := r.m.news.mended; got != tc.mended {
				t.Errorf("mended %d, want %d", got, tc.mended)
			}
			if r.m.takeNews().changed {
				r.publish()
			}
			if tc.mended > 0 && !r.m.rearm {
				t.Error("the watches are not set again")
			}
			r.settle()
			r.equal()
			r.lossy = false
			if tc.mended > 0 { // then all watches are back
				r.change(func(s *state) { s.set("tcp@a:1", "weight=9"); s.create("tcp@e:1", "") })
				r.settle()
				r.equal()
			}
		})
	}
}

func TestLooksAtRestBecomeRarerUntilSomethingChanges(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1")
	next := func() time.Duration {
		t.Helper()
		j, wake := r.m.todo(r.zk.now)
		if j.kind != jobNone || !wake.Equal(r.m.checkAt) {
			t.Fatalf("job %+v, wake %v, next look %v", j, wake, r.m.checkAt)
		}
		return wake.Sub(r.zk.now)
	}
	want := firstCheck
	for range 10 {
		if got := next(); got > want*11/10 || got < want*8/10 { // the time that the list took counts
			t.Errorf("next look in %v, want %v", got, want)
		}
		r.zk.now = r.m.checkAt
		r.settle()
		want = min(2*want, lastCheck)
	}
	r.change(func(s *state) { s.create("tcp@b:1", "") })
	r.settle()
	if got := next(); got > firstCheck*11/10 {
		t.Errorf("next look in %v after a change, want %v", got, firstCheck)
	}
}

func TestALookAtRestReadsAFewInstancesOnly(t *testing.T) {
	var names []string
	for i := range 100 {
		names = append(names, fmt.Sprintf("tcp@h%03d:1", i))
	}
	r := liveRig(t, true)
	r.change(func(s *state) {
		for _, name := range names {
			s.create(name, "")
		}
	})
	r.m = newMirror(true)
	for r.zk.advance() || r.zk.deliver() {
	}
	r.ask(jobList)
	for r.zk.serve() || r.zk.deliver() {
	}
	r.m.listed(r.zk.job.job, r.zk.job.listing)
	r.zk.job = nil
	r.ask(jobRead)
	for r.zk.serve() || r.zk.deliver() {
	}
	r.m.read(r.zk.job.job, r.zk.job.nodes)
	r.zk.job = nil
	r.zk.now = r.m.checkAt
	if j := r.ask(jobCheck); len(j.names) != checkSize {
		t.Errorf("%d instances are read again, want %d", len(j.names), checkSize)
	}
}

// Without data watches a server that is replaced between two lists shows in nothing but the path's count of changes.
func TestWithoutDataWatchesASuccessorIsReadWhenTheCountOfChangesTells(t *testing.T) {
	r := liveRig(t, false, "tcp@a:1", "tcp@b:1")
	if n := len(r.zk.watching.data); n > 0 {
		t.Fatalf("%d data watches", n)
	}
	r.change(func(s *state) { s.remove("tcp@a:1"); s.create("tcp@a:1", "weight=2") })
	r.settle()
	r.mustShow("tcp@a:1 weight=2", "tcp@b:1 weight=1")

	before := r.zk.requests
	r.change(func(s *state) { s.create("tcp@c:1", "weight=1") })
	r.settle()
	if n := r.zk.requests - before; n != 2 {
		t.Errorf("%d requests for one instance more, want 2", n)
	}
}

func TestChangesOfNothingButCallsAndConnectionsAreMarked(t *testing.T) {
	for _, tc := range []struct {
		name    string
		changes []func(*state)
		metrics bool
		edits   int64
	}{
		{"calls", []func(*state){func(s *state) { s.set("tcp@a:1", "weight=1&calls=7") }}, true, 0},
		{"weight", []func(*state){func(s *state) { s.set("tcp@a:1", "weight=2") }}, false, 1},
		{"calls, then weight", []func(*state){
			func(s *state) { s.set("tcp@a:1", "weight=1&calls=7") }, func(s *state) { s.set("tcp@a:1", "weight=2&calls=7") },
		}, false, 1},
		{"weight, then calls", []func(*state){
			func(s *state) { s.set("tcp@a:1", "weight=2") }, func(s *state) { s.set("tcp@a:1", "weight=2&calls=7") },
		}, false, 1},
		{"calls of one, weight of another", []func(*state){func(s *state) {
			s.set("tcp@a:1", "weight=1&calls=7")
			s.set("tcp@b:1", "weight=2")
		}}, false, 1},
		{"an instance more", []func(*state){func(s *state) { s.create("tcp@c:1", "calls=1") }}, false, 1},
		{"the same data written again", []func(*state){func(s *state) { s.set("tcp@a:1", "weight=1") }}, false, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := liveRig(t, true, "tcp@a:1", "tcp@b:1")
			edits := r.m.whole.edits
			var news news
			for _, change := range tc.changes {
				r.change(change)
				r.told()
				for range 3 {
					j, _ := r.m.todo(r.zk.now)
					if j.kind == jobNone {
						break
					}
					r.zk.begin(j, true)
					for r.zk.serve() || r.zk.deliver() {
					}
					if j.kind == jobList {
						r.m.listed(j, r.zk.job.listing)
					} else {
						r.m.read(j, r.zk.job.nodes)
					}
					r.zk.job = nil
				}
			}
			news = r.m.takeNews()
			if news.changed && news.onlyMetrics != tc.metrics {
				t.Errorf("only metrics: %v, want %v", news.onlyMetrics, tc.metrics)
			}
			if got := r.m.whole.edits - edits; got != tc.edits {
				t.Errorf("%d edits, want %d", got, tc.edits)
			}
		})
	}
}

func TestMetadataThatIsNoQueryIsReported(t *testing.T) {
	r := newRig(t, true)
	r.zk.txn(func(s *state) { s.create("tcp@a:1", "weight=1;group=x"); s.create("tcp@b:1", "weight=1") })
	r.noteValues()
	r.zk.connect(0)
	r.ask(jobList)
	r.served()
	r.ask(jobRead)
	for r.zk.serve() || r.zk.deliver() {
	}
	r.m.read(r.zk.job.job, r.zk.job.nodes)
	if bad := r.m.takeNews().badMetadata; !slices.Equal(bad, []string{"tcp@a:1"}) {
		t.Errorf("reported: %v", bad)
	}
	r.mustShow("tcp@a:1 weight=1;group=x", "tcp@b:1 weight=1")
}

func TestTheListIsConfirmedByListsLooksAndPings(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1")
	asOf := func(want time.Time, when string) {
		t.Helper()
		if got := r.m.whole.asOf; !got.Equal(want) {
			t.Errorf("%s: confirmed as of %v, want %v", when, got, want)
		}
	}
	r.zk.now = r.zk.now.Add(time.Second)
	pinged := r.zk.now
	r.zk.ping()
	r.zk.now = r.zk.now.Add(time.Second)
	r.told()
	asOf(pinged, "after a ping that was answered")

	r.zk.now = r.m.checkAt
	looked := r.ask(jobCheck)
	r.served()
	asOf(looked.asked, "after a look that found nothing")

	// The change was told before the ping was answered: until it has been read, the list is as old as before.
	r.change(func(s *state) { s.set("tcp@a:1", "weight=2") })
	r.zk.advance()
	r.zk.now = r.zk.now.Add(time.Second)
	r.zk.ping()
	r.told()
	asOf(looked.asked, "with a change to be read")
	r.settle()
	r.zk.now = r.zk.now.Add(time.Second)
	pinged = r.zk.now
	r.zk.ping()
	r.told()
	asOf(pinged, "after the read and another ping")

	r.zk.cut(session.ErrLost)
	r.zk.now = r.zk.now.Add(time.Hour)
	r.told()
	asOf(pinged, "without a connection")
}
