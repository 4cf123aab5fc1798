package mirror

import (
	"testing"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

// Connections that break at once must not leave more and more to be read.
func TestALookThatIsLostIsNotOwedTwice(t *testing.T) {
	for name, lose := range map[string]func(r *rig){
		"before it is read": func(r *rig) {
			r.zk.serve()
			r.zk.deliver()
			j := r.zk.job
			r.zk.job = nil
			r.answer(j)
			r.zk.cut(session.ErrLost)
			r.zk.connect(0)
		},
		"while it is read": func(r *rig) {
			r.served()
			r.ask(Read)
			r.zk.cut(session.ErrLost)
			r.served()
			r.zk.connect(0)
		},
		"while it is read, and the next connection is there at once": func(r *rig) {
			r.served()
			r.ask(Read)
			r.zk.cut(session.ErrLost)
			r.zk.connect(0)
			r.look()
			r.served()
		},
		"and is refused": func(r *rig) {
			r.served()
			r.ask(Read)
			r.zk.job.finish(session.ErrNoAuth)
			r.served()
			r.zk.now = r.zk.now.Add(2 * lastRetry)
		},
	} {
		r := liveRig(t, true, "tcp@a:1", "tcp@b:1", "tcp@c:1", "tcp@e:1")
		r.zk.cut(session.ErrLost)
		r.zk.connect(0)
		for range 5 {
			r.ask(List)
			lose(r)
		}
		r.ask(List)
		r.served()
		if j := r.ask(Read); len(j.Names) != 1 {
			t.Errorf("%s: %v are read in the end, want the newest", name, j.Names)
		}
		r.settle()
		r.equal()
	}
}

// A connection that breaks after a few answers must get on all the same.
func TestWhatIsKnownIsReadAgainAfterWhatIsNot(t *testing.T) {
	for range 10 {
		r := liveRig(t, true, "tcp@a:1", "tcp@b:1", "tcp@c:1", "tcp@e:1")
		r.zk.expire()
		r.zk.connect(0)
		r.loseHalfARead()
		var known string
		for name := range r.m.children {
			if _, dirty := r.m.plan.dirty[name]; !dirty {
				known = name
			}
		}
		r.ask(List)
		r.served()
		if j := r.ask(Read); len(j.Names) != 4 || j.Names[3] != known {
			t.Errorf("%v are read, and %s, which is known, is not the last", j.Names, known)
		}
	}
}

// Passes that are lost half-way keep what they have read. That must not hide what a restored backup has undone of it.
func TestABackupThatIsRestoredWhileReconnectsFailIsFound(t *testing.T) {
	for _, when := range []string{"before the loss", "after the loss", "between session and list", "between them, and more has come since"} {
		r := liveRig(t, true, "tcp@a:1", "tcp@b:1", "tcp@c:1")
		backup := len(r.zk.history) - 1
		for _, name := range []string{"tcp@c:1", "tcp@b:1", "tcp@a:1"} {
			r.change(func(s *state) { s.set(name, "weight=2") })
		}
		r.settle()
		switch when {
		case "before the loss":
			r.restore(backup)
			r.zk.connect(0)
			r.ask(List)
			r.served()
			r.ask(Read)
			r.served()
			r.loseHalfARead()
		case "after the loss":
			r.doubt()
			r.loseHalfARead()
			r.restore(backup)
			r.zk.connect(0)
		case "between session and list":
			r.zk.expire()
			r.zk.connect(0)
			r.loseHalfARead()
			r.restore(backup)
			r.zk.connect(0)
		case "between them, and more has come since":
			r.zk.expire()
			r.zk.connect(0)
			r.loseHalfARead()
			r.loseHalfARead()
			r.zk.cut(session.ErrLost)
			r.restore(backup)
			r.change(func(s *state) { s.create("lock-0001", "") })
			r.zk.connect(0)
		}
		r.settle()
		if r.equal(); !r.m.Whole().Proof {
			t.Errorf("%s: %+v, want a proof", when, r.m.Whole())
		}
	}
}
