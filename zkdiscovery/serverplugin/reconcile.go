package serverplugin

import (
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

// entry is a node with what belongs to it outside of the decision.
type entry struct {
	service *service // under registrar.mu, but for its path, which does not change
	path    string   // of the node
	node    node
	claims  int // service.claims that the node knows of
	sub     *session.Subscription
	err     *OpError // what ZooKeeper refused last
}

// job is an action on a node, decided in the session of that number.
type job struct {
	entry   *entry
	action  action
	session int64
}

// answer is what came of a job.
type answer struct {
	job
	kind  eventKind
	found session.Found
	err   error
}

// look feeds the nodes with what is wanted, what the session's state is, and what was hinted.
func (r *registrar) look(now time.Time) {
	r.lookAtSession(now)
	for _, e := range r.entries {
		r.lookAtHints(e, now)
	}
	r.lookAtServices(now)
}

func (r *registrar) lookAtHints(e *entry, now time.Time) {
	if e.sub.Take().List {
		r.feed(e, event{kind: hinted}, now)
	}
}

// lookAtSession tells the nodes of a connection that came or went.
func (r *registrar) lookAtSession(now time.Time) {
	st := r.session.State()
	was := r.seen
	st.Connected = st.Connected && r.ready
	r.seen = st
	if st.Connected && !slices.Contains(r.mine, st.ID) {
		r.mine = append(r.mine[max(0, len(r.mine)+1-sessionsKept):], st.ID)
	}
	fresh := st.Session != was.Session
	if st.Connected == was.Connected && st.Link == was.Link && !fresh {
		return
	}
	r.expired = r.expired && !st.Connected
	ev := event{kind: disconnected, fresh: fresh}
	if st.Connected {
		ev.kind = connected
	}
	for _, e := range r.entries {
		r.feed(e, ev, now)
	}
}

// lookAtServices tells the nodes what is wanted.
func (r *registrar) lookAtServices(now time.Time) {
	type change struct {
		entry *entry
		event event
	}
	var changes []change
	r.mu.Lock()
	if !r.edited {
		r.mu.Unlock()
		return
	}
	r.edited = false
	for path, sv := range r.services {
		e := r.entries[path]
		if e == nil {
			if !sv.wanted {
				sv.release()
				delete(r.services, path)
				continue
			}
			e = r.open(sv)
		}
		if !sv.wanted {
			if e.node.wanted {
				changes = append(changes, change{e, event{kind: unwanted}})
			}
			continue
		}
		data := compose(sv.metadata, r.metrics, r.draining)
		if claim := sv.claims != e.claims; claim || data != e.node.data {
			e.claims = sv.claims
			changes = append(changes, change{e, event{kind: wanted, data: data, claim: claim}})
		}
	}
	r.mu.Unlock()
	for _, c := range changes {
		r.feed(c.entry, c.event, now)
	}
}

// open makes the entry of a service. The caller holds mu.
func (r *registrar) open(sv *service) *entry {
	path := sv.path + "/" + r.cfg.instance
	e := &entry{service: sv, path: path, sub: r.session.SubscribeWith(r.pokes, path)}
	e.node.connected, e.node.spread = r.seen.Connected, spread()
	r.entries[sv.path] = e
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
	default:
		r.queue = append(r.queue, job{e, a, r.seen.Session})
	}
	r.publish(e, now)
}

// forget lets a node go. If its service was wanted again in the meantime, the loop is about to look at that, and begins anew.
func (r *registrar) forget(e *entry) {
	e.sub.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	sv := e.service
	delete(r.entries, sv.path)
	if sv.wanted {
		return
	}
	sv.release()
	delete(r.services, sv.path)
	r.tell()
}

// publish puts into the service's report what the node has become.
func (r *registrar) publish(e *entry, now time.Time) {
	n := &e.node
	rep := report{phase: n.phase, session: r.seen.Session, touched: n.touched, err: e.err}
	if n.heard {
		rep.said = n.said
	}
	if n.phase == Yielded {
		rep.owner = n.owner
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	sv := e.service
	sv.report.touched = n.touched // always: Unregister and Drain ask at once
	if !sv.wanted && n.wanted || sv.wanted && sv.claims != e.claims {
		return // the node does not know yet what is wanted
	}
	was := sv.report
	rep.since = was.since
	if rep == was {
		return
	}
	if rep.phase != was.phase {
		rep.since = now
	}
	sv.report = rep
	r.tell()
}

// answered feeds a node with what came of its action.
func (r *registrar) answered(a answer, now time.Time) {
	r.running--
	r.mu.Lock()
	r.counters.count(a)
	r.mu.Unlock()
	e := a.entry
	r.lookAtSession(now)
	r.lookAtHints(e, now) // what ZooKeeper told before it answered comes first
	ev := event{kind: a.kind, outdated: a.session != r.seen.Session}
	switch a.kind {
	case found:
		ev.readable, ev.data = a.found.Readable, string(a.found.Data)
		ev.owner, ev.czxid, ev.version = a.found.Stat.EphemeralOwner, a.found.Stat.Czxid, a.found.Stat.Version
		ev.standing = r.standing(a.found)
		r.mute.Store(false)
	case wrote, conflicted, refused:
		r.mute.Store(false)
	default:
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
		return persistent
	case owner == r.seen.ID:
		return ours
	}
	if slices.Contains(r.mine, owner) {
		return formerly
	}
	return foreign
}
