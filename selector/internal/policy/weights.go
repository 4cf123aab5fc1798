package policy

import (
	"math"
	"slices"
)

// spread is the largest ratio of two weights.
const spread = 1000

// Weights returns weights relative to their mean and within the spread; if all are 0, all are equal. A few that stand out are brought to where most
// are: the many too large for the least are those that are right if more than half of all are.
func Weights(raw []uint32) []float32 {
	relative := make([]float32, len(raw))
	least, most := uint32(math.MaxUint32), uint32(0)
	for _, w := range raw {
		least, most = min(least, w), max(most, w)
	}
	low, high := float64(least), float64(most)
	if most == 0 {
		low, high = 1, 1
	} else if high > low*spread {
		sorted := slices.Sorted(slices.Values(raw))
		if middle := float64(sorted[len(sorted)/2]); middle <= math.Sqrt(low)*math.Sqrt(high) {
			high = low * spread
		} else {
			low = high / spread
		}
	}
	sum := 0.0
	for _, w := range raw {
		sum += min(max(float64(w), low), high)
	}
	for i, w := range raw {
		relative[i] = float32(min(max(float64(w), low), high) * float64(len(raw)) / sum)
	}
	return relative
}
