package session

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/tests/bubbles"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

var everybody = []ACL{{Perms: PermAll, Scheme: "world", ID: "anyone"}}

// writing runs body in a bubble with a server and a session that is connected to it below /app.
func writing(t *testing.T, change func(*Config), body func(t *testing.T, zk *zktest.Server, s *Session)) {
	t.Helper()
	bubbles.Test(t, func(t *testing.T) {
		zk := zktest.NewServer()
		defer zk.Close()
		if err := zk.Create("/app", nil); err != nil {
			t.Fatal(err)
		}
		cfg := Config{Servers: []string{"zk:2181"}, Chroot: "/app", Dial: zk.Dial}
		if change != nil {
			change(&cfg)
		}
		s := Open(cfg)
		defer s.Close()
		settle(0)
		if !s.State().Connected {
			t.Fatal("not connected")
		}
		body(t, zk, s)
	})
}

func settle(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func exists(zk *zktest.Server, path string) bool {
	_, err := zk.Get(path)
	return err == nil
}

func TestWriteDoesAllOrNothing(t *testing.T) {
	writing(t, nil, func(t *testing.T, zk *zktest.Server, s *Session) {
		ctx := t.Context()
		if _, err := s.Write(ctx, 1, Create{Path: "/a", Data: []byte("x"), ACL: everybody, Ephemeral: true}); err != nil {
			t.Fatal(err)
		}
		n, err := zk.Get("/app/a")
		if err != nil || string(n.Data) != "x" || n.Stat.EphemeralOwner != s.State().ID {
			t.Fatalf("%+v, %v", n, err)
		}
		failed, err := s.Write(ctx, 1, Set{Path: "/a", Data: []byte("y"), Version: 0}, Create{Path: "/b", ACL: everybody}, Delete{Path: "/a", Version: 7})
		if failed != 2 || !errors.Is(err, ErrBadVersion) {
			t.Errorf("op %d refused: %v, want op 2: bad version", failed, err)
		}
		if n, _ := zk.Get("/app/a"); string(n.Data) != "x" || exists(zk, "/app/b") {
			t.Error("half of a transaction was done")
		}
		if _, err := s.Write(ctx, 1, Delete{Path: "/a", Version: 0}, Create{Path: "/a", ACL: everybody}, Set{Path: "/a", Data: []byte("z")}); err != nil {
			t.Fatal(err)
		}
		if n, _ := zk.Get("/app/a"); string(n.Data) != "z" || n.Stat.Version != 1 || n.Stat.EphemeralOwner != 0 {
			t.Errorf("%+v", n)
		}
	})
}

func TestWriteTellsAnswersFromLosses(t *testing.T) {
	create := Create{Path: "/a", ACL: everybody}
	for _, tc := range []struct {
		rule  string
		fault func(*zktest.Server)
		op    Op
		want  error
		done  bool
	}{
		{"a node that exists is an answer", func(zk *zktest.Server) { _ = zk.Create("/app/a", nil) }, create, ErrNodeExists, true},
		{"a missing node is one", func(*zktest.Server) {}, Set{Path: "/a", Version: -1}, ErrNoNode, false},
		{"so is a wrong version", func(zk *zktest.Server) { _ = zk.Create("/app/a", nil) }, Delete{Path: "/a", Version: 3}, ErrBadVersion, true},
		{"so are children in the way", func(zk *zktest.Server) { _ = zk.Put("/app/a/b", nil) }, Delete{Path: "/a", Version: -1}, ErrNotEmpty, true},
		{"so is a code without a name", func(zk *zktest.Server) { zk.FailNext(zktest.OpCreate, -125, 1) }, create, nil, false},
		{"a link cut before the request is a loss", func(zk *zktest.Server) { zk.CutBefore(zktest.OpCreate, 1) }, create, ErrLost, false},
		{"a link cut after it is the same", func(zk *zktest.Server) { zk.CutAfter(zktest.OpCreate, 1) }, create, ErrLost, true},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			writing(t, nil, func(t *testing.T, zk *zktest.Server, s *Session) {
				tc.fault(zk)
				_, err := s.Write(t.Context(), 1, tc.op)
				if err == nil || tc.want != nil && !errors.Is(err, tc.want) || tc.want == nil && errors.Is(err, ErrLost) {
					t.Errorf("error %v, want %v", err, tc.want)
				}
				settle(time.Minute)
				if exists(zk, "/app/a") != tc.done {
					t.Errorf("the node exists: %v", !tc.done)
				}
			})
		})
	}
}

func TestWriteIsForOneSessionOnly(t *testing.T) {
	writing(t, nil, func(t *testing.T, zk *zktest.Server, s *Session) {
		zk.ExpireAll()
		settle(time.Minute)
		if st := s.State(); st.Session != 2 || !st.Connected {
			t.Fatalf("%+v", st)
		}
		if _, err := s.Write(t.Context(), 1, Create{Path: "/a", ACL: everybody}); !errors.Is(err, ErrNotConnected) {
			t.Errorf("a write for the first session in the second: %v", err)
		}
		zk.Stop()
		settle(time.Second)
		if _, err := s.Write(t.Context(), 2, Create{Path: "/a", ACL: everybody}); !errors.Is(err, ErrNotConnected) {
			t.Errorf("a write without a connection: %v", err)
		}
		s.Close()
		if _, err := s.Write(t.Context(), 2, Create{Path: "/a", ACL: everybody}); !errors.Is(err, ErrClosed) {
			t.Errorf("a write after Close: %v", err)
		}
		if exists(zk, "/app/a") {
			t.Error("written")
		}
	})
}

// stalling is a transport whose first connection stops taking anything, as a full socket buffer does, when stall is closed.
type stalling struct {
	net.Conn
	stall    chan struct{}
	closed   chan struct{}
	once     *sync.Once
	deadline *atomic.Pointer[time.Time]
}

func (c stalling) SetWriteDeadline(t time.Time) error {
	c.deadline.Store(&t)
	return c.Conn.SetWriteDeadline(t)
}

func (c stalling) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

func (c stalling) Write(b []byte) (int, error) {
	select {
	case <-c.stall:
	default:
		return c.Conn.Write(b)
	}
	t := time.NewTimer(time.Until(*c.deadline.Load()))
	defer t.Stop()
	select {
	case <-t.C:
		return 0, os.ErrDeadlineExceeded
	case <-c.closed:
		return 0, net.ErrClosed
	}
}

// What go-zookeeper has not sent when a connection breaks, it sends on the session's next one: a write that was given up for lost would come
// after whatever had been found and done in the meantime.
func TestWriteThatHasReturnedIsNeverDoneLater(t *testing.T) {
	stall := make(chan struct{})
	stallFirst := func(cfg *Config) {
		dial, first := cfg.Dial, true
		cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := dial(ctx, network, addr)
			if err != nil || !first {
				return c, err
			}
			first = false
			stall = make(chan struct{}) // the bubble's own
			return stalling{c, stall, make(chan struct{}), new(sync.Once), new(atomic.Pointer[time.Time])}, nil
		}
	}
	for _, outage := range []time.Duration{time.Second, time.Minute} {
		t.Run(fmt.Sprint("away for ", outage), func(t *testing.T) {
			writing(t, stallFirst, func(t *testing.T, zk *zktest.Server, s *Session) {
				const writes = 60 // more than go-zookeeper's queue holds
				close(stall)
				errs := make([]error, writes)
				var wg sync.WaitGroup
				path := func(i int) string { return fmt.Sprintf("/n%d", i) }
				for i := range writes {
					wg.Go(func() {
						_, errs[i] = s.Write(context.Background(), 1, Create{Path: path(i), ACL: everybody})
						if done := exists(zk, "/app"+path(i)); done != (errs[i] == nil) {
							t.Errorf("%s: error %v, done: %v", path(i), errs[i], done)
						}
					})
				}
				settle(5 * time.Second)
				zk.Refuse(true)
				settle(2*time.Second + outage)
				if outage > s.State().Timeout {
					zk.ExpireAll()
				}
				zk.Refuse(false)
				wg.Wait()
				settle(time.Hour)
				done := 0
				for i, err := range errs {
					if err == nil {
						done++
					} else if !errors.Is(err, ErrLost) {
						t.Errorf("%s: %v", path(i), err)
					}
					if exists(zk, "/app"+path(i)) != (err == nil) {
						t.Errorf("%s an hour later: error %v, exists: %v", path(i), err, err != nil)
					}
				}
				if lives := outage < 10*time.Second; lives != (done > 0) {
					t.Errorf("%d of %d done", done, writes)
				}
			})
		})
	}
}

// deafTo swallows requests of one kind.
type deafTo struct {
	net.Conn
	op uint32
}

func (c deafTo) Write(b []byte) (int, error) {
	if len(b) >= 12 && binary.BigEndian.Uint32(b[8:]) == c.op {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func TestWriteEndsWhenPingsAreAnsweredAndRequestsAreNot(t *testing.T) {
	deaf := func(cfg *Config) {
		dial := cfg.Dial
		cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := dial(ctx, network, addr)
			return deafTo{c, uint32(zktest.OpCreate)}, err
		}
	}
	writing(t, deaf, func(t *testing.T, zk *zktest.Server, s *Session) {
		start := time.Now()
		_, err := s.Write(t.Context(), 1, Create{Path: "/a", ACL: everybody})
		if took := time.Since(start); !errors.Is(err, ErrLost) || took > s.State().Timeout {
			t.Errorf("%v after %v", err, took)
		}
		settle(time.Second)
		if st := s.State(); !st.Connected || st.Link != 2 {
			t.Errorf("%+v", st)
		}
	})
}

func TestWriteEndsWithItsContext(t *testing.T) {
	writing(t, nil, func(t *testing.T, zk *zktest.Server, s *Session) {
		zk.Silence(true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Write(ctx, 1, Create{Path: "/a", ACL: everybody}); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

func TestAWriteWhoseContextIsOverIsNotBegun(t *testing.T) {
	writing(t, nil, func(t *testing.T, zk *zktest.Server, s *Session) {
		if err := zk.Create("/app/a", nil); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Write(ctx, 1, Delete{Path: "/a", Version: -1}); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		settle(time.Minute)
		if !exists(zk, "/app/a") {
			t.Error("it was done")
		}
	})
}

func TestLookLeavesAWatchOnWhatItFinds(t *testing.T) {
	writing(t, nil, func(t *testing.T, zk *zktest.Server, s *Session) {
		poke := make(chan struct{}, 1)
		sub, other := s.SubscribeWith(poke, "/a"), s.SubscribeWith(poke, "/b")
		defer sub.Close()
		defer other.Close()
		look := func() Found {
			t.Helper()
			f, err := lookAt(t, s, "/a")
			if err != nil {
				t.Fatal(err)
			}
			return f
		}
		if f := look(); f.Exists {
			t.Errorf("%+v", f)
		}
		if err := zk.Create("/app/a", []byte("x")); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if f := look(); !f.Exists || !f.Readable || string(f.Data) != "x" {
				t.Errorf("%+v", f)
			}
		}
		if got := s.Outstanding(); got != 1 {
			t.Errorf("%d watches, want 1", got)
		}
		if err := zk.Delete("/app/a"); err != nil {
			t.Fatal(err)
		}
		settle(0)
		if <-poke; !sub.Take().List || other.Take().List {
			t.Error("the hint went astray")
		}
	})
}

func TestLookSeesWhatMayNotBeRead(t *testing.T) {
	writing(t, nil, func(t *testing.T, zk *zktest.Server, s *Session) {
		if _, err := s.Write(t.Context(), 1, Create{
			Path: "/a", Data: []byte("x"), Ephemeral: true,
			ACL: []ACL{{Perms: PermAll, Scheme: "digest", ID: "somebody:0000000000000000000000000000"}},
		}); err != nil {
			t.Fatal(err)
		}
		f, err := lookAt(t, s, "/a")
		if err != nil || !f.Exists || f.Readable || f.Stat.EphemeralOwner != s.State().ID {
			t.Errorf("%+v, %v", f, err)
		}
	})
}

// lookAt is Look of one path.
func lookAt(t *testing.T, s *Session, path string) (Found, error) {
	t.Helper()
	all, err := s.Look(t.Context(), true, path)
	if err != nil {
		return Found{}, err
	}
	return all[0], nil
}
