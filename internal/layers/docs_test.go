package layers

import (
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// twoScreens is how many lines of go doc stand before a package's first declaration at most, on a terminal of 24 lines.
const twoScreens = 48

// Somebody who types go doc wants to use the package: what it is for comes first, and its types are not far below.
func TestPackageDocsFitTwoScreens(t *testing.T) {
	docs := packageDocs(t, os.DirFS("../.."))
	for dir, pkg := range docs {
		if n := linesOfGoDoc(pkg); n > twoScreens {
			t.Errorf("go doc ./%s has %d lines before the first declaration, %d at most", dir, n, twoScreens)
		}
		for _, heading := range []string{"Goroutines", "How it is built", "Which file has what"} {
			if strings.Contains(pkg.Doc, "# "+heading) {
				t.Errorf("%s: %q is for DESIGN.md, or for the type that it is about", dir, heading)
			}
		}
	}
	for _, dir := range []string{"filecache", "selector", "zkdiscovery", "zkdiscovery/cmd/holdfast", "zkdiscovery/otel", "zkdiscovery/prometheus", "zkdiscovery/serverplugin", "zkdiscovery/zktest"} {
		if docs[dir] == nil || docs[dir].Doc == "" {
			t.Errorf("the doc of %s was not found", dir)
		}
	}
}

// TestLongPackageDocsAreFound is the test of the one above.
func TestLongPackageDocsAreFound(t *testing.T) {
	if got := linesOfGoDoc(&doc.Package{Doc: strings.Repeat("A paragraph.\n\n", 30)}); got != 2+2*30 {
		t.Errorf("30 paragraphs have %d lines", got)
	}
	wrapped := linesOfGoDoc(&doc.Package{Doc: strings.Repeat("word ", 40)}) // 200 columns
	if wrapped != 2+3+1 {
		t.Errorf("200 columns have %d lines", wrapped)
	}
}

// A promise that has a number in several packages means the same in all of them.
func TestANumberedPromiseMeansOneThing(t *testing.T) {
	said := make(map[string]string)
	shared := 0
	for dir, pkg := range packageDocs(t, os.DirFS("../..")) {
		for _, p := range promise.FindAllStringSubmatch(pkg.Doc, -1) {
			number, words := p[1], strings.Join(strings.Fields(p[2]), " ")
			if was, ok := said[number]; !ok {
				said[number] = words
			} else if shared++; was != words {
				t.Errorf("%s says %s: %q; elsewhere it is %q", dir, number, words, was)
			}
		}
	}
	if len(said) < 28 || shared < 3 {
		t.Errorf("only %d promises were found, %d of them in two packages", len(said), shared)
	}
}

var promise = regexp.MustCompile(`(?m)^ *- ([A-Z]\d+)\. ((?:.*)(?:\n {4,}.*)*)`)

// linesOfGoDoc is how many lines go doc writes before the first declaration: the package's line, an empty one, and its comment.
func linesOfGoDoc(pkg *doc.Package) int {
	printer := pkg.Printer()
	printer.TextWidth = 80
	text := strings.TrimRight(string(printer.Text(pkg.Parser().Parse(pkg.Doc))), "\n")
	return 2 + strings.Count(text, "\n") + 2 // the text's own, and the empty one behind it
}

var notForUsers = []string{"bench", "tests", "zkdiscovery/serverplugin/interop"}

// packageDocs are the packages that others import, and the commands, of every module of the repository.
func packageDocs(t *testing.T, root fs.FS) map[string]*doc.Package {
	t.Helper()
	files := make(map[string]string) // a directory's comments, as a file
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if n := d.Name(); slices.Contains(notForUsers, name) || n == "testdata" || n == "internal" || len(n) > 1 && n[0] == '.' {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		src, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, src, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		files[path.Dir(name)] += file.Doc.Text()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	docs := make(map[string]*doc.Package)
	for dir, text := range files {
		docs[dir] = &doc.Package{Doc: text, Name: filepath.Base(dir)}
	}
	return docs
}
