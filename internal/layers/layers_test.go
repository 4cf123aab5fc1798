package layers

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const module = "github.com/holdfast-go/holdfast"

func TestPackagesImportOnlyWhatTheyMay(t *testing.T) {
	h := readHouse(t)
	for _, v := range h.violations(t, os.DirFS("../..")) {
		t.Error(v)
	}
}

func TestFilecacheAndSelectorKnowNothingOfZooKeeper(t *testing.T) {
	for _, dir := range []string{"filecache", "selector"} {
		if _, err := os.Stat("../../" + dir); err != nil {
			continue // not written yet
		}
		deps, err := exec.CommandContext(t.Context(), "go", "list", "-deps", module+"/"+dir).Output()
		if err != nil {
			t.Fatal(err)
		}
		for dep := range strings.Lines(string(deps)) {
			if strings.Contains(dep, "zookeeper") || strings.Contains(dep, "libkv") || strings.HasPrefix(dep, module+"/zkdiscovery") {
				t.Errorf("%s depends on %s", dir, dep)
			}
		}
	}
}

// TestViolationsAreFound is the test of the two above: a check that looks at nothing passes too.
func TestViolationsAreFound(t *testing.T) {
	file := func(imports ...string) *fstest.MapFile {
		src := "package p\n"
		for _, i := range imports {
			src += fmt.Sprintf("import _ %q\n", i)
		}
		return &fstest.MapFile{Data: []byte(src)}
	}
	h := readHouse(t)
	got := h.violations(t, fstest.MapFS{
		"filecache/good.go":                     file("os", "golang.org/x/sys/unix", module+"/internal/watchers"),
		"filecache/bad_windows.go":              file(module + "/zkdiscovery"),
		"filecache/bad_test.go":                 file(module + "/zkdiscovery"), // tests may
		"filecache/testdata/bad.go":             file(module + "/zkdiscovery"), // no package
		"selector/bad.go":                       file(module + "/tests/harness"),
		"selector/good_test.go":                 file(module + "/tests/harness"),
		"example/client/good.go":                file(module+"/selector", "github.com/go-zookeeper/zk"),
		"bench/go.mod":                          file(), // another module
		"bench/good.go":                         file("github.com/rpcxio/rpcx-zookeeper/client"),
		"zkdiscovery/bad.go":                    file("github.com/go-zookeeper/zk", "github.com/rpcxio/libkv"),
		"zkdiscovery/internal/session/good.go":  file("github.com/go-zookeeper/zk"),
		"zkdiscovery/internal/other/bad.go":     file("github.com/go-zookeeper/zk"),
		"zkdiscovery/internal/session/sub/b.go": file(module + "/filecache"),
		"tests/harness/good.go":                 file("testing", module+"/filecache", module+"/zkdiscovery/zktest", "github.com/go-zookeeper/zk"),
		"unheard/of/p.go":                       file("os"),
	})
	want := []string{
		"filecache/bad_windows.go imports " + module + "/zkdiscovery",
		"selector/bad.go imports " + module + "/tests/harness",
		"unheard/of has no row in DESIGN.md",
		"zkdiscovery/bad.go imports github.com/go-zookeeper/zk",
		"zkdiscovery/bad.go imports github.com/rpcxio/libkv",
		"zkdiscovery/internal/other/bad.go imports github.com/go-zookeeper/zk",
		"zkdiscovery/internal/session/sub/b.go imports " + module + "/filecache",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// The top level is what a visitor of the repository sees first: one file of Go, and it says what the library promises.
func TestTheTopLevelHasOneFileOfGo(t *testing.T) {
	files, err := filepath.Glob("../../*.go")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{filepath.Join("..", "..", "discovery_test.go")}, files); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// violations reads the import clauses of every file, for whatever platform it is, below root.
func (h house) violations(t *testing.T, root fs.FS) []string {
	t.Helper()
	var found []string
	add := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			_, err := fs.Stat(root, path.Join(name, "go.mod"))
			if name != "." && (err == nil || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".")) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		allowed, ok := h.ruleFor(path.Dir(name))
		if !ok {
			add("%s has no row in DESIGN.md", path.Dir(name))
			return nil
		}
		src, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, src, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			first, _, _ := strings.Cut(imported, "/")
			standard := !strings.Contains(first, ".")
			if !standard && !slices.ContainsFunc(allowed, func(rule string) bool { return covers(rule, imported) }) {
				add("%s imports %s", name, imported)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// ruleFor finds the rule of a directory or of the nearest one above it that speaks for those below.
func (h house) ruleFor(dir string) ([]string, bool) {
	if allowed, ok := h.mayImport[dir]; ok {
		return allowed, true
	}
	for ; dir != "."; dir = path.Dir(dir) {
		if allowed, ok := h.mayImport[dir+"/..."]; ok {
			return allowed, true
		}
	}
	return nil, false
}

// covers reports whether a rule names an import path.
func covers(rule, imported string) bool {
	if below, ok := strings.CutPrefix(rule, "./"); ok {
		rule = module + "/" + below
	}
	prefix, all := strings.CutSuffix(rule, "...")
	return rule == imported || all && strings.HasPrefix(imported+"/", prefix)
}
