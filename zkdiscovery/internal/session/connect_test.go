package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/internal/logs"
	"github.com/holdfast-go/holdfast/tests/bubbles"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

func TestConnectionIsReportedWithWhatWasNegotiated(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		cfg.SessionTimeout = time.Minute
		s := Open(cfg)
		defer s.Close()
		st, changed := s.Changed()
		if st.Connected || st.Session != 0 || st.Since.IsZero() || !st.Heard.IsZero() {
			t.Errorf("at first: %+v", st)
		}
		<-changed
		st = s.State()
		if !st.Connected || st.Session != 1 || st.Link != 1 || st.Timeout != 40*time.Second || st.Server != "zk:2181" || st.ID != zk.Sessions()[0] {
			t.Errorf("then: %+v", st)
		}
		settle(24 * time.Hour) // longer than the timeout, at rest
		if st := s.State(); !st.Connected || st.Link != 1 || time.Since(st.Heard) > 40*time.Second/3 {
			t.Errorf("a day later: %+v", st)
		}
	})
}

// Promise: it connects for ever, and attempts are spaced. An operator sees a handful of lines, and the machine nothing.
func TestDayLongOutageIsAHandfulOfLinesAndSpacedAttempts(t *testing.T) {
	refusing := func(context.Context, string, string) (net.Conn, error) { return nil, errNo }
	for _, tc := range []struct {
		what    string
		away    dialler
		accepts bool
		refused bool
		longest time.Duration // of a round through both servers
	}{
		{"refused", refusing, false, true, MaxBackoff},
		{"silent", piped(silent), true, false, MaxBackoff + 2*10*time.Second},
		{"accepted and dropped", piped(func(net.Conn) {}), true, true, MaxBackoff},
		{"hung up on", piped(turning), true, true, MaxBackoff},
		{"something else that answers", piped(func(c net.Conn) { turning(c); _, _ = fmt.Fprint(c, "SSH-2.0-OpenSSH_9.6\r\n") }), true, true, MaxBackoff},
		{"the dialler has no answer", func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }, false, false, MaxBackoff + 2*10*time.Second},
		{"the dialler is broken", func(context.Context, string, string) (net.Conn, error) { return nil, nil }, false, true, MaxBackoff},
	} {
		t.Run(tc.what, func(t *testing.T) {
			bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
				log := &journal{}
				cfg.Logger = slog.New(log)
				cfg.Servers = []string{"a:1", "b:2"}
				var back atomic.Bool
				var attempts atomic.Int64
				cfg.Dial = counting(&attempts, func(ctx context.Context, network, addr string) (net.Conn, error) {
					if back.Load() {
						return zk.Dial(ctx, network, addr)
					}
					return tc.away(ctx, network, addr)
				})
				s := Open(cfg)
				defer s.Close()
				settle(time.Minute)
				before := attempts.Load()
				outage := 24 * time.Hour
				if tc.accepts {
					outage = 3 * time.Hour // costs a millisecond each
				}
				settle(outage)
				n := attempts.Load() - before
				if least, most := int64(2*outage/tc.longest), int64(2*outage/(MaxBackoff/2)); n < least || n > most {
					t.Errorf("%d attempts in %v on two servers, want %d to %d", n, outage, least, most)
				}
				if st := s.State(); st.Connected || st.Rounds < int(n/2) || st.Refused != tc.refused || st.Err == nil {
					t.Errorf("state %+v", st)
				}
				if lines := log.seen(); len(lines) != 1 {
					t.Errorf("%d lines:\n%s", len(lines), strings.Join(lines, ""))
				}
				back.Store(true)
				settle(10*time.Second + MaxBackoff) // a session timeout, which an attempt under way may take, and one pause
				if st := s.State(); !st.Connected || st.Rounds != 0 || st.Refused || st.Link != 1 {
					t.Errorf("when it is back: %+v", st)
				}
				if lines := log.seen(); len(lines) != 2 {
					t.Errorf("%d lines:\n%s", len(lines), strings.Join(lines, ""))
				}
			})
		})
	}
}

// A server that takes clients and loses them soon is the harder case: each connection is a success at first.
func TestConnectionThatNeverLastsIsSpacedAndAHandfulOfLines(t *testing.T) {
	for _, tc := range []struct{ lasts, outage time.Duration }{
		{0, time.Hour},
		{4 * time.Second, time.Hour},
		{time.Minute, 12 * time.Hour},
		{9 * time.Minute, 24 * time.Hour},
	} {
		t.Run(tc.lasts.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
				log := &journal{}
				cfg.Logger = slog.New(log)
				var attempts atomic.Int64
				cfg.Dial = counting(&attempts, zk.Dial)
				s := Open(cfg)
				defer s.Close()
				for begin := time.Now(); time.Since(begin) < tc.outage; {
					st, changed := s.Changed()
					if !st.Connected {
						<-changed
						continue
					}
					time.Sleep(tc.lasts)
					zk.DropConnections()
					synctest.Wait()
				}
				if most := int64(tc.outage / max(tc.lasts, MaxBackoff/2)); attempts.Load() > most+10 {
					t.Errorf("%d attempts, want %d at most", attempts.Load(), most)
				}
				settle(logs.Calm + time.Minute)
				lines := log.seen()
				if most := 2 * (logs.Limit + 4 + int(tc.outage/time.Hour)); len(lines) > most { // of a loss and of a connection
					t.Errorf("%d lines, %d at most:\n%s", len(lines), most, strings.Join(lines, ""))
				}
				if last := lines[len(lines)-1]; !strings.Contains(last, "connected to ZooKeeper") || !strings.Contains(last, "withheld=") {
					t.Errorf("the last line does not say how things are: %s", last)
				}
				zk.DropConnections()
				settle(time.Minute)
				if got := log.seen("connection to ZooKeeper lost"); len(got) < 2 {
					t.Error("the next loss is no news any more")
				}
			})
		})
	}
}

// tunnel is a transport as golang.org/x/crypto/ssh makes them: deadlines are errors.
type tunnel struct{ net.Conn }

func (tunnel) SetDeadline(time.Time) error { return errors.New("deadline not supported") }

func (tunnel) SetReadDeadline(time.Time) error { return errors.New("deadline not supported") }

func (tunnel) SetWriteDeadline(time.Time) error { return errors.New("deadline not supported") }

func TestTransportWithoutDeadlinesWorksAndIsNotTrustedWhenItFallsSilent(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		cfg.Dial = wrapping(zk.Dial, func(c net.Conn) net.Conn { return tunnel{c} })
		s := connected(t, cfg)
		settle(time.Hour)
		if _, err := s.List(t.Context(), "/app"); err != nil || s.State().Link != 1 {
			t.Fatalf("%v, %+v", err, s.State())
		}
		zk.Silence(true)
		begin := time.Now()
		settle(15 * time.Second)
		st := s.State()
		if st.Connected || st.Since.Sub(begin) > 10*time.Second+10*time.Second/4 {
			t.Errorf("%v after it fell silent: %+v", time.Since(begin), st)
		}
		zk.Silence(false)
		settle(10 * time.Second)
		if st := s.State(); !st.Connected {
			t.Errorf("%+v", st)
		}
	})
}

func TestDiallerGetsTheServersByNameInEveryRound(t *testing.T) {
	bubbles.Test(t, func(t *testing.T) {
		asked := make(map[string]int)
		s := Open(Config{Servers: []string{"moves.example:1", "[::1]:2"}, Dial: func(_ context.Context, network, addr string) (net.Conn, error) {
			asked[network+" "+addr]++
			return nil, errNo
		}})
		settle(10 * time.Second)
		s.Close()
		synctest.Wait()
		if a, b := asked["tcp moves.example:1"], asked["tcp [::1]:2"]; a < 4 || a-b > 1 || b-a > 1 || len(asked) != 2 {
			t.Errorf("%v", asked)
		}
	})
}

func TestNamesAreResolvedAndTheirAddressesDialled(t *testing.T) {
	zk := zktest.NewServer()
	defer zk.Close()
	must(t, zk.Listen("127.0.0.1:0"))
	_, port, _ := net.SplitHostPort(zk.Addr())
	s := Open(Config{Servers: []string{"no.such.name.invalid:1", net.JoinHostPort("localhost", port)}})
	defer s.Close()
	eventually(t, "connected", func() bool { return s.State().Connected })
	if st := s.State(); st.Server != zk.Addr() {
		t.Errorf("connected to %s, want %s", st.Server, zk.Addr())
	}
}

// A handler is the user's code: it may ask for the state, for instance.
func TestLogHandlerMayAskForTheState(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		var s atomic.Pointer[Session]
		var calls atomic.Int64
		cfg.Logger = slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
			if s := s.Load(); s != nil {
				s.State()
				calls.Add(1)
			}
			return len(p), nil
		}), &slog.HandlerOptions{Level: slog.LevelDebug}))
		s.Store(connected(t, cfg))
		zk.Stop()
		settle(time.Minute)
		must(t, zk.Start())
		settle(MaxBackoff)
		if !s.Load().State().Connected || calls.Load() < 5 {
			t.Errorf("%d calls, %+v", calls.Load(), s.Load().State())
		}
	})
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

var _ io.Writer = writerFunc(nil)

// Issue 10, S8: balancers and NATs cut a connection that is idle for a minute. A session of 5 min was used every 100 s.
func TestConnectionIsUsedEveryTenSecondsWhateverTheSessionTimeout(t *testing.T) {
	for _, timeout := range []time.Duration{2 * time.Second, 30 * time.Second, 40 * time.Second, 5 * time.Minute, 2 * time.Hour} {
		bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
			cfg.SessionTimeout = timeout
			var mu sync.Mutex
			last, longest := time.Now(), time.Duration(0)
			cfg.Dial = wrapping(zk.Dial, func(c net.Conn) net.Conn {
				return recording{c, func([]byte) {
					mu.Lock()
					defer mu.Unlock()
					longest, last = max(longest, time.Since(last)), time.Now()
				}}
			})
			s := connected(t, cfg)
			settle(time.Hour)
			if st := s.State(); longest > pingEvery || st.Link != 1 || st.Timeout != timeout || time.Since(st.Heard) > pingEvery {
				t.Errorf("%v: not used for %v, %+v", timeout, longest, st)
			}
			if n, most := zk.Stats().Requests[zktest.OpPing], int64(1+2*max(time.Hour/pingEvery, 3*time.Hour/timeout)); n > most {
				t.Errorf("%v: %d pings in an hour", timeout, n)
			}
		}, zktest.WithSessionTimeouts(time.Second, 2*time.Hour))
	}
}

// Issue 10, S7: the watchdog went by the session timeout that was asked for. With 2 h, of which the server grants 40 s, a transport without deadlines
// that was silent was noticed after 29 min.
func TestWatchdogGoesByTheSessionTimeoutThatWasNegotiated(t *testing.T) {
	for _, during := range []string{"at rest", "in the first handshake", "in a later handshake"} {
		t.Run(during, func(t *testing.T) {
			bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
				cfg.SessionTimeout = 2 * time.Hour
				silent, links := during == "in the first handshake", 0
				var conns []*half
				cfg.Dial = wrapping(zk.Dial, func(c net.Conn) net.Conn {
					h := &half{Conn: c, lost: make(chan struct{}), closed: make(chan struct{})}
					if links++; silent {
						silent = false
						close(h.lost)
					}
					conns = append(conns, h)
					return tunnel{h}
				})
				s := Open(cfg)
				defer s.Close()
				begin := time.Now()
				if during != "in the first handshake" {
					settle(time.Hour)
					if silent = during == "in a later handshake"; silent {
						zk.DropConnections()
					} else {
						close(conns[0].lost)
					}
					begin = time.Now()
					awaitState(t, s, 40*time.Second+time.Millisecond, func(st State) bool { return !st.Connected })
				}
				awaitState(t, s, 40*time.Second+MaxBackoff-time.Since(begin), func(st State) bool { return st.Connected })
				if links > 3 {
					t.Errorf("%d connections", links)
				}
			})
		})
	}
}
