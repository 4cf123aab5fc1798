package selector

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/selector/internal/health"
	"github.com/holdfast-go/holdfast/tests/bubbles"
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

func (w *world) kill(keys ...string) { w.set(&w.dead, true, keys...) }

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
	bubbles.Test(t, func(t *testing.T) {
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
		p.done(health.NotSent, 0)
	}
	tb.Fatalf("%s was not picked in 10,000 times", key)
	return pick{}
}

// fail lets the next calls of a server come to an end.
func fail(tb testing.TB, s *Selector, key string, o health.Outcome, times int) {
	tb.Helper()
	for range times {
		s.observe(s.main, key, o, time.Millisecond)
	}
}

// picked returns how often each server was picked in n calls that succeed.
func picked(tb testing.TB, s *Selector, n int) map[string]int {
	tb.Helper()
	got := make(map[string]int)
	for range n {
		k, p := s.choose(tb.Context(), nil)
		got[k]++
		p.done(health.Answered, time.Millisecond)
	}
	return got
}
