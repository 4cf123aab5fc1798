package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/bench/internal/contender"
	"github.com/holdfast-go/holdfast/bench/internal/registry"
	"github.com/holdfast-go/holdfast/bench/internal/result"
	"github.com/holdfast-go/holdfast/bench/internal/scenario"
	"github.com/holdfast-go/holdfast/bench/internal/stats"
)

// goal is one of the design's, with the bounds for one-shot watches and for the wire extension.
type goal struct {
	what     string
	cells    []result.Cell // what is shown
	first    string
	firstMet check
	then     string
	thenMet  check
	remarks  func(*result.Results) string // beside what is shown; may be nil
}

// Goals holds what was measured beside the goals.
func Goals(r *result.Results) []result.Goal {
	var shown []result.Goal
	for _, g := range goals() {
		var words []string
		for _, like := range g.cells {
			if c := r.Find(like); c != nil && c.Summary.N > 0 {
				words = append(words, measured(c))
			}
		}
		if g.remarks != nil {
			if s := g.remarks(r); s != "" {
				words = append(words, s)
			}
		}
		shown = append(shown, result.Goal{
			What: g.what, Measured: strings.Join(words, "; "),
			First: g.first, FirstMet: g.firstMet(r).String(), Then: g.then, ThenMet: g.thenMet(r).String(),
		})
	}
	return shown
}

func measured(c *result.Cell) string {
	s := c.Summary
	text := number(s.P50, c.Unit)
	if between := interval(c); between != "" && !s.P50.Never() {
		text += " (" + between + ")"
	}
	if c.Contender != contender.Holdfast {
		text = c.Contender + " " + text
		if r := ratio(c.Ratio); r != "" && !s.P50.Never() {
			text += " = " + r + " ×"
		}
	}
	return text
}

// cell names one of this library's; by makes it somebody else's.
func cell(number int, measure string, n int, roundTrip time.Duration) result.Cell {
	return result.Cell{Scenario: number, Measure: measure, Instances: n, RoundTrip: roundTrip, Contender: contender.Holdfast}
}

func by(name string, c result.Cell) result.Cell {
	c.Contender = name
	return c
}

const (
	ms           = float64(time.Millisecond)
	few, many    = 1_000, 5_000
	way          = 2 * time.Millisecond
	startTimeout = 3 * time.Second // New's default
)

func goals() []goal {
	peer := func(c result.Cell) result.Cell { return by(contender.Peer, c) }
	curator := func(c result.Cell) result.Cell { return by(contender.Curator, c) }
	added1, added5 := cell(1, scenario.Added, few, 0), cell(1, scenario.Added, many, 0)
	removed5, changed := cell(1, scenario.Removed, many, 0), cell(1, scenario.Changed, few, way)
	addedWay := cell(1, scenario.Added, few, way)
	start5, startWay := cell(3, scenario.StartUp, many, 0), cell(3, scenario.StartUp, few, way)
	refused, silent := cell(3, scenario.StartRefused, many, 0), cell(3, scenario.StartSilent, many, 0)
	bursts := result.Cell{Scenario: 4, Measure: scenario.Burst, Instances: 10, RoundTrip: time.Millisecond, Contender: contender.Holdfast}
	heap := cell(2, scenario.HeapEach, many, 0)
	return []goal{
		{
			what: "one added instance → watcher, 1,000 instances, p50", cells: []result.Cell{added1, peer(added1)},
			first: "≥ 100 × faster than the peer, ≤ 1.2 ms", firstMet: all(timesFaster(peer(added1), 100), within(added1, 1.2*ms, 0)),
			then: "≤ 0.7 ms", thenMet: within(added1, 0.7*ms, 0),
		},
		{
			what: "the same, 5,000", cells: []result.Cell{added5, peer(added5), curator(added5)},
			first: "≥ 400 × faster than the peer, ≤ 2 ms", firstMet: all(timesFaster(peer(added5), 400), within(added5, 2*ms, 0)),
			then: "≤ 0.8 ms, ahead of Curator", thenMet: all(within(added5, 0.8*ms, 0), timesFaster(curator(added5), 1)),
		},
		{
			what: "one removed instance, 5,000", cells: []result.Cell{removed5, peer(removed5), curator(removed5)},
			first: "≤ 2 ms", firstMet: within(removed5, 2*ms, 0), then: "≤ 0.8 ms", thenMet: within(removed5, 0.8*ms, 0),
		},
		{
			what: "metadata change, 2 ms round trip", cells: []result.Cell{changed, peer(changed)},
			first: "a round trip after the event: ≤ 1.5 + the write", firstMet: afterTheWrite(changed, 1.5),
			then: "the same", thenMet: afterTheWrite(changed, 1.5),
		},
		{
			what: "one added instance, 1,000 instances, 2 ms round trip", cells: []result.Cell{addedWay, peer(addedWay)}, remarks: trip,
			first: "≤ 3 round trips", firstMet: inRoundTrips(addedWay, 3, 0), then: "≤ 2", thenMet: inRoundTrips(addedWay, 2, 0),
		},
		{
			what: "requests to ZooKeeper per change, 5,000 instances, the most of all kinds", remarks: worst(scenario.Requests),
			first: "≤ 2", firstMet: worstAtMost(scenario.Requests, 2), then: "≤ 1", thenMet: worstAtMost(scenario.Requests, 1),
		},
		{
			what: "bytes from ZooKeeper per change, 5,000 instances, the most of all kinds", remarks: worst(scenario.FromServer),
			first: "the names of all, " + number(stats.Number(namesOf(many)), result.Bytes), firstMet: worstAtMost(scenario.FromServer, namesOf(many)),
			then: "constant, ≤ 1 KB", thenMet: worstAtMost(scenario.FromServer, 1_000),
		},
		{
			what: "start, 5,000 instances, ZooKeeper up", cells: []result.Cell{start5, peer(start5), curator(start5)},
			first: "≤ half of the peer's", firstMet: timesFaster(peer(start5), 2), then: "≤ 40 ms", thenMet: within(start5, 40*ms, 0),
		},
		{
			what: "start, 1,000 instances, 2 ms round trip", cells: []result.Cell{startWay, peer(startWay)},
			first: "≤ 1/10 of the peer's", firstMet: timesFaster(peer(startWay), 10),
			then: "≤ 5 round trips after the handshake's", thenMet: inRoundTrips(startWay, 6, 0),
		},
		{
			what: "start from the file, 5,000 instances, every server refuses", cells: []result.Cell{refused},
			first: "at once: ≤ 20 ms", firstMet: within(refused, 20*ms, 0), then: "the same", thenMet: within(refused, 20*ms, 0),
		},
		{
			what: "the same, ZooKeeper accepts and is silent", remarks: afterTheTimeout(silent),
			first: "≤ 20 ms after the start timeout, 3 s", firstMet: within(silent, 20*ms, float64(startTimeout)),
			then: "the same", thenMet: within(silent, 20*ms, float64(startTimeout)),
		},
		{
			what: "bursts of 5 registrations that end incomplete, 1 ms round trip", remarks: lost(bursts, peer(bursts)),
			first: "none", firstMet: noneLost(bursts), then: "none", thenMet: noneLost(bursts),
		},
		{
			what: "memory per mirrored instance, goroutines, 5,000", cells: []result.Cell{heap}, remarks: goroutines,
			first: "≤ 1.5 KB, as many as for 10", firstMet: all(within(heap, 1_500, 0), sameGoroutines),
			then: "≤ 0.5 KB", thenMet: all(within(heap, 500, 0), sameGoroutines),
		},
	}
}

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

// inRoundTrips judges by the round trip that was measured, after what is granted in nanoseconds.
func inRoundTrips(like result.Cell, n, granted float64) check {
	return func(r *result.Results) verdict {
		ns, ok := roundTrip(r)
		if !ok {
			return unknown
		}
		return within(like, n*ns, granted)(r)
	}
}

// afterTheWrite judges what remains when the writer's own round trip is taken off: as many round trips of the client's, and a millisecond.
func afterTheWrite(c result.Cell, roundTrips float64) check {
	return func(r *result.Results) verdict {
		write := r.Find(result.Cell{Scenario: 1, Measure: scenario.WriterRT, Instances: c.Instances, RoundTrip: c.RoundTrip, Contender: scenario.Writer})
		if write == nil {
			return unknown
		}
		return inRoundTrips(c, roundTrips, float64(write.Summary.P50)+ms)(r)
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

// namesOf is the length of a list of n names as ZooKeeper sends it, with the rest of the answers to a change.
func namesOf(n int) float64 {
	total := 1_000
	for i := range n {
		total += 4 + len(registry.Key(i))
	}
	return float64(total)
}

// worstOf is the cell with the greatest median of the kinds of change, for 5,000 instances.
func worstOf(r *result.Results, measure, name string) *result.Cell {
	var worst *result.Cell
	for _, kind := range []string{scenario.Added, scenario.Changed, scenario.Removed} {
		c := r.Find(by(name, cell(2, measure+kind, many, 0)))
		if c != nil && c.Summary.N > 0 && (worst == nil || c.Summary.P50 > worst.Summary.P50) {
			worst = c
		}
	}
	return worst
}

func worst(measure string) func(*result.Results) string {
	return func(r *result.Results) string {
		var words []string
		for _, name := range []string{contender.Holdfast, contender.Peer, contender.Curator} {
			if c := worstOf(r, measure, name); c != nil {
				words = append(words, measured(c))
			}
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
