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

func TestServerThatAnswersEverySessionAsExpiredIsNotAskedAgainAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		log := &journal{}
		cfg.Logger = slog.New(log)
		var attempts atomic.Int64
		cfg.Dial = counting(&attempts, zk.Dial)
		zk.FailNext(zktest.OpConnect, 0, 1<<30)
		s := Open(cfg)
		defer s.Close()
		settle(time.Hour)
		if n := attempts.Load(); n > int64(time.Hour/(MaxBackoff/2))+10 {
			t.Errorf("%d attempts in an hour", n)
		}
		if lines := log.seen(); len(lines) != 1 {
			t.Errorf("%d lines:\n%s", len(lines), strings.Join(lines, ""))
		}
		zk.FailNext(zktest.OpConnect, 0, 0)
		settle(MaxBackoff)
		if st := s.State(); !st.Connected || st.Session != 1 {
			t.Errorf("%+v", st)
		}
	})
}

// The handshake is what a wrong port is found out by, before go-zookeeper makes anything of it: a session of 0 ms would crash it.
func TestWelcomeThatIsNoneIsRefused(t *testing.T) {
	for _, tc := range []struct {
		what   string
		answer []byte
		want   error
	}{
		{"HTTP", []byte("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"), errForeign},
		{"a TLS alert", []byte{0x15, 3, 3, 0, 2, 2, 80}, errForeign},
		{"a frame of no length", make([]byte, 64), errForeign},
		{"a frame of negative length", []byte{0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4}, errForeign},
		{"a huge frame", []byte{0x7f, 0xff, 0xff, 0xff, 1, 2, 3, 4}, errForeign},
		{"a session of 0 ms", welcome(0, 1), errForeign},
		{"a session of less", welcome(-1, 1), errForeign},
		{"a password that is longer than the frame", welcome(4000, 1)[:24], errTurned},
		{"half a frame", welcome(4000, 1)[:30], errTurned},
		{"nothing", nil, errTurned},
	} {
		t.Run(tc.what, func(t *testing.T) {
			bubbles.Test(t, func(t *testing.T) {
				s := Open(Config{Servers: []string{"zk:2181"}, Dial: piped(func(c net.Conn) {
					turning(c) // has read the ConnectRequest
					_, _ = c.Write(tc.answer)
				})})
				defer s.Close()
				settle(0)
				if st := s.State(); !errors.Is(st.Err, tc.want) || st.Rounds == 0 {
					t.Errorf("%+v", st)
				}
			})
		})
	}
	longer := welcome(4000, 1)
	be.PutUint32(longer[4+16:], 17+1)
	k := newLink(newLine(&Session{ctx: t.Context()}), nil, target{}, time.Second)
	k.in.r.Reset(strings.NewReader(string(longer)))
	if err := k.nextFrame(); !errors.Is(err, errForeign) {
		t.Errorf("a password that is longer than the frame: %v", err)
	}
}

func TestSilentServerIsGivenUpWithinHalfASessionTimeout(t *testing.T) {
	for _, tc := range []struct {
		what string
		dial dialler
		late time.Duration
	}{
		{"with deadlines", piped(silent), 0},
		{"with a body that never ends", piped(func(c net.Conn) { _, _ = c.Write([]byte{0, 0, 0, 37, 1}); silent(c) }), 0},
		{"that does not even read", piped(func(net.Conn) { select {} }), 0},
		{"without deadlines", wrapping(piped(silent), func(c net.Conn) net.Conn { return tunnel{c} }), handshakeGrace + time.Second},
		{"without deadlines, that does not even read", wrapping(func(context.Context, string, string) (net.Conn, error) {
			c, _ := net.Pipe()
			return c, nil
		}, func(c net.Conn) net.Conn { return tunnel{c} }), handshakeGrace + time.Second},
	} {
		t.Run(tc.what, func(t *testing.T) {
			bubbles.Test(t, func(t *testing.T) {
				if tc.what == "that does not even read" {
					tc.dial = func(context.Context, string, string) (net.Conn, error) { c, _ := net.Pipe(); return c, nil }
				}
				s := Open(Config{Servers: []string{"zk:2181"}, Dial: tc.dial, SessionTimeout: 6 * time.Second})
				defer s.Close()
				begin := time.Now()
				for s.State().Rounds == 0 {
					_, changed := s.Changed()
					<-changed
				}
				if took := time.Since(begin); took < 3*time.Second || took > 3*time.Second+tc.late || !timedOut(s.State().Err) || s.State().Refused {
					t.Errorf("after %v: %+v", took, s.State())
				}
			})
		})
	}
}
