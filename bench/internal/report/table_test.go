package report

import (
	"bytes"
	"encoding/json"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holdfast-go/holdfast/bench/internal/contender"
	"github.com/holdfast-go/holdfast/bench/internal/result"
	"github.com/holdfast-go/holdfast/bench/internal/stats"
)

func TestTheTableSaysEverythingOnce(t *testing.T) {
	c := func(measure, name string, n int, note string, s stats.Series) result.Cell {
		return result.Cell{Scenario: 1, Measure: measure, Contender: name, Instances: n, Unit: result.Time, Series: s, Note: note}
	}
	r := &result.Results{Plan: "tiny", Cells: []result.Cell{
		c("added", contender.Holdfast, 10, "", stats.Series{Values: []float64{1e6, 2e6, 2e6, 2e6, 3e6, 4e6}}),
		c("removed", contender.Holdfast, 10, "", stats.Series{Values: []float64{5e6}}),
		c("added", contender.Peer, 10, "", stats.Series{Values: []float64{4e6}, Never: 2}),
		c("added", contender.Curator, 10, "fails: "+strings.Repeat("x", 300), stats.Series{Failed: 1}),
		c("added", contender.Holdfast, 1_000, "", stats.Series{}),
		{Scenario: 2, Measure: "of another"},
	}}
	r.Finish(contender.Holdfast)
	var b bytes.Buffer
	if err := Write(&b, r, []Title{{1, "one"}, {3, "three"}}); err != nil {
		t.Fatal(err)
	}
	want := `
## 1. one

| measure | conditions      | contender      | p50   | interval of ≥ 95 %      | p99   | max   | n | never  | × holdfast |
|---------|-----------------|----------------|-------|-------------------------|-------|-------|---|--------|------------|
| added   | 10 instances    | holdfast       | 2 ms  | 1 ms to 4 ms            | 4 ms  | 4 ms  | 6 |        |            |
|         |                 | rpcx-zookeeper | never | only 4 ms, never, never | never | never | 3 | 2 of 3 | ∞          |
|         |                 | Curator        | fails |                         |       |       |   |        |            |
|         | 1,000 instances | holdfast       | –     |                         |       |       |   |        |            |
| removed | 10 instances    | holdfast       | 5 ms  |                         |       |       |   |        |            |

Curator, added, 10 instances: fails: ` + strings.Repeat("x", 193) + `…

## 3. three

nothing was measured

tiny run, 0 s, on 0 × , , , ZooKeeper` + " \n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// full is a run with something for every plot.
func full() *result.Results {
	r := new(result.Results)
	for _, name := range contenders {
		for _, n := range []int{10, 1_000} {
			r.Cells = append(r.Cells,
				result.Cell{Scenario: 1, Measure: "added", Contender: name, Instances: n, Unit: result.Time, Series: stats.Series{Values: []float64{1e6, 2e6, 9e6}}},
				result.Cell{Scenario: 3, Measure: "start, ZooKeeper up", Contender: name, Instances: n, Unit: result.Time, Series: stats.Series{Values: []float64{3e6, 5e6}}},
				result.Cell{Scenario: 2, Measure: "requests, added", Contender: name, Instances: n, Unit: result.Count, Series: stats.Series{Values: []float64{2}}})
		}
		r.Timelines = append(r.Timelines, result.Timeline{Contender: name, Client: "a client", Points: []result.Point{
			{At: 0, OK: 1}, {At: time.Second, Failed: 1}, {At: 2 * time.Second}, {At: 3 * time.Second, OK: 1, Failed: 1},
		}})
	}
	r.Spans = []result.Span{{Name: "ZooKeeper is away", From: time.Second, To: 2 * time.Second}}
	r.Finish(contender.Holdfast)
	return r
}

func TestPlotsShowEveryContender(t *testing.T) {
	files := make(map[string][]byte)
	if err := plots(files, full()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"change.svg", "start.svg", "cost.svg", "outage.svg"} {
		svg := string(files[name])
		if !strings.HasPrefix(svg, "<?xml") {
			t.Fatalf("%s begins with %.40q", name, svg)
		}
		for _, c := range contenders {
			if !strings.Contains(svg, c) {
				t.Errorf("%s does not show %s", name, c)
			}
		}
		for _, grey := range greys.FindAllString(svg, -1) {
			if !strings.Contains(dark, grey) {
				t.Errorf("%s has %s on a dark page, too", name, grey)
			}
		}
		if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Errorf("%s has coordinates that are no numbers", name)
		}
	}
}

// greys are paper, ink and what is between them; the floor's line is seen on both.
var greys = regexp.MustCompile(`(fill|stroke):#(FFFFFF|000000|[A-F].[A-F].[A-F].)`)

func TestTheDocumentHasALineForEachCell(t *testing.T) {
	r := full()
	b, err := document(r)
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, `{"scenario":`) {
			lines++
		}
	}
	var back result.Results
	if err := json.Unmarshal(b, &back); err != nil || lines != len(r.Cells) || len(back.Cells) != lines {
		t.Errorf("%d lines, %d cells of %d, %v", lines, len(back.Cells), len(r.Cells), err)
	}
}

// Scenarios that were not run have no plots, and what never happened has no point in one.
func TestWhereNothingWasMeasuredThereIsNoPlot(t *testing.T) {
	never := result.Cell{Scenario: 1, Measure: "added", Contender: contender.Peer, Instances: 10, Unit: result.Time, Series: stats.Series{Never: 3}}
	for _, r := range []*result.Results{{}, {Cells: []result.Cell{never}}} {
		r.Finish(contender.Holdfast)
		files := make(map[string][]byte)
		if err := plots(files, r); err != nil || len(files) > 0 {
			t.Errorf("%d plots, %v", len(files), err)
		}
	}
	if !stats.Number(math.Inf(1)).Never() {
		t.Error("infinite is never")
	}
}

func TestTheSummaryHasAColumnForEverybodyAndNoLineOfNothing(t *testing.T) {
	if got := summary(new(result.Results)); len(got) != 1 {
		t.Errorf("of nothing %q", got)
	}
	c := cell(1, "added", few, 0)
	r := &result.Results{Cells: []result.Cell{
		times(c, 1, 2, 3), times(by(contender.Peer, c), 200), by(contender.Curator, c), by(contender.Floor, c),
		{Scenario: 4, Measure: "5 registrations, 2 ms apart → complete list", Instances: 10, RoundTrip: 1e6, Contender: contender.Peer, Series: stats.Series{Never: 2}},
	}}
	r.Cells[2].Series.Failed = 1
	r.Finish(contender.Holdfast)
	want := [][]string{
		{"", contender.Holdfast, contender.Peer, contender.CacheDiscovery, contender.Curator, contender.DubboGo, contender.Floor, contender.BareFloor},
		{"added instance → watcher, 1,000 instances", "2 ms (only 1 ms, 2 ms, 3 ms)", "200 ms", "–", "fails", "–", "–", "–"},
		{"5 registrations in a row: lists that stay wrong", "–", "2 of 2", "–", "–", "–", "–", "–"},
	}
	if diff := cmp.Diff(want, summary(r)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
