package peers

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/holdfast-go/holdfast/tests/harness"
)

// README.md is held to the code: what it names must be there. That its Go compiles, and its files are files.

// top is the directory of README.md.
var top = filepath.Join("..", "..")

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, "README.md"))
	harness.Must(t, err)
	return string(text)
}

// section is what stands below a heading of the README's, up to the next of the same rank.
func section(t *testing.T, heading string) string {
	t.Helper()
	_, text, ok := strings.Cut(readme(t), "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("the README has no section %q", heading)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	return text
}

// sources are the library's Go files, without tests, as one text.
func sources(t *testing.T) []byte {
	t.Helper()
	var all bytes.Buffer
	for _, root := range []string{"filecache", "internal", "selector", "zkdiscovery"} {
		harness.Must(t, filepath.WalkDir(filepath.Join(top, root), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			all.Write(text)
			return err
		}))
	}
	return all.Bytes()
}

// exported are the functions, types, constants and variables of the package in dir, below the top, that others may use.
func exported(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(top, dir, "*.go"))
	harness.Must(t, err)
	var names []string
	add := func(ids ...*ast.Ident) {
		for _, id := range ids {
			if id.IsExported() {
				names = append(names, id.Name)
			}
		}
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		harness.Must(t, err)
		for _, decl := range f.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				if decl.Recv == nil {
					add(decl.Name)
				}
			case *ast.GenDecl:
				for _, spec := range decl.Specs {
					switch spec := spec.(type) {
					case *ast.TypeSpec:
						add(spec.Name)
					case *ast.ValueSpec:
						add(spec.Names...)
					}
				}
			}
		}
	}
	return names
}

func TestReadmeListsEveryOptionAndNoOther(t *testing.T) {
	isOption := func(name string) bool { return strings.HasPrefix(name, "With") }
	var have []string
	for _, name := range exported(t, "zkdiscovery") {
		if isOption(name) {
			have = append(have, name)
		}
	}
	listed := regexp.MustCompile(`With\w+`).FindAllString(section(t, "Options"), -1)
	if diff := cmp.Diff(slices.Sorted(slices.Values(have)), slices.Sorted(slices.Values(listed))); diff != "" {
		t.Errorf("options: code (-), README (+)\n%s", diff)
	}
}

func TestReadmeNamesOnlyWhatThereIs(t *testing.T) {
	packages := map[string][]string{
		"zkdiscovery":  exported(t, "zkdiscovery"),
		"zkclient":     exported(t, "zkdiscovery"), // as it is imported by who comes from the peer
		"serverplugin": exported(t, "zkdiscovery/serverplugin"),
		"selector":     exported(t, "selector"),
	}
	uses := regexp.MustCompile(`\b(zkdiscovery|zkclient|serverplugin|selector)\.([A-Z]\w*)`).FindAllStringSubmatch(readme(t), -1)
	for _, use := range uses {
		if !slices.Contains(packages[use[1]], use[2]) {
			t.Errorf("there is no %s", use[0])
		}
	}
	fields := regexp.MustCompile(`\b(?:Status|Snapshot)\(\)\.(\w+)`).FindAllStringSubmatch(readme(t), -1)
	code := sources(t)
	for _, field := range fields {
		if !regexp.MustCompile(`\n\t` + field[1] + `\b`).Match(code) {
			t.Errorf("there is no %s", field[0])
		}
	}
	links := regexp.MustCompile(`\]\(([^)#]+)\)`).FindAllStringSubmatch(readme(t), -1)
	for _, link := range links {
		if _, err := os.Stat(filepath.Join(top, link[1])); err != nil && !strings.Contains(link[1], "://") {
			t.Error(err)
		}
	}
	if len(uses) < 5 || len(fields) < 3 || len(links) < 2 {
		t.Errorf("only %d names, %d fields and %d links: has the README another form now?", len(uses), len(fields), len(links))
	}
}

// "Each numbered, each with a test that carries its number", in its name or its comment.
func TestEveryPromiseHasATestThatNamesIt(t *testing.T) {
	var tests bytes.Buffer
	for _, dir := range []string{".", "filecache", "tests/*", "zkdiscovery", "zkdiscovery/serverplugin"} {
		files, err := filepath.Glob(filepath.Join(top, dir, "*_test.go"))
		harness.Must(t, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			harness.Must(t, err)
			tests.Write(text)
		}
	}
	promises := 0
	for _, dir := range []string{"filecache", "zkdiscovery", "zkdiscovery/serverplugin"} {
		doc, err := os.ReadFile(filepath.Join(top, dir, "doc.go"))
		harness.Must(t, err)
		for _, promise := range regexp.MustCompile(`(?m)^//\s+- ([A-Z]\d+)\.`).FindAllSubmatch(doc, -1) {
			promises++
			named := regexp.MustCompile(`func Test` + string(promise[1]) + `[A-Z]|(?m:^// .*\b` + string(promise[1]) + `\b)`)
			if !named.Match(tests.Bytes()) {
				t.Errorf("no test names %s of %s", promise[1], dir)
			}
		}
	}
	if promises < 30 {
		t.Errorf("only %d promises: have the docs another form now?", promises)
	}
}

// An operator who greps the log for what the README says must find it.
func TestReadmeExplainsLogLinesThatAreWritten(t *testing.T) {
	code := sources(t)
	rows := regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(section(t, "Operating it"), -1)
	for _, row := range rows {
		if !bytes.Contains(code, []byte(`"`+row[1])) {
			t.Errorf("nobody logs %q", row[1])
		}
	}
	if len(rows) < 5 {
		t.Errorf("only %d lines are explained: has the table another form now?", len(rows))
	}
}
