package zktest

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestSessionTimeoutIsNegotiatedWithinBounds(t *testing.T) {
	for _, c := range []struct {
		name      string
		opts      []Option
		min, max  time.Duration
		asked, is time.Duration
	}{
		{"by default", nil, 4 * time.Second, 40 * time.Second, 10 * time.Second, 10 * time.Second},
		{"with another tick", []Option{WithTick(100 * time.Millisecond)}, 200 * time.Millisecond, 2 * time.Second, time.Second, time.Second},
		{"with bounds", []Option{WithSessionTimeouts(time.Second, time.Minute)}, time.Second, time.Minute, 50 * time.Second, 50 * time.Second},
		{"with one bound", []Option{WithSessionTimeouts(0, time.Hour)}, 4 * time.Second, time.Hour, time.Minute, time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, s *Server) {
				for asked, want := range map[time.Duration]time.Duration{-time.Hour: c.min, 0: c.min, c.asked: c.is, 24 * time.Hour: c.max} {
					w := pipe(t, s)
					if err := w.handshake(connectRequest{timeoutMs: int32(asked.Milliseconds())}); err != nil {
						t.Fatal(err)
					}
					if got := time.Duration(w.timeout) * time.Millisecond; got != want {
						t.Errorf("asked for %v, got %v, want %v", asked, got, want)
					}
					w.must(t, newEphemeral("/w"))
					pass(want - 1)
					mustHave(t, s, "/w", true)
					pass(1)
					mustHave(t, s, "/w", false)
				}
			}, c.opts...)
		})
	}
}

func TestFrameLongerThanAllowedEndsTheConnection(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		for _, extra := range []int{0, 1} {
			w := join(t, s)
			r := newNode("/a")
			r.data = nil
			r.data = make([]byte, 2000-len(r.body(0))+extra)
			_, err := w.call(r.kind, r.encode())
			if ok := err == nil; ok != (extra == 0) {
				t.Errorf("%d bytes too many: %v", extra, err)
			}
		}
	}, WithMaxFrame(2000))
}

func TestLoggerHearsOfFaultsAndNotOfData(t *testing.T) {
	var log bytes.Buffer
	bubble(t, func(t *testing.T, s *Server) {
		w := join(t, s)
		w.must(t, &request{kind: OpAuth, scheme: schemeDigest, data: []byte("ann:secret")})
		w.must(t, newNode("/a"))
		s.Stop()
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
	}, WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	text := log.String()
	if !strings.Contains(text, "msg=stopped") || !strings.Contains(text, "msg=started") {
		t.Errorf("the log is silent about a stop and a start:\n%s", text)
	}
	if strings.Contains(text, "secret") || strings.Count(text, "\n") > 4 {
		t.Errorf("the log says too much:\n%s", text)
	}
}

func TestOptionsThatCannotBePanicAllAtOnce(t *testing.T) {
	defer func() {
		err, _ := recover().(error)
		if err == nil {
			t.Fatal("no panic")
		}
		for _, want := range []string{"tick 0s", "1m0s to 1s", "5 bytes", "logger nil"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q does not mention %q", err, want)
			}
		}
	}()
	NewServer(WithTick(0), WithSessionTimeouts(time.Minute, time.Second), WithMaxFrame(5), WithLogger(nil))
}
