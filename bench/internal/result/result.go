// Package result is what a run has measured, as scenarios record it and reports show it.
package result

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/holdfast-go/holdfast/bench/internal/stats"
)

// Unit is what a Cell's numbers count.
type Unit string

// The units.
const (
	Time  Unit = "ns"
	Bytes Unit = "bytes"
	Count Unit = "count"
	Share Unit = "share" // of 1
)

// Cell is one thing measured for one contender under one condition.
type Cell struct {
	Scenario  int           `json:"scenario"`
	Measure   string        `json:"measure"`
	Case      string        `json:"case,omitempty"` // further conditions in words
	Instances int           `json:"instances,omitempty"`
	RoundTrip time.Duration `json:"round_trip_ns,omitempty"`
	Contender string        `json:"contender"`
	Unit      Unit          `json:"unit"`
	Series    stats.Series  `json:"samples"`
	Summary   stats.Summary `json:"summary"`
	Ratio     *stats.Ratio  `json:"times_holdfast,omitempty"` // of the medians; nil for this library itself, and where it is not known
	Note      string        `json:"note,omitempty"`           // why there are no numbers, or what they do not say
}

// Point is what became of the calls of one bin of time.
type Point struct {
	At     time.Duration `json:"at_ns"` // since the run of the scenario began
	OK     int           `json:"ok"`
	Failed int           `json:"failed"`
}

// Timeline is one client's calls through an outage.
type Timeline struct {
	Contender string  `json:"contender"`
	Client    string  `json:"client"` // which of its clients
	Points    []Point `json:"points"`
}

// Span is a stretch of a timeline that has a name.
type Span struct {
	Name string        `json:"name"`
	From time.Duration `json:"from_ns"`
	To   time.Duration `json:"to_ns"`
}

// Machine says where and with what was measured.
type Machine struct {
	OS        string            `json:"os"`
	CPU       string            `json:"cpu"`
	Cores     int               `json:"cores"`
	MemoryMB  int64             `json:"memory_mb,omitempty"`
	Go        string            `json:"go"`
	ZooKeeper string            `json:"zookeeper"`
	Versions  map[string]string `json:"versions"` // of the modules that are measured
}

// Goal is one of the design's goals beside what was measured.
type Goal struct {
	What     string `json:"what"`
	Measured string `json:"measured"`
	Goal     string `json:"goal"`
	Met      string `json:"met"` // "met", "missed", one of them "narrowly", or "not measured"
}

// Results is everything.
type Results struct {
	Plan      string        `json:"plan"`
	Started   time.Time     `json:"started"`
	Took      time.Duration `json:"took_ns"`
	Machine   Machine       `json:"machine"`
	Cells     []Cell        `json:"cells"`
	Timelines []Timeline    `json:"timelines,omitempty"`
	Spans     []Span        `json:"spans,omitempty"`
	Notes     []string      `json:"notes,omitempty"`
	// WarmUp says how warm ZooKeeper was.
	WarmUp string `json:"warm_up"`
	// Interrupted says where the run was ended before its end, if it was.
	Interrupted string `json:"interrupted,omitempty"`
	Goals       []Goal `json:"goals"`
}

// Load reads a results.json.
func Load(file string) (*Results, error) {
	b, err := os.ReadFile(file) //nolint:gosec // the user's own
	if err != nil {
		return nil, err
	}
	r := new(Results)
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}

// Find returns the cell that fits, or nil. Fields that are empty in like fit anything, but for Case, Instances and RoundTrip, which must be equal.
func (r *Results) Find(like Cell) *Cell {
	for i := range r.Cells {
		c := &r.Cells[i]
		if c.Scenario == like.Scenario && c.Measure == like.Measure && c.Case == like.Case && c.Instances == like.Instances &&
			c.RoundTrip == like.RoundTrip && c.Contender == like.Contender {
			return c
		}
	}
	return nil
}

// Finish sums up the cells and compares each with this library's.
func (r *Results) Finish(library string) {
	for i := range r.Cells {
		r.Cells[i].Summary = r.Cells[i].Series.Summary()
	}
	for i := range r.Cells {
		c := &r.Cells[i]
		ours := *c
		ours.Contender = library
		if o := r.Find(ours); o != nil && o != c {
			if ratio, ok := stats.RatioOf(c.Series, o.Series); ok {
				c.Ratio = &ratio
			}
		}
	}
}
