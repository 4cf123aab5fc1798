package probe

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/holdfast-go/holdfast/tests/bubbles"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// own returns a budget that no other test has, with as many descriptors.
func own(descriptors int) *budget { return &budget{free: func() int { return descriptors }} }

// gauge counts what is under way at once.
type gauge struct{ now, most, all atomic.Int64 }

func (g *gauge) enter() {
	g.all.Add(1)
	for n := g.now.Add(1); ; {
		if most := g.most.Load(); n <= most || g.most.CompareAndSwap(most, n) {
			return
		}
	}
}

// slow is a probe that takes d.
func (g *gauge) slow(d time.Duration) Probe {
	return func(context.Context, string, string) error {
		g.enter()
		defer g.now.Add(-1)
		time.Sleep(d)
		return nil
	}
}

// atRest checks that a budget has everything back.
func atRest(t *testing.T, b *budget) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.slots != 0 || b.hung != 0 || b.line[neverAsked].Len() != 0 || b.line[askedBefore].Len() != 0 {
		t.Errorf("%d slots are taken, %d probes hang, %d and %d queues wait", b.slots, b.hung, b.line[neverAsked].Len(), b.line[askedBefore].Len())
	}
}

// 200 services opened 1,613 sockets, when each had eight probes of its own.
func TestAProcessNeverHasMoreThan64ProbesAtOnce(t *testing.T) {
	bubbles.Test(t, func(t *testing.T) {
		var g gauge
		var alive atomic.Int64
		queues := make([]*Queue, 200)
		for i := range queues {
			queues[i] = NewQueue(Settings{Probe: g.slow(100 * time.Millisecond), Parallel: 8})
			for n := range 20 {
				queues[i].Ask(t.Context(), fmt.Sprintf("tcp@%d:%d", i, n), true, func(o Outcome) {
					if o.Answer == Alive {
						alive.Add(1)
					}
				})
			}
		}
		for _, q := range queues {
			q.Wait()
		}
		if g.most.Load() != atOnce || alive.Load() != 4000 {
			t.Errorf("%d of 4000 are alive, %d were asked at once, want %d", alive.Load(), g.most.Load(), atOnce)
		}
		atRest(t, &process)
	})
}

func TestProbesTakeAQuarterOfTheFreeDescriptors(t *testing.T) {
	for free, want := range map[int]int64{0: 1, 3: 1, 8: 2, 100: 25, 255: 63, 256: 64, math.MaxInt: 64} {
		bubbles.Test(t, func(t *testing.T) {
			var g gauge
			b := &budget{}
			b.free = func() int { return max(free-b.slots, 0) } // each probe has one
			queues := []*Queue{newQueue(b, Settings{Probe: g.slow(700 * time.Millisecond)}), newQueue(b, Settings{Probe: g.slow(300 * time.Millisecond)})}
			for range 300 {
				for _, q := range queues {
					q.Ask(t.Context(), "a", false, func(Outcome) {})
				}
			}
			for _, q := range queues {
				q.Wait()
			}
			if g.most.Load() != want || g.all.Load() != 600 {
				t.Errorf("%d free: %d of 600 asked, %d at once, want %d", free, g.all.Load(), g.most.Load(), want)
			}
			atRest(t, b)
		})
	}
}

func TestDescriptorsThatBecomeFreeAreNoticed(t *testing.T) {
	bubbles.Test(t, func(t *testing.T) {
		var g gauge
		var free atomic.Int64
		b := &budget{free: func() int { return int(free.Load()) }}
		q := newQueue(b, Settings{Probe: g.slow(time.Hour), Timeout: 2 * time.Hour})
		for range 100 {
			q.Ask(t.Context(), "a", false, func(Outcome) {})
		}
		synctest.Wait()
		if n := g.now.Load(); n != 1 {
			t.Errorf("%d are asked without a descriptor, want 1", n)
		}
		free.Store(1000)
		time.Sleep(recountAfter + lookLate)
		synctest.Wait()
		if n := g.now.Load(); n != atOnce {
			t.Errorf("%d are asked with descriptors, want %d", n, atOnce)
		}
		q.Wait()
		atRest(t, b)
	})
}

func TestQueuesTakeTurnsAndThoseNeverAskedGoFirst(t *testing.T) {
	bubbles.Test(t, func(t *testing.T) {
		b := own(4) // one at once
		var order strings.Builder
		probe := func(_ context.Context, _, address string) error {
			time.Sleep(100 * time.Millisecond) // longer than a queue takes to look
			order.WriteString(address)
			return nil
		}
		first, second, third := newQueue(b, Settings{Probe: probe}), newQueue(b, Settings{Probe: probe}), newQueue(b, Settings{Probe: probe})
		ask := func(q *Queue, n int, neverAsked bool, key string) {
			for range n {
				q.Ask(t.Context(), key, neverAsked, func(Outcome) {})
			}
		}
		ask(first, 6, false, "a")
		ask(second, 3, false, "b")
		ask(first, 3, true, "A")
		ask(third, 1, false, "c")
		ask(second, 2, true, "B")
		first.Wait()
		second.Wait()
		third.Wait()
		if got, want := order.String(), "aABABA"+"cbababaaa"; !sameTurns(got, want) {
			t.Errorf("asked in the order %s, want one like %s", got, want)
		}
		atRest(t, b)
	})
}

// sameTurns compares orders: the one that had begun, those never asked in turn, the others in turn, whoever of them begins.
func sameTurns(got, want string) bool {
	if len(got) != len(want) || got[:6] != want[:6] {
		return false
	}
	for round, members := range []string{"abc", "ab", "ab"} {
		at := 6 + []int{0, 3, 5}[round]
		turn := []byte(got[at : at+len(members)])
		slices.Sort(turn)
		if string(turn) != members {
			return false
		}
	}
	return got[13:] == "aa"
}

func TestAQueueHasABoundOfItsOwn(t *testing.T) {
	bubbles.Test(t, func(t *testing.T) {
		var g gauge
		b := own(math.MaxInt)
		q := newQueue(b, Settings{Probe: g.slow(time.Millisecond), Parallel: 7})
		for range 100 {
			q.Ask(t.Context(), "a", false, func(Outcome) {})
		}
		q.Wait()
		if g.most.Load() != 7 || g.all.Load() != 100 {
			t.Errorf("%d asked, %d at once, want 100 and 7", g.all.Load(), g.most.Load())
		}
		atRest(t, b)
	})
}

func TestWhatWaitsHasNoGoroutine(t *testing.T) {
	bubbles.Test(t, func(t *testing.T) {
		b := own(math.MaxInt)
		ctx, cancel := context.WithCancel(t.Context())
		before := runtime.NumGoroutine()
		queues := make([]*Queue, 10)
		for i := range queues {
			queues[i] = newQueue(b, Settings{Timeout: time.Hour, Probe: func(ctx context.Context, _, _ string) error { <-ctx.Done(); return ctx.Err() }})
			for range 1000 {
				queues[i].Ask(ctx, "a", true, func(Outcome) {})
			}
		}
		synctest.Wait()
		if n := runtime.NumGoroutine() - before; n > 2*atOnce+len(queues) {
			t.Errorf("%d goroutines for 10,000 asks of 10 queues", n)
		}
		cancel()
		for _, q := range queues {
			q.Wait()
		}
		atRest(t, b)
	})
}

func TestWhoWaitedWhenTheContextEndedWasNotAsked(t *testing.T) {
	for name, parallel := range map[string]int{"for the process": 0, "for its own queue": 1} {
		t.Run(name, func(t *testing.T) {
			bubbles.Test(t, func(t *testing.T) {
				b := own(4)
				var g gauge
				other := newQueue(b, Settings{Probe: g.slow(time.Hour), Timeout: 2 * time.Hour})
				if parallel == 0 {
					other.Ask(t.Context(), "b", true, func(Outcome) {}) // has the only slot
				}
				q := newQueue(b, Settings{Parallel: parallel, Timeout: 2 * time.Hour, Probe: func(ctx context.Context, _, _ string) error {
					<-ctx.Done()
					return ctx.Err()
				}})
				ctx, cancel := context.WithCancelCause(t.Context())
				why := errors.New("closing")
				outcomes := make(chan Outcome, 100)
				for i := range 100 {
					q.Ask(ctx, "a", i%2 == 0, func(o Outcome) { outcomes <- o })
				}
				time.Sleep(time.Minute)
				if len(outcomes) > 0 {
					t.Error("answered too early")
				}
				cancel(why)
				began := time.Now()
				q.Wait()
				if len(outcomes) != 100 || time.Since(began) > 0 {
					t.Errorf("%d of 100 answered, %v after the end", len(outcomes), time.Since(began))
				}
				for range len(outcomes) {
					if o := <-outcomes; o.Answer != CouldNotAsk || !errors.Is(o.Err, why) && !errors.Is(o.Err, context.Canceled) {
						t.Fatalf("%v, %v", o.Answer, o.Err)
					}
				}
				q.Ask(ctx, "a", true, func(o Outcome) { outcomes <- o })
				q.Wait()
				if o := <-outcomes; o.Answer != CouldNotAsk || !errors.Is(o.Err, why) {
					t.Errorf("asked after the end: %v, %v", o.Answer, o.Err)
				}
				other.Wait()
				atRest(t, b)
			})
		})
	}
}

func TestAnAskWhoseOwnContextEndedIsNotBegun(t *testing.T) {
	bubbles.Test(t, func(t *testing.T) {
		b := own(4)
		var g gauge
		q := newQueue(b, Settings{Probe: g.slow(time.Second), Timeout: time.Minute})
		ended, cancel := context.WithCancel(t.Context())
		outcomes := make(chan Outcome, 5)
		for i := range 5 {
			ctx := t.Context()
			if i == 2 {
				ctx = ended
			}
			q.Ask(ctx, "a", true, func(o Outcome) { outcomes <- o })
		}
		cancel()
		q.Wait()
		var got [Unaskable + 1]int
		for range len(outcomes) {
			got[(<-outcomes).Answer]++
		}
		if got[CouldNotAsk] != 1 || got[Alive] != 4 || g.all.Load() != 4 {
			t.Errorf("%v, %d begun", got, g.all.Load())
		}
		atRest(t, b)
	})
}

func TestTheTimeOfAProbeBeginsWithTheProbe(t *testing.T) {
	bubbles.Test(t, func(t *testing.T) {
		var g gauge
		b := own(4)
		q := newQueue(b, Settings{Probe: func(ctx context.Context, n, a string) error {
			err := g.slow(900*time.Millisecond)(ctx, n, a)
			return errors.Join(err, ctx.Err())
		}})
		for range 10 {
			q.Ask(t.Context(), "a", true, func(o Outcome) {
				if o.Answer != Alive {
					t.Errorf("%v, %v", o.Answer, o.Err)
				}
			})
		}
		q.Wait()
	})
}

func TestAProbeThatPanicsIsSilent(t *testing.T) {
	o := one(t, Settings{Probe: func(context.Context, string, string) error { panic("boom") }}, "a")
	if o.Answer != Silent || o.Err == nil || !strings.Contains(o.Err.Error(), "boom") {
		t.Errorf("%v, %v", o.Answer, o.Err)
	}
}

func TestProbesThatHangTakeNoTurnFromOthers(t *testing.T) {
	bubbles.Test(t, func(t *testing.T) {
		b := own(math.MaxInt)
		release := make(chan struct{})
		hang := func(_ context.Context, _, address string) error {
			if address == "hang" {
				<-release // whatever the context says
			}
			return nil
		}
		bad, good := newQueue(b, Settings{Probe: hang}), newQueue(b, Settings{Probe: hang})
		ask := func(q *Queue, key string, n int, want Answer) {
			t.Helper()
			var got [Unaskable + 1]atomic.Int64
			for range n {
				q.Ask(t.Context(), key, false, func(o Outcome) { got[o.Answer].Add(1) })
			}
			q.Wait()
			if int(got[want].Load()) != n {
				t.Errorf("%d of %s: %d times %v; %d could not be asked, %d are alive, %d silent", n, key, got[want].Load(), want,
					got[CouldNotAsk].Load(), got[Alive].Load(), got[Silent].Load())
			}
		}
		ask(bad, "hang", maxHung-1, Silent)
		ask(bad, "fine", 100, Alive)
		ask(bad, "hang", 1, Silent)
		ask(bad, "fine", 100, CouldNotAsk) // its probe is no good
		ask(good, "fine", 100, Alive)      // this one has done nothing yet
		var most atomic.Int64
		for range 100 {
			good.Ask(t.Context(), "hang", false, func(o Outcome) {
				if o.Answer == Silent {
					most.Add(1)
				}
			})
		}
		good.Wait()
		if most.Load() != 1 || b.hung != maxHung+1 {
			t.Errorf("%d more were left behind, and are %d now", most.Load(), b.hung)
		}
		close(release)
		synctest.Wait()
		ask(bad, "fine", 100, Alive)
		ask(good, "fine", 100, Alive)
		atRest(t, b)
	})
}

// A probe that returns when its context ends is not left behind, and gives its own reason.
func TestAProbeThatObeysIsNotLeftBehind(t *testing.T) {
	bubbles.Test(t, func(t *testing.T) {
		b := own(math.MaxInt)
		why := errors.New("nobody at home")
		q := newQueue(b, Settings{Probe: func(ctx context.Context, _, _ string) error {
			<-ctx.Done()
			time.Sleep(grace / 2)
			return why
		}})
		for range 10 * maxHung {
			q.Ask(t.Context(), "a", true, func(o Outcome) {
				if o != (Outcome{Silent, why}) {
					t.Errorf("%v, %v", o.Answer, o.Err)
				}
			})
		}
		q.Wait()
		atRest(t, b)
	})
}

// Tests run at once, in bubbles and outside, and share the process.
func TestBubblesAndOthersShareTheBudget(t *testing.T) {
	var g gauge
	var begun sync.WaitGroup
	var released atomic.Bool
	begun.Add(atOnce)
	plain := NewQueue(Settings{Timeout: time.Minute, Probe: func(_ context.Context, _, address string) error {
		g.enter()
		defer g.now.Add(-1)
		if address == "hold" {
			begun.Done()
		}
		for !released.Load() {
			runtime.Gosched()
		}
		return nil
	}})
	var alive, asked atomic.Int64
	count := func(o Outcome) {
		if o.Answer == Alive {
			alive.Add(1)
		}
	}
	for range atOnce {
		plain.Ask(t.Context(), "hold", true, count)
	}
	begun.Wait() // it has all slots
	var outside sync.WaitGroup
	outside.Go(func() {
		for asked.Load() < 2 && !t.Failed() {
			runtime.Gosched()
		}
		released.Store(true)
		for range 200 {
			plain.Ask(t.Context(), "more", false, count)
		}
		plain.Wait()
	})
	var inside sync.WaitGroup
	for range 2 {
		inside.Go(func() { // not t.Parallel, which waits for its turn where there is one processor
			t.Run("in a bubble", func(t *testing.T) {
				bubbles.Test(t, func(t *testing.T) {
					queues := []*Queue{NewQueue(Settings{Probe: g.slow(time.Second)}), NewQueue(Settings{Probe: g.slow(time.Minute), Timeout: time.Hour})}
					for range 100 {
						for _, q := range queues {
							q.Ask(t.Context(), "a", false, count)
						}
					}
					asked.Add(1)
					for _, q := range queues {
						q.Wait()
					}
				})
			})
		})
	}
	inside.Wait()
	outside.Wait()
	if alive.Load() != atOnce+400+200 || g.most.Load() != atOnce {
		t.Errorf("%d were asked, %d at once", alive.Load(), g.most.Load())
	}
	atRest(t, &process)
}
