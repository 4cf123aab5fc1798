package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

func TestReadKeepsTheOrderOfTheNames(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		var names []string
		for i := range 1000 {
			names = append(names, fmt.Sprint(i*7919%1000))
			must(t, zk.Create("/app/"+names[i], []byte("data of "+names[i])))
		}
		names = append(names, "missing")
		s := connected(t, cfg)
		nodes, err := s.Read(t.Context(), "/app", names, true)
		must(t, err)
		for i, n := range nodes[:1000] {
			if n.Name != names[i] || string(n.Data) != "data of "+names[i] || n.Err != nil || n.Stat.Czxid == 0 {
				t.Fatalf("%d: %+v, want %s", i, n, names[i])
			}
		}
		if n := nodes[1000]; n.Name != "missing" || !errors.Is(n.Err, ErrNoNode) {
			t.Errorf("%+v", n)
		}
		if nodes, err := s.Read(t.Context(), "/app", nil, true); err != nil || len(nodes) != 0 {
			t.Errorf("%v, %v", nodes, err)
		}
	})
}

func TestStatTellsMissingFromFailedAndLeavesNoWatch(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		s := connected(t, cfg)
		if st, err := s.Stat(t.Context(), "/app"); err != nil || st == nil || st.Czxid == 0 {
			t.Errorf("%+v, %v", st, err)
		}
		if st, err := s.Stat(t.Context(), "/missing"); err != nil || st != nil {
			t.Errorf("%+v, %v", st, err)
		}
		zk.FailNext(zktest.OpExists, zktest.CodeNoAuth, 1)
		if st, err := s.Stat(t.Context(), "/app"); !errors.Is(err, ErrNoAuth) || st != nil {
			t.Errorf("%+v, %v", st, err)
		}
		sameWatches(t, s, zk, 0)
	})
}

func TestChrootIsPutBeforeEveryPathAndTakenOffEveryHint(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		must(t, zk.Put("/app/prod/svc/x", []byte("1")))
		cfg.Chroot = "/app/prod"
		s := connected(t, cfg)
		sub := s.Subscribe("/svc")
		defer sub.Close()
		ls, err := s.List(t.Context(), "/svc")
		if err != nil || len(ls.Names) != 1 {
			t.Fatalf("%+v, %v", ls, err)
		}
		if nodes, err := s.Read(t.Context(), "/svc", ls.Names, true); err != nil || string(nodes[0].Data) != "1" {
			t.Fatalf("%+v, %v", nodes, err)
		}
		if st, err := s.Stat(t.Context(), "/svc/x"); err != nil || st == nil {
			t.Fatal(st, err)
		}
		if ls, err := s.SyncedList(t.Context(), "/svc"); err != nil || len(ls.Names) != 1 {
			t.Fatalf("%+v, %v", ls, err)
		}
		must(t, zk.Set("/app/prod/svc/x", nil))
		settle(0)
		if h := sub.Take(); h.Children["x"] != Changed {
			t.Errorf("hints %+v", h)
		}
		s.Rearm("/svc")
		if !s.line.watches.lacks(watchKey{"/app/prod/svc", childWatch}) {
			t.Error("the watch is not to be left again")
		}
		if got := zk.Stats().Requests[zktest.OpSync]; got != 1 {
			t.Errorf("%d syncs", got)
		}
	})
}

func TestRequestWithoutAConnectionSaysWhyAndDoesNotWait(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		zk.Stop()
		s := Open(cfg)
		defer s.Close()
		settle(time.Minute)
		begin := time.Now()
		if _, err := s.List(t.Context(), "/app"); !errors.Is(err, ErrNotConnected) || !strings.Contains(err.Error(), "refused") || time.Since(begin) > 0 {
			t.Error(err)
		}
	})
}

// Promise: a request ends with its context.
func TestRequestEndsWithItsContextAndTheRestIsNotAsked(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		names := fill(t, zk, 3000)
		s := connected(t, cfg)
		zk.Delay(100 * time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), 250*time.Millisecond)
		defer cancel()
		if _, err := s.Read(ctx, "/app", names, true); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		settle(time.Minute)
		if n := zk.Stats().Requests[zktest.OpGetData]; n < batch || n > 3*maxFlying {
			t.Errorf("%d requests", n)
		}
		if st := s.State(); st.Link != 1 || !st.Connected {
			t.Errorf("%+v", st)
		}
		sameWatches(t, s, zk, int(zk.Stats().Requests[zktest.OpGetData]))
	})
}

// Or with the link.
func TestRequestEndsWithTheLinkAndTheRestIsNotAsked(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		names := fill(t, zk, 3000)
		s := connected(t, cfg)
		zk.Delay(100 * time.Millisecond)
		time.AfterFunc(250*time.Millisecond, zk.DropConnections)
		begin := time.Now()
		_, err := s.Read(t.Context(), "/app", names, true)
		if took := time.Since(begin); !errors.Is(err, ErrLost) || took != 250*time.Millisecond {
			t.Errorf("%v after %v", err, took)
		}
		settle(time.Minute)
		if n := zk.Stats().Requests[zktest.OpGetData]; n > 3*maxFlying {
			t.Errorf("%d requests", n)
		}
	})
}

// … or within the session timeout, even if pings are answered: then the link is no use, and is replaced.
func TestRequestThatIsNotAnsweredEndsTheLink(t *testing.T) {
	for _, tc := range []struct {
		op  zktest.Op
		ask func(ctx context.Context, s *Session) error
	}{
		{zktest.OpGetChildren2, func(ctx context.Context, s *Session) error { _, err := s.List(ctx, "/app"); return err }},
		{zktest.OpGetData, func(ctx context.Context, s *Session) error {
			_, err := s.Read(ctx, "/app", []string{"a", "b"}, true)
			return err
		}},
		{zktest.OpExists, func(ctx context.Context, s *Session) error { _, err := s.Stat(ctx, "/app"); return err }},
		{zktest.OpSync, func(ctx context.Context, s *Session) error { _, err := s.SyncedList(ctx, "/app"); return err }},
	} {
		t.Run(tc.op.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
				deaf := true
				cfg.Dial = wrapping(zk.Dial, func(c net.Conn) net.Conn {
					if deaf {
						return deafTo{c, uint32(tc.op)}
					}
					return c
				})
				s := connected(t, cfg)
				deaf = false // the next connection is not
				settle(time.Minute)
				begin := time.Now()
				err := tc.ask(t.Context(), s)
				if took := time.Since(begin); !errors.Is(err, ErrLost) || !errors.Is(err, errRequest) || took != s.State().Timeout {
					t.Errorf("%v after %v", err, took)
				}
				settle(MaxBackoff)
				if err := tc.ask(t.Context(), s); err != nil || s.State().Session != 1 {
					t.Errorf("on the next link: %v, %+v", err, s.State())
				}
			})
		})
	}
}

// The timeout is each request's, not that of all requests of a long Read together.
func TestReadMayTakeLongerThanTheSessionTimeoutWhileItGoesOn(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		names := fill(t, zk, 20*maxFlying)
		s := connected(t, cfg)
		zk.Delay(time.Second)
		begin := time.Now()
		_, err := s.Read(t.Context(), "/app", names, true)
		if took := time.Since(begin); err != nil || took < 15*time.Second {
			t.Errorf("%v after %v", err, took)
		}
		if st := s.State(); st.Link != 1 {
			t.Errorf("%+v", st)
		}
		// … and from where it does not go on, it is bounded.
		time.AfterFunc(15*time.Second, func() { zk.Delay(time.Hour) })
		begin = time.Now()
		_, err = s.Read(t.Context(), "/app", names, true)
		if took := time.Since(begin); !errors.Is(err, ErrLost) || took > 15*time.Second+time.Second+s.State().Timeout {
			t.Errorf("%v after %v", err, took)
		}
	})
}

// An answer that says that the session is over comes before the end of the connection does, if that comes at all: whoever asked would ask again
// at once, and again.
func TestAnswerThatTheSessionIsOverEndsTheLink(t *testing.T) {
	for _, code := range []zktest.Code{zktest.CodeSessionExpired, -118} {
		bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
			s := connected(t, cfg)
			settle(time.Minute)
			zk.FailNext(zktest.OpGetChildren2, code, 1)
			if _, err := s.List(t.Context(), "/app"); !errors.Is(err, ErrLost) {
				t.Error(err)
			}
			if st := s.State(); st.Connected {
				t.Errorf("%+v", st)
			}
			settle(MaxBackoff)
			if _, err := s.List(t.Context(), "/app"); err != nil {
				t.Error(err)
			}
		})
	}
}

// Promise: what is asked in one session never runs in a later one.
func TestRequestOfAnExpiredSessionIsNotSentInTheNext(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		names := fill(t, zk, 50)
		stall, first := make(chan struct{}), true
		cfg.Dial = wrapping(zk.Dial, func(c net.Conn) net.Conn {
			if !first {
				return c
			}
			first = false
			return &stuck{Conn: c, after: 1, closed: stall}
		})
		s := connected(t, cfg)
		go func() { _, _ = s.Read(context.Background(), "/app", names, true) }()
		synctest.Wait()
		zk.ExpireAll()
		settle(time.Minute)
		if st := s.State(); st.Session != 2 || !st.Connected {
			t.Fatalf("%+v", st)
		}
		if n := zk.Stats().Requests[zktest.OpGetData]; n != 0 {
			t.Errorf("%d requests were sent in the next session", n)
		}
		sameWatches(t, s, zk, 0)
	})
}

// An answer that cannot be decoded ends the connection, and is no reason for anything else to end.
func TestReplyThatCannotBeDecodedEndsTheLink(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		var mu sync.Mutex
		garble := true
		cfg.Dial = wrapping(zk.Dial, func(c net.Conn) net.Conn {
			return filtered{c, func(f []byte) []byte {
				mu.Lock()
				defer mu.Unlock()
				if garble && i32(f[4:]) <= xidOwn { // the answer to the first request
					garble = false
					return sealed(f[:4+replyHeader+2])
				}
				return f
			}}
		})
		s := connected(t, cfg)
		settle(time.Minute)
		if _, err := s.List(t.Context(), "/app"); err == nil {
			t.Error("no error")
		}
		settle(MaxBackoff)
		if _, err := s.List(t.Context(), "/app"); err != nil {
			t.Error(err)
		}
	})
}

// filtered changes the frames that it reads, of which a pipe delivers whole ones only.
type filtered struct {
	net.Conn
	change func(frame []byte) []byte
}

func (c filtered) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	var out []byte
	for in := bytes.Clone(b[:n]); len(in) > 0; {
		size := 4 + be.Uint32(in)
		out = append(out, c.change(in[:size])...)
		in = in[size:]
	}
	return copy(b, out), err
}

// Issue 10, S9: a server that knew no children of a node which it said was there was asked 90,000 times a second.
func TestServerThatContradictsItselfIsAskedLaterAndLater(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		s := connected(t, cfg)
		zk.FailNext(zktest.OpGetChildren2, zktest.CodeNoNode, 1<<30)
		before := zk.Stats()
		asked := make(chan error, 1)
		go func() { _, err := s.List(context.Background(), "/app"); asked <- err }()
		settle(time.Minute)
		requests := zk.Stats().Since(before).Requests
		if n := requests[zktest.OpGetChildren2] + requests[zktest.OpExists]; n < 10 || n > 50 {
			t.Errorf("%d requests in a minute", n)
		}
		zk.FailNext(zktest.OpGetChildren2, 0, 0)
		settle(MaxBackoff)
		if err := <-asked; err != nil {
			t.Error(err)
		}
		// Neither its caller nor Close waits for it.
		zk.FailNext(zktest.OpGetChildren2, zktest.CodeNoNode, 1<<30)
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		if _, err := s.List(ctx, "/app"); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		go func() { _, err := s.List(context.Background(), "/app"); asked <- err }()
		settle(4 * time.Second)
		closing(t, s)
		if err := <-asked; !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
}
