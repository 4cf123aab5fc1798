package selector

import (
	"context"
	"crypto/tls"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/selector/internal/health"
)

func TestEveryMistakeIsToldAtOnce(t *testing.T) {
	s, err := New(
		WithPolicy(Policy(77)), WithZone(""), WithPosition(math.NaN(), 0), WithKey(nil), WithLoadBound(math.NaN()), WithSubset(0), WithClientID(""),
		WithSlowStart(-time.Second), WithRetryBudget(math.NaN(), -1), WithLive(nil), WithLogger(nil), WithoutProbing(), nil,
		WithEjection(Ejection{Consecutive: -1, Base: time.Hour, Max: time.Minute, DialBase: -1, DialMax: -1, Share: 1.5}),
		WithProbing(Probing{Timeout: -1, Parallel: 1001, TLS: &tls.Config{}, Probe: func(context.Context, string, string) error { return nil }}),
	)
	if err == nil {
		_ = s.Close()
		t.Fatal("no error")
	}
	for _, want := range []string{
		"selector: ", "WithPolicy(Policy(77))", `WithZone("")`, "WithPosition(NaN, 0)", "WithKey(nil)", "WithLoadBound(NaN)", "WithSubset(0)", `WithClientID("")`,
		"WithSlowStart(-1s)", "WithRetryBudget(NaN, -1)", "WithLive(nil)", "WithLogger(nil)", "WithoutProbing contradicts WithProbing", "Consecutive -1", "Base 1h0m0s: must not be above Max, 1m0s",
		"DialBase -1ns", "Share 1.5", "Timeout -1ns", "Parallel 1001", "TLS contradicts Probe", "WithClientID needs WithSubset",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("does not say %q:\n%v", want, err)
		}
	}
}

func TestOptionsThatContradictEachOther(t *testing.T) {
	key := func(context.Context, string, string, any) string { return "" }
	for want, opts := range map[string][]Option{
		"Locality) needs WithZone or WithPosition": {WithPolicy(Locality)},
		"WithZone contradicts":                     {WithZone("a")},
		"WithPosition contradicts":                 {WithPolicy(Random), WithPosition(1, 2)},
		"WithKey contradicts":                      {WithKey(key)},
		"WithLoadBound contradicts":                {WithPolicy(WeightedRoundRobin), WithLoadBound(2)},
		"need WithClientID":                        {WithPolicy(ConsistentHash), WithSubset(3)},
		"WithClientID needs WithSubset":            {WithClientID("me")},
		"WithSubset(-1)":                           {WithSubset(-1)},
	} {
		if _, err := New(opts...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestEjectionsOptionsCount(t *testing.T) {
	e := Ejection{Consecutive: 2, Base: 10 * time.Second, Max: 15 * time.Second, DialBase: 20 * time.Second, DialMax: 20 * time.Second, Share: 0.2}
	inBubble(t, 10, func(t *testing.T, s *Selector, _ *world) {
		within := func(key string, least, most time.Duration) {
			t.Helper()
			if d := time.Until(s.of(t, key).Until); d < least || d > most+time.Millisecond {
				t.Errorf("out of use for %v, want %v to %v", d, least, most)
			}
		}
		fail(t, s, nth(0), health.Late, 2)
		within(nth(0), 10*time.Second, 11*time.Second)
		pass(11 * time.Second)
		fail(t, s, nth(0), health.Late, 1)
		within(nth(0), 15*time.Second, 15*time.Second)
		fail(t, s, nth(1), health.Undialled, 1)
		within(nth(1), 10*time.Second, 20*time.Second)
		fail(t, s, nth(2), health.Late, 5)
		wantState(t, s, nth(2), Up) // two of ten is the share
		fail(t, s, nth(2), health.Undialled, 1)
		if !s.Status().Panic {
			t.Error("no panic with three of ten")
		}
	}, WithEjection(e))
}

func TestTheLoadBoundCounts(t *testing.T) {
	inBubble(t, 10, func(t *testing.T, s *Selector, _ *world) {
		most := 0
		for range 1000 {
			s.choose(t.Context(), "one key")
		}
		for _, srv := range s.Status().Servers {
			most = max(most, srv.InFlight)
		}
		if most < 290 || most > 301 {
			t.Errorf("%d of 1,000 in flight at one server, three times the mean allowed", most)
		}
	}, WithPolicy(ConsistentHash), WithLoadBound(3))
}

func TestAPanicOfTheLiveFunctionMeansNotLive(t *testing.T) {
	inBubble(t, 10, func(t *testing.T, s *Selector, _ *world) {
		if s.Status().Live {
			t.Error("live")
		}
	}, WithLive(func() bool { panic("live") }))
}

func TestLivenessIsAskedOnceASecondAtMost(t *testing.T) {
	asked := 0
	inBubble(t, 10, func(t *testing.T, s *Selector, _ *world) {
		pass(2 * time.Second)
		before := asked
		for range 100 {
			fail(t, s, nth(0), health.Late, 1)
			s.Status()
		}
		if asked > before+1 {
			t.Errorf("asked %d times at the same time", asked-before)
		}
	}, WithLive(func() bool { asked++; return true }))
}
