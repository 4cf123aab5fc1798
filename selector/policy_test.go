package selector

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/selector/internal/health"
)

func TestEveryPolicyKeepsToTheWeights(t *testing.T) {
	const n, calls = 12, 30_000
	for _, p := range []Policy{P2C, WeightedRoundRobin, Random, Locality} {
		inBubble(t, n, func(t *testing.T, s *Selector, _ *world) {
			s.UpdateServer(fleet(n, func(i int) string { return fmt.Sprintf("zone=a&weight=%d", i%4) }))
			got, want := make([]int, n), make([]float64, n)
			index := make(map[string]int)
			for i := range n {
				index[nth(i)] = i
			}
			for range calls {
				got[index[s.Select(t.Context(), "Arith", "Mul", nil)]]++
			}
			var g []int
			var w []float64
			for i := range n {
				if want[i] = float64(calls*(i%4)) / 18; want[i] == 0 {
					if got[i] > 0 {
						t.Errorf("%v: one that is drained was picked %d times", p, got[i])
					}
					continue
				}
				g, w = append(g, got[i]), append(w, want[i])
			}
			wantFit(t, g, w)
		}, append([]Option{WithPolicy(p)}, map[Policy][]Option{Locality: {WithZone("a")}}[p]...)...)
	}
}

func TestWhenAllAreDrainedAllAreUsed(t *testing.T) {
	for _, p := range []Policy{P2C, WeightedRoundRobin, ConsistentHash, Random} {
		inBubble(t, 4, func(t *testing.T, s *Selector, _ *world) {
			s.UpdateServer(fleet(4, func(i int) string { return []string{"weight=0", "state=inactive"}[i%2] }))
			got := make(map[string]bool)
			for i := range 1000 {
				got[s.Select(t.Context(), "Arith", "Mul", i)] = true
			}
			if len(got) != 4 {
				t.Errorf("%v: %v", p, got)
			}
			s.UpdateServer(fleet(4, func(i int) string { return fmt.Sprintf("weight=%d", i/3) }))
			if key := s.Select(t.Context(), "Arith", "Mul", nil); key != nth(3) {
				t.Errorf("%v: %s, which is drained", p, key)
			}
		}, WithPolicy(p))
	}
}

func TestBoundedLoads(t *testing.T) {
	inBubble(t, 10, func(t *testing.T, s *Selector, _ *world) {
		// A few calls with one key stay together.
		home, p := s.choose(t.Context(), "one key")
		picks := []pick{p}
		for range leastBound - 1 {
			k, p := s.choose(t.Context(), "one key")
			if picks = append(picks, p); k != home {
				t.Fatalf("a call of %d in flight went to %s, not %s", len(picks), k, home)
			}
		}
		for len(picks) < 1000 {
			_, p := s.choose(t.Context(), "one key")
			picks = append(picks, p)
		}
		for _, srv := range s.Status().Servers {
			if srv.InFlight > 126 {
				t.Errorf("%s has %d of 1,000 calls in flight, more than a quarter above the mean", srv.Key, srv.InFlight)
			}
		}
		for i := range picks {
			picks[i].done(health.Answered, time.Millisecond)
		}
		if k, _ := s.choose(t.Context(), "one key"); k != home {
			t.Errorf("back at rest, %s and not %s", k, home)
		}
	}, WithPolicy(ConsistentHash))
}

func TestLoadsAreBoundedByThoseThatCanBeUsed(t *testing.T) {
	inBubble(t, 10, func(t *testing.T, s *Selector, _ *world) {
		for i := range 5 {
			fail(t, s, nth(i), health.Undialled, 1)
		}
		for range 1000 {
			s.choose(t.Context(), "one key")
		}
		for i, srv := range s.Status().Servers {
			if most := []int{0, 252}[i/5]; srv.InFlight > most {
				t.Errorf("%s, which is %v, has %d of 1,000 calls in flight", srv.Key, srv.State, srv.InFlight)
			}
		}
	}, WithPolicy(ConsistentHash))
}

func TestAFailedServersKeysGoToOthersAndComeBack(t *testing.T) {
	inBubble(t, 10, func(t *testing.T, s *Selector, _ *world) {
		where := func() (all []string) {
			for i := range 2000 {
				k, p := s.choose(t.Context(), i)
				p.done(health.Answered, time.Millisecond)
				all = append(all, k)
			}
			return all
		}
		before := where()
		fail(t, s, nth(4), health.Undialled, 1)
		for i, k := range where() {
			if before[i] != k && before[i] != nth(4) || k == nth(4) {
				t.Fatalf("a key of %s moved to %s", before[i], k)
			}
		}
		pass(2 * time.Second)
		where() // tries it with a key of its own
		if !slices.Equal(where(), before) {
			t.Error("keys did not come back")
		}
	}, WithPolicy(ConsistentHash))
}

func TestTheKeyFunctionDecides(t *testing.T) {
	inBubble(t, 50, func(t *testing.T, s *Selector, _ *world) {
		a := s.Select(t.Context(), "Arith", "Mul", 1)
		for i := range 100 {
			if k := s.Select(t.Context(), "Arith", fmt.Sprint("M", i), 1); k != a {
				t.Fatalf("%s, not %s", k, a)
			}
		}
		if k := s.Select(t.Context(), "Arith", "Mul", "panic"); k == "" {
			t.Error("no server when the function panics")
		}
	}, WithPolicy(ConsistentHash), WithKey(keyOfArgs))
}
