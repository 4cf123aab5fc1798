package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/holdfast-go/holdfast/bench/internal/result"
)

// Title names a scenario.
type Title struct {
	Number int
	Title  string
}

// Write writes everything as Markdown whose columns stand below each other, to be read as it is. Of a run that was interrupted it leaves out what
// was not measured.
func Write(w io.Writer, r *result.Results, titles []Title) error {
	out := &printer{w: w}
	if r.Interrupted != "" {
		out.printf("\n**%s.**\n", r.Interrupted)
	}
	if r.WarmUp != "" {
		out.printf("\n%s.\n", r.WarmUp)
	}
	for _, t := range titles {
		cells := grouped(r.Cells, t.Number)
		if len(cells) == 0 && r.Interrupted != "" {
			continue
		}
		out.printf("\n## %d. %s\n\n", t.Number, t.Title)
		out.scenario(cells)
	}
	if len(r.Notes) > 0 {
		out.printf("\n## Notes\n\n")
		for _, n := range r.Notes {
			out.printf("- %s\n", n)
		}
	}
	if beside := summary(r); len(beside) > 1 {
		out.printf("\n## Beside each other\n\n")
		out.table(beside)
	}
	goals := r.Goals
	if r.Interrupted != "" {
		goals = slices.DeleteFunc(slices.Clone(goals), func(g result.Goal) bool { return g.Measured == "" })
	}
	if len(goals) > 0 {
		out.printf("\n## Goals\n\n")
		rows := [][]string{{"", "measured", "goal", ""}}
		for _, g := range goals {
			rows = append(rows, []string{g.What, g.Measured, g.Goal, g.Met})
		}
		out.table(rows)
	}
	m := r.Machine
	out.printf("\n%s run, %s, on %d × %s, %s, %s, ZooKeeper %s\n", r.Plan, seconds(r.Took), m.Cores, m.CPU, m.OS, m.Go, m.ZooKeeper)
	return out.err
}

// grouped has a scenario's cells with those of the same measure and conditions behind each other, in the order in which these first came.
func grouped(cells []result.Cell, scenario int) []result.Cell {
	var keys []string
	rank := func(c result.Cell) (measure, condition int) {
		return slices.Index(keys, c.Measure), slices.Index(keys, c.Measure+"|"+conditions(c))
	}
	var some []result.Cell
	for _, c := range cells {
		if c.Scenario == scenario {
			some = append(some, c)
			keys = append(keys, c.Measure, c.Measure+"|"+conditions(c))
		}
	}
	slices.SortStableFunc(some, func(a, b result.Cell) int {
		am, ac := rank(a)
		bm, bc := rank(b)
		return cmp.Or(cmp.Compare(am, bm), cmp.Compare(ac, bc))
	})
	return some
}

// scenario writes a table with what need not be said twice said once, and the cells' notes below it.
func (p *printer) scenario(cells []result.Cell) {
	if len(cells) == 0 {
		p.printf("nothing was measured\n")
		return
	}
	rows := [][]string{{"measure", "conditions", "contender", "p50", "interval of ≥ 95 %", "p99", "max", "n", "never", "× holdfast"}}
	measure, condition := "", ""
	for _, c := range cells {
		row := cellRow(c)
		switch {
		case c.Measure != measure:
		case conditions(c) == condition:
			row[0], row[1] = "", ""
		default:
			row[0] = ""
		}
		measure, condition = c.Measure, conditions(c)
		rows = append(rows, row)
	}
	p.table(rows)
	said := ""
	for _, c := range cells {
		if c.Note != "" && c.Contender+c.Note != said {
			said = c.Contender + c.Note
			p.printf("\n%s, %s: %s\n", c.Contender, whatOf(c), shortened(c.Note))
		}
	}
}

// shortened is the beginning of what may be long: results.json has the whole.
func shortened(s string) string {
	const most = 200
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}

func cellRow(c result.Cell) []string {
	s := c.Summary
	row := []string{c.Measure, conditions(c), c.Contender, "", "", "", "", "", "", ratio(c.Ratio)}
	if s.N > 0 {
		row[3] = number(s.P50, c.Unit)
	}
	if s.N > 1 {
		row[4] = interval(&c)
		row[5], row[6], row[7] = number(s.P99, c.Unit), number(s.Max, c.Unit), strconv.Itoa(s.N)
	}
	if s.Never > 0 {
		row[8] = fmt.Sprintf("%d of %d", s.Never, s.N)
	}
	switch {
	case s.Failed > 0 && s.N == 0:
		row[3] = "fails"
	case s.Failed > 0:
		row[8] = strings.TrimSpace(fmt.Sprintf("%s +%d failed", row[8], s.Failed))
	case s.N == 0:
		row[3] = "–"
	}
	return row
}

// printer keeps the first error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

func (p *printer) table(rows [][]string) {
	width := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, s := range row {
			width[i] = max(width[i], utf8.RuneCountInString(s))
		}
	}
	line := func(row []string) {
		for i, s := range row {
			p.printf("| %s%s ", s, strings.Repeat(" ", width[i]-utf8.RuneCountInString(s)))
		}
		p.printf("|\n")
	}
	line(rows[0])
	for _, w := range width {
		p.printf("|%s", strings.Repeat("-", w+2))
	}
	p.printf("|\n")
	for _, row := range rows[1:] {
		line(row)
	}
}
