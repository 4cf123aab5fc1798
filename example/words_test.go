package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

var verb = regexp.MustCompile(`%(?:\.\d)?[a-z]|%%`)

func TestBothLanguagesHaveTheSamePlaceholders(t *testing.T) {
	for english, said := range chinese {
		if diff := cmp.Diff(verb.FindAllString(english, -1), verb.FindAllString(said, -1)); diff != "" {
			t.Errorf("%q and %q: -English +Chinese\n%s", english, said, diff)
		}
		// Names that stay as they are.
		for _, name := range []string{"rpcx", "example/server", "example/client", "https://github.com/holdfast-go/holdfast/issues"} {
			if strings.Contains(english, name) != strings.Contains(said, name) {
				t.Errorf("%q and %q: only one of them names %s", english, said, name)
			}
		}
	}
}

// spoken are the texts that the program says: the constants that the narrator's methods are given, the titles, and what a zookeeper does.
func spoken(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	take := func(e ast.Expr) {
		if s, ok := e.(*ast.BasicLit); ok && s.Kind == token.STRING {
			if text, err := strconv.Unquote(s.Value); err != nil {
				t.Error(err)
			} else if strings.ContainsFunc(verb.ReplaceAllString(text, ""), unicode.IsLetter) {
				texts = append(texts, text)
			}
		}
	}
	arguments := map[string][]int{"text": {0}, "heading": {0}, "say": {0, 1}, "change": {0, 1, 2}, "news": {1, 2}, "row": {0}, "left": {0}, "avoiding": {0}, "telling": {0}}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if f, ok := n.Fun.(*ast.SelectorExpr); ok {
					for _, i := range arguments[f.Sel.Name] {
						if i < len(n.Args) {
							take(n.Args[i])
						}
					}
				}
			case *ast.FuncDecl:
				if n.Name.Name == "stopping" {
					take(n.Body.List[0].(*ast.ReturnStmt).Results[0])
				}
			}
			return true
		})
	}
	texts = append(texts, "empty", "client", "client 2") // describe's, and report's
	texts = append(texts, titles[:]...)
	slices.Sort(texts)
	return slices.Compact(texts)
}

func TestEverythingThatIsSaidIsInTheTable(t *testing.T) {
	texts := spoken(t)
	for _, text := range texts {
		if _, ok := chinese[text]; !ok {
			t.Errorf("there is no Chinese for %q", text)
		}
	}
	for english := range chinese {
		if !slices.Contains(texts, english) {
			t.Errorf("nobody says %q", english)
		}
	}
}

func TestChineseIsBrokenBetweenCharacters(t *testing.T) {
	got := fold("故障演练：使用 ZooKeeper，调用从不停止。", 12)
	want := []string{"故障演练：使", "用", "ZooKeeper，", "调用从不停", "止。"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	for _, line := range got {
		if n := columns(line); n > 12 {
			t.Errorf("%q has %d columns", line, n)
		}
	}
}

func TestChineseReportFitsATerminal(t *testing.T) {
	broken := &outcome{}
	for _, o := range []*outcome{good(), broken} {
		var out bytes.Buffer
		judge(o, newNarrator(&out, false, chinese))
		fits(t, out.String())
		if strings.Count(out.String(), "通过")+strings.Count(out.String(), "失败  ") < 11 {
			t.Errorf("where are the promises?\n%s", &out)
		}
	}
}

// The drill itself, told in Chinese, with the same story in the same columns.
func TestDrillInChinese(t *testing.T) {
	var out bytes.Buffer
	status, stderr := hold(t, t.Context(), &out, "-step", "250ms", "-lang", "zh")
	t.Logf("%s%s", &out, stderr)
	if status != 0 || stderr != "" {
		t.Errorf("status %d, want 0, with nothing said on standard error", status)
	}
	fits(t, out.String())
	english := regexp.MustCompile(`\b(the|is|are|has|and|calls|server|servers|client|list|later)\b`)
	for line := range strings.Lines(strings.ReplaceAll(out.String(), "example/server、example/client", "")) {
		if word := english.FindString(line); word != "" {
			t.Errorf("%q in %q", word, line)
		}
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if last := lines[len(lines)-1]; last != chinese["Shown: calls go on without ZooKeeper. To copy: example/server, example/client"] {
		t.Errorf("the last line is %q", last)
	}
}

// fits wants no line to be wider than a terminal.
func fits(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		if n := columns(strings.TrimSuffix(line, "\n")); n > width {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}
