package selector

import (
	"slices"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/selector/internal/health"
)

func TestFiveFailuresInARowEject(t *testing.T) {
	for _, o := range []health.Outcome{health.Broken, health.Late} {
		inBubble(t, 10, func(t *testing.T, s *Selector, _ *world) {
			key := nth(0)
			failed := func(times int) {
				for range times {
					fail(t, s, key, o, 1)
					pass(20 * time.Millisecond) // after a broken connection it is asked first
				}
			}
			failed(4)
			fail(t, s, key, health.Answered, 1)
			failed(4)
			wantState(t, s, key, Up)
			fail(t, s, key, health.Refused, 1)
			failed(4)
			fail(t, s, key, health.NotSent, 5)
			wantState(t, s, key, Up)
			failed(1)
			wantState(t, s, key, Ejected)
		})
	}
}

func TestServiceErrorsAreSuccessesOfTheServer(t *testing.T) {
	inBubble(t, 10, func(t *testing.T, s *Selector, _ *world) {
		fail(t, s, nth(0), health.Refused, 1000)
		pass(time.Minute)
		wantState(t, s, nth(0), Up)
	})
}

func TestEjectionsGrowFromThirtySecondsToFiveMinutesAndAreForgiven(t *testing.T) {
	inBubble(t, 10, func(t *testing.T, s *Selector, _ *world) {
		key := nth(0)
		eject := func() time.Duration {
			t.Helper()
			fail(t, s, key, health.Late, 5)
			wantState(t, s, key, Ejected)
			return time.Until(s.of(t, key).Until)
		}
		back := func(d time.Duration) {
			t.Helper()
			pass(d + 100*time.Millisecond)
			wantState(t, s, key, Trial)
			fail(t, s, key, health.Answered, 1)
		}
		want := func(d, base time.Duration) {
			t.Helper()
			if d < base || d > min(base*11/10, 5*time.Minute)+time.Millisecond {
				t.Errorf("ejected for %v, want %v and up to a tenth more", d, base)
			}
		}
		for i := range 12 {
			d := eject()
			want(d, min(time.Duration(i+1)*30*time.Second, 5*time.Minute))
			back(d)
		}
		pass(11 * 30 * time.Second)
		d := eject()
		want(d, 60*time.Second) // twelve, of which eleven are forgiven, and one
		back(d)
		pass(time.Hour)
		want(eject(), 30*time.Second)
	})
}

// The first failures eject; what was under way at the same time says nothing that is not known.
func TestCallsThatWereUnderWayDoNotMakeAnEjectionLonger(t *testing.T) {
	inBubble(t, 1000, func(t *testing.T, s *Selector, _ *world) {
		s.UpdateServer(map[string]string{nth(0): "", nth(1): ""})
		var picks []pick
		for range 100 {
			picks = append(picks, pickFrom(t, s, nth(0)))
		}
		for i := range picks[:90] {
			picks[i].done(health.Late, time.Second)
		}
		if got := s.of(t, nth(0)); got.Ejected != 1 || time.Until(got.Until) > 33*time.Second || got.InFlight != 10 {
			t.Errorf("%d ejections, for %v, %d in flight", got.Ejected, time.Until(got.Until), got.InFlight)
		}
		for i := range picks[90:] {
			picks[90+i].done(health.Answered, time.Second) // sent before it failed
		}
		wantState(t, s, nth(0), Ejected)
	}, WithPolicy(Random))
}

func TestAServerFarWorseThanTheOthersIsEjected(t *testing.T) {
	for _, c := range []struct {
		name    string
		percent func(i int) int // of a server's calls that fail
		ejected []int
	}{
		{"one of three fails", func(i int) int { return []int{0, 0, 30}[i%3] * (1 - min(1, i/3)) }, []int{2}},
		{"two fail", func(i int) int { return []int{30, 30, 0, 0, 0, 0, 0, 0, 0, 0}[i] }, []int{0, 1}},
		{"all fail alike", func(int) int { return 20 }, nil},
		{"one fails a little more", func(i int) int { return []int{8, 0}[min(i, 1)] }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, 10, func(t *testing.T, s *Selector, _ *world) {
				for call := range 1000 { // ten a second for each server
					for i := range 10 {
						o := health.Answered
						if (call*37+i*11)%100 < c.percent(i) { // spread, so that never five come in a row
							o = health.Broken
						}
						if s.of(t, nth(i)).State == Up {
							s.observe(s.main, nth(i), o, time.Millisecond)
						}
					}
					if pass(100 * time.Millisecond); call == 100 {
						break
					}
				}
				var got []int
				for i := range 10 {
					if st := s.of(t, nth(i)); st.State != Up {
						got = append(got, i)
						if st.Reason != Outlying {
							t.Errorf("%d is %v because %v", i, st.State, st.Reason)
						}
					}
				}
				if !slices.Equal(got, c.ejected) {
					t.Errorf("ejected %v, want %v", got, c.ejected)
				}
			})
		})
	}
}

func TestNeverMoreThanHalfAreEjected(t *testing.T) {
	for _, n := range []int{1, 2, 3, 10} {
		inBubble(t, n, func(t *testing.T, s *Selector, _ *world) {
			for i := range n {
				fail(t, s, nth(i), health.Late, 20)
			}
			if c := s.main.table.Load().counts; c.in[health.Ejected] != n/2 || s.Status().Panic {
				t.Errorf("%d of %d ejected, panic %v", c.in[health.Ejected], n, s.Status().Panic)
			}
		})
	}
}

func TestFewerAreEjectedWhileTheListIsNotLive(t *testing.T) {
	inBubble(t, 10, func(t *testing.T, s *Selector, _ *world) {
		for i := range 10 {
			fail(t, s, nth(i), health.Late, 20)
		}
		if c := s.main.table.Load().counts; c.in[health.Ejected] != 2 {
			t.Errorf("%d of 10 ejected", c.in[health.Ejected])
		}
		if s.Status().Live {
			t.Error("the status says live")
		}
	}, WithLive(func() bool { return false }))
}

func TestWhenMoreThanHalfFailAllAreUsed(t *testing.T) {
	inBubble(t, 10, func(t *testing.T, s *Selector, w *world) {
		for i := range 5 {
			fail(t, s, nth(i), health.Late, 5)
		}
		if n := len(picked(t, s, 1000)); n != 5 {
			t.Fatalf("%d servers used while five are ejected", n)
		}
		w.kill(nth(5))
		fail(t, s, nth(5), health.Undialled, 1)
		if !s.Status().Panic {
			t.Fatal("six of ten fail, and no panic")
		}
		var used int
		for range 100 { // ejected ones come back with a success, which ends the panic
			k, p := s.choose(t.Context(), nil)
			if s.of(t, k).State == Ejected {
				used++
			}
			p.done(health.NotSent, 0)
		}
		if used == 0 {
			t.Error("none of those ejected was used")
		}
		// Row 2: those that cannot be reached were tried by calls, whatever the probes said, and each such call stalls everybody.
		for range 100 {
			if n := picked(t, s, 100)[nth(5)]; n > 0 {
				t.Fatalf("%d calls went to one that a probe has just missed", n)
			}
			pass(time.Second)
		}
	})
}

// Of ten servers two failed often and were ejected, although they were all that another group has.
func TestALowRateEjectsNoWholeGroup(t *testing.T) {
	inBubble(t, 0, func(t *testing.T, s *Selector, _ *world) {
		all, two := s.newView(ofRPCX), s.newView(settings{known: true, option: client.Option{Group: "a"}})
		all.UpdateServer(fleet(10, unweighted))
		two.UpdateServer(fleet(2, unweighted))
		pass(time.Minute)
		for range 5 {
			for i := range 10 {
				for range 20 {
					if i < 2 {
						s.observe(s.main, nth(i), health.Late, time.Millisecond)
					}
					s.observe(s.main, nth(i), health.Answered, time.Millisecond)
				}
			}
			pass(time.Second)
		}
		ejected := 0
		for i := range 2 {
			if s.of(t, nth(i)).State == Ejected {
				ejected++
			}
		}
		if ejected != 1 {
			t.Errorf("%d of the two are ejected, want 1", ejected)
		}
	})
}

// A server that failed often, but not five times in a row, went unnoticed if that began in the first half minute of the Selector.
func TestALowRateIsNoticedFromTheFirstSecondOn(t *testing.T) {
	inBubble(t, 10, func(t *testing.T, s *Selector, _ *world) {
		for range 60 {
			for i := range 10 {
				s.observe(s.main, nth(i), health.Answered, time.Millisecond)
			}
			for range 3 {
				s.observe(s.main, nth(0), health.Late, time.Second)
			}
			pass(100 * time.Millisecond)
		}
		wantState(t, s, nth(0), Ejected)
	})
}

// Sixty calls on one connection once counted as sixty failures, and so as a share far above the others'.
func TestABrokenConnectionIsOneFailureHoweverManyCallsWereOnIt(t *testing.T) {
	inBubble(t, 10, func(t *testing.T, s *Selector, _ *world) {
		answers := func() {
			for i := range 10 {
				for range 20 {
					s.observe(s.main, nth(i), health.Answered, time.Millisecond)
				}
			}
		}
		answers()
		var calls []pick
		for range 60 {
			calls = append(calls, pickFrom(t, s, nth(0)))
		}
		pass(100 * time.Millisecond)
		for i := range calls {
			calls[i].done(health.Broken, 100*time.Millisecond)
		}
		for range 3 {
			answers()
			pass(time.Second)
			wantState(t, s, nth(0), Up)
		}
	}, WithPolicy(Random))
}

// Those on trial were not counted, and those that then took their place stayed out when the trials failed.
func TestNeverMoreThanHalfAreEjectedWhenTrialsFailToo(t *testing.T) {
	for _, c := range []struct {
		live bool
		most int
	}{{true, 4}, {false, 2}} {
		inBubble(t, 8, func(t *testing.T, s *Selector, _ *world) {
			for i := range c.most {
				fail(t, s, nth(i), health.Late, 5)
				wantState(t, s, nth(i), Ejected)
			}
			pass(40 * time.Second)
			for i := range c.most {
				wantState(t, s, nth(i), Trial)
			}
			for i := c.most; i < 8; i++ {
				fail(t, s, nth(i), health.Late, 5)
			}
			fail(t, s, nth(0), health.Answered, 1) // one is well
			fail(t, s, nth(6), health.Late, 5)     // so another may be ejected
			wantState(t, s, nth(6), Ejected)
			for i := range c.most {
				fail(t, s, nth(i), health.Late, 1)
			}
			if n := s.main.table.Load().counts.in[health.Ejected]; n != c.most {
				t.Errorf("live %v: %d of 8 are ejected, at most %d may be", c.live, n, c.most)
			}
		}, WithLive(func() bool { return c.live }))
	}
}
