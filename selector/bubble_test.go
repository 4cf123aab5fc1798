package selector

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// world is the servers that answer probes, and how often each was asked.
type world struct {
	mu    sync.Mutex
	dead  map[string]bool // by address
	none  map[string]bool // cannot be probed
	asked map[string]int
}

func (w *world) probe(ctx context.Context, _, address string) error {
	w.mu.Lock()
	dead, none := w.dead[address], w.none[address]
	w.asked[address]++
	w.mu.Unlock()
	switch {
	case none:
		return errors.ErrUnsupported
	case dead:
		<-ctx.Done() // a black hole
		return ctx.Err()
	}
	time.Sleep(time.Millisecond)
	return nil
}

func (w *world) set(m *map[string]bool, is bool, keys ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if *m == nil {
		*m = make(map[string]bool)
	}
	for _, k := range keys {
		(*m)[k[len("tcp@"):]] = is
	}
}

func (w *world) kill(keys ...string)   { w.set(&w.dead, true, keys...) }
func (w *world) revive(keys ...string) { w.set(&w.dead, false, keys...) }

func (w *world) times(key string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked[key[len("tcp@"):]]
}

// pass lets simulated time go by, and what is due happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// inBubble runs a test with a Selector of n servers and the world that they are in.
func inBubble(t *testing.T, n int, test func(t *testing.T, s *Selector, w *world), opts ...Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{asked: make(map[string]int)}
		s := mustNew(t, append([]Option{WithProbing(Probing{Probe: w.probe})}, opts...)...)
		s.UpdateServer(fleet(n, unweighted))
		pass(100 * time.Millisecond)
		test(t, s, w)
		_ = s.Close()
		synctest.Wait()
	})
}

func (s *Selector) of(tb testing.TB, key string) ServerStatus {
	tb.Helper()
	for _, srv := range s.Status().Servers {
		if srv.Key == key {
			return srv
		}
	}
	tb.Fatalf("%s is not listed", key)
	return ServerStatus{}
}

func wantState(tb testing.TB, s *Selector, key string, want State) {
	tb.Helper()
	if got := s.of(tb, key); got.State != want {
		tb.Fatalf("%s is %v (%v), want %v", key, got.State, got.Reason, want)
	}
}

// pickFrom picks until it gets the server, and returns the pick. Other picks are given back.
func pickFrom(tb testing.TB, s *Selector, key string) pick {
	tb.Helper()
	for range 10_000 {
		k, p := s.choose(tb.Context(), nil)
		if k == key {
			return p
		}
		p.done(cancelled, 0)
	}
	tb.Fatalf("%s was not picked in 10,000 times", key)
	return pick{}
}

// fail lets the next calls of a server come to an end.
func fail(tb testing.TB, s *Selector, key string, o outcome, times int) {
	tb.Helper()
	for range times {
		s.observe(key, o, time.Millisecond)
	}
}

// picked returns how often each server was picked in n calls that succeed.
func picked(tb testing.TB, s *Selector, n int) map[string]int {
	tb.Helper()
	got := make(map[string]int)
	for range n {
		k, p := s.choose(tb.Context(), nil)
		got[k]++
		p.done(succeeded, time.Millisecond)
	}
	return got
}

func TestAFailedDialPutsAServerAsideAtOnce(t *testing.T) {
	for _, p := range []Policy{P2C, WeightedRoundRobin, ConsistentHash, Random} {
		inBubble(t, 10, func(t *testing.T, s *Selector, _ *world) {
			key := nth(3)
			if p == ConsistentHash {
				key, _ = s.choose(t.Context(), nil)
			}
			p := pickFrom(t, s, key)
			p.done(dialFailed, time.Second)
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
	for _, o := range []outcome{succeeded, serviceError} {
		inBubble(t, 10, func(t *testing.T, s *Selector, _ *world) {
			key := nth(0)
			fail(t, s, key, dialFailed, 1)
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
		o    outcome
		want State
	}{{dialFailed, Aside}, {transportFailed, Ejected}, {timedOut, Ejected}, {cancelled, Trial}} {
		inBubble(t, 10, func(t *testing.T, s *Selector, _ *world) {
			key := nth(0)
			fail(t, s, key, dialFailed, 1)
			pass(2 * time.Second)
			p := pickFrom(t, s, key)
			p.done(c.o, time.Millisecond)
			wantState(t, s, key, c.want)
			if c.want == Trial {
				p := pickFrom(t, s, key) // another call may try
				p.done(succeeded, 0)
			}
		})
	}
}

func TestATrialThatTakesLongKeepsOthersWaitingForTwoSecondsOnly(t *testing.T) {
	inBubble(t, 10, func(t *testing.T, s *Selector, _ *world) {
		fail(t, s, nth(0), dialFailed, 1)
		fail(t, s, nth(1), dialFailed, 1)
		pass(1500 * time.Millisecond)
		slow := pickFrom(t, s, nth(0))
		if n := picked(t, s, 1000)[nth(1)]; n > 0 {
			t.Error("two servers were tried at once")
		}
		pass(lease + 100*time.Millisecond)
		p := pickFrom(t, s, nth(1))
		p.done(succeeded, 0)
		wantState(t, s, nth(0), Trial)
		slow.done(succeeded, 5*time.Second)
		wantState(t, s, nth(0), Up)
	})
}

func TestFiveFailuresInARowEject(t *testing.T) {
	for _, o := range []outcome{transportFailed, timedOut} {
		inBubble(t, 10, func(t *testing.T, s *Selector, _ *world) {
			key := nth(0)
			fail(t, s, key, o, 4)
			fail(t, s, key, succeeded, 1)
			fail(t, s, key, o, 4)
			wantState(t, s, key, Up)
			fail(t, s, key, serviceError, 1)
			fail(t, s, key, o, 4)
			fail(t, s, key, cancelled, 5)
			wantState(t, s, key, Up)
			fail(t, s, key, o, 1)
			wantState(t, s, key, Ejected)
		})
	}
}

func TestServiceErrorsAreSuccessesOfTheServer(t *testing.T) {
	inBubble(t, 10, func(t *testing.T, s *Selector, _ *world) {
		fail(t, s, nth(0), serviceError, 1000)
		pass(time.Minute)
		wantState(t, s, nth(0), Up)
	})
}

func TestEjectionsGrowFromThirtySecondsToFiveMinutesAndAreForgiven(t *testing.T) {
	inBubble(t, 10, func(t *testing.T, s *Selector, _ *world) {
		key := nth(0)
		eject := func() time.Duration {
			t.Helper()
			fail(t, s, key, timedOut, 5)
			wantState(t, s, key, Ejected)
			return time.Until(s.of(t, key).Until)
		}
		back := func(d time.Duration) {
			t.Helper()
			pass(d + 100*time.Millisecond)
			wantState(t, s, key, Trial)
			fail(t, s, key, succeeded, 1)
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
			picks[i].done(transportFailed, time.Second)
		}
		if got := s.of(t, nth(0)); got.Ejected != 1 || time.Until(got.Until) > 33*time.Second || got.InFlight != 10 {
			t.Errorf("%d ejections, for %v, %d in flight", got.Ejected, time.Until(got.Until), got.InFlight)
		}
		for i := range picks[90:] {
			picks[90+i].done(succeeded, time.Second) // sent before it failed
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
						o := succeeded
						if (call*37+i*11)%100 < c.percent(i) { // spread, so that never five come in a row
							o = transportFailed
						}
						if s.of(t, nth(i)).State == Up {
							s.observe(nth(i), o, time.Millisecond)
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
				fail(t, s, nth(i), timedOut, 20)
			}
			if c := s.table.Load().counts; c.ejected != n/2 || s.Status().Panic {
				t.Errorf("%d of %d ejected, panic %v", c.ejected, n, s.Status().Panic)
			}
		})
	}
}

func TestFewerAreEjectedWhileTheListIsNotLive(t *testing.T) {
	inBubble(t, 10, func(t *testing.T, s *Selector, _ *world) {
		for i := range 10 {
			fail(t, s, nth(i), timedOut, 20)
		}
		if c := s.table.Load().counts; c.ejected != 2 {
			t.Errorf("%d of 10 ejected", c.ejected)
		}
		if s.Status().Live {
			t.Error("the status says live")
		}
	}, WithLive(func() bool { return false }))
}

// A list from a file names servers that are gone, and that they are gone is no doubt: they cannot be dialled.
func TestTheDeadOfAStaleListArePutAsideAllTheSame(t *testing.T) {
	inBubble(t, 10, func(t *testing.T, s *Selector, w *world) {
		fail(t, s, nth(0), dialFailed, 1)
		w.kill(nth(0), nth(1), nth(2), nth(3))
		for i := range 4 {
			fail(t, s, nth(i), dialFailed, 1)
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

func TestWhenMoreThanHalfFailAllAreUsed(t *testing.T) {
	inBubble(t, 10, func(t *testing.T, s *Selector, w *world) {
		for i := range 5 {
			fail(t, s, nth(i), timedOut, 5)
		}
		if n := len(picked(t, s, 1000)); n != 5 {
			t.Fatalf("%d servers used while five are ejected", n)
		}
		w.kill(nth(5))
		fail(t, s, nth(5), dialFailed, 1)
		if !s.Status().Panic {
			t.Fatal("six of ten fail, and no panic")
		}
		var used int
		for range 100 { // ejected ones come back with a success, which ends the panic
			k, p := s.choose(t.Context(), nil)
			if s.of(t, k).State == Ejected {
				used++
			}
			p.done(cancelled, 0)
		}
		if used == 0 {
			t.Error("none of those ejected was used")
		}
		// The one that cannot be reached is tried by a call when its time is up, whatever the probe says, but by one at a time.
		pass(3 * time.Second)
		wantState(t, s, nth(5), Trial)
		p := pickFrom(t, s, nth(5))
		p.done(dialFailed, time.Second)
		wantState(t, s, nth(5), Aside)
	})
}

func TestServersThatNeverAnsweredAreAskedInTheBackgroundFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{asked: make(map[string]int)}
		s := mustNew(t, WithProbing(Probing{Probe: w.probe}))
		w.kill(nth(0), nth(1), nth(2), nth(3))
		s.UpdateServer(fleet(10, unweighted))
		// Nobody has answered yet: all picks go to the same one.
		first, p := s.choose(t.Context(), nil)
		for range 100 {
			if k, p := s.choose(t.Context(), nil); k != first {
				t.Fatalf("a second one, %s, beside %s", k, first)
			} else {
				p.done(cancelled, 0)
			}
		}
		p.done(cancelled, 0)
		pass(20 * time.Millisecond)
		got := picked(t, s, 1000)
		for i := range 10 {
			if n := got[nth(i)]; (n > 0) != (i >= 4) {
				t.Errorf("%s was picked %d times", nth(i), n)
			}
		}
		pass(time.Second)
		wantState(t, s, nth(0), Aside)
		if r := s.of(t, nth(0)).Reason; r != NoAnswer {
			t.Error(r)
		}
		_ = s.Close()
		synctest.Wait()
	})
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
				p.done(dialFailed, time.Second)
			}
			pass(time.Second)
		}
		w.revive(keys...)
		for range 40 {
			picked(t, s, 20)
			pass(100 * time.Millisecond)
		}
		if c := s.table.Load().counts; c.up != 20 {
			t.Errorf("after 4 s %+v", c)
		}
	})
}

func TestWhereNothingCanBeProbedCallsTryOneAtATime(t *testing.T) {
	for name, opts := range map[string][]Option{"without probes": {WithoutProbing()}, "on another network": nil} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{asked: make(map[string]int)}
				for i := range 5 {
					w.set(&w.none, true, nth(i))
				}
				if opts == nil {
					opts = []Option{WithProbing(Probing{Probe: w.probe})}
				}
				s := mustNew(t, append(opts, WithPolicy(Random))...)
				s.UpdateServer(fleet(5, unweighted))
				pass(50 * time.Millisecond)
				var open []pick
				for range 3 { // the first opens a trial; nobody is up, so the others go there too
					_, p := s.choose(t.Context(), nil)
					open = append(open, p)
				}
				if open[0].server != open[1].server || open[0].server != open[2].server {
					t.Fatal("several were tried at once")
				}
				first := open[0].server.key
				open[0].done(succeeded, 0)
				wantState(t, s, first, Up)
				if n := len(picked(t, s, 100)); n != 5 {
					t.Errorf("%d of 5 servers were picked", n)
				}
				if c := s.table.Load().counts; c.up != 5 {
					t.Errorf("%+v", c)
				}
				for i := range open[1:] {
					open[1+i].done(succeeded, 0)
				}
				_ = s.Close()
				synctest.Wait()
			})
		})
	}
}

// Without Wrap nobody reports. A trial that nothing is heard of must not keep the others waiting for ever.
func TestWhereNobodyReportsAllAreUsedInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mustNew(t, WithoutProbing())
		s.UpdateServer(fleet(5, unweighted))
		for end := time.Now().Add(5 * time.Second); time.Now().Before(end); pass(10 * time.Millisecond) {
			s.Select(t.Context(), "Arith", "Mul", nil)
		}
		if c := s.table.Load().counts; c.up != 5 {
			t.Errorf("%+v", c)
		}
		_ = s.Close()
		synctest.Wait()
	})
}

// A probe with the wrong TLS settings, say, reaches nobody. A call knows better.
func TestAProbeThatNeverReachedAnybodyIsNotBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{asked: make(map[string]int)}
		for i := range 10 {
			w.kill(nth(i))
		}
		s := mustNew(t, WithProbing(Probing{Probe: w.probe}))
		s.UpdateServer(fleet(10, unweighted))
		for range 100 {
			picked(t, s, 10)
			pass(100 * time.Millisecond)
		}
		if c := s.table.Load().counts; c.up != 10 {
			t.Errorf("calls succeed, but %+v", c)
		}
		_ = s.Close()
		synctest.Wait()
	})
}

func TestANewcomerStartsSlowly(t *testing.T) {
	for _, p := range []Policy{P2C, WeightedRoundRobin, Random, Locality, ConsistentHash} {
		opts := []Option{WithPolicy(p), WithSlowStart(30 * time.Second)}
		if p == Locality {
			opts = append(opts, WithZone("a"))
		}
		inBubble(t, 9, func(t *testing.T, s *Selector, _ *world) {
			share := func(key string) float64 {
				n, got := 0, 0
				for i := range 20_000 {
					if k, _ := s.choose(t.Context(), i); k == key {
						got++
					}
					n++
				}
				for _, srv := range s.list.servers { // reports would leave latencies
					srv.inFlight.Store(0)
				}
				s.inFlight.Store(0)
				return float64(got) / float64(n)
			}
			want := func(key string, least, most float64) {
				t.Helper()
				if p == ConsistentHash { // an arc of the ring is not exactly a tenth
					least, most = least*0.6, most*1.6
				}
				if got := share(key); got < least || got > most {
					t.Errorf("%v: a share of %.3f, want %.3f to %.3f", p, got, least, most)
				}
			}
			if p != P2C { // which counts those in flight
				want(nth(0), 1./9-0.03, 1./9+0.03) // the first list does not start slowly
			}
			s.UpdateServer(fleet(10, unweighted))
			pass(20 * time.Millisecond)
			wantState(t, s, nth(9), Up)
			if p == P2C {
				return // its draws are those of Locality
			}
			want(nth(9), 0.004, 0.020) // a tenth of a tenth
			pass(15 * time.Second)
			want(nth(9), 0.04, 0.07) // 55 % of it
			pass(15 * time.Second)
			want(nth(9), 0.085, 0.115)
			if s.table.Load().ramping {
				t.Error("still starting")
			}
		}, opts...)
	}
}

func TestWhoComesFromAFileDoesNotStartSlowly(t *testing.T) {
	inBubble(t, 9, func(t *testing.T, s *Selector, _ *world) {
		s.UpdateServer(fleet(10, unweighted))
		pass(20 * time.Millisecond)
		if s.table.Load().ramping {
			t.Error("starts slowly")
		}
	}, WithSlowStart(30*time.Second), WithLive(func() bool { return false }))
}

func TestAServerThatLeavesTheListForAMomentIsWhatItWas(t *testing.T) {
	inBubble(t, 10, func(t *testing.T, s *Selector, _ *world) {
		fail(t, s, nth(0), timedOut, 5)
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
		p.done(succeeded, 0)
		s.UpdateServer(nil)
		pass(2 * remembered)
		s.UpdateServer(fleet(10, unweighted))
		wantState(t, s, nth(0), Fresh)
	}, WithSlowStart(30*time.Second))
}

func TestProbesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		now, most := 0, 0
		s := mustNew(t, WithProbing(Probing{Parallel: 7, Probe: func(context.Context, string, string) error {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(100 * time.Millisecond)
			mu.Lock()
			now--
			mu.Unlock()
			return nil
		}}))
		s.UpdateServer(fleet(100, unweighted))
		pass(3 * time.Second)
		if c := s.table.Load().counts; c.up != 100 || most != 7 {
			t.Errorf("%d up, %d at once", c.up, most)
		}
		_ = s.Close()
		synctest.Wait()
	})
}

func TestAfterCloseTheLastListIsServedWithoutRegardToFailures(t *testing.T) {
	inBubble(t, 10, func(t *testing.T, s *Selector, w *world) {
		for i := range 5 {
			fail(t, s, nth(i), timedOut, 5)
		}
		_ = s.Close()
		_ = s.Close()
		fail(t, s, nth(7), dialFailed, 10)
		if n := len(picked(t, s, 1000)); n != 10 {
			t.Errorf("%d of 10 servers are used", n)
		}
		asked := w.times(nth(11))
		s.UpdateServer(fleet(12, unweighted))
		pass(time.Hour)
		if n := len(picked(t, s, 1000)); n != 12 || w.times(nth(11)) != asked {
			t.Errorf("%d of 12 servers are used, probed %d times", n, w.times(nth(11))-asked)
		}
	})
}

func TestCloseEndsAProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := false
		s := mustNew(t, WithProbing(Probing{Timeout: time.Hour, Probe: func(ctx context.Context, _, _ string) error {
			<-ctx.Done()
			ended = true
			return ctx.Err()
		}}))
		s.UpdateServer(fleet(1, unweighted))
		pass(time.Second)
		_ = s.Close()
		synctest.Wait()
		if !ended {
			t.Error("a probe goes on")
		}
	})
}
