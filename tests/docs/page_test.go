// Package docs holds README.md and the pages below docs to the code: what they show compiles, what they name is there, what they quote is
// written by somebody, and each figure is the one that was measured.
package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// top is the directory of README.md.
var top = filepath.Join("..", "..")

// page is README.md, or a page below docs.
type page struct {
	name     string // from the top, with slashes: docs/faq.md
	text     string
	headings []heading
	blocks   []block
	tables   []table
	prose    string // the text without its blocks
}

type heading struct {
	rank int
	text string
	line int
}

// block is what stands between two fences, or is indented by four spaces.
type block struct {
	lang    string // what follows the first fence; "indented"
	text    string
	line    int // of the text's first line
	section string
}

// table is header and rows, without the line between them.
type table struct {
	rows    [][]string // rows[0] is the header
	line    int
	figures string // of the mark before it, <!-- figures: name -->; "" without one
	section string
}

var figuresMark = regexp.MustCompile(`^<!-- figures: (\w+) -->$`)

// parse reads a page.
func parse(name, text string) *page {
	p := &page{name: name, text: text}
	var prose strings.Builder
	var open *block
	var rows *table
	var section, mark, indent string
	for i, line := range strings.Split(text, "\n") {
		n := i + 1
		if open != nil && open.lang != "indented" {
			if strings.TrimSpace(line) == "```" {
				p.blocks, open = append(p.blocks, *open), nil
			} else {
				open.text += strings.TrimPrefix(line, indent) + "\n"
			}
			continue
		}
		if open != nil && !strings.HasPrefix(line, "    ") {
			p.blocks, open = append(p.blocks, *open), nil
		}
		if rows != nil && !strings.HasPrefix(line, "|") {
			p.tables, rows = append(p.tables, *rows), nil
		}
		lang, fence := strings.CutPrefix(strings.TrimLeft(line, " "), "```")
		switch hashes := len(line) - len(strings.TrimLeft(line, "#")); {
		case fence && !strings.HasPrefix(line, "    "):
			indent, _, _ = strings.Cut(line, "```") // of a list item
			open = &block{lang: lang, line: n + 1, section: section}
		case strings.HasPrefix(line, "    ") && strings.TrimSpace(line) != "":
			if open == nil {
				open = &block{lang: "indented", line: n, section: section}
			}
			open.text += strings.TrimPrefix(line, "    ") + "\n"
		case hashes > 0 && strings.HasPrefix(line[hashes:], " "):
			section = strings.TrimSpace(line[hashes:])
			p.headings = append(p.headings, heading{hashes, section, n})
		case strings.HasPrefix(line, "|---"):
		case strings.HasPrefix(line, "|"):
			if rows == nil {
				rows = &table{line: n, figures: mark, section: section}
				mark = ""
			}
			rows.rows = append(rows.rows, cells(line))
		case figuresMark.MatchString(line):
			mark = figuresMark.FindStringSubmatch(line)[1]
		}
		if open == nil {
			prose.WriteString(line + "\n")
		}
	}
	p.prose = prose.String()
	return p
}

// cells are those of a table's line.
func cells(line string) []string {
	line = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(line), "|"), "|")
	all := strings.Split(line, "|")
	for i := range all {
		all[i] = strings.TrimSpace(all[i])
	}
	return all
}

// sectionTables are the tables below a heading.
func (p *page) sectionTables(heading string) []table {
	var found []table
	for _, t := range p.tables {
		if t.section == heading {
			found = append(found, t)
		}
	}
	return found
}

// codeIn is what stands between backticks in a text.
func codeIn(text string) []string {
	var found []string
	for _, m := range regexp.MustCompile("`([^`\n]+)`").FindAllStringSubmatch(text, -1) {
		found = append(found, m[1])
	}
	return found
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, name string) *page {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, filepath.FromSlash(name)))
	must(t, err)
	return parse(name, string(text))
}

// pagesIn reads the pages of a directory.
func pagesIn(t testing.TB, dir string) []*page {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(top, dir, "*.md"))
	must(t, err)
	var all []*page
	for _, file := range files {
		all = append(all, read(t, dir+"/"+filepath.Base(file)))
	}
	return all
}

// english are README.md and the pages in docs.
func english(t testing.TB) []*page {
	t.Helper()
	all := append([]*page{read(t, "README.md")}, pagesIn(t, "docs")...)
	if len(all) < 14 {
		t.Fatalf("only %d pages", len(all))
	}
	return all
}

// everyPage is english and its translations.
func everyPage(t testing.TB) []*page {
	t.Helper()
	return append(english(t), pagesIn(t, "docs/zh")...)
}

func TestParseKnowsTheBlockOfAListItem(t *testing.T) {
	p := parse("x.md", "1. one\n\n   ```sh\n   a\n     b\n   ```\n\n   and on\n")
	if len(p.blocks) != 1 || p.blocks[0] != (block{"sh", "a\n  b\n", 4, ""}) {
		t.Errorf("%+v", p.blocks)
	}
	if p.prose != "1. one\n\n\n   and on\n\n" {
		t.Errorf("%q", p.prose)
	}
}

func TestParse(t *testing.T) {
	p := parse("x.md", "# A\n\nFor you.\n\n## B `c`\n\n    one\n    two\n\n```go\nx := 1\n# no heading\n```\n\n<!-- figures: f -->\n| a | b |\n|---|---|\n| 1 | `2` |\n\nend\n")
	if len(p.headings) != 2 || p.headings[1] != (heading{2, "B `c`", 5}) {
		t.Errorf("%+v", p.headings)
	}
	if len(p.blocks) != 2 || p.blocks[0].text != "one\ntwo\n" || p.blocks[1] != (block{"go", "x := 1\n# no heading\n", 11, "B `c`"}) {
		t.Errorf("%+v", p.blocks)
	}
	if len(p.tables) != 1 || p.tables[0].figures != "f" || len(p.tables[0].rows) != 2 || p.tables[0].rows[1][1] != "`2`" {
		t.Errorf("%+v", p.tables)
	}
	if strings.Contains(p.prose, "x := 1") || !strings.Contains(p.prose, "end") {
		t.Errorf("%q", p.prose)
	}
}
