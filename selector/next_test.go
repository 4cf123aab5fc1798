package selector

import (
	"errors"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/selector/internal/health"
)

// after returns the holder of a call whose last attempt was at a server.
func after(tb testing.TB, s *Selector, key string) *holder {
	tb.Helper()
	h := &holder{Context: tb.Context(), x: &xclient{s: s}}
	h.avoid = key
	return h
}

func TestACallThatFailedAtAServerGoesToAnother(t *testing.T) {
	for _, p := range []Policy{P2C, WeightedRoundRobin, ConsistentHash, Random} {
		for _, n := range []int{2, 10} {
			inBubble(t, n, func(t *testing.T, s *Selector, _ *world) {
				for i := 1; i < n; i++ { // the first is the best, were it not for the failure
					s.observe(s.main, nth(i), health.Answered, time.Second)
				}
				for i := range 200 {
					h := after(t, s, nth(0))
					if key := s.Select(h, "Arith", "Mul", i); key == nth(0) {
						t.Fatalf("%v of %d: again to %s", p, n, key)
					}
					h.release(true)
				}
			}, WithPolicy(p))
		}
	}
}

func TestACallThatFailedInATrialDoesNotTryAgain(t *testing.T) {
	inBubble(t, 10, func(t *testing.T, s *Selector, _ *world) {
		s.dialFailed(nth(0), errors.New("refused"))
		pass(2 * time.Second)
		wantState(t, s, nth(0), Trial)
		for range 200 {
			h := after(t, s, nth(0))
			if key := s.Select(h, "Arith", "Mul", nil); key == nth(0) {
				t.Fatal("it did")
			}
			h.release(true)
		}
	})
}

func TestWhereThereIsOneServerItIsCalledAgain(t *testing.T) {
	for _, o := range []health.Outcome{health.Answered, health.Undialled} {
		inBubble(t, 1, func(t *testing.T, s *Selector, _ *world) {
			fail(t, s, nth(0), o, 1)
			h := after(t, s, nth(0))
			defer h.release(true)
			if key := s.Select(h, "Arith", "Mul", nil); key != nth(0) {
				t.Errorf("after %v %q", o, key)
			}
		})
	}
}

func TestAServerThatRefusesAtOnceDoesNotAttractCalls(t *testing.T) {
	for _, c := range []struct {
		o    health.Outcome
		most int // of 1,000 calls; its share would be 100
	}{{health.Refused, 150}, {health.Broken, 10}} {
		inBubble(t, 10, func(t *testing.T, s *Selector, _ *world) {
			for i := range 10 {
				s.observe(s.main, nth(i), health.Answered, 20*time.Millisecond)
			}
			for i := range 300 { // over thirty seconds
				if c.o == health.Refused || i%5 == 0 { // not often enough to be ejected
					s.observe(s.main, nth(0), c.o, time.Microsecond)
				} else if s.of(t, nth(0)).State == Up {
					s.observe(s.main, nth(0), health.Answered, 20*time.Millisecond)
				}
				for i := 1; i < 10; i++ {
					s.observe(s.main, nth(i), health.Answered, 20*time.Millisecond)
				}
				pass(100 * time.Millisecond)
			}
			got := 0
			for range 1000 {
				k, p := s.choose(t.Context(), nil)
				if k == nth(0) {
					got++
				}
				p.done(health.NotSent, 0)
			}
			if got > c.most {
				t.Errorf("%d of 1,000 calls go there for %v", got, c.o)
			}
		}, WithEjection(Ejection{Share: 0.01})) // nobody is ejected
	}
}

// By the clock of the last call, a call after a quiet time had been chosen before the last failure.
func TestAFailureAfterAQuietTimeCounts(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, s *Selector, _ *world) {
		for range 4 {
			h := (&xclient{s: s}).holder(t.Context(), false)
			s.Select(h, "Arith", "Mul", nil)
			h.started()
			pass(time.Second)
			h.pick.done(health.Late, time.Second)
			load := &s.main.byKey[nth(0)].load
			if cost, latency := load.Cost(s.now()), load.Latency(s.now()); cost < 1.9*latency {
				t.Errorf("after a failure a call costs %v, and takes %v", time.Duration(cost), time.Duration(latency))
			}
			pass(20 * time.Second)
		}
	})
}

// What was chosen before a failure, and sent after a long dial, is not what was under way when that failed.
func TestAFailureOfARequestThatWentOutAfterAnotherFailureCounts(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, s *Selector, _ *world) {
		h := (&xclient{s: s}).holder(t.Context(), false)
		s.Select(h, "Arith", "Mul", nil)
		pass(time.Second)
		fail(t, s, nth(0), health.Late, 1)
		pass(time.Millisecond)
		h.started()
		pass(time.Second)
		h.pick.done(health.Late, time.Second)
		load := &s.main.byKey[nth(0)].load
		if cost, latency := load.Cost(s.now()), load.Latency(s.now()); cost < 2.5*latency {
			t.Errorf("after two failures a call costs %v, and takes %v", time.Duration(cost), time.Duration(latency))
		}
	})
}
