package zktest

import (
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"maps"
	"time"
)

// session is one client's stay, which outlives its connections.
type session struct {
	id       int64
	password []byte
	timeout  time.Duration
	deadline time.Time
	conn     *conn // the current one, or nil
}

// LogValue is the id as ZooKeeper's own logs have it.
func (ss *session) LogValue() slog.Value { return slog.StringValue(fmt.Sprintf("%#x", ss.id)) }

func (ss *session) touch(now time.Time) { ss.deadline = now.Add(ss.timeout) }

// state is what an ensemble stores: its nodes and its sessions.
type state struct {
	tree     *tree
	sessions map[int64]*session
}

func newState(v Version) state {
	return state{tree: newTree(v), sessions: make(map[int64]*session)}
}

// clone is a copy without connections.
func (st state) clone() state {
	c := state{tree: st.tree.clone(), sessions: maps.Clone(st.sessions)}
	for id, ss := range c.sessions {
		copied := *ss
		copied.conn = nil
		c.sessions[id] = &copied
	}
	return c
}

const passwordSize = 16

// connect answers the first frame of a connection. The caller holds s.mu, as for all below.
func (s *Server) connect(c *conn, frame []byte) {
	r, err := decodeConnectRequest(frame)
	if err != nil {
		c.kill()
		return
	}
	s.stats.Requests[OpConnect]++
	if r.lastZxid > s.state.tree.zxid {
		// Somebody who has seen the future: this server lags behind, or was restored. A real one hangs up without a word, too.
		s.cfg.logger.Debug("client refused: it has seen a newer zxid", "seen", r.lastZxid, "zxid", s.state.tree.zxid)
		c.kill()
		return
	}
	f := s.faults.take(OpConnect)
	if f.do == faultCutBefore {
		c.kill()
		return
	}
	var ss *session
	switch {
	case f.do == faultFail:
	case r.session == 0:
		ss = s.openSession()
	default:
		ss = s.takeUp(&r)
	}
	if ss == nil { // "expired"
		c.reply(encodeConnectReply(0, 0, make([]byte, passwordSize), r.readOnly))
		c.finish()
		return
	}
	ss.timeout = min(max(time.Duration(r.timeoutMs)*time.Millisecond, s.cfg.minTimeout), s.cfg.maxTimeout)
	ss.conn, c.session = c, ss
	ss.touch(time.Now())
	poke(s.clockWake)
	if f.do == faultCutAfter {
		c.kill()
		return
	}
	c.reply(encodeConnectReply(int32(ss.timeout.Milliseconds()), ss.id, ss.password, r.readOnly)) //nolint:gosec // bounded by the options
}

func (s *Server) openSession() *session {
	s.lastSession++
	ss := &session{id: s.lastSession, password: make([]byte, passwordSize)}
	_, _ = rand.Read(ss.password) // never fails
	s.state.sessions[ss.id] = ss
	s.state.tree.openSession()
	s.stats.SessionsOpened++
	s.cfg.logger.Debug("session opened", "session", ss)
	return ss
}

// takeUp returns the session that a client wants to continue, nil if there is none or it is not the client's. The session's former
// connection is cut even if the password is wrong, as in ZooKeeper.
func (s *Server) takeUp(r *connectRequest) *session {
	ss := s.state.sessions[r.session]
	if ss == nil {
		return nil
	}
	if old := ss.conn; old != nil {
		old.cut()
	}
	if subtle.ConstantTimeCompare(ss.password, r.password) == 0 {
		return nil
	}
	return ss
}

// closeSession ends a session and deletes what belongs to it. Its connection is the caller's to end.
func (s *Server) closeSession(ss *session) {
	s.cfg.logger.Debug("session ended", "session", ss)
	delete(s.state.sessions, ss.id)
	s.notify(s.state.tree.closeSession(ss.id))
}

// expire ends a session as the clock does: its client learns of it when it comes back.
func (s *Server) expire(ss *session) {
	s.stats.SessionsExpired++
	s.closeSession(ss)
	if ss.conn != nil {
		ss.conn.cut()
	}
}
