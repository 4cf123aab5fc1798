package zktest

import (
	"fmt"
	"net"
	"slices"
	"time"
)

// Stop takes the server away as the death of its process does: its address is refused and every connection is gone when Stop returns.
// What it has stored stays, sessions included, for Start. It may be called twice.
func (s *Server) Stop() {
	s.life.Lock()
	defer s.life.Unlock()
	s.stop()
}

func (s *Server) stop() {
	s.mu.Lock()
	was := s.stopped
	s.stopped = true
	s.mu.Unlock()
	s.hangUp()
	s.dropConnections()
	if !was {
		s.cfg.logger.Info("stopped")
	}
}

// Start brings a stopped server back, at the address that it had. As after a restart of a real one, every session has its whole timeout to
// come back. It fails when the address has been taken by somebody else, and after Close; starting a server that runs does nothing.
func (s *Server) Start() error {
	s.life.Lock()
	defer s.life.Unlock()
	s.mu.Lock()
	stopped, refusing, closed := s.stopped, s.refusing, s.closed
	s.mu.Unlock()
	if closed {
		return fmt.Errorf("zktest: start: %w", net.ErrClosed)
	}
	if !stopped {
		return nil
	}
	var ln net.Listener
	if s.addr != "" && !refusing {
		var err error
		if ln, err = listen(s.addr); err != nil {
			return err
		}
	}
	s.mu.Lock()
	s.stopped = false
	s.restartClocks()
	s.mu.Unlock()
	if ln != nil {
		s.accept(ln)
	}
	s.cfg.logger.Info("started")
	return nil
}

// restartClocks gives every session its whole timeout. The caller holds s.mu.
func (s *Server) restartClocks() {
	now := time.Now()
	for _, ss := range s.state.sessions {
		ss.touch(now)
	}
	poke(s.clockWake)
}

// Refuse turns new connections away, as a full or firewalled server does, while those that exist live on. Over TCP that means to give the
// address up; should somebody else have taken it when the refusal ends, the server waits for it in the background.
func (s *Server) Refuse(on bool) {
	s.life.Lock()
	defer s.life.Unlock()
	s.mu.Lock()
	s.refusing = on
	stopped := s.stopped
	s.mu.Unlock()
	if on {
		s.hangUp()
	} else if !stopped && s.addr != "" && s.listener == nil {
		ln, _ := listen(s.addr) // nil if it fails: accept tries again
		s.accept(ln)
	}
	s.cfg.logger.Info("refusing connections", "on", on)
}

// DropConnections cuts every connection; all are gone when it returns. Sessions live on, and clients may come back at once.
func (s *Server) DropConnections() {
	s.life.Lock()
	defer s.life.Unlock()
	s.dropConnections()
	s.cfg.logger.Info("connections dropped")
}

func (s *Server) dropConnections() {
	s.mu.Lock()
	dropped := s.killConnections()
	s.mu.Unlock()
	await(dropped)
}

// killConnections returns what await is to wait for once s.mu, which the caller holds, is free.
func (s *Server) killConnections() (dropped []*conn) {
	for _, c := range s.conns {
		c.kill()
		dropped = append(dropped, c)
	}
	return dropped
}

func await(dropped []*conn) {
	for _, c := range dropped {
		<-c.done
	}
}

// Silence cuts the wire without anybody noticing: connections stay, new ones are accepted, requests are taken, and nothing is answered.
// Meanwhile the server lives on: it hears nothing of its clients, so that their sessions expire in time, and what it would have told them
// waits. When the silence ends, that is delivered, and what was requested meanwhile is done now, in order, on those connections that the
// client has not given up; what it has given up is never done. A connection whose session has expired is closed then.
func (s *Server) Silence(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.silent == on {
		return
	}
	s.silent = on
	s.cfg.logger.Info("silence", "on", on)
	for _, id := range s.connIDs() {
		c := s.conns[id]
		held := c.held
		c.held = nil
		for _, frame := range held {
			c.out.hold(-heldCost(frame))
			if !c.dead {
				s.process(c, frame)
			}
		}
		c.out.freeze(on)
	}
}

// connIDs is in the order of arrival.
func (s *Server) connIDs() []watcher {
	ids := make([]watcher, 0, len(s.conns))
	for id := range s.conns {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// Delay makes every reply and every notification arrive d later, as a longer way does: they follow each other as closely as before. What
// is under way keeps its time.
func (s *Server) Delay(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay = d
	s.cfg.logger.Info("delay", "by", d)
}

// ExpireSession ends a session as if its client had not been heard of for its timeout: its ephemeral nodes and its connection are gone. It
// reports whether there was such a session.
func (s *Server) ExpireSession(id int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	ss := s.state.sessions[id]
	if ss == nil {
		return false
	}
	s.expire(ss)
	return true
}

// ExpireAll ends every session.
func (s *Server) ExpireAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range s.sessionIDs() {
		s.expire(s.state.sessions[id])
	}
}

// Wipe puts a new, empty ensemble in the place of the old one: no nodes, no sessions, and the zxids begin anew. Every connection is cut,
// and clients that have seen a higher zxid are refused from now on, as a real ensemble does.
func (s *Server) Wipe() { s.replace(newState(s.cfg.version)) }

// Checkpoint keeps a copy of everything stored, for Rollback.
func (s *Server) Checkpoint() {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.state.clone()
	s.checkpoint = &st
}

// Rollback puts back what was stored at the last Checkpoint, as an ensemble restored from a backup does: nodes, zxid and sessions, which
// have their whole timeout to come back. Every connection is cut. Without a Checkpoint it is a Wipe. It may be repeated.
func (s *Server) Rollback() {
	s.mu.Lock()
	st := newState(s.cfg.version)
	if s.checkpoint != nil {
		st = s.checkpoint.clone()
	}
	s.mu.Unlock()
	s.replace(st)
}

func (s *Server) replace(st state) {
	s.life.Lock()
	defer s.life.Unlock()
	s.mu.Lock()
	dropped := s.killConnections()
	s.state = st
	s.recordAll()
	s.restartClocks()
	s.mu.Unlock()
	await(dropped)
	s.cfg.logger.Info("tree and sessions replaced")
}

// SetVersion makes the server one of another version, as an upgrade does, or a client's next server while an ensemble is being upgraded: what is stored
// and the sessions stay, every connection is cut.
func (s *Server) SetVersion(v Version) {
	s.life.Lock()
	defer s.life.Unlock()
	s.mu.Lock()
	dropped := s.killConnections()
	s.cfg.version = v
	s.watches = newWatchTable(v)
	s.state.tree.setVersion(v)
	if s.checkpoint != nil {
		s.checkpoint.tree.setVersion(v)
	}
	s.mu.Unlock()
	await(dropped)
	s.cfg.logger.Info("version", "now", v)
}

// ForgetWatches takes every watch away without a word, as no real server should: a client that waits for one is told nothing. Connections stay.
func (s *Server) ForgetWatches() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watches = newWatchTable(s.cfg.version)
	s.cfg.logger.Info("watches forgotten")
}

// FailNext answers the next n requests of a kind with code, without doing them. A failed auth or close ends its connection; a failed
// OpConnect tells the client that its session has expired, whatever code says.
//
// FailNext, CutBefore and CutAfter replace one another's rest for the same kind; with n 0 they end it.
func (s *Server) FailNext(op Op, code Code, n int) { s.setFault(op, fault{faultFail, code, n}) }

// CutBefore cuts the connections on which the next n requests of a kind arrive, without doing them.
func (s *Server) CutBefore(op Op, n int) { s.setFault(op, fault{do: faultCutBefore, left: n}) }

// CutAfter cuts the connections on which the next n requests of a kind arrive after doing them, without a reply: the client cannot know
// whether they have been done.
func (s *Server) CutAfter(op Op, n int) { s.setFault(op, fault{do: faultCutAfter, left: n}) }

func (s *Server) setFault(op Op, f fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[op] = f
}

// fault is what is still to happen to requests of a kind.
type fault struct {
	do   faultKind
	code Code
	left int
}

type faultKind uint8

const (
	faultNone faultKind = iota
	faultFail
	faultCutBefore
	faultCutAfter
)

type faults map[Op]fault

// take returns what is to happen to a request of a kind, once less.
func (f faults) take(op Op) fault {
	x, ok := f[op]
	if !ok {
		return fault{}
	}
	if x.left--; x.left <= 0 {
		delete(f, op)
	} else {
		f[op] = x
	}
	if x.left < 0 {
		return fault{}
	}
	return x
}
