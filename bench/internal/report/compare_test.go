package report

import (
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/bench/internal/contender"
	"github.com/holdfast-go/holdfast/bench/internal/result"
	"github.com/holdfast-go/holdfast/bench/internal/scenario"
)

func TestTwoRunsAgreeWhereTheirIntervalsOverlapAndTheirGoalsAreMetAlike(t *testing.T) {
	added := cell(1, scenario.Added, few, 0)
	ran := func(curator ...float64) *result.Results {
		r := &result.Results{Cells: []result.Cell{
			times(added, 1, 1, 1, 1, 1, 1, 1), times(by(contender.Curator, added), curator...),
		}}
		r.Finish(contender.Holdfast)
		r.Goals = Goals(r)
		return r
	}
	first := ran(1.4, 1.4, 1.4, 1.5, 1.5, 1.5, 1.5)
	for _, c := range []struct {
		name   string
		second *result.Results
		agree  bool
		says   string
	}{
		{"as fast", ran(1.45, 1.45, 1.45, 1.45, 1.45, 1.45, 1.5), true, "the intervals of 1 overlap"},
		{"an interval that is wide", ran(0.95, 1.4, 1.4, 1.4, 1.4, 1.4, 1.45), false, "wider than × 1.3"},
		{"the same verdict, apart, as one may be", ran(1.3, 1.3, 1.3, 1.3, 1.3, 1.3, 1.35), true, "## Apart"},
		{"another verdict", ran(1.1, 1.1, 1.1, 1.1, 1.1, 1.1, 1.45), false, "differ"},
	} {
		var out strings.Builder
		agree, err := Compare(&out, first, c.second)
		if err != nil || agree != c.agree || !strings.Contains(out.String(), c.says) {
			t.Errorf("%s: %v, %v\n%s", c.name, agree, err, &out)
		}
	}
	var out strings.Builder
	twice := ran(1.4, 1.4, 1.4, 1.5, 1.5, 1.5, 1.5)
	twice.Cells = append(twice.Cells, times(cell(3, scenario.StartUp, 10, 0), 1), times(by(contender.Peer, cell(3, scenario.StartUp, 10, 0)), 2))
	twice.Finish(contender.Holdfast)
	if agree, err := Compare(&out, first, twice); agree || err != nil || !strings.Contains(out.String(), "1 ratios are known in one") {
		t.Errorf("what was measured once: %v, %v\n%s", agree, err, &out)
	}
	interrupted, quick := ran(1, 1, 1, 1, 1, 1), ran(1, 1, 1, 1, 1, 1)
	interrupted.Interrupted, quick.Plan = "interrupted in scenario 1, change", "quick"
	for name, second := range map[string]*result.Results{
		"nothing": {}, "too few values": ran(1.4, 1.4), "an interrupted one": interrupted, "one of another plan": quick,
	} {
		if _, err := Compare(&out, first, second); err == nil {
			t.Errorf("%s can be compared", name)
		}
	}
}
