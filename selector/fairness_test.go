package selector

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/selector/internal/health"
)

// Row 7: of two servers one answered in 200 ms once, and had no call for 26 s. No server that is well is without a call for longer than the doc says: a
// second, or ten times as long as its last answer took, and then as long as eight calls for each server take. The last column is how often each server
// was called beside the others, the least and the most.
func TestNoServerThatIsWellIsForgotten(t *testing.T) {
	const usual, slow = 10 * time.Millisecond, 200 * time.Millisecond
	var report strings.Builder
	for _, p := range []Policy{P2C, WeightedRoundRobin, Random, Locality, ConsistentHash} {
		for _, n := range []int{1, 2, 3, 10, 100} {
			for _, callers := range []int{1, 8, 64} {
				opts := []Option{WithPolicy(p)}
				if p == Locality {
					opts = append(opts, WithZone("a"))
				}
				inBubble(t, n, func(t *testing.T, s *Selector, _ *world) {
					m := &meter{last: map[string]time.Time{}, gap: map[string]time.Duration{}, calls: map[string]int{}}
					for i := range n {
						m.last[nth(i)] = time.Now()
					}
					s.observe(s.main, nth(0), health.Answered, slow)
					var wg sync.WaitGroup
					for range callers {
						wg.Go(func() {
							for began := time.Now(); time.Since(began) < 20*time.Second; {
								key, p := s.choose(t.Context(), rand.Uint64())
								m.called(key)
								took := usual/2 + rand.N(usual)
								time.Sleep(took)
								p.done(health.Answered, took)
							}
						})
					}
					wg.Wait()
					bound := 10*slow + 2*usual + time.Duration(8*n/callers+1)*usual*3/2
					gap, least, most := m.result()
					fmt.Fprintf(&report, "%-20v %3d servers, %2d callers: nobody without a call for more than %6v (bound %v), %.2f to %.2f of the mean\n",
						p, n, callers, gap.Round(time.Millisecond), bound, least, most)
					if p != ConsistentHash && gap > bound { // keys decide
						t.Errorf("%v, %d servers, %d callers: one had no call for %v, at most %v", p, n, callers, gap, bound)
					}
				}, opts...)
			}
		}
	}
	t.Log("\n" + report.String())
}

// meter notes how long servers had no call.
type meter struct {
	mu    sync.Mutex
	last  map[string]time.Time
	gap   map[string]time.Duration
	calls map[string]int
}

func (m *meter) called(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	m.gap[key] = max(m.gap[key], now.Sub(m.last[key]))
	m.last[key] = now
	m.calls[key]++
}

func (m *meter) result() (gap time.Duration, least, most float64) {
	all := 0
	for key := range m.last {
		m.called(key)
		all += m.calls[key] - 1
	}
	least = 2
	for key := range m.last {
		share := float64(m.calls[key]-1) * float64(len(m.last)) / float64(all)
		gap, least, most = max(gap, m.gap[key]), min(least, share), max(most, share)
	}
	return gap, least, most
}
