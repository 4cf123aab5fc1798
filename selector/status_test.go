package selector

import (
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holdfast-go/holdfast/selector/internal/health"
)

func TestStatus(t *testing.T) {
	inBubble(t, 4, func(t *testing.T, s *Selector, _ *world) {
		s.UpdateServer(fleet(4, func(i int) string { return fmt.Sprintf("zone=z%d&weight=%d", i, i) }))
		fail(t, s, nth(3), health.Late, 5)
		var open pick
		for range 300 {
			_, open = s.choose(t.Context(), nil)
			open.server.load.Took(5e6, s.now())
		}
		st := s.Status()
		if st.Policy != Random || !st.Live || st.Panic || len(st.Servers) != 4 {
			t.Fatalf("%+v", st)
		}
		share := 0.0
		for i, srv := range st.Servers {
			want := []State{Drained, Up, Up, Ejected}[i]
			if srv.Key != nth(i) || srv.State != want || srv.Zone != fmt.Sprintf("z%d", i) || srv.Weight != i {
				t.Errorf("%+v", srv)
			}
			share += srv.Share
			if math.Abs(srv.Share-float64(srv.Picks)/300) > 1e-9 {
				t.Errorf("%v of 300 is %v", srv.Picks, srv.Share)
			}
			if want == Up && (srv.InFlight != int(srv.Picks) || srv.Peak.Round(time.Millisecond) != 5*time.Millisecond) {
				t.Errorf("%+v", srv)
			}
		}
		ejected := st.Servers[3]
		if ejected.Reason != CallsFailed || ejected.Timeouts != 5 || ejected.Ejected != 1 || time.Until(ejected.Until) < 29*time.Second || time.Since(ejected.Since) > time.Second {
			t.Errorf("%+v", ejected)
		}
		if math.Abs(share-1) > 1e-9 {
			t.Errorf("shares add up to %v", share)
		}
		for _, want := range []string{"Random, 4 servers", nth(3), "ejected", "calls failed until"} {
			if !strings.Contains(st.String(), want) {
				t.Errorf("%q is not in\n%v", want, st)
			}
		}
	}, WithPolicy(Random))
}

func TestNamesOfStatesAndReasons(t *testing.T) {
	for i, v := range []fmt.Stringer{Fresh, Up, Aside, Ejected, Trial, Drained, Spare, State(99), NoReason, DialFailed, NoAnswer, CallsFailed, Outlying, ConnectionBroke, Reason(99)} {
		if s := v.String(); (s == "") != (v == NoReason) {
			t.Errorf("%d: %q", i, s)
		}
	}
}

func TestHooksTellOfEveryChange(t *testing.T) {
	var mu sync.Mutex
	var got []string
	var log lines
	o := Observer{
		Changed: func(c Change) {
			mu.Lock()
			defer mu.Unlock()
			if c.From == Fresh {
				return
			}
			got = append(got, fmt.Sprintf("%s %v-%v %v %v", c.Key[len(c.Key)-6:], c.From, c.To, c.Reason, c.Until.IsZero()))
			panic("a hook")
		},
		Panic: func(on bool) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, fmt.Sprint("panic ", on))
		},
	}
	inBubble(t, 2, func(t *testing.T, s *Selector, _ *world) {
		fail(t, s, nth(0), health.Late, 5)
		fail(t, s, nth(1), health.Undialled, 1)
		pass(50 * time.Millisecond)
		fail(t, s, nth(1), health.Answered, 1)
		pass(31 * time.Second)
		pass(5 * time.Second)
		fail(t, s, nth(0), health.Answered, 1)
		pass(50 * time.Millisecond)
		want := []string{
			"0:8972 up-ejected calls failed false", "1:8972 up-aside dial failed false", "panic true",
			"1:8972 aside-up  true", "panic false", "0:8972 ejected-trial calls failed true", "0:8972 trial-up  true",
		}
		mu.Lock()
		defer mu.Unlock()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		if n := log.count(`level=ERROR msg="a hook panicked" panic="a hook"`); n != 4 { // and then withheld: see internal/logs
			t.Errorf("%d panics of 5 are told", n)
		}
		// V2: a server that is up again was logged with reason="" until=0001-01-01.
		if log.count("server changed") < 5 || log.count(`reason=""`) > 0 || log.count("until=0001") > 0 {
			t.Errorf("lines say what there is not:\n%s", log.text.String())
		}
	}, WithObserver(o), WithLogger(log.logger(slog.LevelDebug)))
}

// A process that is killed breaks its connections. Then its server is asked, and is put aside when it does not answer.
func TestAServerThatGoesAndOneThatComesBackAreTold(t *testing.T) {
	log := new(lines)
	inBubble(t, 3, func(t *testing.T, s *Selector, w *world) {
		if log.count("server changed") > 0 {
			t.Error("servers that are well from the beginning are told")
		}
		w.kill(nth(0))
		fail(t, s, nth(0), health.Broken, 1)
		pass(time.Second)
		if n := log.count(`server=` + nth(0) + ` from=fresh to=aside reason="no answer"`); n != 1 || log.count("server changed") != 1 {
			t.Errorf("that it went is told %d times:\n%s", n, log.text.String())
		}
		w.revive(nth(0))
		pass(time.Minute)
		if n := log.count(`server=` + nth(0) + ` from=aside to=up`); n != 1 || log.count("server changed") != 2 {
			t.Errorf("that it is back is told %d times:\n%s", n, log.text.String())
		}
	}, WithLogger(log.logger(slog.LevelInfo)))
}

// lines collects a log.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), part)
}

func (l *lines) logger(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: level}))
}

func TestStrangeMetadataIsReportedOnce(t *testing.T) {
	var log lines
	inBubble(t, 1, func(t *testing.T, s *Selector, _ *world) {
		for i := range 20 {
			s.UpdateServer(fleet(10+i%2, func(i int) string { return []string{"weight=-1", "weight=x"}[i%2] }))
			pass(time.Second)
		}
		if n := log.count("metadata not understood"); n != 2 {
			t.Errorf("%d lines, want one for ten servers and one for the eleventh", n)
		}
	}, WithLogger(log.logger(slog.LevelInfo)))
}

// A day of outage must not fill a disk.
func TestTheLogHasEdgesOnly(t *testing.T) {
	var log lines
	inBubble(t, 10, func(t *testing.T, s *Selector, w *world) {
		for i := range 10 {
			w.kill(nth(i))
		}
		for range 24 * 60 {
			for range 5 {
				if _, p := s.choose(t.Context(), nil); p.server != nil {
					p.done(health.Undialled, time.Second)
				}
			}
			pass(time.Minute)
		}
		if n := log.count("\n"); n == 0 || n > 25 {
			t.Errorf("%d lines in a day\n%s", n, log.text.String())
		}
	}, WithLogger(log.logger(slog.LevelInfo)))
}

// Row 16: shares were of all picks since a server was listed, so one that had just joined had next to none.
func TestSharesAreThoseOfTheLastMinute(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, s *Selector, _ *world) {
		for range 600 {
			picked(t, s, 10)
			pass(time.Second)
		}
		s.UpdateServer(fleet(2, func(i int) string { return []string{"weight=1", "weight=9"}[i] }))
		for range 60 {
			picked(t, s, 10)
			pass(time.Second)
		}
		if share := s.of(t, nth(1)).Share; share < 0.8 {
			t.Errorf("one with nine tenths of the weight has %.1f %% of the last minute's picks", 100*share)
		}
		if sum := s.of(t, nth(0)).Share + s.of(t, nth(1)).Share; math.Abs(sum-1) > 1e-9 {
			t.Errorf("shares add up to %v", sum)
		}
	}, WithPolicy(Random))
}

// The clock was that of the last call. So the calls of a client that calls seldom were never of the last minute.
func TestASeldomCallIsOfTheLastMinuteToo(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, s *Selector, _ *world) {
		for range 5 {
			pass(2 * time.Minute)
			h := (&xclient{s: s}).holder(t.Context(), false)
			key := s.Select(h, "Arith", "Mul", nil)
			h.started()
			h.pick.done(health.Answered, time.Millisecond)
			if got := s.of(t, key); got.Share != 1 {
				t.Fatalf("the only server has %v of the last minute's picks, right after one", got.Share)
			}
		}
	})
}
