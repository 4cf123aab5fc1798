package report

import (
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/bench/internal/contender"
	"github.com/holdfast-go/holdfast/bench/internal/result"
	"github.com/holdfast-go/holdfast/bench/internal/scenario"
)

// beside are the columns of the summary.
var beside = []string{contender.Holdfast, contender.Peer, contender.CacheDiscovery, contender.Curator, contender.DubboGo, contender.Floor, contender.BareFloor}

// row is a line of the summary: the same cell for everybody.
type row struct {
	what string
	like result.Cell
	show func(*result.Cell) string
}

func rows() []row {
	bursts := result.Cell{Scenario: 4, Measure: scenario.Burst, Instances: 10, RoundTrip: time.Millisecond}
	outage := func(measure, client string) result.Cell {
		return result.Cell{Scenario: 5, Measure: measure, Case: client}
	}
	return []row{
		{"added instance → watcher, 1,000 instances", cell(1, scenario.Added, few, 0), median},
		{"the same, 5,000", cell(1, scenario.Added, many, 0), median},
		{"the same, 1,000, 2 ms round trip", cell(1, scenario.Added, few, way), median},
		{"metadata → watcher, 5,000", cell(1, scenario.Changed, many, 0), median},
		{"removed instance → watcher, 5,000", cell(1, scenario.Removed, many, 0), median},
		{"requests for an added instance, 5,000", cell(2, scenario.Requests+scenario.Added, many, 0), median},
		{"bytes from ZooKeeper for it", cell(2, scenario.FromServer+scenario.Added, many, 0), median},
		{"processor time of the client per change, 5,000", cell(2, scenario.CPUEach, many, 0), median},
		{"memory that the client allocates per change, 5,000", cell(2, scenario.AllocEach, many, 0), median},
		{"processor time of the client per second at rest, 5,000", cell(2, scenario.CPURest, many, 0), median},
		{"first list, 5,000 (Curator: its Java is warm)", cell(3, scenario.StartUp, many, 0), median},
		{"the same, 1,000, 2 ms round trip", cell(3, scenario.StartUp, few, way), median},
		{"first list, 5,000, ZooKeeper refuses", cell(3, scenario.StartRefused, many, 0), median},
		{"first list, 5,000, ZooKeeper is silent", cell(3, scenario.StartSilent, many, 0), median},
		{"5 registrations in a row: lists that stay wrong", bursts, neverOf},
		{"failed calls, ZooKeeper away", outage(scenario.FailedAway, scenario.ClientBefore), median},
		{"failed calls, ZooKeeper back, its list empty", outage(scenario.FailedReturning, scenario.ClientBefore), median},
		{"failed calls, client started meanwhile, ZooKeeper away", outage(scenario.FailedAway, scenario.ClientMidst), median},
		{"server registered again after its session expired", result.Cell{Scenario: 9, Measure: scenario.Reborn}, median},
	}
}

// summary is the table of the contenders beside each other, without the lines of what was not measured.
func summary(r *result.Results) [][]string {
	table := [][]string{append([]string{""}, beside...)}
	for _, row := range rows() {
		line := []string{row.what}
		found := false
		for _, name := range beside {
			c := r.Find(by(name, row.like))
			text := "–"
			if c != nil {
				found = found || c.Summary.N+c.Summary.Failed > 0
				text = row.show(c)
			}
			line = append(line, text)
		}
		if found {
			table = append(table, line)
		}
	}
	return table
}

// median shows the interval where there is one.
func median(c *result.Cell) string {
	s := c.Summary
	switch {
	case s.N == 0 && s.Failed > 0:
		return "fails"
	case s.N == 0:
		return "–"
	case s.P50.Never(), interval(c) == "":
		return number(s.P50, c.Unit)
	}
	return fmt.Sprintf("%s (%s)", number(s.P50, c.Unit), interval(c))
}

func neverOf(c *result.Cell) string {
	if c.Summary.N == 0 {
		return median(c)
	}
	return fmt.Sprintf("%d of %d", c.Summary.Never, c.Summary.N)
}
