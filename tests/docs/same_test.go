package docs

import (
	"context"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/filecache"
	"github.com/holdfast-go/holdfast/zkdiscovery"
)

// programs are the whole programs of a page whose section begins with a word; "" means any.
func programs(p *page, section string) (all []string) {
	for _, b := range p.blocks {
		if b.lang == "go" && strings.HasPrefix(b.text, "package main") && strings.Contains(b.section, section) {
			all = append(all, b.text)
		}
	}
	return all
}

// uses are the names of packages that a program uses, and what its calls have as literal strings, where these are names: paths, services, metadata.
func uses(t *testing.T, program string) (names, words []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "", program, parser.SkipObjectResolution)
	must(t, err)
	packages := make(map[string]bool)
	for _, i := range f.Imports {
		path, err := strconv.Unquote(i.Path.Value)
		must(t, err)
		if strings.HasPrefix(path, "github.com/") {
			packages[path[strings.LastIndexByte(path, '/')+1:]] = true
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if id, ok := n.X.(*ast.Ident); ok && packages[id.Name] {
				names = append(names, id.Name+"."+n.Sel.Name)
			}
		case *ast.BasicLit:
			if word, err := strconv.Unquote(n.Value); n.Kind == token.STRING && err == nil && regexp.MustCompile(`^/?[A-Za-z]+(=\d+)?$`).MatchString(word) {
				words = append(words, word)
			}
		}
		return true
	})
	return names, words
}

// The README, the guide and the programs to copy from are one program each, with more reasons from one to the next.
func TestTheServerAndTheClientAreTheSameEverywhere(t *testing.T) {
	readme, guide := read(t, "README.md"), read(t, "docs/getting-started.md")
	whole := programs(readme, "")
	if len(whole) != 2 {
		t.Fatalf("%s has %d programs, want a server and a client", readme.name, len(whole))
	}
	for i, name := range []string{"server", "client"} {
		if got := programs(guide, "A "+name); !slices.Equal(got, whole[i:i+1]) {
			t.Errorf("%s has another %s than %s", guide.name, name, readme.name)
		}
		example, err := os.ReadFile(filepath.Join(top, "example", name, "main.go"))
		must(t, err)
		names, words := uses(t, whole[i])
		theirNames, theirWords := uses(t, string(example))
		if len(names) < 6 || len(words) < 3 {
			t.Errorf("the %s uses only %q and says only %q", name, names, words)
		}
		for _, n := range names {
			if !slices.Contains(theirNames, n) {
				t.Errorf("example/%s does not use %s, which %s does", name, n, readme.name)
			}
		}
		for _, w := range words {
			if !slices.Contains(theirWords, w) && w != "holdfast" { // the directory, which is the example's flag
				t.Errorf("example/%s does not say %q, which %s does", name, w, readme.name)
			}
		}
	}
}

// nobody is reached.
func nobody(context.Context, string, string) (net.Conn, error) {
	return nil, errors.New("nobody is there")
}

// What a page shows of files is what there is.
func TestOverridesAndPlacesOfThePagesAreThoseOfTheLibrary(t *testing.T) {
	overrides, places := 0, 0
	for _, p := range everyPage(t) {
		for _, b := range p.blocks {
			switch b.lang {
			case "json":
				overrides++
				dir := t.TempDir()
				c, err := filecache.Open(dir, "zk1:2181", "/rpcx/Arith")
				must(t, err)
				must(t, os.WriteFile(c.OverridePath(), []byte(b.text), 0o600))
				if got, err := c.LoadOverride(); err != nil || len(got.Servers) == 0 {
					t.Errorf("%s:%d: %v, %v", p.name, b.line, got, err)
				}
				must(t, c.Close())
				if !json.Valid([]byte(b.text)) {
					t.Errorf("%s:%d is no JSON", p.name, b.line)
				}
			case "files":
				dir := t.TempDir()
				d, err := zkdiscovery.New("/rpcx", "Arith", []string{"zk1:2181", "zk2:2181"}, zkdiscovery.WithCacheDir(dir), zkdiscovery.WithLazyStart(),
					zkdiscovery.WithDialer(nobody), zkdiscovery.WithStartTimeout(100*time.Millisecond))
				must(t, err)
				st := d.Status()
				d.Close()
				list, err := filepath.Rel(dir, st.CacheFile)
				must(t, err)
				override, err := filepath.Rel(dir, st.OverrideFile)
				must(t, err)
				for line := range strings.Lines(b.text) {
					places++
					name, _, _ := strings.Cut(line, " ")
					if name != list && name != override && name != strings.Replace(list, "list.json", "prev.json", 1) {
						t.Errorf("%s: %s is none of %s, %s", p.name, name, list, override)
					}
				}
			}
		}
	}
	if overrides < 1 || places < 3 {
		t.Errorf("only %d overrides and %d places", overrides, places)
	}
}

// What a page shows of the drill is what the drill says, act by act. Who notices the dead server first, and by what, is chance, and so is the order in
// which servers and clients notice something: "client has the list" came before "servers are registered again" on a busy machine.
func TestTheDrillSaysWhatThePagesShowOfIt(t *testing.T) {
	when, chance := regexp.MustCompile(`^\d+\.\d+ s `), regexp.MustCompile(`client( 2)? keeps away from (\w): .*`)
	plain := func(line string) string {
		return chance.ReplaceAllString(when.ReplaceAllString(strings.Join(strings.Fields(line), " "), ""), "client keeps away from $2")
	}
	cmd := exec.CommandContext(t.Context(), "go", "run", "./example", "-step", "250ms")
	cmd.Dir = top
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var said []string
	for line := range strings.Lines(string(out)) {
		said = append(said, plain(line))
	}
	shown := 0
	for _, p := range everyPage(t) {
		for _, b := range p.blocks {
			if b.lang != "drill" {
				continue
			}
			left, act := said, said
			for line := range strings.Lines(b.text) {
				shown++
				isTitle := !strings.HasPrefix(line, " ")
				if isTitle {
					act = left
				}
				i := slices.IndexFunc(act, func(l string) bool { return strings.HasPrefix(l, plain(line)) })
				if i < 0 {
					t.Fatalf("%s:%d: the drill does not say, in its place, %q:\n%s", p.name, b.line, line, out)
				}
				if isTitle {
					left = left[i+1:]
					act = left[:slices.Index(left, "")] // an empty line ends it
				}
			}
		}
	}
	if shown < 8 {
		t.Errorf("only %d lines", shown)
	}
}
