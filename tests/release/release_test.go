// Package release tests what users install: the modules at a version, from a module proxy.
package release

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	module  = "github.com/holdfast-go/holdfast"
	version = "v0.1.0" // as the modules require the library
)

// modules are those that are released together, by their directory. Each has a tag of its own: zkdiscovery/otel/v0.1.0.
var modules = []string{"", "zkdiscovery/prometheus", "zkdiscovery/otel", "zkdiscovery/cmd/holdfast"}

// A replace, or a go.work that somebody needs, would make this fail: go install does not take them.
func TestTheCommandAndTheAdaptersAreInstalledFromAProxy(t *testing.T) {
	env, dir := proxied(t), t.TempDir()
	root, err := filepath.Abs("../..")
	must(t, err)
	goTool(t, dir, env, "install", module+"/zkdiscovery/cmd/holdfast@"+version)
	out, err := exec.CommandContext(t.Context(), filepath.Join(place, "holdfast"), "help").Output()
	if err != nil || !strings.Contains(string(out), "Exit codes:") {
		t.Errorf("%v: %s", err, out)
	}

	user := filepath.Join(dir, "user")
	must(t, os.Mkdir(user, 0o700))
	must(t, os.WriteFile(filepath.Join(user, "main.go"), []byte(fmt.Sprintf(program, snippet(t, root))), 0o600))
	goTool(t, user, env, "mod", "init", "example.org/user")
	goTool(t, user, env, "get", module+"/zkdiscovery/prometheus@"+version, module+"/zkdiscovery/otel@"+version)
	goTool(t, user, env, "mod", "tidy")
	goTool(t, user, env, "build", "-o", filepath.Join(dir, "user.exe"), ".")
}

// program is a user's, which has what docs/operating.md says.
const program = `package main

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/metrics"
	"github.com/holdfast-go/holdfast/zkdiscovery/otel"
	holdfast "github.com/holdfast-go/holdfast/zkdiscovery/prometheus"
	"github.com/holdfast-go/holdfast/zkdiscovery/statuspage"
)

var _ = otel.Register

func main() {
	d, err := zkdiscovery.NewTemplate("/rpcx", []string{"127.0.0.1:2181"})
	if err != nil {
		panic(err)
	}
	s, err := selector.New()
	if err != nil {
		panic(err)
	}
	%s
}
`

// snippet is what the page tells a new user to write.
func snippet(t *testing.T, root string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs", "operating.md"))
	must(t, err)
	for _, block := range regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		if strings.Contains(block[1], "statuspage.New(") {
			if n := strings.Count(block[1], "\n"); n > 10 {
				t.Errorf("%d lines", n)
			}
			return block[1]
		}
	}
	t.Fatal("docs/operating.md does not tell")
	return ""
}

// publish lays a module of this tree into a directory as a proxy serves it.
func publish(t *testing.T, root, dir, proxy string) {
	t.Helper()
	name := path.Join(module, dir)
	at := filepath.Join(proxy, filepath.FromSlash(name), "@v")
	must(t, os.MkdirAll(at, 0o700))
	mod, err := os.ReadFile(filepath.Join(root, dir, "go.mod"))
	must(t, err)
	if bytes.Contains(mod, []byte("\nreplace ")) {
		t.Errorf("%s/go.mod has a replace", dir)
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, file := range files(t, filepath.Join(root, dir)) {
		w, err := z.Create(name + "@" + version + "/" + file)
		must(t, err)
		f, err := os.Open(filepath.Join(root, dir, file))
		must(t, err)
		_, err = io.Copy(w, f)
		must(t, err)
		must(t, f.Close())
	}
	must(t, z.Close())
	for ext, text := range map[string][]byte{
		".info": fmt.Appendf(nil, `{"Version":%q,"Time":"2026-01-01T00:00:00Z"}`, version), ".mod": mod, ".zip": b.Bytes(),
	} {
		must(t, os.WriteFile(filepath.Join(at, version+ext), text, 0o600))
	}
	must(t, os.WriteFile(filepath.Join(at, "list"), []byte(version+"\n"), 0o600))
}

// files are those of a module: what git knows or would know, without the modules inside.
func files(t *testing.T, dir string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "ls-files", "--cached", "--others", "--exclude-standard")
	cmd.Dir = dir
	out, err := cmd.Output()
	must(t, err)
	all := strings.Fields(string(out))
	var inner []string
	for _, file := range all {
		if path.Base(file) == "go.mod" && file != "go.mod" {
			inner = append(inner, path.Dir(file)+"/")
		}
	}
	return slices.DeleteFunc(all, func(file string) bool {
		_, err := os.Stat(filepath.Join(dir, file))
		return err != nil || slices.ContainsFunc(inner, func(m string) bool { return strings.HasPrefix(file, m) })
	})
}

func goTool(t *testing.T, dir string, env []string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var diag bytes.Buffer
	cmd.Stderr = &diag
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, diag.String())
	}
	return string(out)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
