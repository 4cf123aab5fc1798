package zktest

import (
	"errors"
	"fmt"
	"slices"
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
		third := join(t, s) // which has the clock look at all of them
		pass(9 * time.Second)
		mustSessions(t, s, w, gone, third) // they have all their time again now
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

func TestSilenceEndsForOneConnectionAfterTheOther(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		const clients = 20
		var asking []*wire
		for range clients {
			asking = append(asking, join(t, s))
		}
		s.Silence(true)
		for _, w := range slices.Backward(asking) {
			r := newNode("/n-")
			r.flags = sequential
			if _, err := w.post(OpCreate2, r.encode()); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		s.Silence(false)
		for i, w := range asking {
			a, err := w.answer()
			if err != nil {
				t.Fatal(err)
			}
			d := decoder{b: a.body}
			if got, want := d.string(), fmt.Sprintf("/n-%010d", i); got != want {
				t.Fatalf("the client that came as number %d has made %s, want %s", i, got, want)
			}
		}
	})
}

// What stands behind a close in the queue is not another handshake.
func TestWhatFollowsACloseInASilenceIsNotDone(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		w := join(t, s)
		s.Silence(true)
		if _, err := w.post(OpClose, nil); err != nil {
			t.Fatal(err)
		}
		if err := w.send(handshake(connectRequest{timeoutMs: 10000})); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		s.Silence(false)
		if _, err := w.answer(); err != nil {
			t.Fatal(err)
		}
		w.mustEnd(t)
		mustSessions(t, s)
		if st := s.Stats(); st.SessionsOpened != 1 {
			t.Errorf("%d sessions were opened", st.SessionsOpened)
		}
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
		pass(9 * time.Second)
		s.Rollback()
		join(t, s) // which has the clock look at all of them
		pass(9 * time.Second)
		mustHave(t, s, "/old", true) // its session has all its time again
		pass(time.Second)
		mustHave(t, s, "/old", false)
	})
}

func TestRollbackRestoresTheTimeoutOfASession(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		w := join(t, s)
		s.Checkpoint()
		patient := pipe(t, s)
		if err := patient.handshake(connectRequest{timeoutMs: 30000, session: w.session, password: w.password}); err != nil {
			t.Fatal(err)
		}
		s.Rollback()
		pass(10*time.Second - 1)
		mustSessions(t, s, w)
		pass(1)
		mustSessions(t, s)
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
