package zktest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-zookeeper/zk"
)

// The tests in this file let the unmodified go-zookeeper client talk to a Server inside a bubble.

// dial connects a client over net.Pipe. Its session timeout is 10s.
func dial(t *testing.T, s *Server) *zk.Conn {
	t.Helper()
	conn, _, err := zk.Connect([]string{"zk:2181"}, 10*time.Second,
		zk.WithHostProvider(&oneHost{}),
		zk.WithLogger(logger{t}), zk.WithLogInfo(false),
		zk.WithDialer(func(network, address string, timeout time.Duration) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(context.Background(), timeout)
			defer cancel()
			return s.Dial(ctx, network, address)
		}))
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// oneHost is a HostProvider without name service.
type oneHost struct{ tried bool }

func (h *oneHost) Init([]string) error { return nil }
func (h *oneHost) Len() int            { return 1 }
func (h *oneHost) Connected()          { h.tried = false }
func (h *oneHost) Next() (string, bool) {
	again := h.tried
	h.tried = true
	return "zk:2181", again
}

type logger struct{ t *testing.T }

func (l logger) Printf(format string, args ...any) { l.t.Logf(format, args...) }

// connected is dial, and waits for the session.
func connected(t *testing.T, s *Server) *zk.Conn {
	t.Helper()
	c := dial(t, s)
	pass(time.Second)
	if c.State() != zk.StateHasSession {
		t.Fatalf("state %v", c.State())
	}
	return c
}

func mustCreate(t *testing.T, c *zk.Conn, path string, flags int32) {
	t.Helper()
	if _, err := c.Create(path, []byte("x"), flags, zk.WorldACL(zk.PermAll)); err != nil {
		t.Fatal(path, err)
	}
}

// watched sets one watch of each kind.
func watched(t *testing.T, c *zk.Conn, data, exist, child string) (data1, exist1, child1 <-chan zk.Event) {
	t.Helper()
	_, _, data1, err1 := c.GetW(data)
	_, _, exist1, err2 := c.ExistsW(exist)
	_, _, child1, err3 := c.ChildrenW(child)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	return data1, exist1, child1
}

func mustFire(t *testing.T, ch <-chan zk.Event, want zk.EventType) {
	t.Helper()
	synctest.Wait()
	select {
	case ev := <-ch:
		if ev.Type != want {
			t.Errorf("%v, want %v", ev, want)
		}
	default:
		t.Errorf("no event, want %v", want)
	}
}

func mustWait(t *testing.T, chans ...<-chan zk.Event) {
	t.Helper()
	synctest.Wait()
	for _, ch := range chans {
		select {
		case ev := <-ch:
			t.Errorf("%v, want none yet", ev)
		default:
		}
	}
}

func TestClientsLiveOnHeartbeats(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		var conns []*zk.Conn
		for range 100 {
			c := dial(t, s)
			defer c.Close()
			conns = append(conns, c)
		}
		pass(time.Hour)
		for _, c := range conns {
			if c.State() != zk.StateHasSession {
				t.Fatalf("state %v after an hour", c.State())
			}
		}
		if st := s.Stats(); st.Sessions != 100 || st.SessionsExpired != 0 || st.Accepted != 100 || st.Requests[OpPing] < 100*1000 {
			t.Errorf("after an hour: %+v", st)
		}
	})
}

func TestClientGetsItsWatchesBackAfterACut(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		c := connected(t, s)
		defer c.Close()
		mustPut(t, s, "/same", "/changed", "/gone", "/parent/child")
		same1, same2, same3 := watched(t, c, "/same", "/none", "/same")
		data, exist, child := watched(t, c, "/changed", "/new", "/parent")
		_, _, gone, err := c.GetW("/gone")
		if err != nil {
			t.Fatal(err)
		}
		s.Refuse(true)
		s.DropConnections()
		mustPut(t, s, "/changed", "/new", "/parent/another")
		if err := s.Delete("/gone"); err != nil {
			t.Fatal(err)
		}
		pass(2 * time.Second)
		mustWait(t, data, exist, child, gone)
		s.Refuse(false)
		pass(3 * time.Second)
		mustFire(t, data, zk.EventNodeDataChanged)
		mustFire(t, exist, zk.EventNodeCreated)
		mustFire(t, child, zk.EventNodeChildrenChanged)
		mustFire(t, gone, zk.EventNodeDeleted)
		mustWait(t, same1, same2, same3)
		mustPut(t, s, "/same", "/none", "/same/child")
		mustFire(t, same1, zk.EventNodeDataChanged)
		mustFire(t, same2, zk.EventNodeCreated)
		mustFire(t, same3, zk.EventNodeChildrenChanged)
		if st := s.Stats(); st.SessionsOpened != 1 {
			t.Errorf("%+v", st)
		}
	})
}

func TestClientIsWhoItWasAfterACut(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		c, stranger := connected(t, s), connected(t, s)
		defer stranger.Close()
		defer c.Close()
		if err := c.AddAuth("digest", []byte("ann:secret")); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Create("/private", []byte("x"), 0, zk.AuthACL(zk.PermAll)); err != nil {
			t.Fatal(err)
		}
		s.DropConnections()
		pass(5 * time.Second)
		if _, _, err := c.Get("/private"); err != nil {
			t.Error(err)
		}
		if _, _, err := stranger.Get("/private"); !errors.Is(err, zk.ErrNoAuth) {
			t.Errorf("a stranger: %v", err)
		}
		if err := stranger.AddAuth("nonsense", nil); !errors.Is(err, zk.ErrAuthFailed) {
			t.Errorf("an unknown scheme: %v", err)
		}
	})
}

func TestClientCannotKnowWhetherACutRequestWasDone(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		c := connected(t, s)
		defer c.Close()
		s.CutAfter(OpCreate, 1)
		if _, err := c.Create("/a", nil, 0, zk.WorldACL(zk.PermAll)); !errors.Is(err, zk.ErrConnectionClosed) {
			t.Errorf("%v", err)
		}
		pass(5 * time.Second)
		if ok, _, err := c.Exists("/a"); !ok || err != nil {
			t.Errorf("%v %v", ok, err)
		}
	})
}

func TestClientTakesANodeOverAtomically(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		old, next := connected(t, s), connected(t, s)
		defer next.Close()
		defer old.Close()
		mustCreate(t, old, "/node", zk.FlagEphemeral)
		ops := []any{
			&zk.DeleteRequest{Path: "/node", Version: 0},
			&zk.CreateRequest{Path: "/node", Data: []byte("next"), Acl: zk.WorldACL(zk.PermAll), Flags: zk.FlagEphemeral},
		}
		if _, err := next.Multi(ops...); err != nil {
			t.Fatal(err)
		}
		if _, err := old.Multi(append(ops, &zk.CheckVersionRequest{Path: "/node", Version: 5})...); !errors.Is(err, zk.ErrBadVersion) {
			t.Errorf("%v", err)
		}
		data, stat, err := old.Get("/node")
		if err != nil || string(data) != "next" || stat.EphemeralOwner != next.SessionID() {
			t.Errorf("%q %+v %v", data, stat, err)
		}
		if n, err := s.Get("/node"); err != nil || zk.Stat(n.Stat) != *stat {
			t.Errorf("%+v %v, the client sees %+v", n, err, stat)
		}
	})
}

func TestClientListsThousandsOfChildren(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		c := connected(t, s)
		defer c.Close()
		for i := range 5000 {
			mustPut(t, s, fmt.Sprintf("/service/tcp@127.0.0.%d:%d", i%250, 10000+i))
		}
		children, stat, err := c.Children("/service")
		if err != nil || len(children) != 5000 || stat.NumChildren != 5000 || stat.Cversion != 5000 {
			t.Errorf("%d children, %+v, %v", len(children), stat, err)
		}
	})
}

// Over TCP as well: the same client, and nothing of the bubble.
func TestClientOverTCP(t *testing.T) {
	s := Start(t)
	c, _, err := zk.Connect([]string{s.Addr()}, 10*time.Second, zk.WithLogger(logger{t}), zk.WithLogInfo(false))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	mustCreate(t, c, "/a", zk.FlagPersistent)
	_, _, watch, err := c.ChildrenW("/a")
	if err != nil {
		t.Fatal(err)
	}
	mustPut(t, s, "/a/b")
	select {
	case ev := <-watch:
		if ev.Type != zk.EventNodeChildrenChanged {
			t.Error(ev)
		}
	case <-time.After(10 * time.Second):
		t.Error("no event")
	}
}
