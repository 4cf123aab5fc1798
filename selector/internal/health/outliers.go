package health

import (
	"cmp"
	"math"
	"slices"
)

// Tally is how many calls of a server ended well and badly.
type Tally struct{ Good, Bad uint64 }

func (t Tally) all() uint64   { return t.Good + t.Bad }
func (t Tally) rate() float64 { return float64(t.Bad) / float64(t.all()) }

const (
	volume   = 20  // calls that a server must have had to be compared
	company  = 3   // servers that there must be to compare
	sigmas   = 4.0 // by which a server must be worse than the others: looked at every second, chance would find three soon
	farBelow = 0.1 // and the share of its calls, by one deviation of its own
)

// Outliers returns the indexes of tallies that are far worse than the median, the worst first. Tallies of fewer than 20 calls are not compared. The
// deviation is that of a binomial share: how far a server that is like the median would stray by chance (the test of one proportion; Envoy's success-rate
// ejection compares with the servers' own deviation instead, which two bad ones among eight raise so far that neither is found).
func Outliers(tallies []Tally) (found []int) {
	var rates []float64
	for _, t := range tallies {
		if t.all() >= volume {
			rates = append(rates, t.rate())
		}
	}
	if len(rates) < company {
		return nil
	}
	slices.Sort(rates)
	median := rates[(len(rates)-1)/2]
	for i, t := range tallies {
		if t.all() < volume {
			continue
		}
		n := float64(t.all())
		usual := (median*n + 1) / (n + 2) // so that a median of 0 has a deviation
		deviation := func(rate float64) float64 { return math.Sqrt(rate * (1 - rate) / n) }
		if excess := t.rate() - median; excess > farBelow+deviation(t.rate()) && excess > sigmas*deviation(usual) {
			found = append(found, i)
		}
	}
	slices.SortStableFunc(found, func(a, b int) int { return cmp.Compare(tallies[b].rate(), tallies[a].rate()) })
	return found
}
