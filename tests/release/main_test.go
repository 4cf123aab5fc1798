package release

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// place is a directory of all tests: what a user has downloaded is compiled once.
var place string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if place, err = os.MkdirTemp("", "holdfast-release-"); err != nil {
			panic(err)
		}
		defer func() { _ = os.RemoveAll(place) }() // what is left is the system's to remove
		return m.Run()
	}())
}

var publishing sync.Once

// proxied is a user's environment, in which a module proxy has what these tests have published, and nothing is of this tree.
func proxied(t *testing.T) []string {
	t.Helper()
	if testing.Short() {
		t.Skip("compiles everything anew")
	}
	root, err := filepath.Abs("../..")
	must(t, err)
	proxy := filepath.Join(place, "proxy")
	publishing.Do(func() {
		for _, m := range modules {
			publish(t, root, m, proxy)
		}
	})
	cache := strings.TrimSpace(goTool(t, root, nil, "env", "GOMODCACHE"))
	return []string{
		// What was published here, and then what was downloaded for the modules' own tests. GOPROXY beyond that is the machine's.
		"GOPROXY=file://" + proxy + ",file://" + cache + "/cache/download," + strings.TrimSpace(goTool(t, root, nil, "env", "GOPROXY")),
		"GOMODCACHE=" + filepath.Join(place, "modules"), "GOBIN=" + place, "GOSUMDB=off", "GOWORK=off",
		"GOFLAGS=-modcacherw -trimpath", // without the paths, what was compiled before is compiled
	}
}
