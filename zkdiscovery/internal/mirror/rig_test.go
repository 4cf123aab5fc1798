package mirror

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

// rig drives a mirror against a model ZooKeeper, step by step as bytes say, and checks after each step what the mirror promises:
//
//   - Only a whole list is published: the names of the last list that was answered, but for those that had vanished when they were read.
//   - No instance is dropped that no list had missing.
//   - A list that was published is never changed.
//   - Zxid never falls within a lineage without Proof, and Proof only means less than before after a restored backup.
//   - Proof: the list followed a sync that was asked for after the last doubt, and all of it was read since.
//   - What is confirmed as of some moment is no older than what the server had then.
//   - One job at a time.
//
// And when ZooKeeper is quiet and reachable, soon: the list equals ZooKeeper's, with its zxid, and a change is seen with two requests.
type rig struct {
	tb  testing.TB
	zk  *model
	m   *Mirror
	log []string

	listed     map[string]bool // the last list, as far as it counts, without what vanished before it was read
	missing    map[string]bool // by some list since the last publication
	published  []publication
	values     map[string]map[string]bool // what each name ever had
	rolledBack bool
	denied     bool // some instance could not be read at some time
	pass       rigPass
	mixed      bool // some servers have lasting watches
	forgetful  bool // what was answered of a read that is lost half-way is not handed in
	lossy      bool // watches were lost: until the next look at rest, anything may be outdated
	wake       time.Time
}

var rigNames = [...]string{"tcp@a:1", "tcp@b:1", "tcp@c:1", "unix@d", "tcp@e:1", "tcp@f:1", "lock-0001"}

func newRig(tb testing.TB, watchData bool) *rig {
	r := &rig{tb: tb, zk: newModel(), m: New(watchData), listed: map[string]bool{}, missing: map[string]bool{}, values: map[string]map[string]bool{}}
	return r
}

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

func (r *rig) fatalf(format string, args ...any) {
	r.tb.Helper()
	for _, line := range r.log[max(0, len(r.log)-120):] {
		r.tb.Log(line)
	}
	r.tb.Fatalf(format+"\nmodel: %v, session's watches %+v, client's %+v\nmirror: %+v", append(args, r.zk, r.zk.watching, r.zk.placed, *r.m)...)
}

func (r *rig) note(format string, args ...any) {
	r.log = append(r.log, fmt.Sprintf("%s %s", r.zk.now.Format("15:04:05.000"), fmt.Sprintf(format, args...)))
}

// Steps that are called by name.
const (
	opCreate byte = 0
	opRemove byte = 2
	opSet    byte = 3
)

// step does one of the things that can happen. arg chooses among its varieties.
func (r *rig) step(op, arg byte) {
	zk := r.zk
	zk.now = zk.now.Add(time.Millisecond)
	name := rigNames[int(arg)%len(rigNames)]
	value := fmt.Sprintf("weight=%d&calls=%d", arg>>4&3, arg>>6)
	switch op % 24 {
	case opCreate:
		r.note("create %s %s", name, value)
		zk.txn(func(s *state) { s.create(name, value) })
	case 1:
		r.note("together %s and the two after it, %03b", name, arg>>5)
		zk.txn(func(s *state) {
			for i := range 3 {
				if name := rigNames[(int(arg)+i)%len(rigNames)]; arg>>(5+i)&1 == 0 {
					s.create(name, value)
				} else {
					s.remove(name)
				}
			}
		})
	case opRemove:
		r.note("remove %s", name)
		zk.txn(func(s *state) { s.remove(name) })
	case opSet:
		r.note("set %s %s", name, value)
		zk.txn(func(s *state) { s.set(name, value) })
	case 4:
		r.note("take over %s %s", name, value)
		zk.txn(func(s *state) { s.remove(name); s.create(name, value) })
	case 5:
		r.note("come and go %s", name)
		zk.txn(func(s *state) { s.create(name, value) })
		zk.txn(func(s *state) { s.remove(name) })
	case 6:
		r.rare(arg)
	case 7, 8:
		if zk.serve() {
			r.note("server serves")
		}
	case 9, 10:
		if zk.advance() {
			r.note("server advances")
		}
	case 11, 12, 13:
		if zk.deliver() {
			r.note("client receives")
		}
	case 14, 15, 16, 17:
		r.turn(arg&1 == 0)
	case 18:
		r.note("cut")
		zk.cut(session.ErrLost)
	case 19, 20:
		if r.mixed && !zk.st.Connected {
			zk.lasting, zk.single = arg>>3&1 == 1, arg>>4&1 == 1
		}
		zk.connect(int(arg) % 8)
		r.note("connect: %v", zk)
	case 21:
		zk.ping()
		r.note("ping")
	case 22:
		for zk.serve() || zk.deliver() {
		}
		r.note("wire runs dry")
		r.turn(true)
	case 23:
		r.note("%d s pass", arg)
		zk.now = zk.now.Add(time.Duration(arg) * time.Second)
	}
	r.noteValues()
	r.check()
}

// rare is what happens less often.
func (r *rig) rare(arg byte) {
	zk := r.zk
	name := func(arg byte) string { return rigNames[int(arg>>4)%len(rigNames)] }
	switch arg % 15 {
	case 0:
		r.note("remove the path")
		zk.txn((*state).removePath)
	case 1:
		r.note("create the path")
		zk.txn(func(s *state) { s.create("", "") })
	case 2:
		r.note("expire")
		zk.expire()
	case 3:
		to := len(zk.history) - 1 - int(arg>>4)
		if to >= 0 {
			r.note("restore the backup of %d", to)
			zk.rollback(to)
			r.rolledBack = true
		}
	case 4:
		r.note("wipe")
		zk.wipe()
		r.rolledBack = true
	case 5, 6:
		name := name(arg)
		r.note("deny %s: %v", name, arg%15 == 5)
		r.denied = true
		zk.txn(func(s *state) { s.deny(name, arg%15 == 5) })
	case 7:
		if j := zk.job; j != nil && !j.done {
			r.note("refuse the job")
			j.finish(session.ErrNoAuth)
		}
	case 8:
		if j := zk.job; j != nil && !j.done {
			r.note("reply too large")
			zk.cut(session.ErrReplyTooLarge)
		}
	case 9:
		if arg>>4 == 0 {
			r.note("lose the watches")
			zk.loseWatches()
			r.lossy = true
		}
	case 10:
		r.note("doubt")
		r.doubt()
	case 14:
		r.note("create %s, which may not be read", name(arg))
		r.denied = true
		zk.txn(func(s *state) {
			if _, ok := s.nodes[name(arg)]; !ok {
				s.create(name(arg), "")
				s.deny(name(arg), true)
			}
		})
	case 13:
		r.note("set the path's data")
		zk.txn((*state).setPath)
	case 11:
		r.forgetful = arg>>4&1 == 1
		r.note("forgetful: %v", r.forgetful)
	case 12:
		if to := len(zk.history) - 1 - int(arg>>4); to >= 0 {
			r.restore(to)
		}
	}
}

// restore brings a backup in which the session is.
func (r *rig) restore(to int) {
	r.note("restore the backup of %d, the session lives on", to)
	r.zk.restore(to)
	r.rolledBack = true
}

func (r *rig) doubt() {
	r.pass.synced = false
	r.m.Doubt()
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
func (r *rig) ask(want Kind) Job {
	r.tb.Helper()
	r.zk.now = r.zk.now.Add(time.Millisecond)
	r.turn(false)
	if r.zk.job == nil || r.zk.job.Kind != want {
		r.fatalf("job is %+v, want kind %d", r.zk.job, want)
	}
	return r.zk.job.Job
}

// served lets ZooKeeper answer the job, and the mirror take the answer.
func (r *rig) served() {
	r.comes()
	r.taken()
}

// comes lets ZooKeeper answer the job, and its answer and all that was told before it arrive.
func (r *rig) comes() {
	for r.zk.serve() || r.zk.deliver() {
	}
	r.zk.now = r.zk.now.Add(time.Millisecond)
}

// taken lets the mirror take the answer.
func (r *rig) taken() {
	r.look()
	j := r.zk.job
	r.zk.job = nil
	r.answer(j)
	r.check()
}

// turn is one turn of the service's loop.
func (r *rig) turn(takeAnswer bool) {
	zk, m := r.zk, r.m
	r.look()
	if j := zk.job; takeAnswer && j != nil && j.done {
		zk.job = nil
		r.answer(j)
		r.look()
	}
	was := m.plan.running != None
	j, wake := m.Todo(zk.now)
	r.wake = wake
	if j.Kind == None {
		return
	}
	r.note("job %+v", j)
	if was || zk.job != nil {
		r.fatalf("a job was begun while one was under way")
	}
	zk.begin(j, m.watchData)
}

func (r *rig) look() {
	hints := r.zk.takeHints()
	if r.zk.st.Link == r.m.link {
		known := r.zk.st.Heard
		if hints.Any() {
			known = hints.Since
		}
		r.m.Confirm(known)
	}
	r.m.Hinted(hints, r.zk.now)
	r.m.Connection(r.zk.st, r.zk.now)
}

func (r *rig) answer(j *modelJob) {
	m, now, was := r.m, r.zk.now, r.m.Whole()
	r.note("answer to job %d: err %v, absent %v, names %v, stat %+v, nodes %v", j.Kind, j.err, j.absent, j.listing.Names, j.listing.Stat, j.nodes)
	switch {
	case j.Kind == Read && errors.Is(j.err, session.ErrLost) && !r.forgetful && !j.Path:
		r.noteReads(j, true)
		m.Read(j.Job, j.answered(), true)
	case errors.Is(j.err, session.ErrLost), errors.Is(j.err, session.ErrNotConnected):
		m.Lost(j.Job)
	case j.err != nil:
		m.Refused(j.Job, j.err, now)
	case j.Kind == List:
		r.noteList(j)
		if j.absent {
			m.Missing(j.Job)
		} else {
			m.Listed(j.Job, j.listing)
		}
	case j.Kind == Read:
		r.noteReads(j, false)
		m.Read(j.Job, j.nodes, false)
	case j.Kind == Check:
		m.Checked(j.Job, j.stat, j.nodes)
	default:
		r.fatalf("an answer to no job")
	}
	if w := m.Whole(); w.Proof && (!was.Proof || !w.AsOf.Equal(was.AsOf)) {
		r.checkProof(w)
	}
	n := m.TakeNews()
	if n.Untold {
		if !r.lossy && !r.zk.paths && !r.denied {
			r.fatalf("a server is distrusted that has told everything")
		}
		r.note("distrust")
		r.zk.distrust()
	}
	if n.Mended > 0 && !r.lossy && (!r.zk.filter || !r.denied) {
		r.fatalf("%d changes found that no watch had told of, and yet none was lost", n.Mended)
	}
	if n.Changed {
		r.publish()
	}
}

// settle lets ZooKeeper be reachable and everybody do what is to be done, until nothing is left.
func (r *rig) settle() {
	for turns := 0; ; turns++ {
		if turns > 50 {
			r.fatalf("no end of it")
		}
		before := len(r.log)
		for r.zk.advance() || r.zk.serve() || r.zk.deliver() {
		}
		r.zk.now = r.zk.now.Add(time.Millisecond)
		r.turn(true)
		r.check()
		switch {
		case r.zk.job != nil || len(r.log) > before:
		case r.m.Phase() != Live || !r.m.AtRest():
			r.note("waiting until %v", r.wake)
			if r.wake.IsZero() {
				r.fatalf("nothing to do, and yet not live")
			}
			r.zk.now = r.wake
		default:
			return
		}
	}
}

// heal ends all faults. Then the list is ZooKeeper's, unless nobody is told of what has changed: there are no watches on the data, watches were
// lost, or permissions have changed. So much time passes next that a look at rest has mended that, too.
func (r *rig) heal() {
	for _, name := range rigNames {
		r.zk.txn(func(s *state) { s.deny(name, false) })
	}
	r.zk.connect(3)
	r.settle()
	if r.m.watchData && !r.lossy && !r.denied {
		r.equal()
	}
	for range 3 {
		r.zk.now = r.zk.now.Add(2 * lastCheck)
		r.settle()
	}
}
