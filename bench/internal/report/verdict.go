package report

import (
	"github.com/holdfast-go/holdfast/bench/internal/result"
	"github.com/holdfast-go/holdfast/bench/internal/stats"
)

// verdict is whether a goal is met. It is narrow where the goal's bound is in the interval of the median, or, of too few values for one, between the
// least and the greatest: another run may say otherwise.
type verdict int

const (
	unknown verdict = iota
	met
	narrowlyMet
	narrowlyMissed
	missed
)

func (v verdict) String() string {
	return [...]string{"not measured", "met", "met, narrowly", "missed, narrowly", "missed"}[v]
}

// check judges by the results.
type check func(*result.Results) verdict

// all is the worst of several verdicts, and unknown if one of them is.
func all(checks ...check) check {
	return func(r *result.Results) verdict {
		worst := met
		for _, c := range checks {
			v := c(r)
			if v == unknown {
				return unknown
			}
			worst = max(worst, v)
		}
		return worst
	}
}

// atMost judges a median with its interval.
func atMost(value, low, high stats.Number, limit float64) verdict {
	switch bound := stats.Number(limit); {
	case high <= bound:
		return met
	case value <= bound:
		return narrowlyMet
	case low <= bound:
		return narrowlyMissed
	}
	return missed
}

// within judges a cell's median, less what the goal takes for granted.
func within(like result.Cell, limit, granted float64) check {
	return func(r *result.Results) verdict {
		c := r.Find(like)
		if c == nil || c.Summary.N == 0 {
			return unknown
		}
		s, g := c.Summary, stats.Number(granted)
		return atMost(s.P50-g, s.Low-g, s.High-g, limit)
	}
}

// timesFaster judges how many times as long somebody else's median is.
func timesFaster(other result.Cell, times float64) check {
	return func(r *result.Results) verdict {
		c := r.Find(other)
		if c == nil || c.Ratio == nil {
			return unknown
		}
		return atMost(-c.Ratio.Value, -c.Ratio.High, -c.Ratio.Low, -times)
	}
}

// asFastAs judges whether a cell takes at most a fifth longer than another, both this library's.
func asFastAs(one, other result.Cell) check {
	return func(r *result.Results) verdict {
		a, b := r.Find(one), r.Find(other)
		if a == nil || b == nil {
			return unknown
		}
		ratio, ok := stats.RatioOf(a.Series, b.Series)
		if !ok {
			return unknown
		}
		return atMost(ratio.Value, ratio.Low, ratio.High, 1.2)
	}
}
