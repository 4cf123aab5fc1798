package docs

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// imported are the packages that a snippet may use without saying so.
var imported = map[string]string{
	"context": "context", "http": "net/http", "log": "log", "net": "net", "os": "os", "slog": "log/slog", "strings": "strings", "testing": "testing", "time": "time",
	"client": "github.com/smallnest/rpcx/client", "server": "github.com/smallnest/rpcx/server", "zk": "github.com/go-zookeeper/zk",
	"filecache": "github.com/holdfast-go/holdfast/filecache", "selector": "github.com/holdfast-go/holdfast/selector",
	"zkdiscovery": "github.com/holdfast-go/holdfast/zkdiscovery", "serverplugin": "github.com/holdfast-go/holdfast/zkdiscovery/serverplugin",
	"zktest": "github.com/holdfast-go/holdfast/zkdiscovery/zktest",
}

// given is what a snippet may find in its program, with the package that its type is from.
var given = map[string][2]string{
	"addr": {"string", ""}, "basePath": {"string", ""}, "zkAddr": {"string", ""}, "servers": {"[]string", ""},
	"args": {"any", ""}, "reply": {"any", ""}, "err": {"error", ""},
	"ctx":           {"context.Context", "context"},
	"d":             {"*zkdiscovery.Discovery", "zkdiscovery"},
	"template":      {"*zkdiscovery.Discovery", "zkdiscovery"},
	"etcdDiscovery": {"client.ServiceDiscovery", "client"},
	"xclient":       {"client.XClient", "client"},
	"tlsConfig":     {"*tls.Config", "tls"},
	"zkTLS":         {"*tls.Config", "tls"},
}

// isAdapters tells whether a snippet uses modules that this one does not know: tests/release compiles it.
func isAdapters(b block) bool { return strings.Contains(b.text, "prometheus.MustRegister(") }

// program makes a snippet of a page a file that compiles.
func program(snippet string) (string, error) {
	if strings.HasPrefix(snippet, "package ") {
		return snippet, nil
	}
	imports, rest := make(map[string]bool), snippet
	for strings.HasPrefix(rest, "import ") {
		line, after, _ := strings.Cut(rest, "\n")
		imports[line] = true
		rest = after
	}
	if strings.TrimSpace(rest) == "" { // nothing but imports, which nothing uses
		return "package p\n\n" + strings.ReplaceAll(snippet, "import ", "import _ "), nil
	}
	if strings.HasPrefix(rest, "func ") {
		f, err := parser.ParseFile(token.NewFileSet(), "", "package p\n"+rest, 0)
		if err != nil {
			return "", err
		}
		for _, id := range f.Unresolved {
			if path, ok := imported[id.Name]; ok {
				imports[fmt.Sprintf("import %q", path)] = true
			}
		}
		return "package p\n\n" + strings.Join(slices.Sorted(maps.Keys(imports)), "\n") + "\n\n" + rest, nil
	}
	f, err := parser.ParseFile(token.NewFileSet(), "", "package p\nfunc _() error {\n"+rest+"\nreturn nil\n}", 0)
	if err != nil {
		return "", err
	}
	params, types := make(map[string]string), ""
	for _, id := range f.Unresolved {
		if path, ok := imported[id.Name]; ok {
			imports[fmt.Sprintf("import %q", path)] = true
		} else if variable, ok := given[id.Name]; ok {
			params[id.Name] = variable[0]
			if path := imported[variable[1]]; path != "" {
				imports[fmt.Sprintf("import %q", path)] = true
			} else if variable[1] == "tls" {
				imports[`import "crypto/tls"`] = true
			}
		} else if id.Name == "Arith" {
			types = "type Arith struct{}\n\nfunc (*Arith) Mul(context.Context, *int, *int) error { return nil }\n\n"
			imports[`import "context"`] = true
		}
	}
	var b strings.Builder
	b.WriteString("package p\n\n" + strings.Join(slices.Sorted(maps.Keys(imports)), "\n") + "\n\n" + types + "func _(")
	for _, name := range slices.Sorted(maps.Keys(params)) {
		fmt.Fprintf(&b, "%s %s, ", name, params[name])
	}
	b.WriteString(") error {\n" + rest)
	for _, name := range assigned(f) { // what a snippet is about is not used in it
		fmt.Fprintf(&b, "_ = %s\n", name)
	}
	b.WriteString("return nil\n}\n")
	return b.String(), nil
}

// assigned are the variables that the one function of f declares in its outermost block.
func assigned(f *ast.File) []string {
	var names []string
	for _, stmt := range f.Decls[0].(*ast.FuncDecl).Body.List {
		if a, ok := stmt.(*ast.AssignStmt); ok && a.Tok == token.DEFINE {
			for _, left := range a.Lhs {
				if id, ok := left.(*ast.Ident); ok && id.Name != "_" && !slices.Contains(names, id.Name) {
					names = append(names, id.Name)
				}
			}
		}
	}
	return names
}

// A reader copies what a page shows. All of it is compiled with the library of this tree.
func TestEveryGoSnippetCompiles(t *testing.T) {
	root, err := filepath.Abs(top)
	must(t, err)
	dir := t.TempDir()
	overlay := make(map[string]string)
	args := []string{"build", "-overlay", filepath.Join(dir, "overlay.json")}
	adapters := 0
	for _, p := range english(t) { // the Chinese pages have the same blocks
		for _, b := range p.blocks {
			if b.lang != "go" {
				continue
			}
			if isAdapters(b) {
				adapters++
				continue
			}
			source, err := program(b.text)
			if err != nil {
				t.Errorf("%s:%d: %v", p.name, b.line, err)
				continue
			}
			name := fmt.Sprintf("%s.line%d", strings.NewReplacer("/", "_", ".", "_").Replace(p.name), b.line) // as the compiler will call it
			file := filepath.Join(dir, name+".go")
			must(t, os.WriteFile(file, []byte(source), 0o600))
			overlay[filepath.Join(root, "tests", "docs", name, "snippet.go")] = file
			args = append(args, "./tests/docs/"+name)
		}
	}
	if len(overlay) < 20 {
		t.Errorf("only %d snippets", len(overlay))
	}
	if adapters < 1 {
		t.Error("no page shows the adapters: tests/release has nothing to compile")
	}
	text, err := json.Marshal(map[string]any{"Replace": overlay})
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "overlay.json"), text, 0o600))
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestProgram is the test of the one above: a mistake in a snippet stays one.
func TestProgram(t *testing.T) {
	for snippet, want := range map[string]string{
		"x := d.Status()\n":             "func _(d *zkdiscovery.Discovery, ) error {\nx := d.Status()\n_ = x\nreturn nil",
		"import \"a/b\" // c\n":         "import _ \"a/b\" // c",
		"func TestA(t *testing.T) {}\n": "import \"testing\"\n\nfunc TestA",
		"package main\n":                "package main\n",
		"y = nobody\n":                  "func _() error {\ny = nobody\nreturn nil",
	} {
		if got, err := program(snippet); err != nil || !strings.Contains(got, want) {
			t.Errorf("%q:\n%s\n%v", snippet, got, err)
		}
	}
	if _, err := program("x := (\n"); err == nil {
		t.Error("half a snippet is no mistake")
	}
}
