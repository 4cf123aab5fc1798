package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/holdfast-go/holdfast/bench/internal/result"
)

// widest is how many times its lower end the upper end of a goal's ratio may be: with a wider interval a verdict is luck.
const widest = 1.3

// Compare says in w where two runs do not agree, as two of the same code on one machine should: which ratios have intervals without a value in common,
// which of those that goals are about are too wide, and which goals are met in one of them alone. It reports whether they agree.
func Compare(w io.Writer, a, b *result.Results) (agree bool, err error) {
	out := &printer{w: w}
	apart := ratiosApart(a, b)
	out.printf("\n%d ratios were measured in both; the intervals of %d overlap.\n", apart.both, apart.both-len(apart.rows))
	if len(apart.rows) > 0 {
		out.printf("\n## Apart\n\n")
		out.table(append([][]string{{"measure", "× holdfast", "first", "second"}}, apart.rows...))
	}
	rows, narrow := goalsRatios(a, b)
	out.printf("\n## The goals' ratios\n\n")
	out.table(append([][]string{{"measure", "× holdfast", "first", "second", ""}}, rows...))
	verdicts, same := goalsVerdicts(a, b)
	out.printf("\n## The goals' verdicts\n\n")
	out.table(append([][]string{{"", "first", "second", ""}}, verdicts...))
	return len(apart.rows) == 0 && narrow && same, out.err
}

type apart struct {
	both int
	rows [][]string
}

func ratiosApart(a, b *result.Results) apart {
	var found apart
	for _, c := range a.Cells {
		other := b.Find(c)
		if c.Ratio == nil || other == nil || other.Ratio == nil {
			continue
		}
		if found.both++; !c.Ratio.Overlaps(*other.Ratio) {
			found.rows = append(found.rows, []string{whatOf(c), c.Contender, ratio(c.Ratio), ratio(other.Ratio)})
		}
	}
	return found
}

// goalsRatios has those of the medians that the goals compare. One of too few values has no interval that is narrow.
func goalsRatios(a, b *result.Results) (rows [][]string, narrow bool) {
	narrow = true
	for _, g := range goals() {
		for _, like := range g.against {
			x, y := a.Find(like), b.Find(like)
			if x == nil || x.Ratio == nil || y == nil || y.Ratio == nil {
				continue
			}
			row := []string{whatOf(like), like.Contender, ratio(x.Ratio), ratio(y.Ratio), ""}
			switch {
			case !x.Ratio.Sure || !y.Ratio.Sure:
				narrow = false
				row[4] = "too few values"
			case x.Ratio.Width() > widest || y.Ratio.Width() > widest:
				narrow = false
				row[4] = fmt.Sprintf("wider than × %v", widest)
			}
			rows = append(rows, row)
		}
	}
	return rows, narrow
}

func goalsVerdicts(a, b *result.Results) (rows [][]string, same bool) {
	same = true
	for _, g := range a.Goals {
		i := slices.IndexFunc(b.Goals, func(o result.Goal) bool { return o.What == g.What && o.Goal == g.Goal })
		if i < 0 {
			continue
		}
		row := []string{g.What, g.Met, b.Goals[i].Met, ""}
		if side(g.Met) != side(b.Goals[i].Met) {
			same = false
			row[3] = "differ"
		}
		rows = append(rows, row)
	}
	return rows, same
}

// side is a verdict without how narrow it was.
func side(verdict string) string {
	s, _, _ := strings.Cut(verdict, ",")
	return s
}
