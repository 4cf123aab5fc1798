package zktest

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-zookeeper/zk"
)

// The tests in this file let the unmodified go-zookeeper client talk to a Server inside a bubble.

// dial connects a client over net.Pipe. Its session timeout is 10s.
func dial(t *testing.T, s *Server) (*zk.Conn, <-chan zk.Event) {
	t.Helper()
	conn, events, err := zk.Connect([]string{"zk:2181"}, 10*time.Second,
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
	return conn, events
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

func TestClientHoursOfHeartbeatsKeepSessionsAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewServer()
		defer s.Close()
		var conns []*zk.Conn
		for range 100 {
			c, _ := dial(t, s)
			defer c.Close()
			conns = append(conns, c)
		}
		pass(time.Second)
		ids := s.Sessions()
		if len(ids) != 100 {
			t.Fatalf("%d sessions, want 100", len(ids))
		}
		pass(time.Hour)
		for _, c := range conns {
			if c.State() != zk.StateHasSession {
				t.Fatalf("state %v after an hour", c.State())
			}
		}
		st := s.Stats()
		if st.Sessions != 100 || st.SessionsExpired != 0 || st.Accepted != 100 {
			t.Errorf("after an hour: %+v", st)
		}
	})
}

func TestClientBasics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewServer()
		defer s.Close()
		c, _ := dial(t, s)
		defer c.Close()
		if _, err := c.Create("/a", []byte("x"), 0, zk.WorldACL(zk.PermAll)); err != nil {
			t.Fatal(err)
		}
		_, _, ech, err := c.ChildrenW("/a")
		if err != nil {
			t.Fatal(err)
		}
		if p, err := c.Create("/a/n-", nil, zk.FlagEphemeral|zk.FlagSequence, zk.WorldACL(zk.PermAll)); err != nil || p != "/a/n-0000000000" {
			t.Fatal(p, err)
		}
		if ev := <-ech; ev.Type != zk.EventNodeChildrenChanged {
			t.Fatal(ev)
		}
		s.Stop()
		pass(5 * time.Second)
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		pass(5 * time.Second)
		if ch, _, err := c.Children("/a"); err != nil || len(ch) != 1 {
			t.Fatal(ch, err)
		}
		_, _, ech, _ = c.ChildrenW("/a")
		s.ExpireAll()
		pass(5 * time.Second)
		if ev := <-ech; ev.Err != zk.ErrSessionExpired {
			t.Fatal(ev)
		}
		if ch, _, err := c.Children("/a"); err != nil || len(ch) != 0 {
			t.Fatal(ch, err)
		}
		res, err := c.Multi(&zk.CreateRequest{Path: "/b", Acl: zk.WorldACL(zk.PermAll)}, &zk.DeleteRequest{Path: "/nope", Version: -1})
		if err != zk.ErrNoNode {
			t.Fatal(res, err)
		}
		if ok, _, _ := c.Exists("/b"); ok {
			t.Fatal("b exists")
		}
	})
}
