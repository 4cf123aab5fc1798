package report

import (
	"fmt"
	"strings"

	"github.com/holdfast-go/holdfast/bench/internal/contender"
	"github.com/holdfast-go/holdfast/bench/internal/result"
	"github.com/holdfast-go/holdfast/bench/internal/scenario"
	"github.com/holdfast-go/holdfast/bench/internal/stats"
)

// roundTrip is what a read takes on the longer way, with what timers add to the delay.
func roundTrip(r *result.Results) (ns float64, ok bool) {
	c := r.Find(result.Cell{Scenario: 1, Measure: scenario.ReaderRT, Instances: few, RoundTrip: way, Contender: scenario.Writer})
	if c == nil {
		return 0, false
	}
	return float64(c.Summary.P50), true
}

func trip(r *result.Results) string {
	ns, ok := roundTrip(r)
	if !ok {
		return ""
	}
	return "a read's round trip is really " + duration(ns)
}

// inRoundTrips judges by the round trip that was measured. The goal says nothing else, so nothing else is granted.
func inRoundTrips(like result.Cell, n float64) check {
	return func(r *result.Results) verdict {
		ns, ok := roundTrip(r)
		if !ok {
			return unknown
		}
		return within(like, n*ns, 0)(r)
	}
}

func afterTheTimeout(like result.Cell) func(*result.Results) string {
	return func(r *result.Results) string {
		c := r.Find(like)
		if c == nil || c.Summary.N == 0 || c.Summary.P50.Never() {
			return ""
		}
		return "3 s and " + number(c.Summary.P50-stats.Number(startTimeout), c.Unit)
	}
}

// worstOf is the cell with the greatest median of all kinds of change and all sizes.
func worstOf(r *result.Results, measure, name string) *result.Cell {
	var worst *result.Cell
	for i := range r.Cells {
		c := &r.Cells[i]
		if c.Scenario == 2 && c.Contender == name && strings.HasPrefix(c.Measure, measure) && c.Summary.N > 0 &&
			(worst == nil || c.Summary.P50 > worst.Summary.P50) {
			worst = c
		}
	}
	return worst
}

// worst has the ratios of what it shows, which need not be of one kind of change.
func worst(measure string) func(*result.Results) string {
	return func(r *result.Results) string {
		shown := new(result.Results)
		for _, name := range []string{contender.Holdfast, contender.Peer, contender.Curator, contender.DubboGo} {
			if c := worstOf(r, measure, name); c != nil {
				cell := *c
				cell.Measure, cell.Instances, cell.Ratio = measure, 0, nil
				shown.Cells = append(shown.Cells, cell)
			}
		}
		shown.Finish(contender.Holdfast)
		var words []string
		for i := range shown.Cells {
			words = append(words, measured(&shown.Cells[i]))
		}
		return strings.Join(words, "; ")
	}
}

func worstAtMost(measure string, limit float64) check {
	return func(r *result.Results) verdict {
		c := worstOf(r, measure, contender.Holdfast)
		if c == nil {
			return unknown
		}
		return atMost(c.Summary.P50, c.Summary.Low, c.Summary.High, limit)
	}
}

func lost(likes ...result.Cell) func(*result.Results) string {
	return func(r *result.Results) string {
		var words []string
		for _, like := range likes {
			if c := r.Find(like); c != nil && c.Summary.N > 0 {
				name := ""
				if c.Contender != contender.Holdfast {
					name = c.Contender + " "
				}
				words = append(words, fmt.Sprintf("%s%d of %d", name, c.Summary.Never, c.Summary.N))
			}
		}
		return strings.Join(words, "; ")
	}
}

func noneLost(like result.Cell) check {
	return func(r *result.Results) verdict {
		c := r.Find(like)
		switch {
		case c == nil || c.Summary.N == 0:
			return unknown
		case c.Summary.Never > 0 || c.Summary.Failed > 0:
			return missed
		}
		return met
	}
}

func goroutinesOf(r *result.Results) (few, most *result.Cell) {
	return r.Find(cell(2, scenario.Goroutines, 10, 0)), r.Find(cell(2, scenario.Goroutines, many, 0))
}

func goroutines(r *result.Results) string {
	few, most := goroutinesOf(r)
	if few == nil || most == nil {
		return ""
	}
	return fmt.Sprintf("%s goroutines, for 10 instances %s", number(most.Summary.P50, result.Count), number(few.Summary.P50, result.Count))
}

// sameGoroutines allows for one that comes or goes at the moment of the count.
func sameGoroutines(r *result.Results) verdict {
	few, most := goroutinesOf(r)
	switch {
	case few == nil || most == nil:
		return unknown
	case most.Summary.P50 > few.Summary.P50+1:
		return missed
	}
	return met
}
