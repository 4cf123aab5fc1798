package docs

import (
	"flag"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the figures of bench/results into README and docs")

// measured are the tables that pages may show, by the name in the mark before them: each is a part of bench/results.
func measured(t *testing.T) map[string][][]string {
	t.Helper()
	results, parts := read(t, "bench/results/results.md"), read(t, "bench/results/parts.md")
	return map[string][][]string{
		"beside":       withoutIntervals(first(t, results, "Beside each other")),
		"goals":        withoutIntervals(first(t, results, "Goals")),
		"clients":      byContender(first(t, results, "11. many clients: what a rolling update costs ZooKeeper, per client")),
		"fleet":        first(t, parts, "A fleet that fails"),
		"crowd":        first(t, parts, "Ten thousand clients"),
		"guard":        first(t, parts, "The guard"),
		"registration": first(t, parts, "Registration"),
	}
}

// first is the first table below a heading.
func first(t *testing.T, p *page, heading string) [][]string {
	t.Helper()
	found := p.sectionTables(heading)
	if len(found) == 0 || len(found[0].rows) < 2 {
		t.Fatalf("%s has no table below %q", p.name, heading)
	}
	return found[0].rows
}

var interval = regexp.MustCompile(` \([^()]* to [^()]*\)`)

// withoutIntervals leaves the medians.
func withoutIntervals(rows [][]string) [][]string {
	for _, row := range rows {
		for i := range row {
			row[i] = interval.ReplaceAllString(row[i], "")
		}
	}
	return rows
}

// byContender turns a table with a row for each measure, condition and contender into one with a column for each contender. What is left out in a
// row is as in the row before. The median counts.
func byContender(rows [][]string) [][]string {
	out := [][]string{{""}}
	var measure, condition string
	for _, row := range rows[1:] {
		if row[0] != "" {
			measure = row[0]
		}
		if row[1] != "" {
			condition = row[1]
		}
		column := slices.Index(out[0], row[2])
		if column < 1 {
			out[0] = append(out[0], row[2])
			column = len(out[0]) - 1
		}
		label := strings.TrimSuffix(measure+", "+condition, ", ")
		if out[len(out)-1][0] != label || len(out) == 1 {
			out = append(out, []string{label})
		}
		for last := &out[len(out)-1]; len(*last) <= column; {
			*last = append(*last, "–")
		}
		out[len(out)-1][column] = row[3]
	}
	for i := range out {
		for len(out[i]) < len(out[0]) {
			out[i] = append(out[i], "–")
		}
	}
	return out
}

// choose takes from what was measured the rows and columns that a page shows: all of them where a page has no rows yet or shows all.
func choose(t *testing.T, all, shown [][]string) [][]string {
	t.Helper()
	var out [][]string
	for i, row := range shown {
		from := 0 // the header
		if i > 0 {
			if from = slices.IndexFunc(all, func(r []string) bool { return r[0] == row[0] }); from < 1 {
				t.Errorf("%q was not measured", row[0])
				continue
			}
		}
		cells := []string{row[0]}
		for _, column := range shown[0][1:] {
			at := slices.Index(all[0], column)
			if at < 1 {
				t.Fatalf("%q was not measured", column)
			}
			cells = append(cells, all[from][at])
		}
		out = append(out, cells)
	}
	return out
}

// markdown is a table as pages have it.
func markdown(rows [][]string) string {
	var b strings.Builder
	for i, row := range rows {
		b.WriteString(strings.ReplaceAll("| "+strings.Join(row, " | ")+" |\n", "|  |", "| |"))
		if i == 0 {
			b.WriteString(strings.Repeat("|---", len(row)) + "|\n")
		}
	}
	return b.String()
}

// After a new run, go test ./tests/docs -run Figures -update writes the figures into the pages.
func TestFiguresAreThoseThatWereMeasured(t *testing.T) {
	all := measured(t)
	used := make(map[string]int)
	for _, p := range everyPage(t) {
		lines := strings.SplitAfter(p.text, "\n")
		for _, shown := range slices.Backward(p.tables) { // what is written for one does not move those before it
			if shown.figures == "" {
				continue
			}
			rows, ok := all[shown.figures]
			if !ok {
				t.Errorf("%s:%d: there are no figures %q", p.name, shown.line, shown.figures)
				continue
			}
			used[shown.figures]++
			want := rows
			if path.Base(p.name) == "README.md" { // it shows some of them, the pages below docs all
				want = choose(t, rows, shown.rows)
			}
			begin, end := shown.line-1, shown.line+len(shown.rows)
			was := strings.Join(lines[begin:end], "")
			if now := markdown(want); was != now && *update {
				lines = slices.Replace(lines, begin, end, now)
			} else if was != now {
				t.Errorf("%s:%d: bench/results (+), the page (-); -update writes them\n%s", p.name, shown.line, cmp.Diff(was, now))
			}
		}
		if text := strings.Join(lines, ""); text != p.text {
			must(t, os.WriteFile(filepath.Join(top, filepath.FromSlash(p.name)), []byte(text), 0o644))
		}
	}
	for name := range all {
		if used[name] == 0 {
			t.Errorf("no page shows %q", name)
		}
	}
}

// measuredWords are numbers with a unit of what is measured; a page that says one outside a marked table would go stale without a word.
var measuredWords = regexp.MustCompile(`\d (µs\b|ms\b|微秒|毫秒)`)

// settings are times of the kind that are not measured: they are in the code.
var settings = []string{"200 ms", "200 毫秒"}

func TestNoFigureStandsOutsideTheMarkedTables(t *testing.T) {
	for _, p := range everyPage(t) {
		lines := strings.Split(p.text, "\n")
		for _, shown := range p.tables {
			if shown.figures != "" {
				clear(lines[shown.line-1 : shown.line+len(shown.rows)])
			}
		}
		for i, line := range lines {
			for _, s := range settings {
				line = strings.ReplaceAll(line, s, "")
			}
			if measuredWords.MatchString(line) {
				t.Errorf("%s:%d: a figure that no test reads from bench/results: %q", p.name, i+1, line)
			}
		}
	}
}

func TestByContender(t *testing.T) {
	got := byContender([][]string{
		{"measure", "conditions", "contender", "p50"},
		{"start", "10", "a", "1"},
		{"", "", "b", "2"},
		{"", "20", "b", "3"},
		{"stop", "", "a", "4"},
	})
	want := [][]string{{"", "a", "b"}, {"start, 10", "1", "2"}, {"start, 20", "–", "3"}, {"stop, 20", "4", "–"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
