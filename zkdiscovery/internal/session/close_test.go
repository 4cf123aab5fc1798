package session

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// closeBound is what Close is to take at most, in a bubble, where nothing takes time that does not wait.
const closeBound = time.Second

// closing closes s and checks that it is quick, and that nothing of it is left: the bubble finds goroutines that are. It returns how long it
// took.
func closing(t *testing.T, s *Session) time.Duration {
	t.Helper()
	begin := time.Now()
	s.Close()
	took := time.Since(begin)
	if took > closeBound {
		t.Errorf("Close took %v", took)
	}
	synctest.Wait()
	if st := s.State(); st.Connected || !st.Closed || !errors.Is(st.Err, ErrClosed) {
		t.Errorf("after Close: %+v", st)
	}
	if _, err := s.Stat(t.Context(), "/app"); !errors.Is(err, ErrClosed) {
		t.Errorf("a request after Close: %v", err)
	}
	return took
}

// opened counts connections that are open.
func opened(n *atomic.Int64, dial dialler) dialler {
	return wrapping(dial, func(c net.Conn) net.Conn {
		n.Add(1)
		return &countedConn{Conn: c, n: n}
	})
}

type countedConn struct {
	net.Conn
	once sync.Once
	n    *atomic.Int64
}

func (c *countedConn) Close() error {
	c.once.Do(func() { c.n.Add(-1) })
	return c.Conn.Close()
}

// Promise: after Close no socket, goroutine or live session is left, in any state; the session may be, where the server could not be told.
func TestCloseEndsEverythingInEveryState(t *testing.T) {
	for _, tc := range []struct {
		state  string
		change func(cfg *Config) // before Open
		before func(t *testing.T, zk *zktest.Server, s *Session)
		told   bool          // the server could be: no session may be left
		within time.Duration // 0: closeBound
	}{
		{state: "not even begun", told: true},
		{state: "at rest", before: func(*testing.T, *zktest.Server, *Session) { settle(time.Minute) }, told: true, within: time.Millisecond},
		{
			state: "with requests under way", told: true,
			before: func(t *testing.T, zk *zktest.Server, s *Session) {
				settle(0)
				zk.Delay(100 * time.Millisecond)
				for range 5 {
					go func() { _, _ = s.Read(context.Background(), "/app", make([]string, 1000), true) }()
				}
				synctest.Wait()
			},
		},
		{
			state:  "while the server is silent",
			before: func(_ *testing.T, zk *zktest.Server, s *Session) { settle(0); zk.Silence(true); settle(time.Second) },
		},
		{
			state: "with a full queue on a silent server",
			before: func(_ *testing.T, zk *zktest.Server, s *Session) {
				settle(0)
				zk.Silence(true)
				go func() { _, _ = s.Read(context.Background(), "/app", make([]string, 1000), true) }()
				synctest.Wait()
			},
		},
		{
			state: "with a full queue on a link that takes nothing",
			change: func(cfg *Config) {
				cfg.Dial = wrapping(cfg.Dial, func(c net.Conn) net.Conn { return &stuck{Conn: c, after: 2, closed: make(chan struct{})} })
			},
			before: func(_ *testing.T, _ *zktest.Server, s *Session) {
				settle(0)
				go func() { _, _ = s.Read(context.Background(), "/app", make([]string, 1000), true) }()
				synctest.Wait()
			},
		},
		{
			state: "in the handshake of a server that is slow", told: true,
			before: func(_ *testing.T, zk *zktest.Server, _ *Session) { settle(100 * time.Millisecond) },
			change: func(cfg *Config) {
				cfg.Dial = wrapping(cfg.Dial, func(c net.Conn) net.Conn { return &late{c, 300 * time.Millisecond} })
			},
		},
		{
			state:  "in the handshake of a server that is silent",
			change: func(cfg *Config) { cfg.Dial = piped(silent) },
			before: func(*testing.T, *zktest.Server, *Session) { settle(100 * time.Millisecond) },
		},
		{
			state: "in the handshake of a link that takes nothing and has no deadlines",
			change: func(cfg *Config) {
				cfg.Dial = func(context.Context, string, string) (net.Conn, error) { c, _ := net.Pipe(); return tunnel{c}, nil }
			},
			before: func(*testing.T, *zktest.Server, *Session) { settle(100 * time.Millisecond) },
		},
		{
			state: "between two attempts",
			change: func(cfg *Config) {
				cfg.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, errNo }
			},
			before: func(*testing.T, *zktest.Server, *Session) { settle(time.Hour) }, told: true, within: closeHeadStart,
		},
		{
			state: "after the connection was lost", within: closeHeadStart,
			before: func(_ *testing.T, zk *zktest.Server, _ *Session) { settle(time.Hour); zk.Stop(); settle(time.Second) },
		},
		{
			state:  "as the session expires",
			before: func(_ *testing.T, zk *zktest.Server, _ *Session) { settle(time.Hour); zk.ExpireAll() },
		},
		{
			state: "a moment after the session expired, its successor up", told: true,
			before: func(_ *testing.T, zk *zktest.Server, _ *Session) {
				settle(time.Hour)
				zk.ExpireAll()
				settle(herdJitter)
			},
		},
		{
			state: "in a dialler that ignores its context, and connects later",
			change: func(cfg *Config) {
				dial := cfg.Dial
				cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
					time.Sleep(time.Hour)
					return dial(context.WithoutCancel(ctx), network, addr)
				}
			},
			before: func(*testing.T, *zktest.Server, *Session) { settle(time.Second) }, told: true, within: closeHeadStart,
		},
	} {
		t.Run(tc.state, func(t *testing.T) {
			bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
				if tc.change != nil {
					tc.change(&cfg)
				}
				var open atomic.Int64
				cfg.Dial = opened(&open, cfg.Dial)
				s := Open(cfg)
				if tc.before != nil {
					tc.before(t, zk, s)
				}
				if took := closing(t, s); tc.within > 0 && took > tc.within {
					t.Errorf("Close took %v", took)
				}
				if n := open.Load(); n != 0 {
					t.Errorf("%d connections are open", n)
				}
				if n := len(zk.Sessions()); tc.told && n != 0 {
					t.Errorf("%d sessions live on", n)
				}
				zk.Silence(false)
				must(t, zk.Start())
				settle(2 * time.Hour)
				if n, m := open.Load(), len(zk.Sessions()); n != 0 || m != 0 {
					t.Errorf("later: %d connections, %d sessions", n, m)
				}
			})
		})
	}
}

// stuck takes so many writes and then no more, until it is closed. It has no deadlines.
type stuck struct {
	net.Conn
	after  int
	closed chan struct{}
	once   sync.Once
}

func (c *stuck) SetWriteDeadline(time.Time) error { return nil }

func (c *stuck) Write(b []byte) (int, error) {
	if c.after--; c.after >= 0 {
		return c.Conn.Write(b)
	}
	<-c.closed
	return 0, net.ErrClosed
}

func (c *stuck) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// late delivers everything that it reads so much later.
type late struct {
	net.Conn
	by time.Duration
}

func (c *late) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	time.Sleep(c.by)
	return n, err
}

// Promise: Close may be called more than once and at once; every call waits.
func TestCloseFromManyPlacesAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		s := connected(t, cfg)
		zk.Silence(true)
		begin := time.Now()
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				s.Close()
				if time.Since(begin) < time.Second/2 {
					t.Error("did not wait")
				}
			})
		}
		wg.Wait()
		closing(t, s)
	})
}

func TestCloseWakesWhoeverWaits(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		s := connected(t, cfg)
		sub := s.Subscribe("/app")
		defer sub.Close()
		_, changed := s.Changed()
		zk.Silence(true)
		asked := make(chan error, 1)
		go func() { _, err := s.List(context.Background(), "/app"); asked <- err }()
		synctest.Wait()
		closing(t, s)
		<-changed
		<-sub.C
		if err := <-asked; !errors.Is(err, ErrLost) || !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
}

// Hazard Z4: go-zookeeper, closed during a handshake with a full queue, keeps a session that nobody knows of.
func TestCloseLeavesNoSessionThatComesLater(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		zk.Silence(true)
		s := Open(cfg)
		settle(100 * time.Millisecond)
		closing(t, s)
		zk.Silence(false) // the server finds the ConnectRequest, the wish to end, and the end of the connection
		settle(time.Second)
		if n := len(zk.Sessions()); n != 0 {
			t.Errorf("%d sessions", n)
		}
	})
}
