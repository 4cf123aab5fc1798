package session

import "time"

// kept is how many events of the connection are remembered.
const kept = 32

// Event is a moment at which the connection came or went.
type Event struct {
	At         time.Time
	Connected  bool
	NewSession bool // with the connection a new ZooKeeper session began
	Server     string
	ID         int64 // of the session
	Err        error // why the connection went; nil when it came
}

// History returns the newest events of the connection, oldest first, 32 at most. The slice is the caller's own.
func (s *Session) History() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Event(nil), s.history...)
}

// remember notes that the connection came or went. The caller holds mu, and has set the state.
func (s *Session) remember() {
	st := &s.state
	e := Event{At: st.Since, Connected: st.Connected, Server: st.Server, ID: st.ID}
	if st.Connected {
		e.NewSession = len(s.history) == 0 || s.history[len(s.history)-1].ID != st.ID
	} else {
		e.Err = st.Err
	}
	if len(s.history) == kept {
		s.history = append(s.history[:0], s.history[1:]...)
	}
	s.history = append(s.history, e)
}
