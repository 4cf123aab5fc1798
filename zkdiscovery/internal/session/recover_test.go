package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// awaitState passes time until cond holds, and returns how long that took; more than limit is a failure.
func awaitState(t *testing.T, s *Session, limit time.Duration, cond func(State) bool) time.Duration {
	t.Helper()
	begin := time.Now()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		st, changed := s.Changed()
		if cond(st) {
			return time.Since(begin)
		}
		select {
		case <-changed:
		case <-timer.C:
			t.Fatalf("not within %v: %+v", limit, st)
		}
	}
}

func TestShortCutKeepsTheSession(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		s := connected(t, cfg)
		id := s.State().ID
		for i := range 50 {
			zk.DropConnections()
			synctest.Wait()
			if st := s.State(); st.Connected || st.Err == nil {
				t.Fatalf("%+v", st)
			}
			settle(MaxBackoff)
			if st := s.State(); !st.Connected || st.Session != 1 || st.Link != int64(i+2) || st.ID != id {
				t.Fatalf("%+v", st)
			}
		}
	})
}

func TestExpiredSessionIsReplacedAndItsWatchesAreGone(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		log := &journal{}
		cfg.Logger = slog.New(log)
		fill(t, zk, 3)
		s := connected(t, cfg)
		for i := range 20 {
			mirrored(t, s)
			sameWatches(t, s, zk, 4)
			zk.ExpireAll()
			awaitState(t, s, MaxBackoff, func(st State) bool { return st.Connected && st.Session == int64(i+2) })
			sameWatches(t, s, zk, 0)
		}
		if got := log.seen("session given up", "session expired"); len(got) == 0 {
			t.Error("the reason is in no line")
		}
	})
}

// Promise: O5. However long ZooKeeper or the network was away, the connection is up again within the session timeout and one backoff.
func TestConnectionIsUpSoonAfterEveryKindOfOutage(t *testing.T) {
	for _, timeout := range []time.Duration{4 * time.Second, 10 * time.Second, 40 * time.Second} {
		for _, outage := range []time.Duration{0, time.Second, 15 * time.Second, 10 * time.Minute} {
			for _, tc := range []struct {
				what        string
				begin, heal func(zk *zktest.Server) error
			}{
				{"stopped", func(zk *zktest.Server) error { zk.Stop(); return nil }, (*zktest.Server).Start},
				{"silent", func(zk *zktest.Server) error { zk.Silence(true); return nil }, func(zk *zktest.Server) error { zk.Silence(false); return nil }},
				{"refusing", func(zk *zktest.Server) error { zk.Refuse(true); zk.DropConnections(); return nil }, func(zk *zktest.Server) error { zk.Refuse(false); return nil }},
				{"wiped", func(zk *zktest.Server) error { zk.Stop(); zk.Wipe(); return nil }, (*zktest.Server).Start},
				{"wiped while it runs", func(*zktest.Server) error { return nil }, func(zk *zktest.Server) error { zk.Wipe(); return nil }},
				{"rolled back", func(zk *zktest.Server) error { zk.Stop(); zk.Rollback(); return nil }, (*zktest.Server).Start},
				{"rolled back while it runs", func(*zktest.Server) error { return nil }, func(zk *zktest.Server) error { zk.Rollback(); return nil }},
			} {
				t.Run(fmt.Sprintf("%s for %v with %v", tc.what, outage, timeout), func(t *testing.T) {
					bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
						cfg.SessionTimeout = timeout
						s := connected(t, cfg)
						zk.Checkpoint()
						fill(t, zk, 5)
						mirrored(t, s) // has seen more than the checkpoint
						settle(time.Minute)
						must(t, tc.begin(zk))
						settle(outage)
						was := s.State()
						must(t, tc.heal(zk))
						limit := timeout + MaxBackoff
						awaitState(t, s, limit, func(st State) bool {
							if !st.Connected || st.Link == was.Link && !isDone(s.link) && outage > timeout && tc.what != "wiped while it runs" && tc.what != "rolled back while it runs" {
								return false
							}
							ctx, cancel := context.WithTimeout(t.Context(), time.Second)
							defer cancel()
							_, err := s.Stat(ctx, "/")
							return err == nil
						})
					})
				})
			}
		}
	}
}

// Hazard Z2: ZooKeeper closes the connection of a client that has seen more than it has itself, without a word. The kernel makes a reset of
// that where the client had sent more than was read.
func TestRestoredEnsembleIsBelievedAfterASessionTimeout(t *testing.T) {
	for _, reset := range []bool{false, true} {
		t.Run(fmt.Sprint("reset ", reset), func(t *testing.T) {
			bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
				log := &journal{}
				cfg.Logger = slog.New(log)
				if reset {
					cfg.Dial = wrapping(zk.Dial, func(c net.Conn) net.Conn { return resetting{c} })
				}
				s := connected(t, cfg)
				fill(t, zk, 100)
				mirrored(t, s)
				zk.Wipe()
				settle(s.State().Timeout - time.Second)
				if st := s.State(); st.Connected || st.Session != 1 || !errors.Is(st.Err, errTurned) {
					t.Errorf("too soon: it may be one server that lags behind: %+v", st)
				}
				took := awaitState(t, s, time.Second+MaxBackoff, func(st State) bool { return st.Connected })
				t.Logf("after the session timeout: %v", took-time.Second)
				if st := s.State(); st.Session != 2 || len(log.seen("session given up", "session expired")) != 1 {
					t.Errorf("%+v", st)
				}
			})
		})
	}
}

// A session sees ZooKeeper's state as soon as a server answers anything, which it is asked before it serves.
func TestEnsembleThatWasWipedBeforeTheSessionServedIsBelieved(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		cfg.Extension = Extension{Lasting: true, Batches: true}
		fill(t, zk, 100)
		zk.Delay(100 * time.Millisecond)
		s := Open(cfg)
		t.Cleanup(s.Close)
		for zk.Stats().Requests[zktest.OpAddWatch] == 0 { // until then nothing was seen
			settle(10 * time.Millisecond)
		}
		if s.State().Connected {
			t.Fatal("it serves")
		}
		zk.Wipe()
		zk.Delay(0)
		awaitState(t, s, 10*time.Second+2*MaxBackoff, func(st State) bool { return st.Connected })
	})
}

// resetting is a connection that ends with a reset.
type resetting struct{ net.Conn }

func (c resetting) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil {
		err = fmt.Errorf("read: %w", syscall.ECONNRESET)
	}
	return n, err
}

// A backup knows the session, perhaps: it is not to be used on. Its watches would be set at a time that is yet to come.
func TestSessionThatABackupKnowsIsReplaced(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		log := &journal{}
		cfg.Logger = slog.New(log)
		s := connected(t, cfg)
		zk.Checkpoint()
		fill(t, zk, 10)
		mirrored(t, s)
		zk.Rollback()
		zk.Stop() // its sessions' clocks stand still
		settle(time.Minute)
		must(t, zk.Start())
		awaitState(t, s, MaxBackoff+time.Second, func(st State) bool { return st.Connected })
		if st := s.State(); st.Session != 2 || len(log.seen("session given up", "behind")) != 1 {
			t.Errorf("%+v", st)
		}
	})
}

// An ensemble without a leader hangs up on everybody as well, for as long as it takes, and the sessions live on: to give them up would have
// every client read everything again, all at once, as soon as there is a leader.
func TestSessionOutlivesAnEnsembleWithoutALeader(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		var leaderless atomic.Bool
		var attempts atomic.Int64
		dial := cfg.Dial
		cfg.Servers = []string{"a:1", "b:2", "c:3"}
		cfg.Dial = counting(&attempts, func(ctx context.Context, network, addr string) (net.Conn, error) {
			if leaderless.Load() {
				return piped(turning)(ctx, network, addr)
			}
			return dial(ctx, network, addr)
		})
		fill(t, zk, 3)
		s := connected(t, cfg)
		mirrored(t, s)
		leaderless.Store(true)
		zk.Stop() // and with it the clocks of the sessions
		settle(time.Hour)
		if n, most := attempts.Load(), int64(2*3*time.Hour/(MaxBackoff/2)); n > most {
			t.Errorf("%d attempts, want %d at most", n, most)
		}
		must(t, zk.Start())
		leaderless.Store(false)
		awaitState(t, s, MaxBackoff, func(st State) bool { return st.Connected })
		if st := s.State(); st.Session != 1 || st.Link != 2 {
			t.Errorf("%+v", st)
		}
		sameWatches(t, s, zk, 4)
	})
}

// A follower that lags behind hangs up too, and another server does not.
func TestServerThatLagsBehindIsNoReasonToGiveUpASession(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		lagging := zktest.NewServer()
		defer lagging.Close()
		dial := cfg.Dial
		cfg.Servers = []string{"current:1", "lagging:2"}
		cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if addr == "lagging:2" {
				return lagging.Dial(ctx, network, addr)
			}
			return dial(ctx, network, addr)
		}
		fill(t, zk, 10)
		lagging.Refuse(true)
		s := Open(cfg)
		defer s.Close()
		settle(MaxBackoff)
		mirrored(t, s)
		lagging.Refuse(false)
		for range 50 {
			zk.DropConnections()
			settle(MaxBackoff + time.Second)
			if st := s.State(); !st.Connected || st.Session != 1 || st.Server != "current:1" {
				t.Fatalf("%+v", st)
			}
		}
	})
}

func TestHalfOpenConnectionIsNoticedWithinTheSessionTimeout(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		s := connected(t, cfg)
		settle(time.Minute)
		zk.Silence(true)
		took := awaitState(t, s, s.State().Timeout, func(st State) bool { return !st.Connected })
		if !timedOut(s.State().Err) {
			t.Errorf("after %v: %+v", took, s.State())
		}
	})
}

// The negotiated timeout is what counts, not the one that was asked for.
func TestNegotiatedTimeoutIsUsed(t *testing.T) {
	for _, bound := range []time.Duration{2 * time.Second, 30 * time.Second} {
		bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
			cfg.SessionTimeout = 10 * time.Second
			s := connected(t, cfg)
			if got := s.State().Timeout; got != bound {
				t.Fatalf("negotiated %v, want %v", got, bound)
			}
			settle(10 * bound)
			if st := s.State(); st.Link != 1 || time.Since(st.Heard) > bound/3+time.Millisecond {
				t.Errorf("pings are too slow: %+v", st)
			}
			if n, most := zk.Stats().Requests[zktest.OpPing], int64(1+10*3); n > most || n < most-2 {
				t.Errorf("%d pings in ten session timeouts", n)
			}
			zk.Silence(true)
			begin := time.Now()
			_, err := s.Stat(t.Context(), "/app")
			if took := time.Since(begin); !errors.Is(err, ErrLost) || took > bound || took < bound/3 {
				t.Errorf("%v after %v", err, took)
			}
		}, zktest.WithSessionTimeouts(bound, bound))
	}
}

// Promise: Heard claims no more than an answered ping proves. With a round trip longer than the time between pings, several are under way.
func TestHeardIsNeverLaterThanWhatAnAnswerProves(t *testing.T) {
	for _, delay := range []time.Duration{0, 100 * time.Millisecond, 3 * time.Second} {
		bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
			zk.Delay(delay)
			s := Open(cfg)
			defer s.Close()
			settle(delay + time.Minute)
			st := s.State()
			if st.Link != 1 || !st.Connected {
				t.Fatalf("%+v", st)
			}
			for range 1000 {
				settle(100 * time.Millisecond)
				if ago := time.Since(s.State().Heard); ago < delay || ago > delay+st.Timeout/3+time.Millisecond {
					t.Fatalf("heard %v ago, with a delay of %v", ago, delay)
				}
			}
		})
	}
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) { // a handshake proves when it was asked for
		zk.Delay(2 * time.Second)
		s := Open(cfg)
		defer s.Close()
		settle(2 * time.Second)
		if st := s.State(); !st.Connected || time.Since(st.Heard) != 2*time.Second {
			t.Errorf("heard %v ago", time.Since(st.Heard))
		}
	})
}
