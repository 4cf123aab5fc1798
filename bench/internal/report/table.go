package report

import (
	"fmt"
	"io"
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

// Write writes everything as Markdown whose columns stand below each other, to be read as it is.
func Write(w io.Writer, r *result.Results, titles []Title) error {
	out := &printer{w: w}
	for _, t := range titles {
		rows := [][]string{{"measure", "conditions", "contender", "p50", "95 % interval", "p99", "max", "n", "never", "× holdfast"}}
		var measure, condition string // the last row's, which need not be said again
		for _, c := range r.Cells {
			if c.Scenario != t.Number {
				continue
			}
			row := cellRow(c)
			if row[0] == measure && row[1] == condition {
				row[1] = ""
			}
			if row[0] == measure {
				row[0] = ""
			}
			measure, condition = c.Measure, conditions(c)
			rows = append(rows, row)
		}
		out.printf("\n## %d. %s\n\n", t.Number, t.Title)
		if len(rows) == 1 {
			out.printf("nothing was measured\n")
			continue
		}
		out.table(rows)
		for _, c := range r.Cells {
			if c.Scenario == t.Number && c.Note != "" {
				out.printf("\n%s, %s: %s\n", c.Contender, strings.Trim(c.Measure+", "+conditions(c), ", "), c.Note)
			}
		}
	}
	if len(r.Notes) > 0 {
		out.printf("\n## Notes\n\n")
		for _, n := range r.Notes {
			out.printf("- %s\n", n)
		}
	}
	if len(r.Goals) > 0 {
		out.printf("\n## Goals\n\n")
		rows := [][]string{{"", "measured", "goal", "", "goal with the wire extension", ""}}
		for _, g := range r.Goals {
			rows = append(rows, []string{g.What, g.Measured, g.First, g.FirstMet, g.Then, g.ThenMet})
		}
		out.table(rows)
	}
	m := r.Machine
	out.printf("\n%s run, %s, on %d × %s, %s, %s, ZooKeeper %s\n", r.Plan, seconds(r.Took), m.Cores, m.CPU, m.OS, m.Go, m.ZooKeeper)
	return out.err
}

func cellRow(c result.Cell) []string {
	s := c.Summary
	row := []string{c.Measure, conditions(c), c.Contender, "", "", "", "", strconv.Itoa(s.N), "", ratio(c.Ratio)}
	if s.N > 0 {
		row[3], row[5], row[6] = number(s.P50, c.Unit), number(s.P99, c.Unit), number(s.Max, c.Unit)
		row[4] = number(s.Low, c.Unit) + " to " + number(s.High, c.Unit)
	}
	if s.Never > 0 {
		row[8] = strconv.Itoa(s.Never)
	}
	switch {
	case s.Failed > 0 && s.N == 0:
		row[3] = "fails"
	case s.Failed > 0:
		row[8] = strings.TrimSpace(fmt.Sprintf("%s +%d failed", row[8], s.Failed))
	case s.N == 0:
		row[3], row[7] = "–", ""
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
