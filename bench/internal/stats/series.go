// Package stats sums up what was measured again and again: percentiles, the median's confidence interval, and the interval of the ratio of two
// medians.
package stats

import (
	"math"
	"slices"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Series is one thing measured again and again, in one unit. Errors are counted, never dropped: Never is how often what was waited for did not
// happen within the limit and counts as infinitely long, Failed how often the measurement itself failed and counts as nothing but itself.
type Series struct {
	Values []float64 `json:"values"`
	Never  int       `json:"never,omitempty"`
	Failed int       `json:"failed,omitempty"`
}

// Add adds one value.
func (s *Series) Add(v float64) { s.Values = append(s.Values, v) }

// Len is how often was measured, with what never happened.
func (s *Series) Len() int { return len(s.Values) + s.Never }

// Summary is what is shown of a Series. Low to High is an interval for the median. Coverage is how sure it is; it is at least 0.95. Fewer than 6
// values have no such interval. Then Coverage is 0, and Low and High are the least and the greatest value.
type Summary struct {
	N      int    `json:"n"` // with Never
	Never  int    `json:"never,omitempty"`
	Failed int    `json:"failed,omitempty"`
	P50    Number `json:"p50"`
	Low    Number `json:"p50_low"`
	High   Number `json:"p50_high"`

	Coverage float64 `json:"p50_coverage,omitempty"`

	P90  Number  `json:"p90"`
	P99  Number  `json:"p99"`
	Max  Number  `json:"max"`
	Mean float64 `json:"mean_of_seen"`
}

// Summary sums up. Of an empty Series nothing but Failed is known.
func (s *Series) Summary() Summary {
	sum := Summary{N: s.Len(), Never: s.Never, Failed: s.Failed}
	if sum.N == 0 {
		return sum
	}
	sorted := s.sorted()
	h := s.histogram()
	percentile := func(p int) Number {
		rank := (p*sum.N + 99) / 100
		if sum.N <= exactUpTo || rank > len(s.Values) { // the buckets' rounding would show; the nevers stand behind all that was seen
			return Number(sorted[rank-1])
		}
		v := float64(h.ValueAtQuantile(float64(p*sum.N)/float64(len(s.Values)))) / scale
		return Number(min(v, sorted[len(s.Values)-1])) // a bucket's upper end may lie above all that is in it
	}
	low, high, coverage := medianRanks(sum.N)
	sum.P50, sum.P90, sum.P99 = percentile(50), percentile(90), percentile(99)
	if sum.N <= exactUpTo {
		sum.P50 = Number(median(sorted))
	}
	sum.Low, sum.High, sum.Coverage, sum.Max = Number(sorted[low]), Number(sorted[high]), coverage, Number(sorted[sum.N-1])
	for _, v := range s.Values {
		sum.Mean += v / float64(len(s.Values))
	}
	return sum
}

// exactUpTo is the length up to which percentiles are taken from the values themselves.
const exactUpTo = 1000

// scale keeps three digits behind the point in the histogram's integers.
const scale = 1000

func (s *Series) histogram() *hdrhistogram.Histogram {
	h := hdrhistogram.New(1, math.MaxInt64/2, 3)
	for _, v := range s.Values {
		_ = h.RecordValue(max(0, int64(math.Round(v*scale)))) // fails beyond 145 years in nanoseconds
	}
	return h
}

// sorted has what never happened as infinite, at the end.
func (s *Series) sorted() []float64 {
	all := slices.Clone(s.Values)
	for range s.Never {
		all = append(all, math.Inf(1))
	}
	slices.Sort(all)
	return all
}

func median(sorted []float64) float64 {
	n := len(sorted)
	if n%2 == 1 || math.IsInf(sorted[n/2], 1) {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}
