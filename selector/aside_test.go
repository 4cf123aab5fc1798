package selector

import (
	"errors"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/selector/internal/health"
)

func TestAFailedDialPutsAServerAsideAtOnce(t *testing.T) {
	for _, p := range []Policy{P2C, WeightedRoundRobin, ConsistentHash, Random} {
		inBubble(t, 10, func(t *testing.T, s *Selector, _ *world) {
			key := nth(3)
			if p == ConsistentHash {
				key, _ = s.choose(t.Context(), nil)
			}
			p := pickFrom(t, s, key)
			p.done(health.Undialled, time.Second)
			got := s.of(t, key)
			if d := time.Until(got.Until); got.State != Aside || got.Reason != DialFailed || d < 500*time.Millisecond || d > time.Second {
				t.Errorf("%v: %v (%v) for %v", s.config.policy, got.State, got.Reason, d)
			}
			if n := picked(t, s, 1000)[key]; n > 0 {
				t.Errorf("%v: picked %d times", s.config.policy, n)
			}
		}, WithPolicy(p))
	}
}

func TestDialsAreSpacedByADoublingBackoff(t *testing.T) {
	inBubble(t, 10, func(t *testing.T, s *Selector, w *world) {
		key := nth(0)
		w.kill(key)
		s.dialFailed(key, errors.New("refused"))
		s.dialFailed(key, errors.New("refused")) // the same dial, told twice
		asked, last := w.times(key), time.Now()
		for i, limit := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60, 60} {
			for w.times(key) == asked {
				pass(50 * time.Millisecond)
			}
			asked++
			limit *= time.Second
			// The probe before took a second, the loop at most a nap more.
			took := time.Since(last)
			if i > 0 {
				took -= time.Second
			}
			if took < limit/2-100*time.Millisecond || took > limit+150*time.Millisecond {
				t.Errorf("dial %d came after %v, want %v to %v", i+1, took, limit/2, limit)
			}
			last = time.Now()
		}
	})
}

func TestOneTrialCallBringsAServerBack(t *testing.T) {
	for _, o := range []health.Outcome{health.Answered, health.Refused} {
		inBubble(t, 10, func(t *testing.T, s *Selector, _ *world) {
			key := nth(0)
			fail(t, s, key, health.Undialled, 1)
			pass(2 * time.Second)
			wantState(t, s, key, Trial)
			p := pickFrom(t, s, key)
			if n := picked(t, s, 1000)[key]; n > 0 {
				t.Errorf("%d calls went there beside the one that tries it", n)
			}
			p.done(o, time.Millisecond)
			wantState(t, s, key, Up)
			if n := picked(t, s, 1000)[key]; n == 0 {
				t.Error("is up and not picked")
			}
		})
	}
}

func TestATrialThatFailsPutsAServerBack(t *testing.T) {
	for _, c := range []struct {
		o    health.Outcome
		want State
	}{{health.Undialled, Aside}, {health.Broken, Ejected}, {health.Late, Ejected}, {health.NotSent, Trial}} {
		inBubble(t, 10, func(t *testing.T, s *Selector, _ *world) {
			key := nth(0)
			fail(t, s, key, health.Undialled, 1)
			pass(2 * time.Second)
			p := pickFrom(t, s, key)
			p.done(c.o, time.Millisecond)
			wantState(t, s, key, c.want)
			if c.want == Trial {
				if n := picked(t, s, 1000)[key]; n > 0 {
					t.Fatalf("%d calls tried it at once", n)
				}
				pass(time.Second)
				p := pickFrom(t, s, key) // another call may try
				p.done(health.Answered, 0)
			}
		})
	}
}

func TestATrialThatTakesLongKeepsOthersFromThatServerForTenSeconds(t *testing.T) {
	inBubble(t, 10, func(t *testing.T, s *Selector, _ *world) {
		fail(t, s, nth(0), health.Undialled, 1)
		pass(1500 * time.Millisecond)
		slow := pickFrom(t, s, nth(0))
		pass(10*time.Second - time.Millisecond)
		if n := picked(t, s, 1000)[nth(0)]; n > 0 {
			t.Errorf("%d more calls tried it", n)
		}
		pass(time.Millisecond)
		p := pickFrom(t, s, nth(0))
		slow.done(health.NotSent, 0)
		if n := picked(t, s, 1000)[nth(0)]; n > 0 {
			t.Errorf("%d more calls tried it beside the second", n)
		}
		wantState(t, s, nth(0), Trial)
		p.done(health.Answered, 5*time.Second)
		wantState(t, s, nth(0), Up)
	})
}

// A list from a file names servers that are gone, and that they are gone is no doubt: they cannot be dialled.
func TestTheDeadOfAStaleListArePutAsideAllTheSame(t *testing.T) {
	inBubble(t, 10, func(t *testing.T, s *Selector, w *world) {
		fail(t, s, nth(0), health.Undialled, 1)
		w.kill(nth(0), nth(1), nth(2), nth(3))
		for i := range 4 {
			fail(t, s, nth(i), health.Undialled, 1)
		}
		pass(2 * time.Second)
		for range 100 {
			for k := range picked(t, s, 100) {
				if w.dead[k[len("tcp@"):]] {
					t.Fatalf("%s was picked", k)
				}
			}
			pass(time.Second)
		}
	}, WithLive(func() bool { return false }))
}

func TestWhenTheNetworkReturnsAllAreBackSoon(t *testing.T) {
	inBubble(t, 20, func(t *testing.T, s *Selector, w *world) {
		keys := make([]string, 20)
		for i := range keys {
			keys[i] = nth(i)
		}
		w.kill(keys...)
		for end := time.Now().Add(time.Hour); time.Now().Before(end); {
			if k, p := s.choose(t.Context(), nil); k == "" {
				t.Fatal("no server")
			} else {
				p.done(health.Undialled, time.Second)
			}
			pass(time.Second)
		}
		w.revive(keys...)
		for range 40 {
			picked(t, s, 20)
			pass(100 * time.Millisecond)
		}
		if c := s.main.table.Load().counts; c.in[health.Up] != 20 {
			t.Errorf("after 4 s %+v", c)
		}
	})
}

func TestAServerThatLeavesTheListForAMomentIsWhatItWas(t *testing.T) {
	inBubble(t, 10, func(t *testing.T, s *Selector, _ *world) {
		fail(t, s, nth(0), health.Late, 5)
		p := pickFrom(t, s, nth(1))
		s.UpdateServer(fleet(0, unweighted))
		if k := s.Select(t.Context(), "Arith", "Mul", nil); k != "" {
			t.Fatalf("%q of an empty list", k)
		}
		s.UpdateServer(fleet(10, unweighted))
		wantState(t, s, nth(0), Ejected)
		if n := s.of(t, nth(1)).InFlight; n != 1 {
			t.Errorf("%d in flight", n)
		}
		p.done(health.Answered, 0)
		s.UpdateServer(nil)
		pass(2 * time.Minute)
		s.UpdateServer(fleet(10, unweighted))
		wantState(t, s, nth(0), Fresh)
	}, WithSlowStart(30*time.Second))
}

// Row 10: when the time of a trial was over, and a call that was older had ended, all on trial were up without one success.
func TestOnlyASuccessBringsAServerBack(t *testing.T) {
	inBubble(t, 8, func(t *testing.T, s *Selector, _ *world) {
		old := []pick{s.chosen(nth(0)), s.chosen(nth(1)), s.chosen(nth(2))} // long calls, from before
		for i := range 3 {
			fail(t, s, nth(i), health.Undialled, 1)
		}
		pass(2 * time.Second)
		tried := pickFrom(t, s, nth(0))
		tried.done(health.GivenUp, 0)
		pass(time.Second)
		for i := range old {
			old[i].done(health.Late, 3*time.Second)
		}
		for range 30 {
			pass(time.Second)
			for i := range 3 {
				wantState(t, s, nth(i), Trial)
			}
		}
	})
}

// Row 13: one that had left the list was put aside still when it came back to a Selector that was closed.
func TestAClosedSelectorUsesAlsoThoseThatComeBack(t *testing.T) {
	inBubble(t, 2, func(t *testing.T, s *Selector, _ *world) {
		fail(t, s, nth(0), health.Undialled, 1)
		s.UpdateServer(map[string]string{nth(1): ""})
		_ = s.Close()
		s.UpdateServer(fleet(2, unweighted))
		got := 0
		for range 1000 {
			if s.Select(t.Context(), "Arith", "Mul", nil) == nth(0) {
				got++
			}
		}
		if got < 400 {
			t.Errorf("%d of 1,000 calls went to it", got)
		}
	})
}

// What a former process has shown is not the next one's. Its latency is forgotten, and if it is out of use it is asked at once.
func TestAServerThatWasRestartedBeginsAnew(t *testing.T) {
	for what, restart := range map[string]func(s *Selector){
		"it left the list and came back": func(s *Selector) { s.UpdateServer(fleet(1, unweighted)); s.UpdateServer(fleet(2, unweighted)) },
		"its start has changed": func(s *Selector) {
			s.UpdateServer(fleet(2, func(i int) string { return []string{"", "started=1700000001"}[i] }))
		},
	} {
		t.Run(what, func(t *testing.T) {
			inBubble(t, 2, func(t *testing.T, s *Selector, _ *world) {
				s.UpdateServer(fleet(2, func(i int) string { return []string{"", "started=1700000000"}[i] }))
				s.observe(s.main, nth(1), health.Answered, time.Second)
				fail(t, s, nth(1), health.Late, 5)
				fail(t, s, nth(0), health.Answered, 1)
				wantState(t, s, nth(1), Ejected)
				restart(s)
				if peak := s.of(t, nth(1)).Peak; peak != 0 {
					t.Errorf("its latency is %v", peak)
				}
				pass(20 * time.Millisecond)
				wantState(t, s, nth(1), Trial)
			})
		})
	}
}

func TestTheLatencyIsForgottenWithTheLastConnection(t *testing.T) {
	inBubble(t, 2, func(t *testing.T, s *Selector, _ *world) {
		ends := func() time.Duration {
			s.observe(s.main, nth(1), health.Answered, time.Second)
			srv := s.main.byKey[nth(1)]
			s.judge(srv, srv.epoch.Load(), health.ConnectionEnded)
			pass(20 * time.Millisecond) // it is asked, and answers
			wantState(t, s, nth(1), Up)
			return s.of(t, nth(1)).Peak
		}
		if peak := ends(); peak != 0 {
			t.Errorf("without a call its latency is %v", peak)
		}
		p := pickFrom(t, s, nth(1)) // over another connection
		if peak := ends(); peak < time.Second/2 {
			t.Errorf("with a call under way its latency is %v", peak)
		}
		p.done(health.Answered, time.Second)
	})
}
