package zkdiscovery

import (
	"testing"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

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
			was = r.m.whole.generation
			r.zk.expire()
			r.zk.connect(0)
			r.settle()
			if is := r.m.whole.generation; is != was {
				t.Errorf("%+v after %+v: the next session begins no era", is, was)
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

func TestWhatTheFileHasNeverTakesTheEraBack(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1")
	live := r.m.whole.generation
	r.m.heardOf(generation{live.lineage, 5, live.zxid}, true)
	for _, late := range []generation{{live.lineage, 4, live.zxid + 9}, {"f-f", 3, live.zxid + 9}} { // read before, told of after
		r.m.heardOf(late, true)
	}
	if r.m.era != 5 || r.m.whole.era != 5 {
		t.Errorf("eras %d and %d, want 5", r.m.era, r.m.whole.era)
	}
	r.zk.cut(session.ErrLost)
	r.look()
	r.m.heardOf(generation{"f-f", 7, live.zxid}, true)
	if r.m.whole.era != 5 {
		t.Errorf("era %d without a connection, want 5: nobody knows what ZooKeeper says now", r.m.whole.era)
	}
}

// Of several files that are ahead the one that is most so counts: a list that has caught up with another proves nothing.
func TestTheFileThatIsMostAheadDecides(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1")
	live := r.m.whole.generation
	r.rolledBack = true
	for _, ahead := range []int64{9, 2} {
		r.m.heardOf(generation{live.lineage, live.era, live.zxid + ahead}, true)
	}
	for range 5 {
		r.change(func(s *state) { s.set("tcp@a:1", "weight=2") })
	}
	r.settle()
	r.equal()
	if r.m.whole.era != live.era+1 {
		t.Errorf("era %d, want %d: what the first file had is undone", r.m.whole.era, live.era+1)
	}
}

func TestAWipedEnsembleBeginsOneEraOnly(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1")
	r.zk.cut(session.ErrLost)
	r.look()
	was := r.m.whole.generation
	r.m.heardOf(generation{was.lineage, was.era, was.zxid + 100}, false) // a sibling's, of the history that is wiped
	r.zk.wipe()
	r.rolledBack = true
	r.change(func(s *state) { s.create("tcp@a:1", "weight=1") })
	r.zk.connect(0)
	r.settle()
	r.equal()
	if r.m.whole.era != was.era+1 {
		t.Errorf("era %d after %d", r.m.whole.era, was.era)
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
