package mirror

import (
	"testing"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

func TestARestoredBackupLowersTheZxidWithProof(t *testing.T) {
	for _, tc := range []struct {
		name  string
		later func(r *rig) // after the backup was made
		falls bool
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
			was := r.m.Whole()
			r.zk.rollback(backup)
			r.rolledBack = true
			r.zk.connect(0)
			r.settle()
			r.equal()
			if is := r.m.Whole(); is.Lineage != was.Lineage || is.Zxid < was.Zxid != tc.falls || !is.Proof {
				t.Errorf("%+v after %+v, want a lower zxid: %v", is, was, tc.falls)
			}
		})
	}
}

func TestAPathMadeAnewHasAnotherLineage(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1")
	was := r.m.Whole()
	r.change((*state).removePath)
	r.change(func(s *state) { s.create("tcp@a:1", "weight=1") })
	r.settle()
	r.equal()
	if is := r.m.Whole(); is.Lineage == was.Lineage || is.Proof {
		t.Errorf("%+v after %+v, want another lineage, and no proof without a sync", is, was)
	}
}

func TestALaggingServerProvesNothing(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1")
	for range 5 {
		r.change(func(s *state) { s.set("tcp@a:1", "weight=2") })
		r.change(func(s *state) { s.create("tcp@b:1", "weight=1") })
		r.change(func(s *state) { s.remove("tcp@b:1") })
		r.settle()
		r.zk.expire()
		r.zk.connect(3) // the sync makes it catch up
		r.settle()
		r.equal() // and a zxid that falls without a restored backup ends the test
	}
}

func TestOnlyAWholeSyncedPassHasProof(t *testing.T) {
	newSession := func(r *rig) { r.zk.expire(); r.zk.connect(0) }
	for _, tc := range []struct {
		name          string
		watchData     bool
		do            func(r *rig)
		synced, proof bool
	}{
		{"the first pass", true, func(*rig) {}, true, true},
		{"the first pass without data watches", false, func(*rig) {}, true, true},
		{"the first pass of a session", true, newSession, true, true},
		{"a doubt", false, func(r *rig) { r.doubt() }, true, true},
		{"an instance more", true, func(r *rig) { r.change(func(s *state) { s.create("tcp@e:1", "") }) }, false, false},
		{"metadata read at rest", true, func(r *rig) { r.change(func(s *state) { s.set("tcp@a:1", "weight=2") }) }, false, false},
		{"another connection of the session", true, func(r *rig) { r.zk.cut(session.ErrLost); r.zk.connect(0) }, false, false},
		{"an instance that may not be read", true, func(r *rig) {
			r.change(func(s *state) { s.deny("tcp@a:1", true) })
			newSession(r)
		}, true, false},
		{"an instance that may not be read, and a doubt", false, func(r *rig) {
			r.change(func(s *state) { s.deny("tcp@a:1", true) })
			r.doubt()
		}, true, false},
		{"an instance that may be read again, and a doubt", true, func(r *rig) {
			r.change(func(s *state) { s.deny("tcp@a:1", true) })
			newSession(r)
			r.settle()
			r.change(func(s *state) { s.deny("tcp@a:1", false) })
			r.doubt()
		}, true, true},
		{"no path", true, func(r *rig) { r.change((*state).removePath); newSession(r) }, true, true},
		{"the newest read again after a loss, and the rest", true, func(r *rig) { newSession(r); r.loseHalfARead() }, true, true},
		{"a pass that was lost half-way", true, func(r *rig) { newSession(r); r.loseHalfARead(); r.loseHalfARead() }, true, false},
		{"a doubt, and a pass that was lost half-way", true, func(r *rig) { r.doubt(); r.loseHalfARead(); r.loseHalfARead() }, true, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := liveRig(t, tc.watchData, "tcp@a:1", "tcp@b:1", "tcp@c:1")
			tc.do(r)
			r.settle()
			if w := r.m.Whole(); w.Synced != tc.synced || w.Proof != tc.proof {
				t.Errorf("synced %v, proof %v; want %v, %v", w.Synced, w.Proof, tc.synced, tc.proof)
			}
		})
	}
}

// The doubt is about something that was heard after the sync of the pass under way: that pass cannot answer it.
func TestADoubtIsAnsweredByALaterPassOnly(t *testing.T) {
	for name, doubtAfter := range map[string][]Kind{"while the list is asked for": {List}, "while the instances are read": {List, Read}} {
		t.Run(name, func(t *testing.T) {
			r := liveRig(t, true, "tcp@a:1")
			r.zk.expire()
			r.zk.connect(0)
			for i, kind := range doubtAfter {
				if i > 0 {
					r.served()
				}
				r.ask(kind)
			}
			if r.doubt(); r.m.Whole().Synced || r.m.Whole().Proof {
				t.Errorf("%+v is in doubt, and says that it is not", r.m.Whole())
			}
			r.served()
			if r.zk.job == nil && r.m.pass.open {
				r.ask(Read)
				r.served()
			}
			if w := r.m.Whole(); w.Synced || w.Proof {
				t.Errorf("%+v, want no proof", w)
			}
			if j := r.ask(List); !j.Sync {
				t.Errorf("job %+v, want a list after a sync", j)
			}
			r.settle()
			r.equal()
			if w := r.m.Whole(); !w.Proof {
				t.Errorf("%+v, want a proof", w)
			}
		})
	}
}

// The pass was lost when half of it was read, and the other half was read in the next. That one cannot prove that the zxid has fallen; a
// pass that reads everything can.
func TestAZxidThatSeemsToHaveFallenIsProvedByAnotherPass(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1", "tcp@b:1")
	backup := len(r.zk.history) - 1
	r.change(func(s *state) { s.set("tcp@a:1", "weight=2") })
	r.change(func(s *state) { s.set("tcp@b:1", "weight=2") })
	r.settle()
	r.zk.rollback(backup)
	r.rolledBack = true
	r.zk.connect(0)
	r.loseHalfARead()
	r.settle()
	r.equal()
	if w := r.m.Whole(); !w.Proof {
		t.Errorf("%+v, want a proof", w)
	}
}

// An instance vanished between the first list of a session and its read. Its deletion is newer than what the pass has seen, so that the pass
// may look older than what was known before.
func TestAPassInWhichSomethingVanishedNeitherGoesBackNorProves(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1", "tcp@b:1")
	r.change(func(s *state) { s.set("tcp@b:1", "weight=2") })
	r.settle()
	was := r.m.Whole()
	r.zk.expire()
	r.zk.connect(0)
	r.ask(List)
	r.served()
	r.ask(Read)
	r.change(func(s *state) { s.remove("tcp@b:1") })
	r.zk.advance()
	r.served()
	if is := r.m.Whole(); is.Zxid != was.Zxid || is.Synced || is.Proof {
		t.Errorf("%+v after %+v", is, was)
	}
	r.settle()
	r.equal()
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
	if got, want := r.m.Whole().Zxid, r.zk.leader().zxid; got != want {
		t.Errorf("zxid %d in an ensemble that has made %d transactions", got, want)
	}
}

// The path was another for a moment: what that had is no reason for the zxid to fall.
func TestTheZxidDoesNotFallByWayOfAnotherLineage(t *testing.T) {
	m, now := New(true), newModel().now
	m.Connection(session.State{Connected: true, Session: 1, Link: 1}, now)
	list := func(czxid, pzxid int64) Job {
		t.Helper()
		m.Hinted(session.Hints{List: true}, now)
		j, _ := m.Todo(now)
		m.Listed(j, session.Listing{Names: []string{"tcp@a:1"}, Stat: session.Stat{Czxid: czxid, Pzxid: pzxid}})
		j, _ = m.Todo(now)
		return j
	}
	m.Read(list(1, 9), []session.Node{{Name: "tcp@a:1", Stat: session.Stat{Mzxid: 9}}}, false)
	m.Lost(list(20, 20))
	m.Read(list(1, 3), []session.Node{{Name: "tcp@a:1", Err: session.ErrNoAuth}}, false)
	if w := m.Whole(); w.Lineage != "1-0" || w.Zxid != 9 || w.Proof {
		t.Errorf("%+v, want zxid 9 of the first lineage", w)
	}
}

// Without watches on the data, metadata are read when an instance comes. A doubt says that others know more, of metadata too.
func TestADoubtIsSettledByMetadataThatAreReadAgain(t *testing.T) {
	r := liveRig(t, false, "tcp@a:1", "tcp@b:1")
	r.change(func(s *state) { s.set("tcp@a:1", "state=inactive") })
	r.doubt()
	r.settle()
	for _, p := range r.m.Whole().Pairs {
		if want := map[string]string{"tcp@a:1": "state=inactive", "tcp@b:1": "weight=1"}[p.Key]; p.Value != want {
			t.Errorf("%s has %q, want %q", p.Key, p.Value, want)
		}
	}
}
