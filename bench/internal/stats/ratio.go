package stats

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Ratio is a ratio of two medians with its interval of 95 % confidence.
type Ratio struct {
	Value Number `json:"value"`
	Low   Number `json:"low"`
	High  Number `json:"high"`
}

// resamples is how often the bootstrap draws.
const resamples = 2000

// RatioOf is the median of a divided by the median of b. Its interval is the bootstrap's: both series are drawn from again, with replacement,
// and the middle 95 % of the ratios are kept. The same series have the same interval, always. It is not known, ok is false, while one of them
// is empty or b's median is 0 or infinite.
func RatioOf(a, b Series) (r Ratio, ok bool) {
	if a.Len() == 0 || b.Len() == 0 {
		return Ratio{}, false
	}
	sa, sb := a.sorted(), b.sorted()
	mb := median(sb)
	if mb == 0 || math.IsInf(mb, 1) {
		return Ratio{}, false
	}
	rng := rand.New(rand.NewPCG(1, 2))
	draw := func(from, into []float64) float64 {
		for i := range into {
			into[i] = from[rng.IntN(len(from))]
		}
		slices.Sort(into)
		return median(into)
	}
	ratios := make([]float64, 0, resamples)
	da, db := make([]float64, len(sa)), make([]float64, len(sb))
	for range resamples {
		x, y := draw(sa, da), draw(sb, db)
		if q := x / y; !math.IsNaN(q) {
			ratios = append(ratios, q)
		}
	}
	if len(ratios) == 0 {
		return Ratio{}, false
	}
	slices.Sort(ratios)
	at := func(q float64) Number { return Number(ratios[int(q*float64(len(ratios)-1))]) }
	return Ratio{Value: Number(median(sa) / mb), Low: at(0.025), High: at(0.975)}, true
}

// Overlaps reports whether the intervals of two runs have a value in common.
func (r Ratio) Overlaps(o Ratio) bool { return r.Low <= o.High && o.Low <= r.High }
