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
		{"narrowly the same side", ran(0.95, 1.4, 1.4, 1.4, 1.4, 1.4, 1.45), false, "wider than × 1.3"},
		{"the same verdict, apart", ran(1.3, 1.3, 1.3, 1.3, 1.3, 1.3, 1.35), false, "## Apart"},
		{"another verdict", ran(1.1, 1.1, 1.1, 1.1, 1.1, 1.1, 1.45), false, "differ"},
		{"too few values", ran(1.4, 1.4, 1.4), false, "too few values"},
	} {
		var out strings.Builder
		agree, err := Compare(&out, first, c.second)
		if err != nil || agree != c.agree || !strings.Contains(out.String(), c.says) {
			t.Errorf("%s: %v, %v\n%s", c.name, agree, err, &out)
		}
	}
}
