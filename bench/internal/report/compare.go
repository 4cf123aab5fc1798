package report

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/holdfast-go/holdfast/bench/internal/result"
)

// widest is how many times its lower end the upper end of a goal's ratio may be: with a wider interval a verdict is luck.
const widest = 1.3

// byChance is how many of so many pairs of intervals may have no value in common in two runs of the same code. Of two right intervals of 95 % that happens
// to 0.6 in 100 pairs; of a hundred pairs to more than 2 of them hardly ever.
func byChance(pairs int) int { return 1 + pairs/100 }

// Compare says in w where two runs do not agree, as two of the same code on one machine should: which ratios have intervals without a value in common,
// which of those that goals are about are too wide, and which goals are met in one of them alone. It reports whether they agree, but for what chance
// may bring. Ratios of fewer than six values have no interval, and are told and not judged. Runs that cannot be compared are an error.
func Compare(w io.Writer, a, b *result.Results) (agree bool, err error) {
	for _, r := range []*result.Results{a, b} {
		if r.Interrupted != "" {
			return false, fmt.Errorf("the run of %v was %s", r.Started, r.Interrupted)
		}
	}
	if a.Plan != b.Plan {
		return false, fmt.Errorf("one is a %s run, the other a %s one", a.Plan, b.Plan)
	}
	out := &printer{w: w}
	apart := ratiosApart(a, b)
	if apart.pairs == 0 {
		return false, errors.New("no ratio was measured in both often enough to have an interval")
	}
	out.printf("\n%d ratios were measured in both often enough to have an interval; the intervals of %d overlap. By chance those of %d may not.\n",
		apart.pairs, apart.pairs-len(apart.rows), byChance(apart.pairs))
	if apart.alone > 0 {
		out.printf("%d ratios are known in one of the runs alone.\n", apart.alone)
	}
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
	return len(apart.rows) <= byChance(apart.pairs) && apart.alone == 0 && narrow && same, out.err
}

type apart struct {
	pairs, alone int
	rows         [][]string
}

func ratiosApart(a, b *result.Results) apart {
	var found apart
	for _, c := range a.Cells {
		other := b.Find(c)
		switch {
		case c.Ratio == nil:
		case other == nil || other.Ratio == nil:
			found.alone++
		case c.Ratio.Sure && other.Ratio.Sure:
			if found.pairs++; !c.Ratio.Overlaps(*other.Ratio) {
				found.rows = append(found.rows, []string{whatOf(c), c.Contender, ratio(c.Ratio), ratio(other.Ratio)})
			}
		}
	}
	for _, c := range b.Cells {
		if other := a.Find(c); c.Ratio != nil && (other == nil || other.Ratio == nil) {
			found.alone++
		}
	}
	return found
}

// goalsRatios has those of the medians that the goals compare.
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
				row[4] = "too few values for an interval"
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
