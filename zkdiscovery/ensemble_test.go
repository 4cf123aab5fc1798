package zkdiscovery

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAFileIsOursByNameOrByServers(t *testing.T) {
	servers := func(list ...string) []string { return list }
	for _, tc := range []struct {
		name                string
		wrote, reads        []string
		wroteName, readName string
		ours                bool
	}{
		{"other servers, some of them the same", servers("a:1", "b:1"), servers("b:1", "c:1"), "", "", true},
		{"other servers", servers("a:1"), servers("b:1"), "", "", false},
		{"the same servers and another name", servers("a:1"), servers("a:1"), "production", "test", false},
		{"other servers and the same name", servers("a:1"), servers("b:1"), "production", "production", true},
		{"named since", servers("a:1"), servers("a:1"), "", "production", false},
		{"a name that looks like one of their servers", servers("a:1", "b:1"), servers("c:1"), "", "a:1", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				named := func(name string) []Option {
					if name == "" {
						return w.options()
					}
					return w.options(WithEnsembleName(name))
				}
				w.put("Arith", "tcp@a:1", "")
				d, err := New("/rpcx", "Arith", tc.wrote, named(tc.wroteName)...)
				w.do(err)
				d.Close()
				w.zk.Stop()
				d, err = New("/rpcx", "Arith", tc.reads, append(named(tc.readName), WithLazyStart(), WithStartTimeout(time.Second))...)
				w.do(err)
				defer d.Close()
				if got := d.Snapshot().Source == File; got != tc.ours {
					t.Errorf("from the file: %v, want %v", got, tc.ours)
				}
				if file := d.Status().CacheFile; !strings.HasPrefix(file, w.dir) || !strings.HasSuffix(filepath.ToSlash(file), "/rpcx/Arith~c1/list.json") {
					t.Errorf("cache file in %s, want one below %s", file, w.dir)
				}
			})
		})
	}
}

// One of our servers was replaced: see filecache's test of the same.
func TestAListOfServersThatHasChangedFindsTheFile(t *testing.T) {
	inBubble(t, func(w *world) {
		start := func(servers ...string) (*Discovery, error) { return New("/rpcx", "Arith", servers, w.options()...) }
		must := func(servers ...string) {
			w.Helper()
			d, err := start(servers...)
			if err != nil {
				w.Fatal(err)
			}
			pass(time.Second)
			w.lists(d, "tcp@a:1")
			d.Close()
		}
		w.put("Arith", "tcp@a:1", "")
		must("other:2181")
		must("zk1:2181", "zk2:2181", "zk3:2181")
		w.zk.Stop()
		must("zk1:2181", "zk2:2181", "zk4:2181")
		_, err := start("zk1:2182", "zk4:2181", "zk5:2181")
		wantError(w.T, err, ErrNoSnapshot, "file does not exist", "zk1_2182,zk4_2181,zk5_2181")
	})
}
