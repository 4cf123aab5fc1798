package serverplugin

import (
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

// entry is a node with what belongs to it outside of the decision. It is the loop's own.
type entry struct {
	path string // of the node
	node node
	line *line                 // the newest; nil when it rests
	sub  *session.Subscription // nil when it rests
	err  *OpError              // what ZooKeeper refused last

	missing int64 // the connection without which it was told to be missing; 0: none
}

// job is an action on a node, decided in the session of that number.
type job struct {
	entry   *entry
	action  action
	session int64
	alone   bool // with others it has failed
}

// answer is what came of a job.
type answer struct {
	job
	kind  eventKind
	found session.Found
	err   error
}

// look feeds the nodes with what the session's state is, and what was hinted.
func (r *registrar) look(now time.Time) {
	r.lookAtSession(now)
	for _, e := range r.entries {
		r.lookAtHints(e, now)
	}
	r.lookForRounds()
}

// read feeds the nodes with what the program wants. Only what has changed is gone through: hundreds of services are registered one by one.
func (r *registrar) read(now time.Time) {
	before, l := r.taken, r.mail.take()
	if l.no != r.taken {
		r.taken, r.dirty = l.no, true
		r.is = l.state
	}
	was := r.extra
	r.refresh()
	r.lookAtSession(now) // which counts only where clients could call the server
	for _, o := range l.orders {
		r.take(o, before, now)
	}
	r.lookForRounds()
	if r.extra == was {
		return
	}
	for _, e := range r.entries {
		if e.node.wish.extra != r.extra && e.node.wish.order.wanted {
			r.feed(e, event{kind: ordered, order: e.node.wish.order, extra: r.extra}, now)
		}
	}
}

func (r *registrar) lookAtHints(e *entry, now time.Time) {
	if e.sub != nil && e.sub.Take().List {
		r.feed(e, event{kind: hinted}, now)
	}
}

// lookAtSession tells the nodes of a connection that came or went.
func (r *registrar) lookAtSession(now time.Time) {
	st := r.session.State()
	was := r.seen
	st.Connected = st.Connected && r.is.mayRegister()
	r.seen = st
	if st.Connected && !slices.Contains(r.mine, st.ID) {
		r.mine = append(r.mine[max(0, len(r.mine)+1-sessionsKept):], st.ID)
	}
	if st.Connected == was.Connected && st.Link == was.Link && st.Session == was.Session {
		return
	}
	r.dirty = true
	r.expired = r.expired && !st.Connected
	ev := event{kind: disconnected, session: st.Session}
	if st.Connected {
		ev.kind = connected
	}
	for _, e := range r.entries {
		r.feed(e, ev, now)
	}
}

// lookForRounds notes what is not registered, because no ZooKeeper server can be used: once in an outage.
func (r *registrar) lookForRounds() {
	st := &r.seen
	if st.Rounds == 0 {
		return
	}
	for _, e := range r.entries {
		if n := &e.node; n.wish.order.wanted && n.phase != Registered && e.missing != st.Link+1 {
			e.missing = st.Link + 1
			r.news.missing.add(e.path).err = st.Err
		}
	}
}

// take tells a node of an order. before is the newest change that all nodes have been told of.
func (r *registrar) take(o order, before int64, now time.Time) {
	e := r.entries[o.path]
	if e == nil {
		e = r.open(o.path)
		e.node.wish.order.no = before
	}
	if e.sub == nil {
		e.sub = r.session.SubscribeWith(r.pokes, e.path)
		r.resting--
	}
	r.feed(e, event{kind: ordered, order: o, extra: r.extra}, now)
}

// open makes the entry of a service.
func (r *registrar) open(servicePath string) *entry {
	path := servicePath + "/" + r.cfg.instance
	e := &entry{path: path, sub: r.session.SubscribeWith(r.pokes, path)}
	e.node.wish.keys, e.node.wish.words = r.cfg.operator, r.words[servicePath]
	e.node.connected, e.node.session, e.node.spread = r.seen.Connected, r.seen.Session, spread()
	r.entries[servicePath] = e
	return e
}

// feed is the one place where a node changes.
func (r *registrar) feed(e *entry, ev event, now time.Time) {
	was := e.node
	n, a := step(e.node, ev, now)
	e.node = n
	if ev.kind == found && a.kind == nothing {
		e.err = nil // all is as it should be
	}
	r.note(e, was, ev)
	switch a.kind {
	case nothing:
		r.wakeBy(n.wake())
	case forget:
		r.forget(e)
		return
	case rest:
		r.rest(e)
		return
	default:
		r.queue(job{entry: e, action: a, session: r.seen.Session, alone: n.doing.failures >= failuresTogether})
	}
	r.write(e, now)
}

// queue has a job begun.
func (r *registrar) queue(j job) {
	if j.alone {
		r.alone = append(r.alone, j)
	} else {
		r.together = append(r.together, j)
	}
}

// rest lets a node be whose registration has ended. It is looked at once more after each reconnect.
func (r *registrar) rest(e *entry) {
	switch {
	case e.sub == nil:
	case r.resting == mostResting:
		r.forget(e)
		return
	default:
		r.resting++
		e.sub.Close()
		e.sub = nil
	}
	r.mail.done(e.node.wish.order)
	e.line, r.dirty = nil, true
}

// forget lets a node go. If its service was wanted again in the meantime, the loop is about to learn that, and begins anew; but what an operator
// has said of it stays.
func (r *registrar) forget(e *entry) {
	if e.sub == nil {
		r.resting--
	} else {
		e.sub.Close()
	}
	o := e.node.wish.order
	if r.words[o.path] = e.node.wish.words; e.node.wish.words == nil {
		delete(r.words, o.path)
	}
	delete(r.entries, o.path)
	r.mail.done(o)
	r.dirty = true
}

// answered feeds a node with what came of its action.
func (r *registrar) answered(a answer, now time.Time) {
	r.counters.count(a)
	r.dirty = true
	e := a.entry
	r.lookAtSession(now)
	r.lookAtHints(e, now) // what ZooKeeper told before it answered comes first
	ev := event{kind: a.kind}
	if a.kind == found {
		st := a.found.Stat
		ev.found = sight{
			standing: r.standing(a.found), owner: st.EphemeralOwner, czxid: st.Czxid, mzxid: st.Mzxid,
			ctime: time.UnixMilli(st.Ctime), mtime: time.UnixMilli(st.Mtime), version: st.Version,
			data: string(a.found.Data), readable: a.found.Readable,
		}
	}
	r.noteAnswer(e, a)
	r.feed(e, ev, now)
}

// standing says whose a node is.
func (r *registrar) standing(f session.Found) standing {
	owner := f.Stat.EphemeralOwner
	switch {
	case !f.Exists:
		return absent
	case owner == 0:
		return leftBehind
	case owner == r.seen.ID:
		return ours
	}
	if slices.Contains(r.mine, owner) {
		return formerly
	}
	return foreign
}
