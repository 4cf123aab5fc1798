package probe

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/tests/bubbles"
)

// Random asks, ends of contexts, probes that hang, panic and fail, and descriptors that come and go.
func TestEachAskIsAnsweredOnceWhateverHappens(t *testing.T) {
	for seed := range uint64(300) {
		bubbles.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 0))
			var free atomic.Int64
			b := &budget{free: func() int { return int(free.Load()) }}
			free.Store(r.Int64N(100))
			var g gauge
			release := make(chan struct{})
			probe := func(ctx context.Context, _, address string) error {
				g.enter()
				defer g.now.Add(-1)
				switch address {
				case "alive":
					time.Sleep(50 * time.Millisecond)
					return nil
				case "dead":
					<-ctx.Done()
					return ctx.Err()
				case "panics":
					panic(address)
				case "unaskable":
					return errors.ErrUnsupported
				case "hangs":
					g.now.Add(-1) // it is not counted
					defer g.now.Add(1)
					<-release
				}
				return nil
			}
			queues := make([]*Queue, 1+r.IntN(5))
			for i := range queues {
				queues[i] = newQueue(b, Settings{Probe: probe, Parallel: r.IntN(20)})
			}
			type ending struct {
				ctx context.Context
				end context.CancelFunc
			}
			contexts := make([]ending, 4)
			for i := range contexts {
				ctx, end := context.WithCancel(t.Context())
				contexts[i] = ending{ctx, end}
			}
			kinds := []string{"alive", "alive", "alive", "dead", "panics", "unaskable", "hangs"}
			may := map[string][]Answer{"alive": {Alive, CouldNotAsk}, "dead": {Silent, CouldNotAsk}, "panics": {Silent, CouldNotAsk}, "unaskable": {Unaskable, CouldNotAsk}, "hangs": {Silent, CouldNotAsk, Alive}}
			var answers []*atomic.Int64
			for range 50 {
				switch q := queues[r.IntN(len(queues))]; r.IntN(10) {
				case 0:
					contexts[r.IntN(len(contexts)-1)].end()
				case 1:
					free.Store(r.Int64N(300))
				case 2:
					time.Sleep(time.Duration(r.IntN(3000)) * time.Millisecond)
				default:
					for range r.IntN(50) {
						kind, n := kinds[r.IntN(len(kinds))], new(atomic.Int64)
						answers = append(answers, n)
						q.Ask(contexts[r.IntN(len(contexts))].ctx, kind, r.IntN(2) == 0, func(o Outcome) {
							n.Add(1)
							ok := false
							for _, a := range may[kind] {
								ok = ok || a == o.Answer
							}
							if !ok || (o.Err == nil) != (o.Answer == Alive) {
								t.Errorf("seed %d: %s: %v, %v", seed, kind, o.Answer, o.Err)
							}
						})
					}
				}
			}
			for _, q := range queues {
				q.Wait()
			}
			close(release)
			synctest.Wait()
			for i, n := range answers {
				if n.Load() != 1 {
					t.Errorf("seed %d: ask %d of %d was answered %d times", seed, i, len(answers), n.Load())
				}
			}
			if most := g.most.Load(); most > atOnce {
				t.Errorf("seed %d: %d at once", seed, most)
			}
			for _, c := range contexts {
				c.end()
			}
			atRest(t, b)
		})
	}
}
