package docs

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// goList returns where a package's source is, as the module in dir sees it.
func goList(t *testing.T, dir, path string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.Dir}}", path)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %s: %v", path, err)
	}
	return strings.TrimSpace(string(out))
}

// says tells whether a text of source has a string that begins with line. What follows … in line may be anything.
func says(source, line string) bool {
	line, _, _ = strings.Cut(line, "…")
	return strings.Contains(source, `"`+strings.ReplaceAll(line, `"`, `\"`))
}

// What a person copies out of the log is found in the pages, word for word.
func TestLogLinesOfThePagesAreWritten(t *testing.T) {
	ours, lines := sources(t), 0
	for _, p := range everyPage(t) {
		for _, b := range p.blocks {
			if b.lang != "log" {
				continue
			}
			for line := range strings.Lines(b.text) {
				if lines++; !says(ours, strings.TrimSuffix(line, "\n")) {
					t.Errorf("%s:%d: nothing logs %q", p.name, b.line, line)
				}
			}
		}
	}
	if lines < 15 {
		t.Errorf("only %d lines", lines)
	}
}

// The tables of log lines in the FAQ, by whose source must have the words. tests/faq provokes its errors.
func TestTheFAQHasTheVeryWords(t *testing.T) {
	ours := sources(t)
	rpcx := goFiles(t, goList(t, top, "github.com/smallnest/rpcx/client"), goList(t, top, "github.com/smallnest/rpcx/server"))
	peer := goFiles(t, filepath.Dir(goList(t, filepath.Join(top, "zkdiscovery", "serverplugin", "interop"), "github.com/rpcxio/rpcx-zookeeper/client")))
	p := read(t, "docs/faq.md")
	words := 0
	for _, c := range []struct{ section, source string }{
		{"Lines of rpcx's at a restart", rpcx},
		{"Lines of rpcx-zookeeper's", peer},
		{"Lines of a client's log", ours},
		{"Lines of a server's log", ours},
	} {
		tables := p.sectionTables(c.section)
		if len(tables) != 1 {
			t.Fatalf("%d tables below %q", len(tables), c.section)
		}
		for _, row := range tables[0].rows[1:] {
			for _, line := range codeIn(row[0]) {
				if words++; !says(c.source, strings.TrimSuffix(line, "=")) {
					t.Errorf("%s: nobody writes %q", c.section, line)
				}
			}
		}
	}
	if words < 40 {
		t.Errorf("only %d texts", words)
	}
}
