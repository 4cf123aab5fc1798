package session

import "time"

// State is what is known of the connection at one moment.
type State struct {
	Connected bool          // requests can be made
	Closed    bool          // Close was called
	Session   int64         // grows with every new ZooKeeper session; 0: there was none yet. Watches live as long as it stays the same
	Link      int64         // grows with every connection that was established, and when Extension changes within one
	Forgotten int64         // grows when one-shot watches are not set again within a session, because a server has lasting ones
	Extension Extension     // what the server that is connected has, and is made use of
	ID        int64         // ZooKeeper's id of the newest session
	Timeout   time.Duration // negotiated for the newest session
	Server    string        // the server that is, or was last, connected
	Since     time.Time     // when Connected changed last
	Heard     time.Time     // ZooKeeper was there, and every hint of what happened before has been given; what was after, is not known
	Rounds    int           // rounds through all servers that failed since the last connection
	Refused   bool          // in the last of them, every server said no at once
	Err       error         // why there is no connection, or why the one before this ended …
	ErrAt     time.Time     // … and when that was met
}

// State returns the state of this moment.
func (s *Session) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stateLocked()
}

// Changed returns the state of this moment and a channel that is closed at its next change (Heard does not count as one).
func (s *Session) Changed() (State, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stateLocked(), s.changed
}

func (s *Session) stateLocked() State {
	st := s.state
	st.Heard = s.heard()
	return st
}

// heard is State.Heard. The caller holds mu.
func (s *Session) heard() time.Time {
	if s.link == nil {
		return time.Time{}
	}
	return s.link.heardAt()
}

// setErr notes an error of this moment. The caller holds mu, and tells.
func (s *Session) setErr(err error) { s.state.Err, s.state.ErrAt = err, time.Now() }

// setConnected changes State.Connected and tells. The caller holds mu.
func (s *Session) setConnected(up bool) {
	if s.state.Connected != up {
		s.state.Connected, s.state.Since = up, time.Now()
		s.remember()
	}
	s.tell()
}

// tell wakes everybody who waits for a change. The caller holds mu.
func (s *Session) tell() {
	close(s.changed)
	s.changed = make(chan struct{})
	for _, subs := range s.subs {
		for _, sub := range subs {
			sub.poke()
		}
	}
}
