package zktest

import (
	"fmt"
	"testing"
	"time"
)

func TestExpiredSessionLosesConnectionAndNodes(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		w, other := join(t, s), join(t, s)
		w.must(t, newEphemeral("/w"))
		other.must(t, newEphemeral("/other"))
		other.watch(t, "/w")
		if s.ExpireSession(12345) {
			t.Error("a session that never was has expired")
		}
		if !s.ExpireSession(w.session) {
			t.Error("no such session")
		}
		w.mustEnd(t)
		other.mustNotify(t, eventDeleted, "/w")
		mustSessions(t, s, other)
		if again := rejoin(t, s, w); again.session != 0 {
			t.Errorf("session %x has come back", again.session)
		}
		s.ExpireAll()
		other.mustEnd(t)
		mustSessions(t, s)
		mustHave(t, s, "/other", false)
		if st := s.Stats(); st.SessionsExpired != 2 || st.SessionsOpened != 2 {
			t.Errorf("%+v", st)
		}
	})
}

func TestSessionExpiresWhenItsTimeoutHasPassed(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		w := join(t, s)
		w.must(t, newEphemeral("/w"))
		pass(10*time.Second - 1)
		mustHave(t, s, "/w", true)
		pass(1)
		mustHave(t, s, "/w", false)
		w.mustEnd(t)
	})
}

// A real server follows a hash table; a test wants to see the same every time.
func TestSessionsThatExpireTogetherGoInTheOrderOfTheirIDs(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		watcher := pipe(t, s)
		if err := watcher.handshake(connectRequest{timeoutMs: 20000}); err != nil {
			t.Fatal(err)
		}
		const sessions = 20
		for i := range sessions {
			path := fmt.Sprintf("/%02d", i)
			join(t, s).must(t, newEphemeral(path))
			watcher.watch(t, path)
		}
		pass(10 * time.Second)
		for i := range sessions {
			watcher.mustNotify(t, eventDeleted, fmt.Sprintf("/%02d", i))
		}
	})
}

func TestAnyRequestKeepsASessionAlive(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		w := join(t, s)
		for range 10 {
			pass(9 * time.Second)
			w.must(t, exists("/"))
		}
		mustSessions(t, s, w)
	})
}

func TestSessionTakenUpElsewhereLosesItsConnection(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		w := join(t, s)
		w.must(t, newEphemeral("/w"))
		w.watch(t, "/x")
		again := rejoin(t, s, w)
		w.mustEnd(t)
		mustPut(t, s, "/x")
		again.must(t, exists("/w")) // and not the watch of the connection before
		thief := pipe(t, s)
		if err := thief.handshake(connectRequest{timeoutMs: 10000, session: w.session, password: []byte("0123456789abcdef")}); err != nil || thief.session != 0 {
			t.Errorf("a wrong password: %v, session %x", err, thief.session)
		}
		thief.mustEnd(t)
		again.mustEnd(t) // as a real server does, whoever asks
		mustSessions(t, s, w)
		if third := rejoin(t, s, w); third.session != w.session {
			t.Error("the session is gone")
		}
	})
}

func TestClosedSessionAnswersThenHangsUp(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		w, other := join(t, s), join(t, s)
		w.must(t, newEphemeral("/w"))
		other.watch(t, "/w")
		zxid := s.Zxid()
		if a := w.must(t, &request{kind: OpClose}); a.zxid != zxid+1 {
			t.Errorf("closed at zxid %d, want %d", a.zxid, zxid+1)
		}
		w.mustEnd(t)
		other.mustNotify(t, eventDeleted, "/w")
		mustSessions(t, s, other)
	})
}
