package docs

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sources are the library's Go files, without tests, as one text.
func sources(t *testing.T) string {
	t.Helper()
	return goFiles(t, filepath.Join(top, "filecache"), filepath.Join(top, "internal"), filepath.Join(top, "selector"), filepath.Join(top, "zkdiscovery"))
}

// goFiles are those below some directories, without tests, as one text.
func goFiles(t *testing.T, roots ...string) string {
	t.Helper()
	var all bytes.Buffer
	for _, root := range roots {
		must(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			all.Write(text)
			return err
		}))
	}
	return all.String()
}

// parsePackage parses the files of a package, without its tests.
func parsePackage(t *testing.T, dir string) []*ast.File {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(top, dir, "*.go"))
	must(t, err)
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		must(t, err)
		files = append(files, f)
	}
	return files
}

// exported are the functions, types, constants and variables of a package that others may use.
func exported(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	add := func(ids ...*ast.Ident) {
		for _, id := range ids {
			if id.IsExported() {
				names = append(names, id.Name)
			}
		}
	}
	for _, f := range parsePackage(t, dir) {
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

// options are the functions of a package that return an option of the type's name.
func options(t *testing.T, dir, typ string) []string {
	t.Helper()
	var names []string
	for _, f := range parsePackage(t, dir) {
		for _, decl := range f.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || fn.Recv != nil || !fn.Name.IsExported() || fn.Type.Results == nil || len(fn.Type.Results.List) != 1 {
				continue
			}
			if id, ok := fn.Type.Results.List[0].Type.(*ast.Ident); ok && id.Name == typ {
				names = append(names, fn.Name.Name)
			}
		}
	}
	return slices.Sorted(slices.Values(names))
}

// fields are those of a struct.
func fields(t *testing.T, dir, typ string) []string {
	t.Helper()
	var names []string
	for _, f := range parsePackage(t, dir) {
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || spec.Name.Name != typ {
				return true
			}
			for _, field := range spec.Type.(*ast.StructType).Fields.List {
				for _, id := range field.Names {
					names = append(names, id.Name)
				}
			}
			return false
		})
	}
	return slices.Sorted(slices.Values(names))
}

var leadingName = regexp.MustCompile(`^\w+`)

// listed are the names in the first column of the table whose first header is title.
func listed(t *testing.T, p *page, title string) []string {
	t.Helper()
	var names []string
	for _, table := range p.tables {
		if table.rows[0][0] != title {
			continue
		}
		for _, row := range table.rows[1:] {
			for _, code := range codeIn(row[0]) {
				names = append(names, leadingName.FindString(code))
			}
		}
	}
	if len(names) == 0 {
		t.Errorf("%s has no table of %q", p.name, title)
	}
	return slices.Sorted(slices.Values(names))
}

func TestEveryOptionIsInItsTablesAndNoOther(t *testing.T) {
	for _, c := range []struct {
		page, title string
		have        []string
	}{
		{"README.md", "option", options(t, "zkdiscovery", "Option")},
		{"docs/configuration.md", "option", options(t, "zkdiscovery", "Option")},
		{"docs/registration.md", "option", options(t, "zkdiscovery/serverplugin", "ZooKeeperOpt")},
		{"docs/selector.md", "option", options(t, "selector", "Option")},
		{"docs/guard.md", "field of `Guard`", fields(t, "zkdiscovery", "Guard")},
		{"docs/selector.md", "field of `Ejection`", fields(t, "selector", "Ejection")},
		{"docs/selector.md", "field of `Probing`", fields(t, "selector", "Probing")},
	} {
		if len(c.have) < 3 {
			t.Errorf("only %d of %s", len(c.have), c.title)
		}
		if diff := cmp.Diff(c.have, listed(t, read(t, c.page), c.title)); diff != "" {
			t.Errorf("%s, %s: code (-), page (+)\n%s", c.page, c.title, diff)
		}
	}
}

func TestPagesNameOnlyWhatThereIs(t *testing.T) {
	code := sources(t)
	packages := map[string][]string{"zkclient": exported(t, "zkdiscovery")} // as it is imported by who comes from the peer
	for name, dir := range map[string]string{
		"zkdiscovery": "zkdiscovery", "serverplugin": "zkdiscovery/serverplugin", "selector": "selector", "filecache": "filecache",
		"zktest": "zkdiscovery/zktest", "statuspage": "zkdiscovery/statuspage", "metrics": "zkdiscovery/metrics",
	} {
		packages[name] = exported(t, dir)
	}
	rpcx := exportedOf(t, "github.com/smallnest/rpcx/client")
	var options []string
	for _, names := range packages {
		for _, name := range names {
			if strings.HasPrefix(name, "With") {
				options = append(options, name)
			}
		}
	}
	uses, statuses := 0, 0
	for _, p := range everyPage(t) {
		for _, use := range regexp.MustCompile(`\b(zkdiscovery|zkclient|serverplugin|selector|filecache|zktest|statuspage|client)\.([A-Z]\w*)`).FindAllStringSubmatch(p.text, -1) {
			names, ours := packages[use[1]]
			if !ours {
				names = rpcx
			}
			if uses++; !slices.Contains(names, use[2]) {
				t.Errorf("%s: there is no %s", p.name, use[0])
			}
		}
		for _, field := range regexp.MustCompile(`\b(?:Status|Snapshot)\(\)\.(\w+)`).FindAllStringSubmatch(p.text, -1) {
			if statuses++; !regexp.MustCompile(`\n\t` + field[1] + `\b|\) ` + field[1] + `\(`).MatchString(code) {
				t.Errorf("%s: there is no %s", p.name, field[0])
			}
		}
		for _, option := range regexp.MustCompile("`(With\\w+)").FindAllStringSubmatch(p.prose, -1) {
			if !slices.Contains(options, option[1]) {
				t.Errorf("%s: there is no option %s", p.name, option[1])
			}
		}
	}
	if uses < 100 || statuses < 15 {
		t.Errorf("only %d names and %d fields: have the pages another form now?", uses, statuses)
	}
}

// exportedOf are the names that a package of another module exports.
func exportedOf(t *testing.T, path string) []string {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.Dir}}", path)
	list.Dir = top
	out, err := list.Output()
	must(t, err)
	dir := strings.TrimSpace(string(out))
	rel, err := filepath.Rel(top, dir)
	if err != nil {
		abs, err := filepath.Abs(top)
		must(t, err)
		rel, err = filepath.Rel(abs, dir)
		must(t, err)
	}
	return exported(t, rel)
}

// "Each with a number, and a test with that number", in its name or its comment.
func TestEveryPromiseHasATestThatNamesIt(t *testing.T) {
	var tests bytes.Buffer
	for _, dir := range []string{".", "filecache", "tests/*", "zkdiscovery", "zkdiscovery/serverplugin"} {
		files, err := filepath.Glob(filepath.Join(top, dir, "*_test.go"))
		must(t, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			must(t, err)
			tests.Write(text)
		}
	}
	promises := 0
	for _, dir := range []string{"filecache", "zkdiscovery", "zkdiscovery/serverplugin"} {
		doc, err := os.ReadFile(filepath.Join(top, dir, "doc.go"))
		must(t, err)
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

// Whoever has a warning on the screen finds it in the page. tests/faq makes the library log each line of the page.
func TestEveryWarningOfTheLibraryIsInTheFAQ(t *testing.T) {
	p := read(t, "docs/faq.md")
	warning := regexp.MustCompile(`(?:\.(?:Warn|Error)\(|slog\.Level(?:Warn|Error), |\blevel, )("(?:[^"\\]|\\.)+")`)
	warnings := 0
	for _, m := range warning.FindAllStringSubmatch(sources(t), -1) {
		message, err := strconv.Unquote(m[1])
		must(t, err)
		if warnings++; !strings.Contains(p.text, "`"+message) {
			t.Errorf("%s does not explain %q", p.name, message)
		}
	}
	if warnings < 50 {
		t.Errorf("only %d warnings: are they written in another form now?", warnings)
	}
}
