package faq

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/holdfast-go/holdfast/tests/harness"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// fileOf runs a discovery until its cache file has two generations, and returns where the newer one is.
func fileOf(t *harness.World) string {
	t.Helper()
	t.Register("Arith", 0)
	d := t.Discover("Arith")
	harness.Pass(time.Minute)
	t.Register("Arith", 1)
	harness.Pass(time.Minute)
	d.Close()
	return d.Status().CacheFile
}

// fileScenes are those of cache files.
var fileScenes = map[string]scene{
	"a disk that fails": {
		[]string{"ERROR cache file not written: a start during an outage would find an older one, or none", "INFO cache file written again"},
		func(t *harness.World, _ *zktest.Server) {
			t.Register("Arith", 0)
			t.Discover("Arith")
			harness.Pass(time.Minute)
			harness.Must(t, os.RemoveAll(t.Dir))
			harness.Must(t, os.WriteFile(t.Dir, nil, 0o600)) // no directory any more
			t.Register("Arith", 1)
			harness.Pass(time.Minute)
			harness.Must(t, os.Remove(t.Dir))
			harness.Pass(time.Hour)
		},
	},
	"a cache directory below a file": {
		[]string{"ERROR no cache file: an outage at the next start will not find one"},
		func(t *harness.World, _ *zktest.Server) {
			file := filepath.Join(t.Dir, "file")
			harness.Must(t, os.WriteFile(file, nil, 0o600))
			t.Discover("Arith", zkdiscovery.WithCacheDir(filepath.Join(file, "cache")))
			harness.Pass(time.Minute)
		},
	},
	"a damaged file, beside older ones that cannot be removed": {
		[]string{"WARN damaged file set aside", "WARN an older generation is used", "WARN old damaged files are not removed"},
		func(t *harness.World, _ *zktest.Server) {
			file := fileOf(t)
			for second := range 4 {
				harness.Must(t, os.MkdirAll(filepath.Join(fmt.Sprintf("%s.corrupt-19990101T00000%d.000000000Z", file, second), "full"), 0o700))
			}
			harness.Must(t, os.WriteFile(file, []byte("damaged"), 0o600))
			t.Stop()
			t.Discover("Arith")
			harness.Pass(time.Minute)
		},
	},
	"a lock that is none, in a directory that everybody may write": {
		[]string{
			"WARN the file system refuses something, going on without",
			"WARN anybody may write the cache directory, and so decide which servers are called",
		},
		func(t *harness.World, _ *zktest.Server) {
			lock := filepath.Join(filepath.Dir(fileOf(t)), "list.lock")
			harness.Must(t, os.RemoveAll(lock))
			harness.Must(t, os.Mkdir(lock, 0o700))
			harness.Must(t, os.Chmod(t.Dir, 0o777)) // whatever the umask
			t.Discover("Arith")
			t.Register("Arith", 2)
			harness.Pass(time.Minute)
		},
	},
	"files that nobody reads": {
		[]string{
			"WARN nobody reads this file: the override of a service has one name only",
			"INFO lists of an older layout are not read; new ones are written below the ensemble's directory",
		},
		func(t *harness.World, _ *zktest.Server) {
			list, err := os.ReadFile(fileOf(t))
			harness.Must(t, err)
			harness.Must(t, os.WriteFile(filepath.Join(t.Dir, "Arith.override.json"), []byte(`["tcp@127.9.9.1:1"]`), 0o600))
			harness.Must(t, os.WriteFile(filepath.Join(t.Dir, "rpcx,_Arith.json"), list, 0o600))
			t.Discover("Arith")
			harness.Pass(time.Hour)
		},
	},
	"a user without a home directory": {
		[]string{"WARN the user's cache directory cannot be used, the cache files are in a temporary one: see WithCacheDir"},
		func(t *harness.World, _ *zktest.Server) {
			for _, name := range []string{"HOME", "XDG_CACHE_HOME", "LocalAppData"} {
				t.Setenv(name, "")
			}
			t.Setenv("TMPDIR", t.Dir)
			d, err := zkdiscovery.New(t.Base, "Arith", t.Servers(), append(t.Options(), zkdiscovery.WithLogger(t.Logbook.Logger()))...)
			harness.Must(t, err)
			harness.Pass(time.Minute)
			d.Close()
		},
	},
}
