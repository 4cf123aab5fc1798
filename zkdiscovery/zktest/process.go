package zktest

import (
	"slices"
	"time"
)

// What a connection asks for is done here, one frame at a time for all connections, under s.mu: that is what makes the order in which
// requests are done the order in which every client hears of it. A write queues its notifications before its own reply, and both before
// anybody else can be answered with what it has changed.

// receive is where a connection's reader brings a whole frame.
func (s *Server) receive(c *conn, frame []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case c.dead:
	case s.silent:
		c.held = append(c.held, frame)
		c.out.hold(heldCost(frame))
	default:
		s.process(c, frame)
	}
}

// outcome is what a request leads to on its own connection.
type outcome struct {
	result
	zxid   int64 // for the reply's header
	ends   bool  // the connection ends after the reply
	hangUp bool  // the connection ends without one
}

// process does what a frame asks for.
func (s *Server) process(c *conn, frame []byte) {
	if c.session == nil {
		s.connect(c, frame)
		return
	}
	d := decoder{b: frame}
	xid, kind := d.int32(), Op(d.int32())
	if d.err != nil { // not even a header
		c.kill()
		return
	}
	s.stats.Requests[kind.counted()]++
	c.session.touch(time.Now())
	var out outcome
	switch f := s.faults.take(kind); f.do {
	case faultCutBefore:
		out.hangUp = true
	case faultFail:
		out = outcome{result: result{code: f.code}, zxid: s.state.tree.zxid, ends: kind == OpAuth || kind == OpClose}
	default:
		out = s.execute(c, kind, d.b)
		out.hangUp = out.hangUp || f.do == faultCutAfter
	}
	if out.hangUp {
		c.kill()
		return
	}
	c.reply(encodeReply(xid, out.zxid, kind, &out.result))
	if out.ends {
		c.finish()
	}
}

// execute performs a request of a connection that has a session.
func (s *Server) execute(c *conn, kind Op, record []byte) (out outcome) {
	if !s.cfg.version.knows(kind) { // as a real server answers what it does not know
		return outcome{result: result{code: CodeUnimplemented}, zxid: -1, ends: true}
	}
	r, err := decodeRequest(kind, record)
	by := caller{session: c.session.id, ids: c.ids}
	switch {
	case kind == OpAuth && err != nil:
		return outcome{hangUp: true}
	case kind == OpAuth:
		out.result = s.auth(c, &r)
		out.ends = out.code != CodeOK
		return out // without a zxid: a real server answers on arrival, ahead of everything that knows of zxids
	case kind.writes() && err == nil:
		out.result = s.apply(&r, by)
	case kind.writes():
		out.code = CodeMarshallingError
		s.state.tree.zxid++ // a real server takes a number before it looks
	case err != nil:
		out.code = CodeMarshallingError
	case kind == OpExists, kind == OpGetData, kind == OpGetACL, kind == OpGetChildren, kind == OpGetChildren2:
		out.result = s.read(c, &r, by)
	case kind == OpMultiRead:
		out.result = s.multiRead(&r, by)
	case kind == OpAddWatch:
		out.code = s.addWatch(c, &r)
	case kind == OpWhoAmI:
		out.ids = c.ids
	case kind == OpPing:
	case kind == OpSync:
		out.path = r.path
	case kind == OpSetWatches, kind == OpSetWatches2:
		s.setWatches(c, &r.watches)
	case kind == OpRemoveWatches:
		out.code = s.removeWatches(c, &r)
	case kind == OpClose:
		s.closeSession(c.session)
		out.ends = true
	}
	out.zxid = s.state.tree.zxid
	return out
}

func (s *Server) auth(c *conn, r *request) result {
	id, ok := authenticate(r.scheme, r.data, remoteIP(c.nc))
	if !ok {
		return result{code: CodeAuthFailed}
	}
	if !slices.Contains(c.ids, id) {
		c.ids = append(c.ids, id)
	}
	return result{}
}

func (s *Server) read(c *conn, r *request, by caller) result {
	res := s.state.tree.read(r, by)
	if !r.watch {
		return res
	}
	switch r.kind {
	case OpExists: // one that finds nothing waits for the node to appear
		if res.code == CodeOK || res.code == CodeNoNode {
			s.watch(c, watchData, r.path)
		}
	case OpGetData:
		if res.code == CodeOK {
			s.watch(c, watchData, r.path)
		}
	case OpGetChildren, OpGetChildren2:
		if res.code == CodeOK {
			s.watch(c, watchChildren, r.path)
		}
	default:
	}
	return res
}

func (s *Server) watch(c *conn, kind watchKind, path string) {
	if s.watches.add(c.id, kind, path) {
		s.stats.WatchesSet++
	}
}

// setWatches gives a client that was away its watches back, or tells it at once what they would have told.
func (s *Server) setWatches(c *conn, lost *watchesLost) {
	for _, path := range lost.data {
		switch n := s.state.tree.nodes[path]; {
		case n == nil:
			s.tell(c, event{kind: eventDeleted, path: path})
		case n.mzxid > lost.zxid:
			s.tell(c, event{kind: eventDataChanged, path: path})
		default:
			s.watch(c, watchData, path)
		}
	}
	for _, path := range lost.exist {
		if s.state.tree.nodes[path] != nil {
			s.tell(c, event{kind: eventCreated, path: path})
		} else {
			s.watch(c, watchData, path)
		}
	}
	for _, path := range lost.child {
		switch n := s.state.tree.nodes[path]; {
		case n == nil:
			s.tell(c, event{kind: eventDeleted, path: path})
		case n.pzxid > lost.zxid:
			s.tell(c, event{kind: eventChildrenChanged, path: path})
		default:
			s.watch(c, watchChildren, path)
		}
	}
	// Lasting watches are set, and nothing is caught up.
	for _, path := range lost.persistent {
		s.lastingWatch(c, path, watchPersistent)
	}
	for _, path := range lost.recursive {
		s.lastingWatch(c, path, watchRecursive)
	}
}

// addWatch leaves a watch that stays, by ZooKeeper's numbers: 0 persistent, 1 persistent and recursive. The path need not exist, nor make sense.
func (s *Server) addWatch(c *conn, r *request) Code {
	switch {
	case s.cfg.optimizedWatches, r.version != 0 && r.version != 1:
		return CodeMarshallingError
	case r.version == 1:
		s.lastingWatch(c, r.path, watchRecursive)
	default:
		s.lastingWatch(c, r.path, watchPersistent)
	}
	return CodeOK
}

func (s *Server) lastingWatch(c *conn, path string, mode watchMode) {
	if s.watches.addLasting(c.id, path, mode) {
		s.stats.WatchesSet++
	}
}

// multiRead reads everything at one moment. Watches are not left, whatever the parts ask for, and a part that fails does not hinder the others.
func (s *Server) multiRead(r *request, by caller) result {
	res := result{parts: make([]result, len(r.parts))}
	for i := range r.parts {
		p := s.state.tree.read(&r.parts[i], by)
		if p.kind = r.parts[i].kind; p.code != CodeOK {
			p.kind = opError
		}
		res.parts[i] = p
	}
	return res
}

// removeWatches takes watches of a client away, by ZooKeeper's numbers: 1 those on children, 2 those on data, 3 all, and from 3.9 on 4 the
// persistent and 5 the recursive ones. Up to 3.8 the first two take half of a lasting one.
func (s *Server) removeWatches(c *conn, r *request) Code {
	children, data := watchKey{watchChildren, r.path}, watchKey{watchData, r.path}
	few := watchOnce
	if !s.watches.several {
		few |= watchLasting
	}
	t, removed := &s.watches, false
	remove := func(key watchKey, modes watchMode) { removed = t.removeModes(c.id, key, modes) || removed }
	switch {
	case r.version == 1:
		remove(children, few)
	case r.version == 2:
		remove(data, few)
	case r.version == 3:
		remove(children, watchOnce|watchLasting)
		remove(data, watchOnce|watchLasting)
	case r.version == 4 && t.several:
		remove(children, watchPersistent)
		remove(data, watchPersistent)
	case r.version == 5 && t.several:
		remove(data, watchRecursive)
	default:
		return CodeMarshallingError
	}
	if !removed {
		return CodeNoWatcher
	}
	return CodeOK
}

// apply performs a write, of a client or of the Server's own methods.
func (s *Server) apply(r *request, by caller) result {
	res, events := s.state.tree.apply(r, by, time.Now().UnixMilli())
	s.notify(events)
	if len(s.state.tree.containers) > 0 && s.sweepAt.IsZero() {
		poke(s.clockWake)
	}
	return res
}

func (s *Server) notify(events []event) {
	s.record(events)
	for _, ev := range events {
		for _, w := range s.watches.fire(ev) {
			at := ev
			if s.cfg.watchPaths && w.path != ev.path {
				at.path = w.path
			}
			s.tell(s.conns[w.watcher], at)
		}
	}
}

// tell sends a notification to a client that may know of it.
func (s *Server) tell(c *conn, ev event) {
	if s.cfg.version == Version34 || allowed(ev.acl, permRead, c.ids) {
		s.stats.Notifications++
		zxid := int64(-1)
		if s.cfg.version >= Version39 && ev.zxid > 0 {
			zxid = ev.zxid
		}
		c.reply(encodeEvent(ev, zxid))
	}
}
