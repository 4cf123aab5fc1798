package session

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// half is a connection of which one end does not know that it is broken, once lost is closed: nothing comes, and what is sent vanishes.
type half struct {
	net.Conn
	lost   chan struct{}
	closed chan struct{}
	once   sync.Once
}

func (c *half) isLost() bool {
	select {
	case <-c.lost:
		return true
	default:
		return false
	}
}

func (c *half) Write(b []byte) (int, error) {
	if c.isLost() {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func (c *half) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if !c.isLost() {
		return n, err
	}
	<-c.closed
	return 0, net.ErrClosed
}

func (c *half) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// Issue 10, S6: Close right after the connection broke returned at once and left the ephemeral nodes for the whole session timeout.
func TestCloseRightAfterABreakEndsTheSession(t *testing.T) {
	for _, tc := range []struct {
		what  string
		lose  func(zk *zktest.Server, lost chan struct{})
		other func(zk *zktest.Server, cfg *Config) // how a new connection is made
	}{
		{what: "cut", lose: func(zk *zktest.Server, _ chan struct{}) { zk.DropConnections() }},
		{what: "half open", lose: func(_ *zktest.Server, lost chan struct{}) { close(lost) }},
		{
			what: "cut, and of three servers one is a black hole and one refuses",
			lose: func(zk *zktest.Server, _ chan struct{}) { zk.DropConnections() },
			other: func(zk *zktest.Server, cfg *Config) {
				cfg.Servers = []string{"hole:1", "closed:1", "alive:1"}
				cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
					switch addr {
					case "hole:1":
						<-ctx.Done()
						return nil, ctx.Err()
					case "closed:1":
						return nil, errNo
					}
					return zk.Dial(ctx, network, addr)
				}
			},
		},
		{
			what:  "cut, and the server answers after 300 ms",
			lose:  func(zk *zktest.Server, _ chan struct{}) { zk.Delay(300 * time.Millisecond); zk.DropConnections() },
			other: func(*zktest.Server, *Config) {},
		},
		{
			what: "cut a while ago, in the pause between two rounds",
			lose: func(zk *zktest.Server, _ chan struct{}) {
				zk.Refuse(true)
				zk.DropConnections()
				settle(3 * time.Second)
				zk.Refuse(false)
			},
		},
		{
			what: "cut, and every server refuses for 300 ms more",
			lose: func(zk *zktest.Server, _ chan struct{}) {
				zk.Refuse(true)
				zk.DropConnections()
				time.AfterFunc(300*time.Millisecond, func() { zk.Refuse(false) })
			},
		},
	} {
		t.Run(tc.what, func(t *testing.T) {
			bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
				if tc.other != nil {
					tc.other(zk, &cfg)
				}
				lost := make(chan struct{})
				first := true
				cfg.Dial = wrapping(cfg.Dial, func(c net.Conn) net.Conn {
					if !first {
						return c
					}
					first = false
					return &half{Conn: c, lost: lost, closed: make(chan struct{})}
				})
				s := Open(cfg)
				t.Cleanup(s.Close)
				awaitState(t, s, time.Minute, func(st State) bool { return st.Connected })
				must(t, s.create("/app/ephemeral"))
				settle(time.Minute)
				tc.lose(zk, lost)
				closing(t, s)
				if _, err := zk.Get("/app/ephemeral"); err == nil || len(zk.Sessions()) != 0 {
					t.Errorf("%d sessions are left: %v", len(zk.Sessions()), zk.Tree())
				}
			})
		})
	}
}

// create makes an ephemeral node.
func (s *Session) create(path string) error {
	_, err := s.Write(context.Background(), s.State().Session, Create{Path: path, ACL: everybody, Ephemeral: true})
	return err
}

// A session that has expired, or that somebody else has, needs no end.
func TestCloseAfterTheSessionExpiredDuringACutIsQuick(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		s := connected(t, cfg)
		zk.Refuse(true)
		zk.DropConnections()
		settle(time.Minute)
		zk.Refuse(false)
		if took := closing(t, s); took > closeHeadStart {
			t.Errorf("%v", took)
		}
		if n := zk.Stats().SessionsOpened; n != 1 {
			t.Errorf("%d sessions", n)
		}
	})
}

// What answers need not be ZooKeeper.
func TestEndOfASessionIsNotTakenFromWhateverAnswers(t *testing.T) {
	for answer, want := range map[string]bool{
		string(welcome(4000, 7)) + string(reply(xidGoodbye, 0, "")): true,
		string(welcome(4000, 7)):                                    true, // and then hangs up
		string(welcome(0, 0)):                                       true, // expired
		"":                                                          false,
		"HTTP/1.1 400 Bad Request\r\n\r\n":                          false,
		string(welcome(4000, 7)[:20]):                               false,
		string(make([]byte, 64)):                                    false,
		string(welcome(4000, 7)) + "\x00\x00":                       false,
	} {
		err := endOver(&scripted{in: strings.NewReader(answer)}, 7, make([]byte, 16))
		if (err == nil) != want {
			t.Errorf("%q: %v", answer, err)
		}
	}
}

func TestRealCloseRightAfterABreakEndsTheSession(t *testing.T) {
	e := zktest.StartEnsemble(t, 1)
	proxy, err := zktest.NewProxy(e.Servers()[0])
	must(t, err)
	defer proxy.Close()
	_, other := real(t, e, Config{})
	write(t, other, Create{Path: "/app", ACL: everybody})
	for i := range 8 {
		s := Open(Config{Servers: []string{proxy.Addr()}, SessionTimeout: 30 * time.Second})
		eventually(t, "connected", func() bool { return s.State().Connected })
		path := fmt.Sprintf("/app/ephemeral-%d", i)
		must(t, s.create(path))
		proxy.Drop()
		eventually(t, "broken", func() bool { st := s.State(); return !st.Connected || st.Link > 1 })
		s.Close()
		if st, err := other.Stat(t.Context(), path); err != nil || st != nil {
			t.Errorf("the node is there: %v, %v", st, err)
		}
	}
}
