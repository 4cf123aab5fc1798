package session

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/tests/bubbles"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// Issue 10, S2: an ensemble on slow disks, whose answers came after 2 s, was never connected to in a day, and 29,619 sessions were begun.
func TestSlowZooKeeperIsConnectedToLateAndLeavesNoSessionBehind(t *testing.T) {
	for _, tc := range []struct{ delay, timeout time.Duration }{
		{2 * time.Second, 10 * time.Second}, {2 * time.Second, 4 * time.Second}, {6 * time.Second, 10 * time.Second}, {20 * time.Second, 40 * time.Second},
	} {
		t.Run(tc.delay.String()+" of "+tc.timeout.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
				zk.Delay(tc.delay)
				cfg.Servers, cfg.SessionTimeout = []string{"a:1", "b:1", "c:1"}, tc.timeout
				s := Open(cfg)
				defer s.Close()
				took := awaitState(t, s, 10*tc.timeout, func(st State) bool { return st.Connected })
				t.Logf("connected after %v, %d sessions were begun", took, zk.Stats().SessionsOpened)
				if n := zk.Stats().SessionsOpened; n > 10 {
					t.Errorf("%d sessions were begun", n)
				}
				settle(time.Hour)
				if st := s.State(); st.Link != 1 || len(zk.Sessions()) != 1 {
					t.Errorf("%d sessions are left, %+v", len(zk.Sessions()), st)
				}
			})
		})
	}
}

// The same at a reconnect: the session is kept, although ZooKeeper has become slow.
func TestReconnectToAZooKeeperThatHasBecomeSlowKeepsTheSession(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		cfg.Servers = []string{"a:1", "b:1", "c:1"}
		s := connected(t, cfg)
		settle(time.Minute)
		zk.Delay(3 * time.Second)
		zk.DropConnections()
		awaitState(t, s, 4*time.Second, func(st State) bool { return st.Link == 2 })
		if st := s.State(); st.Session != 1 || len(zk.Sessions()) != 1 {
			t.Errorf("%+v", st)
		}
	})
}

// A silent server is asked again and again for a session. Those are a few connections and no more, and none is left after Close.
func TestHandshakesThatTookTooLongAreWaitedForInBoundedNumber(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		zk.Silence(true)
		var open atomic.Int64
		cfg.Dial = opened(&open, cfg.Dial)
		cfg.SessionTimeout = 2 * time.Second // and so are the limits
		s := Open(cfg)
		t.Cleanup(s.Close)
		most := int64(0)
		for range 600 {
			settle(100 * time.Millisecond)
			most = max(most, open.Load())
		}
		if most > mostLeaving+1 || most < 2 {
			t.Errorf("%d connections at once", most)
		}
		closing(t, s)
		if n := open.Load(); n != 0 {
			t.Errorf("%d connections are left", n)
		}
		zk.Silence(false)
		settle(time.Second)
		if n := len(zk.Sessions()); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
	})
}

func TestStepsOfAnAttemptHaveLimitsThatGrowToTheSessionTimeout(t *testing.T) {
	for _, tc := range []struct {
		session         time.Duration
		failed          int
		step, handshake time.Duration
	}{
		{10 * time.Second, 0, time.Second, 5 * time.Second},
		{10 * time.Second, 1, 2 * time.Second, 10 * time.Second},
		{10 * time.Second, 3, 8 * time.Second, 10 * time.Second},
		{10 * time.Second, 4, 10 * time.Second, 10 * time.Second},
		{10 * time.Second, 1 << 40, 10 * time.Second, 10 * time.Second},
		{40 * time.Second, 0, time.Second, 20 * time.Second},
		{time.Millisecond, 7, time.Second, time.Second},
	} {
		if got, want := newLimits(tc.session, tc.failed), (limits{tc.step, tc.handshake}); got != want {
			t.Errorf("%v after %d rounds: %+v, want %+v", tc.session, tc.failed, got, want)
		}
	}
}

// A step that is slow, whichever, delays the connection and does not prevent it.
func TestSlowDiallerIsConnectedWithLate(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			select {
			case <-time.After(7 * time.Second):
				return zk.Dial(ctx, network, addr)
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		s := Open(cfg)
		defer s.Close()
		awaitState(t, s, 30*time.Second, func(st State) bool { return st.Connected })
	})
}

func TestErrorOfAnAttemptSaysWhichStepFailed(t *testing.T) {
	for _, tc := range []struct {
		want   string
		change func(*Config)
	}{
		{"name: ", func(cfg *Config) { cfg.Dial, cfg.Servers = nil, []string{"no.such.name.invalid:1"} }},
		{"dial tcp 127.0.0.1:1: ", func(cfg *Config) { cfg.Dial, cfg.Servers = nil, []string{"127.0.0.1:1"} }},
		{"dial: ", func(cfg *Config) {
			cfg.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no") }
		}},
		{"TLS with zk: ", func(cfg *Config) { cfg.TLS, cfg.Dial = newAuthority(t).server(t, "zk"), piped(turning) }},
		{"handshake: no answer within 5s", func(cfg *Config) { cfg.Dial = piped(silent) }},
		{"handshake: hung up on", func(cfg *Config) { cfg.Dial = piped(turning) }},
	} {
		run := bubbles.Test
		cfg := Config{Servers: []string{"zk:1"}, Logger: slog.New(slog.DiscardHandler)}
		tc.change(&cfg)
		if cfg.Dial == nil { // the network knows no bubbles
			run = func(t *testing.T, f func(*testing.T)) { f(t) }
		}
		run(t, func(t *testing.T) {
			s := Open(cfg)
			defer s.Close()
			for {
				st, changed := s.Changed()
				if st.Rounds == 0 {
					<-changed
					continue
				}
				if !strings.HasPrefix(st.Err.Error(), tc.want) {
					t.Errorf("%v, want %s…", st.Err, tc.want)
				}
				return
			}
		})
	}
}

// Hazard: ZooKeeper closes the 61st connection of one host during the handshake, without a word. Issue 10, S12.
func TestErrorOfAHandshakeThatWasHungUpOnNamesTheLimitOfConnections(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		log := &journal{}
		cfg.Logger = slog.New(log)
		cfg.Dial = piped(turning)
		s := Open(cfg)
		defer s.Close()
		settle(time.Second)
		if st := s.State(); !strings.Contains(st.Err.Error(), "maxClientCnxns") || len(log.seen("maxClientCnxns")) != 1 {
			t.Errorf("%v; logged: %v", st.Err, log.seen())
		}
	})
}
