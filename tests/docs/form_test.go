package docs

import (
	"strings"
	"testing"
)

// readmeLines is how long README may be: what is more belongs to a page below docs.
const readmeLines = 200

func TestTheReadmeIsShort(t *testing.T) {
	for _, p := range everyPage(t) {
		if n := strings.Count(p.text, "\n"); strings.HasPrefix(p.text, "# Holdfast\n") && n > readmeLines {
			t.Errorf("%s has %d lines, %d at most", p.name, n, readmeLines)
		}
	}
}

// A reader sees in the first line whether a page is for him.
func TestEveryPageSaysForWhomItIs(t *testing.T) {
	for _, p := range everyPage(t) {
		opening := "For "
		if strings.HasPrefix(p.name, "docs/zh/") {
			opening = "写给"
		}
		lines := strings.SplitN(p.text, "\n", 4)
		if len(lines) < 4 || !strings.HasPrefix(lines[0], "# ") || lines[1] != "" || !strings.HasPrefix(lines[2], opening) {
			t.Errorf("%s does not begin with a title and a line that begins with %q", p.name, opening)
		}
	}
}

func TestTheIndexHasEveryPage(t *testing.T) {
	index := read(t, "docs/README.md")
	for _, p := range pagesIn(t, "docs") {
		if file := strings.TrimPrefix(p.name, "docs/"); p.name != index.name && !strings.Contains(index.text, "("+file+")") {
			t.Errorf("%s does not have %s", index.name, file)
		}
	}
}

// Whoever searches a page for its heading comes to one place.
func TestAPageHasEveryHeadingOnce(t *testing.T) {
	for _, p := range everyPage(t) {
		seen := make(map[heading]int)
		for _, h := range p.headings {
			key := heading{rank: h.rank, text: h.text}
			if first := seen[key]; first > 0 {
				t.Errorf("%s:%d: %s stands in line %d already", p.name, h.line, h.text, first)
			}
			seen[key] = h.line
		}
	}
}
