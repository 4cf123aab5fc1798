package zktest

import (
	"errors"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestStopKeepsWhatIsStored(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		w, gone := join(t, s), join(t, s)
		w.must(t, newEphemeral("/w"))
		gone.must(t, newEphemeral("/gone"))
		w.watch(t, "/x")
		s.Stop()
		s.Stop()
		w.mustEnd(t)
		if _, err := s.Dial(t.Context(), "tcp", "zk:2181"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dialling a stopped server: %v", err)
		}
		pass(time.Hour) // clocks stand still
		mustSessions(t, s, w, gone)
		mustPut(t, s, "/x")

		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		pass(9 * time.Second) // and have all their time again now
		mustSessions(t, s, w, gone)
		again := rejoin(t, s, w)
		if again.session != w.session {
			t.Fatalf("session %x, want %x", again.session, w.session)
		}
		pass(2 * time.Second)
		mustSessions(t, s, w)
		mustHave(t, s, "/w", true)
		mustHave(t, s, "/gone", false)
		if st := s.Stats(); st.Watches != 0 || st.Notifications != 0 {
			t.Errorf("a watch has survived its connection: %+v", st)
		}
	})
}

func TestStartOfARunningServerDoesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		w := join(t, s)
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		w.must(t, exists("/"))
	})
}

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

func TestDroppedConnectionsLeaveSessions(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		w := join(t, s)
		w.must(t, newEphemeral("/w"))
		s.DropConnections()
		w.mustEnd(t)
		if st := s.Stats(); st.Connections != 0 || st.Sessions != 1 {
			t.Errorf("%+v", st)
		}
		if again := rejoin(t, s, w); again.session != w.session {
			t.Errorf("session %x, want %x", again.session, w.session)
		}
	})
}

func TestRefusalSparesConnections(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		w := join(t, s)
		s.Refuse(true)
		if _, err := s.Dial(t.Context(), "tcp", "zk:2181"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Error(err)
		}
		w.must(t, exists("/"))
		s.Refuse(false)
		join(t, s)
	})
}

func TestSilenceHoldsEverythingBack(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		w, dying, leaving := join(t, s), join(t, s), join(t, s)
		dying.must(t, newEphemeral("/dying"))
		w.watch(t, "/dying")
		pass(9 * time.Second)
		for _, c := range []*wire{w, leaving} {
			c.must(t, exists("/"))
		}

		s.Silence(true)
		first, second := *newNode("/first"), *newNode("/first/second")
		for _, r := range []request{first, second, *exists("/dying")} {
			if _, err := w.post(r.kind, r.encode()); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := leaving.post(OpCreate2, newNode("/leaving").encode()); err != nil {
			t.Fatal(err)
		}
		late := pipe(t, s) // accepted, and not greeted
		greeted := make(chan error, 1)
		go func() { greeted <- late.handshake(connectRequest{timeoutMs: 10000}) }()
		pass(2 * time.Second)
		mustHave(t, s, "/first", false)
		mustHave(t, s, "/dying", false) // the server lives on, and has not heard of it for 11s
		_ = leaving.nc.Close()
		select {
		case err := <-greeted:
			t.Fatalf("greeted: %v", err)
		default:
		}
		w.mustHearNothing(t)
		dying.mustHearNothing(t) // nor that it has been cut off
		synctest.Wait()

		s.Silence(false)
		w.mustNotify(t, eventDeleted, "/dying")
		for _, code := range []Code{CodeOK, CodeOK, CodeNoNode} {
			if a, err := w.answer(); err != nil || a.code != code {
				t.Fatalf("%+v %v, want %v", a, err, code)
			}
		}
		dying.mustEnd(t)
		if err := <-greeted; err != nil || late.session == 0 {
			t.Errorf("greeted after all: %v, session %x", err, late.session)
		}
		mustHave(t, s, "/leaving", false)
	})
}

func TestDelayIsAWayNotARate(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		w, other := join(t, s), join(t, s)
		w.watch(t, "/new")
		s.Delay(time.Second)
		start := time.Now()
		for range 20 {
			if _, err := w.post(OpExists, exists("/").encode()); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(100 * time.Millisecond)
		if _, err := other.post(OpCreate2, newNode("/new").encode()); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			if a, err := w.answer(); err != nil || a.xid == xidEvent || time.Since(start) != time.Second {
				t.Fatalf("%+v %v after %v", a, err, time.Since(start))
			}
		}
		w.mustNotify(t, eventCreated, "/new")
		if took := time.Since(start); took != 1100*time.Millisecond {
			t.Errorf("notified after %v", took)
		}
		s.Delay(0)
		before := time.Now()
		w.must(t, exists("/"))
		if took := time.Since(before); took != 0 {
			t.Errorf("%v without a delay", took)
		}
	})
}

func TestWipedServerKnowsNobody(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		w := join(t, s)
		w.must(t, newNode("/a"))
		s.Wipe()
		w.mustEnd(t)
		mustSessions(t, s)
		mustHave(t, s, "/a", false)
		if s.Zxid() != 0 {
			t.Errorf("zxid %d", s.Zxid())
		}
		late := pipe(t, s)
		if err := late.handshake(connectRequest{timeoutMs: 10000, session: w.session, password: w.password, lastZxid: w.zxid}); err == nil {
			t.Error("a client of the former ensemble was not refused")
		}
		if n := join(t, s); n.session == w.session {
			t.Error("the new ensemble has given the same session out again")
		}
	})
}

func TestRollbackRestoresTreeZxidAndSessions(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		old := join(t, s)
		old.must(t, newEphemeral("/old"))
		s.Checkpoint()
		zxid := s.Zxid()
		for range 2 {
			newer := join(t, s)
			newer.must(t, newNode("/newer"))
			if err := s.Delete("/old"); err != nil {
				t.Fatal(err)
			}
			pass(time.Minute)
			s.Rollback()
			newer.mustEnd(t)
			mustSessions(t, s, old)
			mustHave(t, s, "/old", true)
			mustHave(t, s, "/newer", false)
			if s.Zxid() != zxid {
				t.Errorf("zxid %d, want %d", s.Zxid(), zxid)
			}
			late := pipe(t, s)
			if err := late.handshake(connectRequest{timeoutMs: 10000, lastZxid: newer.zxid}); err == nil {
				t.Error("a client that has seen what came later was not refused")
			}
			if late = rejoin(t, s, old); late.session != old.session {
				t.Error("a session of the checkpoint is gone")
			}
			checkTree(t, s)
		}
		pass(10 * time.Second)
		mustHave(t, s, "/old", false)
	})
}

func TestRollbackWithoutACheckpointIsAWipe(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		mustPut(t, s, "/a/b")
		s.Rollback()
		if tree := s.Tree(); len(tree) != 1 || s.Zxid() != 0 {
			t.Errorf("%v at zxid %d", tree, s.Zxid())
		}
	})
}

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
