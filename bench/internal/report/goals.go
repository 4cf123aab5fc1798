package report

import (
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/bench/internal/contender"
	"github.com/holdfast-go/holdfast/bench/internal/result"
	"github.com/holdfast-go/holdfast/bench/internal/scenario"
)

// goal is one of the design's. Curator and dubbo-go stand beside every one that they can have a part in.
type goal struct {
	what    string
	cells   []result.Cell                // what is shown
	remarks func(*result.Results) string // beside what is shown; may be nil
	goal    string
	against []result.Cell // whose ratios to this library's the goal is about
	met     check
}

// faster is the goal with the demand that this library is that many times faster than each of others.
func (g goal) faster(times float64, others ...result.Cell) goal {
	var checks []check
	for _, other := range others {
		checks = append(checks, timesFaster(other, times))
	}
	if g.met != nil {
		checks = append(checks, g.met)
	}
	g.against, g.met = others, all(checks...)
	return g
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
		shown = append(shown, result.Goal{What: g.what, Measured: strings.Join(words, "; "), Goal: g.goal, Met: g.met(r).String()})
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

// besides has this library's cell with those of others.
func besides(c result.Cell, names ...string) []result.Cell {
	cells := []result.Cell{c}
	for _, name := range names {
		cells = append(cells, by(name, c))
	}
	return cells
}

func goals() []goal {
	curator := func(c result.Cell) result.Cell { return by(contender.Curator, c) }
	everybody := func(c result.Cell) []result.Cell {
		return besides(c, contender.Peer, contender.Curator, contender.DubboGo, contender.Floor, contender.BareFloor)
	}
	added1, added5 := cell(1, scenario.Added, few, 0), cell(1, scenario.Added, many, 0)
	changed1, changed5, removed5 := cell(1, scenario.Changed, few, 0), cell(1, scenario.Changed, many, 0), cell(1, scenario.Removed, many, 0)
	addedWay := cell(1, scenario.Added, few, way)
	start5, startWay := cell(3, scenario.StartUp, many, 0), cell(3, scenario.StartUp, few, way)
	refused, silent := cell(3, scenario.StartRefused, many, 0), cell(3, scenario.StartSilent, many, 0)
	bursts := result.Cell{Scenario: 4, Measure: scenario.Burst, Instances: 10, RoundTrip: time.Millisecond, Contender: contender.Holdfast}
	startRequests, heap, cpu := cell(2, scenario.StartRequests, many, 0), cell(2, scenario.HeapEach, many, 0), cell(2, scenario.CPUEach, many, 0)
	load50 := cell(8, scenario.Load, 50_000, 0)
	manyRegistered := cell(9, scenario.ManyRegistered, 0, 0)
	const faster = "≥ 1.2 × faster than Curator"
	return []goal{
		goal{what: "one added instance → watcher, 1,000 instances, p50", cells: everybody(added1), goal: faster}.faster(1.2, curator(added1)),
		goal{
			what: "the same, 5,000", cells: everybody(added5), goal: faster + ", and as at 1,000", met: asFastAs(added5, added1),
		}.faster(1.2, curator(added5)),
		goal{what: "metadata change → watcher, 1,000", cells: everybody(changed1), goal: faster}.faster(1.2, curator(changed1)),
		goal{what: "the same, 5,000", cells: everybody(changed5), goal: faster}.faster(1.2, curator(changed5)),
		goal{
			what: "one removed instance → watcher, 5,000", cells: everybody(removed5), goal: "≤ Curator, which does not confirm",
		}.faster(1, curator(removed5)),
		{
			what: "one added instance, 1,000 instances, 2 ms round trip", cells: everybody(addedWay), remarks: trip,
			goal: "≤ 2 round trips", met: inRoundTrips(addedWay, 2),
		},
		{
			what: "requests to ZooKeeper per change, the most of all kinds and sizes", remarks: worst(scenario.Requests),
			goal: "≤ 1", met: worstAtMost(scenario.Requests, 1),
		},
		{
			what: "bytes from ZooKeeper per change, the most of all kinds and sizes", remarks: worst(scenario.FromServer),
			goal: "≤ 500 B", met: worstAtMost(scenario.FromServer, 500),
		},
		goal{
			what: "start, 5,000 instances", cells: everybody(start5), goal: "≥ 8 × faster than rpcx-zookeeper and Curator",
		}.faster(8, by(contender.Peer, start5), curator(start5)),
		{
			what: "requests of a start, 5,000 instances", cells: besides(startRequests, contender.Peer, contender.Curator, contender.DubboGo),
			goal: "≤ 16 after the handshake", met: within(startRequests, 16, 0),
		},
		{
			what: "start, 1,000 instances, 2 ms round trip", cells: everybody(startWay), remarks: trip,
			goal: "≤ 5 round trips after the handshake's", met: inRoundTrips(startWay, 6),
		},
		goal{
			what: "500 services registered by one process", cells: besides(manyRegistered, contender.Peer, scenario.Pipelined),
			goal: "≤ 1/4 of 1,000 pipelined requests",
		}.faster(4, by(scenario.Pipelined, manyRegistered)),
		{
			what: "start from the file, 5,000 instances, every server refuses", cells: besides(refused, contender.Peer, contender.Curator, contender.DubboGo),
			goal: "at once: ≤ 20 ms", met: within(refused, 20*ms, 0),
		},
		{
			what: "the same, ZooKeeper accepts and is silent", remarks: afterTheTimeout(silent),
			goal: "≤ 20 ms after the start timeout, 3 s", met: within(silent, 20*ms, float64(startTimeout)),
		},
		{what: "the file of 50,000 instances loaded", cells: []result.Cell{load50}, goal: "≤ 50 ms", met: within(load50, 50*ms, 0)},
		{
			what:    "bursts of 5 registrations that end incomplete, 1 ms round trip",
			remarks: lost(besides(bursts, contender.Peer, contender.Curator, contender.DubboGo)...), goal: "none", met: noneLost(bursts),
		},
		{
			what: "memory per mirrored instance, goroutines, 5,000", cells: besides(heap, contender.Peer, contender.Curator, contender.DubboGo), remarks: goroutines,
			goal: "≤ 400 B, as many as for 10", met: all(within(heap, 400, 0), sameGoroutines),
		},
		{
			what: "client's processor time per change, 5,000", cells: everybody(cpu), goal: "≤ 0.1 ms", met: within(cpu, 0.1*ms, 0),
		},
	}
}
