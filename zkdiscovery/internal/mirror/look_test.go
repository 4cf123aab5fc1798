package mirror

import (
	"testing"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

// A backup is restored in which the client's session is. Nodes that are older than what the client has seen are told by no watch. Found by
// random histories: a list had metadata from before the restore until the instance changed next.
func TestAReconnectFindsWhatARestoredBackupHasUndone(t *testing.T) {
	set := func(name string) func(*state) { return func(s *state) { s.set(name, "weight=2") } }
	setAgain := func(name string) func(*state) { return func(s *state) { s.set(name, "weight=3") } }
	create := func(name string) func(*state) { return func(s *state) { s.create(name, "weight=1") } }
	remove := func(name string) func(*state) { return func(s *state) { s.remove(name) } }
	takeover := func(name string) func(*state) {
		return func(s *state) { s.remove(name); s.create(name, "weight=2") }
	}
	for _, tc := range []struct {
		name   string
		undone []func(*state) // known to the mirror
		since  []func(*state) // before the client is back
		doubts int64
	}{
		{"nothing", nil, nil, 0},
		{"nothing, and something has changed since", nil, []func(*state){setAgain("tcp@a:1")}, 0},
		{"metadata", []func(*state){set("tcp@a:1")}, nil, 1},
		{"metadata, which have changed since", []func(*state){set("tcp@a:1")}, []func(*state){setAgain("tcp@a:1")}, 0},
		{"metadata of two", []func(*state){set("tcp@a:1"), set("tcp@b:1")}, nil, 1},
		{"metadata of two, and the newest has changed since", []func(*state){set("tcp@a:1"), set("tcp@b:1")}, []func(*state){setAgain("tcp@b:1")}, 1},
		{"metadata of two, and the newest was replaced since", []func(*state){set("tcp@a:1"), set("tcp@b:1")}, []func(*state){takeover("tcp@b:1")}, 1},
		{"metadata of two, and the newest has gone since", []func(*state){set("tcp@a:1"), set("tcp@b:1")}, []func(*state){remove("tcp@b:1")}, 1},
		{"metadata, and another has come since", []func(*state){set("tcp@a:1")}, []func(*state){create("tcp@e:1")}, 1},
		{"a successor", []func(*state){takeover("tcp@a:1")}, nil, 1},
		{"an instance", []func(*state){create("tcp@e:1")}, nil, 1},
		{"an instance, and another has come since", []func(*state){create("tcp@e:1")}, []func(*state){create("tcp@f:1")}, 0},
		{"metadata, and an instance after that", []func(*state){set("tcp@a:1"), create("tcp@e:1")}, []func(*state){create("tcp@f:1")}, 1},
		{"a removal", []func(*state){remove("tcp@b:1")}, nil, 1},
		{"metadata, and a removal after that", []func(*state){set("tcp@a:1"), remove("tcp@b:1")}, []func(*state){create("tcp@f:1")}, 1},
		{"the path made anew", []func(*state){(*state).removePath, create("tcp@a:1"), set("tcp@a:1")}, nil, 0}, // another lineage is read anyway
		{"metadata of the newest and one that may not be read", []func(*state){
			set("tcp@a:1"), func(s *state) { s.set("tcp@b:1", "weight=1"); s.deny("tcp@b:1", true) },
		}, []func(*state){func(s *state) { s.deny("tcp@b:1", true) }}, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := liveRig(t, true, "tcp@a:1", "tcp@b:1", "tcp@c:1")
			backup := len(r.zk.history) - 1
			for _, f := range tc.undone {
				r.change(f)
				r.settle()
			}
			was := r.m.Whole()
			r.restore(backup)
			for _, f := range tc.since {
				r.change(f)
			}
			r.denied = r.zk.leader().nodes["tcp@b:1"].denied
			right := r.equal
			if r.denied {
				right = func() { r.mustShow("tcp@a:1 weight=1", "tcp@b:1 weight=1", "tcp@c:1 weight=1") }
			}
			r.zk.connect(0)
			r.settle()
			right()
			if got := r.m.plan.doubts; got != tc.doubts {
				t.Errorf("%d doubts, want %d", got, tc.doubts)
			}
			if is := r.m.Whole(); is.Lineage == was.Lineage && is.Zxid < was.Zxid && !is.Proof {
				t.Errorf("%+v after %+v, without a proof", is, was)
			}
			r.zk.cut(session.ErrLost)
			r.zk.connect(0)
			r.settle()
			right()
			if got := r.m.plan.doubts; got != tc.doubts {
				t.Errorf("%d doubts after another reconnect, want %d", got, tc.doubts)
			}
		})
	}
}

// Without watches on the data the newest metadata that are known may have changed often since: newer ones are no reason to doubt.
func TestWithoutDataWatchesAReconnectFindsOlderMetadata(t *testing.T) {
	r := liveRig(t, false, "tcp@a:1", "tcp@b:1")
	backup := len(r.zk.history) - 1
	r.change(func(s *state) { s.set("tcp@a:1", "weight=2"); s.set("tcp@b:1", "weight=2") })
	r.doubt()
	r.settle()
	r.equal()
	was := r.m.plan.doubts
	r.restore(backup)
	r.zk.connect(0)
	r.settle()
	r.equal()
	if got := r.m.plan.doubts - was; got != 1 {
		t.Errorf("%d doubts, want 1", got)
	}
	r.zk.cut(session.ErrLost)
	r.change(func(s *state) { s.set("tcp@a:1", "weight=3"); s.set("tcp@b:1", "weight=3") })
	before := r.zk.requests
	r.zk.connect(0)
	r.settle()
	if n := r.zk.requests - before; n != 2 || r.m.plan.doubts-was != 1 {
		t.Errorf("%d requests and %d doubts for a reconnect, want a list and a read, and one doubt as before", n, r.m.plan.doubts-was)
	}
}

func TestAReconnectCostsAListAndARead(t *testing.T) {
	for _, lag := range []int{0, 3} {
		r := liveRig(t, true, "tcp@a:1", "tcp@b:1", "tcp@c:1", "tcp@e:1", "tcp@f:1")
		r.change(func(s *state) { s.remove("tcp@f:1") })
		r.settle()
		for range 5 {
			r.zk.cut(session.ErrLost)
			before := r.zk.requests
			r.zk.connect(lag)
			r.settle()
			r.equal()
			if n := r.zk.requests - before; n != 2 {
				t.Errorf("%d requests, want a list and the read of the newest instance", n)
			}
		}
		if got := r.m.plan.doubts; got != 0 {
			t.Errorf("%d doubts, and nothing was older", got)
		}
	}
}

// The hint is ahead of the answer: newer metadata are no reason to doubt. What they hide is.
func TestTheNewestInstanceThatChangesWhileItIsReadHidesNothing(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*state)
	}{
		{"changed", func(s *state) { s.set("tcp@b:1", "weight=3") }},
		{"replaced", func(s *state) { s.remove("tcp@b:1"); s.create("tcp@b:1", "weight=3") }},
		{"gone", func(s *state) { s.remove("tcp@b:1") }},
		{"may not be read", func(s *state) { s.deny("tcp@b:1", true) }},
	} {
		for _, restored := range []bool{false, true} {
			for _, hintFirst := range []bool{false, true} {
				r := liveRig(t, true, "tcp@a:1", "tcp@b:1", "tcp@c:1")
				backup := len(r.zk.history) - 1
				r.change(func(s *state) { s.set("tcp@a:1", "weight=2") })
				r.change(func(s *state) { s.set("tcp@b:1", "weight=2") })
				r.settle()
				want := int64(0)
				if r.zk.cut(session.ErrLost); restored {
					r.restore(backup)
					want = 1
				}
				r.zk.connect(0)
				r.ask(List)
				r.served()
				if hintFirst {
					r.change(tc.change)
					r.told()
				}
				j := r.ask(Read)
				if len(j.Names) != 1 || j.Names[0] != "tcp@b:1" {
					t.Fatalf("%v are read, want the newest", j.Names)
				}
				if !hintFirst {
					r.change(tc.change)
					r.zk.advance()
				}
				r.denied = r.zk.leader().nodes["tcp@b:1"].denied
				r.served()
				r.settle()
				if got := r.m.plan.doubts; got != want {
					t.Errorf("%s, restored %v, hint first %v: %d doubts, want %d", tc.name, restored, hintFirst, got, want)
				}
				if r.denied {
					r.mustShow(map[bool][]string{
						false: {"tcp@a:1 weight=2", "tcp@b:1 weight=2", "tcp@c:1 weight=1"},
						true:  {"tcp@a:1 weight=1", "tcp@b:1 weight=2", "tcp@c:1 weight=1"},
					}[restored]...)
					continue
				}
				r.equal()
			}
		}
	}
}

// The restored ensemble's zxids go on from the backup's, and are by now what the client has seen.
func TestAHistoryThatWasWrittenAnewIsFound(t *testing.T) {
	for _, tc := range []struct {
		name   string
		undone func(*state)
		zxid   int64 // of what was written instead
		anew   func(*state)
	}{
		{"newer metadata of which no watch has told", func(s *state) { s.set("tcp@b:1", "weight=2") }, 3, func(s *state) {
			s.set("tcp@a:1", "weight=3")
			s.set("tcp@b:1", "weight=3")
		}},
		{"other metadata of the same zxid", func(s *state) { s.set("tcp@b:1", "weight=2") }, 2, func(s *state) {
			s.set("tcp@a:1", "weight=3")
			s.set("tcp@b:1", "weight=3")
		}},
		{"an instance that went before it was changed", func(s *state) { s.zxid = 3; s.set("tcp@b:1", "weight=2") }, 2, func(s *state) { s.remove("tcp@b:1") }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := liveRig(t, true, "tcp@a:1", "tcp@b:1")
			r.change(tc.undone)
			r.settle()
			for r.zk.leader().zxid < 4 {
				r.change(func(*state) {})
			}
			r.zk.now = r.m.plan.checkAt
			r.settle() // the answers tell the zxid
			r.zk.cut(session.ErrLost)
			r.zk.rewrite(tc.zxid, tc.anew)
			r.noteValues()
			r.rolledBack = true
			r.zk.txn(func(s *state) { s.zxid = r.zk.seen })
			r.zk.connect(0)
			r.settle()
			r.equal()
			if got := r.m.plan.doubts; got != 1 {
				t.Errorf("%d doubts, want 1", got)
			}
		})
	}
}

// The list and the answers may be of a server that lags behind. What follows a sync is shown.
func TestAPassWithAnOlderAnswerIsNotShown(t *testing.T) {
	for name, undone := range map[string]func(*state){
		"the list":    func(s *state) { s.create("tcp@e:1", "weight=1") },
		"an instance": func(s *state) { s.set("tcp@a:1", "weight=2") },
	} {
		t.Run(name, func(t *testing.T) {
			r := liveRig(t, true, "tcp@a:1", "tcp@b:1")
			backup := len(r.zk.history) - 1
			r.change(undone)
			r.settle()
			shown := r.shows()
			r.restore(backup)
			r.zk.connect(0)
			r.ask(List)
			r.served()
			if name == "an instance" {
				r.ask(Read)
				r.served()
			}
			if r.mustShow(shown...); r.m.Phase() != Stale {
				t.Errorf("phase %d, want what was shown before", r.m.Phase())
			}
			if j := r.ask(List); !j.Sync {
				t.Errorf("job %+v, want a list after a sync", j)
			}
			r.settle()
			r.equal()
		})
	}
}

// A look at rest that finds an instance older than it is known to be is a reason, too.
func TestALookAtRestFindsOlderMetadata(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1", "tcp@b:1")
	backup := len(r.zk.history) - 1
	r.change(func(s *state) { s.set("tcp@a:1", "weight=2"); s.set("tcp@b:1", "weight=2") })
	r.settle()
	r.zk.restore(backup)
	r.rolledBack = true
	r.zk.st.Connected = true // the restore went unnoticed
	r.zk.at = len(r.zk.history) - 1
	r.zk.now = r.m.plan.checkAt
	r.settle()
	r.equal()
	if w := r.m.Whole(); !w.Proof || r.m.plan.doubts != 1 {
		t.Errorf("%+v, %d doubts; want a proof after one", w, r.m.plan.doubts)
	}
}
