package policy

import (
	"math/rand/v2"
	"testing"

	"github.com/holdfast-go/holdfast/selector/internal/health"
)

func balls(weights ...float32) []Ball {
	all := make([]Ball, len(weights))
	for i, w := range weights {
		all[i] = Ball{&health.Load{}, w, int32(i)}
	}
	return all
}

func TestDrawsKeepToTheWeights(t *testing.T) {
	const draws = 300_000
	for name, weights := range map[string][]float32{
		"equal":           {1, 1, 1, 1, 1, 1, 1},
		"one to seven":    {1, 2, 3, 4, 5, 6, 7},
		"one in hundreds": {1, 1, 500, 1, 1, 499, 1},
		"alone":           {3},
		"two":             {1, 9},
	} {
		r := rand.New(rand.NewPCG(7, 7))
		u := NewUrn(balls(weights...))
		single, first := make([]int, len(weights)), make([]int, len(weights))
		for range draws {
			single[u.Draw(r.Uint64())]++
			i, j := u.drawTwo(r.Uint64(), r.Uint64())
			first[i]++
			if i == j && len(weights) > 1 {
				t.Fatalf("%s: %d twice", name, i)
			}
		}
		want := make([]float64, len(weights))
		var sum float32
		for _, w := range weights {
			sum += w
		}
		for i, w := range weights {
			want[i] = draws * float64(w/sum)
		}
		wantFit(t, single, want)
		wantFit(t, first, want)
	}
}
