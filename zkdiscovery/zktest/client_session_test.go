package zktest

import (
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
)

// What becomes of a client's session, as the unmodified go-zookeeper client sees it.

func TestClientLearnsOfItsExpiryWhenItComesBack(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		c := connected(t, s)
		defer c.Close()
		mustCreate(t, c, "/mine", zk.FlagEphemeral)
		_, _, watch, err := c.GetW("/mine")
		if err != nil {
			t.Fatal(err)
		}
		was := c.SessionID()
		s.Stop()
		pass(time.Minute)
		s.ExpireAll()
		mustWait(t, watch)
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		pass(5 * time.Second)
		mustFire(t, watch, zk.EventNotWatching)
		mustHave(t, s, "/mine", false)
		if c.State() != zk.StateHasSession || c.SessionID() == was {
			t.Errorf("state %v, session %x, was %x", c.State(), c.SessionID(), was)
		}
	})
}

func TestClientOutlivesAShortSilence(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		c := connected(t, s)
		defer c.Close()
		mustCreate(t, c, "/mine", zk.FlagEphemeral)
		was := c.SessionID()
		s.Silence(true)
		pass(4 * time.Second)
		s.Silence(false)
		pass(30 * time.Second)
		if c.State() != zk.StateHasSession || c.SessionID() != was {
			t.Errorf("state %v, session %x, was %x", c.State(), c.SessionID(), was)
		}
		mustHave(t, s, "/mine", true)
	})
}

func TestClientLosesItsSessionInALongSilence(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		c := connected(t, s)
		defer c.Close()
		mustCreate(t, c, "/mine", zk.FlagEphemeral)
		was := c.SessionID()
		s.Silence(true)
		pass(time.Minute)
		mustHave(t, s, "/mine", false)
		if c.State() == zk.StateHasSession {
			t.Error("the client has not noticed")
		}
		s.Silence(false)
		pass(3 * time.Minute) // it waits long for an answer to its handshake
		if c.State() != zk.StateHasSession || c.SessionID() == was {
			t.Errorf("state %v, session %x, was %x", c.State(), c.SessionID(), was)
		}
	})
}

// Hazard: a client never gives up the zxid that it has seen, so that a wiped ensemble stays closed to it.
func TestClientIsRefusedByAWipedServerUntilItHasCaughtUp(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		c := connected(t, s)
		defer c.Close()
		mustPut(t, s, "/a/b/c")
		if _, _, err := c.Get("/a"); err != nil {
			t.Fatal(err)
		}
		seen := s.Zxid()
		s.Wipe()
		pass(time.Minute)
		if c.State() == zk.StateHasSession || s.Stats().Sessions != 0 {
			t.Fatalf("state %v", c.State())
		}
		for s.Zxid() < seen {
			mustPut(t, s, "/other")
		}
		pass(5 * time.Second)
		if c.State() != zk.StateHasSession {
			t.Errorf("state %v", c.State())
		}
		if ok, _, err := c.Exists("/a"); ok || err != nil {
			t.Errorf("%v %v", ok, err)
		}
	})
}

func TestClientComesBackAfterARollbackOfWhatItHasNotSeen(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		c := connected(t, s)
		defer c.Close()
		mustCreate(t, c, "/mine", zk.FlagEphemeral)
		was := c.SessionID()
		s.Checkpoint()
		mustPut(t, s, "/later")
		s.Rollback()
		pass(5 * time.Second)
		if c.State() != zk.StateHasSession || c.SessionID() != was {
			t.Errorf("state %v, session %x, was %x", c.State(), c.SessionID(), was)
		}
		mustHave(t, s, "/later", false)
		mustHave(t, s, "/mine", true)
	})
}

func TestClosedClientLeavesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		c := connected(t, s)
		mustCreate(t, c, "/mine", zk.FlagEphemeral)
		mustCreate(t, c, "/stays", zk.FlagPersistent)
		c.Close()
		pass(0)
		mustHave(t, s, "/mine", false)
		mustHave(t, s, "/stays", true)
		if st := s.Stats(); st.Sessions != 0 || st.Connections != 0 {
			t.Errorf("%+v", st)
		}
	})
}
