package mirror

import (
	"slices"
	"testing"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

// loseHalfARead lets the mirror list, loses the connection after the first answer of the read that follows, and connects again.
func (r *rig) loseHalfARead() {
	r.tb.Helper()
	r.ask(List)
	r.served()
	r.ask(Read)
	r.zk.serve()
	r.zk.deliver()
	r.zk.cut(session.ErrLost)
	r.served()
	r.zk.connect(0)
}

func TestWhatWasReadBeforeALossIsNotAskedAgain(t *testing.T) {
	names := []string{"tcp@a:1", "tcp@b:1", "tcp@c:1", "tcp@e:1"}
	r := newRig(t, true)
	r.change(func(s *state) {
		for _, name := range names {
			s.create(name, "weight=1")
		}
	})
	r.zk.connect(0)
	var read []string
	for range names {
		r.ask(List)
		r.served()
		j := r.ask(Read)
		want := len(names) - len(read)
		if len(read) > 0 {
			want++ // the newest that is known
		}
		if r.m.Phase() != Cold || len(j.Names) != want {
			t.Fatalf("phase %d; %v are to be read after %v", r.m.Phase(), j.Names, read)
		}
		r.zk.serve()
		r.zk.deliver()
		for _, n := range r.zk.job.answered() {
			if slices.Contains(read, n.Name) {
				t.Errorf("%s is read again", n.Name)
			}
			read = append(read, n.Name)
		}
		r.zk.cut(session.ErrLost)
		r.served()
		r.zk.connect(0)
	}
	r.settle()
	r.equal()
}

// The answer is of the connection before: over the new one, ZooKeeper has told meanwhile that it is outdated.
func TestAnAnswerThatComesLateIsReadAgainIfItHasChanged(t *testing.T) {
	r := newRig(t, true)
	r.change(func(s *state) { s.create("tcp@a:1", "weight=1") })
	r.zk.connect(0)
	r.ask(List)
	r.served()
	r.ask(Read)
	for r.zk.serve() || r.zk.deliver() {
	}
	r.zk.cut(session.ErrLost)
	r.change(func(s *state) { s.set("tcp@a:1", "weight=2") })
	r.zk.connect(0)
	r.told()
	r.served()
	r.settle()
	r.mustShow("tcp@a:1 weight=2")
}

// S9 and its kind: a server of which one answer contradicts the other, for ever.
func TestAnswersThatContradictEachOtherAreAskedForWithPauses(t *testing.T) {
	st := session.Stat{Czxid: 1, Pzxid: 9}
	for _, tc := range []struct {
		name   string
		answer func(m *Mirror, j Job)
	}{
		{"the list says that there is no path, the check says that there is", func(m *Mirror, j Job) {
			if j.Kind == List {
				m.Missing(j)
			} else {
				m.Checked(j, &st, nil)
			}
		}},
		{"the list says that there is no path, a hint says that there is", func(m *Mirror, j Job) {
			m.Missing(j)
			m.Hinted(session.Hints{List: true}, j.Asked)
		}},
		{"the list has an instance, the read has not", func(m *Mirror, j Job) {
			if j.Kind == List {
				m.Listed(j, session.Listing{Names: []string{"tcp@a:1"}, Stat: st})
			} else {
				m.Read(j, []session.Node{{Name: "tcp@a:1", Err: session.ErrNoNode}}, false)
			}
		}},
		{"the list is refused", func(m *Mirror, j Job) { m.Refused(j, session.ErrNoAuth, j.Asked) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m, now := New(true), newModel().now
			m.Connection(session.State{Connected: true, Session: 1, Link: 1}, now)
			jobs, end := 0, now.Add(lastRetry*100)
			for now.Before(end) && jobs < 1000 {
				j, wake := m.Todo(now)
				if j.Kind == None {
					now = wake
					continue
				}
				jobs++
				tc.answer(m, j)
			}
			if jobs > 230 || jobs < 5 { // two every five seconds, give or take a tenth, and some before
				t.Errorf("%d jobs in %v", jobs, lastRetry*100)
			}
		})
	}
}

// The count of changes is all that tells without data watches, and a pass that was lost must not put it in doubt.
func TestWithoutDataWatchesTooOnlyTheRestIsReadAfterALoss(t *testing.T) {
	r := liveRig(t, false, "tcp@a:1")
	r.change(func(s *state) {
		s.create("tcp@b:1", "weight=1")
		s.create("tcp@c:1", "weight=1")
		s.create("tcp@e:1", "weight=1")
	})
	r.told()
	r.loseHalfARead()
	r.change(func(s *state) { s.create("tcp@f:1", "weight=1") })
	r.change(func(s *state) { s.remove("tcp@a:1") })
	for name := range r.m.pass.fresh { // of the two that were not read, one goes
		r.change(func(s *state) { s.remove(name) })
		break
	}
	r.told()
	r.ask(List)
	r.served()
	if j := r.ask(Read); len(j.Names) != 3 {
		t.Errorf("%v are read, want the one that was not, the one that is new, and the newest that was read", j.Names)
	}
	r.settle()
	r.equal()
}

// Over the new connection another list is asked for, which may say something else.
func TestAPassOfAnEarlierConnectionIsNotShown(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1")
	r.change(func(s *state) { s.create("tcp@b:1", "weight=1") })
	r.told()
	r.ask(List)
	r.served()
	r.ask(Read)
	for r.zk.serve() || r.zk.deliver() {
	}
	r.zk.cut(session.ErrLost)
	r.zk.connect(0)
	r.served()
	r.mustShow("tcp@a:1 weight=1")
	j := r.ask(List)
	r.served()
	r.mustShow("tcp@a:1 weight=1")
	r.ask(Read)
	r.served()
	r.mustShow("tcp@a:1 weight=1", "tcp@b:1 weight=1")
	if j.link != r.m.link {
		t.Errorf("listed over link %d, want %d", j.link, r.m.link)
	}
}

// Its answer has left no watch in the new session.
func TestAReadOfAnEarlierSessionDoesNotCount(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1")
	r.change(func(s *state) { s.create("tcp@b:1", "weight=1") })
	r.told()
	r.ask(List)
	r.served()
	r.ask(Read)
	for r.zk.serve() || r.zk.deliver() {
	}
	r.zk.expire()
	r.zk.connect(0)
	r.served()
	r.settle()
	r.equal() // where every instance must be watched
	r.change(func(s *state) { s.set("tcp@b:1", "weight=2") })
	r.settle()
	r.mustShow("tcp@a:1 weight=1", "tcp@b:1 weight=2")
}
