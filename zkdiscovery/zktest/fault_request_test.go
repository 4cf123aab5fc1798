package zktest

import (
	"testing"
)

// Requests that fail or whose connection is cut.

func TestFailNextFailsSoManyOfItsKind(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		w := join(t, s)
		s.FailNext(OpCreate2, CodeNoAuth, 2)
		w.mustFail(t, newNode("/a"), CodeNoAuth)
		w.must(t, exists("/"))
		w.mustFail(t, newNode("/a"), CodeNoAuth)
		mustHave(t, s, "/a", false)
		w.must(t, newNode("/a"))
		s.FailNext(OpExists, CodeNoAuth, 5)
		s.FailNext(OpExists, CodeNoAuth, 0)
		w.must(t, exists("/a"))
	})
}

func TestFailedAuthEndsTheConnection(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		w := join(t, s)
		auth := &request{kind: OpAuth, scheme: schemeDigest, data: []byte("ann:secret")}
		s.FailNext(OpAuth, CodeAuthFailed, 1)
		w.mustFail(t, auth, CodeAuthFailed)
		w.mustEnd(t)
		again := rejoin(t, s, w)
		again.must(t, auth)
		auth.scheme = "nonsense"
		again.mustFail(t, auth, CodeAuthFailed)
		again.mustEnd(t)
	})
}

func TestFailedConnectMeansExpired(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		w := join(t, s)
		s.FailNext(OpConnect, CodeSessionExpired, 1)
		if again := rejoin(t, s, w); again.session != 0 {
			t.Errorf("session %x", again.session)
		}
		if again := rejoin(t, s, w); again.session != w.session {
			t.Errorf("session %x, want %x", again.session, w.session)
		}
	})
}

func TestCutLeavesTheOutcomeUnknown(t *testing.T) {
	for _, c := range []struct {
		name string
		cut  func(*Server, Op, int)
		done bool
	}{
		{"before it is done", (*Server).CutBefore, false},
		{"after it is done", (*Server).CutAfter, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, s *Server) {
				w, other := join(t, s), join(t, s)
				other.watch(t, "/a")
				c.cut(s, OpCreate2, 1)
				w.must(t, exists("/"))
				if list, err := w.call(OpCreate2, newEphemeral("/a").encode()); err == nil || len(list) > 0 {
					t.Errorf("answered: %v", list)
				}
				mustHave(t, s, "/a", c.done)
				if c.done {
					other.mustNotify(t, eventCreated, "/a")
				}
				again := rejoin(t, s, w)
				if again.session != w.session {
					t.Error("the session is gone")
				}
				again.must(t, newEphemeral("/b"))
			})
		})
	}
}

func TestCutConnectLeavesTheSessionUnknown(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		s.CutBefore(OpConnect, 1)
		if err := pipe(t, s).handshake(connectRequest{timeoutMs: 10000}); err == nil || len(s.Sessions()) != 0 {
			t.Errorf("%v, sessions %x", err, s.Sessions())
		}
		s.CutAfter(OpConnect, 1)
		if err := pipe(t, s).handshake(connectRequest{timeoutMs: 10000}); err == nil || len(s.Sessions()) != 1 {
			t.Errorf("%v, sessions %x", err, s.Sessions())
		}
		join(t, s)
	})
}
