package selector

import (
	"context"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/selector/internal/health"
	"github.com/holdfast-go/holdfast/tests/bubbles"
)

func TestServersThatNeverAnsweredAreAskedInTheBackgroundFirst(t *testing.T) {
	bubbles.Test(t, func(t *testing.T) {
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
				p.done(health.NotSent, 0)
			}
		}
		p.done(health.NotSent, 0)
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

func TestWhereNothingCanBeProbedCallsTryOneAtATime(t *testing.T) {
	for name, opts := range map[string][]Option{"without probes": {WithoutProbing()}, "on another network": nil} {
		t.Run(name, func(t *testing.T) {
			bubbles.Test(t, func(t *testing.T) {
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
				open[0].done(health.Answered, 0)
				wantState(t, s, first, Up)
				if n := len(picked(t, s, 100)); n != 5 {
					t.Errorf("%d of 5 servers were picked", n)
				}
				if c := s.main.table.Load().counts; c.in[health.Up] != 5 {
					t.Errorf("%+v", c)
				}
				for i := range open[1:] {
					open[1+i].done(health.Answered, 0)
				}
				_ = s.Close()
				synctest.Wait()
			})
		})
	}
}

// A dial stalls every call of an XClient, so no two servers of which nothing good is known are dialled at once, also when others are up.
func TestOneCallAtATimeDialsAServerThatNoProbeHasFound(t *testing.T) {
	inBubble(t, 5, func(t *testing.T, s *Selector, w *world) {
		for _, i := range []int{0, 1} {
			w.set(&w.none, true, nth(i))
			fail(t, s, nth(i), health.Undialled, 1)
		}
		pass(2 * time.Second)
		wantState(t, s, nth(0), Trial)
		wantState(t, s, nth(1), Trial)
		tries := func() (p pick) {
			for range 1000 {
				k, other := s.choose(t.Context(), nil)
				switch {
				case other.server.State() != Trial:
					other.done(health.Answered, time.Millisecond)
				case p.server != nil:
					t.Fatalf("%s is dialled while %s is", k, p.server.key)
				default:
					p = other
				}
			}
			return p
		}
		first := tries()
		one := first.server.key
		first.done(health.Answered, time.Millisecond)
		second := tries()
		if second.server == nil || second.server.key == one {
			t.Fatal("the other is not tried")
		}
		second.done(health.Answered, time.Millisecond)
	})
}

// Without Wrap nobody reports. A trial that nothing is heard of must not keep the others waiting for ever.
func TestWhereNobodyReportsAllAreUsedInTheEnd(t *testing.T) {
	bubbles.Test(t, func(t *testing.T) {
		s := mustNew(t, WithoutProbing())
		s.UpdateServer(fleet(5, unweighted))
		for end := time.Now().Add(5 * time.Second); time.Now().Before(end); pass(10 * time.Millisecond) {
			s.Select(t.Context(), "Arith", "Mul", nil)
		}
		if c := s.main.table.Load().counts; c.in[health.Up] != 5 {
			t.Errorf("%+v", c)
		}
		_ = s.Close()
		synctest.Wait()
	})
}

// A probe with the wrong TLS settings, say, reaches nobody. A call knows better.
func TestAProbeThatNeverReachedAnybodyIsNotBelieved(t *testing.T) {
	bubbles.Test(t, func(t *testing.T) {
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
		if c := s.main.table.Load().counts; c.in[health.Up] != 10 {
			t.Errorf("calls succeed, but %+v", c)
		}
		_ = s.Close()
		synctest.Wait()
	})
}

// A process without a free descriptor took every server for silent.
func TestWhoCouldNotBeAskedIsNotPutAside(t *testing.T) {
	bubbles.Test(t, func(t *testing.T) {
		s := mustNew(t, WithProbing(Probing{Probe: func(context.Context, string, string) error {
			return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", syscall.EMFILE)}
		}}))
		s.UpdateServer(fleet(10, unweighted))
		for range 100 {
			picked(t, s, 10)
			pass(100 * time.Millisecond)
			if c := s.main.table.Load().counts; c.in[health.Aside] != 0 {
				t.Fatalf("%+v", c)
			}
		}
		if c := s.main.table.Load().counts; c.in[health.Up] != 10 {
			t.Errorf("calls succeed, but %+v", c)
		}
		_ = s.Close()
		synctest.Wait()
	})
}

func TestAllSelectorsOfAProcessShareItsProbes(t *testing.T) {
	bubbles.Test(t, func(t *testing.T) {
		var now, most atomic.Int64
		probe := func(context.Context, string, string) error {
			n := now.Add(1)
			defer now.Add(-1)
			for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
			}
			time.Sleep(100 * time.Millisecond)
			return nil
		}
		selectors := make([]*Selector, 20)
		for i := range selectors {
			selectors[i] = mustNew(t, WithProbing(Probing{Probe: probe, Parallel: 1000}))
			selectors[i].UpdateServer(fleet(20, unweighted))
		}
		pass(5 * time.Second)
		for i, s := range selectors {
			if c := s.main.table.Load().counts; c.in[health.Up] != 20 {
				t.Errorf("selector %d: %+v", i, c)
			}
			_ = s.Close()
		}
		if most.Load() != 64 {
			t.Errorf("%d probes at once, want 64", most.Load())
		}
		synctest.Wait()
	})
}

func TestProbesAreBounded(t *testing.T) {
	bubbles.Test(t, func(t *testing.T) {
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
		if c := s.main.table.Load().counts; c.in[health.Up] != 100 || most != 7 {
			t.Errorf("%d up, %d at once", c.in[health.Up], most)
		}
		_ = s.Close()
		synctest.Wait()
	})
}

func TestAfterCloseTheLastListIsServedWithoutRegardToFailures(t *testing.T) {
	inBubble(t, 10, func(t *testing.T, s *Selector, w *world) {
		for i := range 5 {
			fail(t, s, nth(i), health.Late, 5)
		}
		_ = s.Close()
		_ = s.Close()
		fail(t, s, nth(7), health.Undialled, 10)
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
	bubbles.Test(t, func(t *testing.T) {
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

func TestWhenAllConnectionsEndEachServerIsAskedOnce(t *testing.T) {
	inBubble(t, 500, func(t *testing.T, s *Selector, w *world) {
		pass(time.Second)
		for i := range 500 {
			srv := s.main.table.Load().byKey[nth(i)]
			s.judge(srv, srv.epoch.Load(), health.ConnectionEnded)
			s.judge(srv, srv.epoch.Load(), health.ConnectionEnded) // of another XClient
		}
		pass(50 * time.Millisecond)
		if c := s.main.table.Load().counts; c.in[health.Up]+c.in[health.Fresh] != 500 || c.in[health.Up] == 0 {
			t.Errorf("%+v", c)
		}
		pass(time.Second)
		if c := s.main.table.Load().counts; c.in[health.Up] != 500 {
			t.Errorf("%d are up", c.in[health.Up])
		}
		for i := range 500 {
			if n := w.times(nth(i)); n != 2 { // and when it joined
				t.Fatalf("%s was asked %d times", nth(i), n)
			}
		}
	})
}

// After an outage a call may find a server before a probe does. The silence from before was remembered, and when the server died for good, calls went on
// dialling it, each of which stalls everybody.
func TestAServerThatProbesMissedWhileItWasAwayIsLeftToThemWhenItDies(t *testing.T) {
	for _, deaf := range []bool{false, true} { // a server that probes never reach is tried by calls, as nobody else can find it
		inBubble(t, 4, func(t *testing.T, s *Selector, w *world) {
			all := []string{nth(0), nth(1), nth(2), nth(3)}
			w.kill(all...)
			for _, key := range all {
				fail(t, s, key, health.Undialled, 1)
			}
			pass(5 * time.Minute)
			w.revive(all...)
			first, p := s.choose(t.Context(), nil)
			w.set(&w.dead, deaf, first)
			p.done(health.Answered, time.Millisecond)
			for range 100 {
				picked(t, s, 10)
				pass(time.Second)
			}
			for _, key := range all {
				wantState(t, s, key, Up)
			}
			w.kill(first)
			fail(t, s, first, health.Undialled, 1)
			dials := 0
			for range 1800 {
				for range 5 {
					key, p := s.choose(t.Context(), nil)
					if key == first {
						dials++
						p.done(health.Undialled, time.Second)
					} else {
						p.done(health.Answered, time.Millisecond)
					}
				}
				pass(time.Second)
			}
			if (dials > 0) != deaf {
				t.Errorf("probes never reach it: %v, and calls have dialled it %d times in half an hour", deaf, dials)
			}
		})
	}
}
