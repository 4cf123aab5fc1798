package zkdiscovery

import (
	"path/filepath"
	"testing"
	"time"
)

func TestWithoutANameTheServersStandForIt(t *testing.T) {
	id := func(chroot string, addrs ...string) string { return ensembleID("", addrs, chroot) }
	for _, tc := range []struct {
		name         string
		ours, theirs string
		want         bool
	}{
		{"the same", id("", "a:1", "b:1"), id("", "a:1", "b:1"), true},
		{"in another order, and twice", id("", "b:1", "a:1", "a:1"), id("", "a:1", "b:1"), true},
		{"one server replaced", id("", "a:1", "b:1", "c:1"), id("", "b:1", "c:1", "d:1"), true},
		{"one of many", id("", "a:1"), id("", "a:1", "b:1", "c:1"), true},
		{"none in common", id("", "a:1", "b:1"), id("", "c:1", "d:1"), false},
		{"another port", id("", "a:1"), id("", "a:2"), false},
		{"a part of a name", id("", "aa:1"), id("", "a:1"), false},
		{"another chroot", id("/prod", "a:1"), id("/test", "a:1"), false},
		{"a chroot and none", id("/prod", "a:1"), id("", "a:1"), false},
		{"the same chroot", id("/prod/eu", "a:1"), id("/prod/eu", "a:1", "b:1"), true},
		{"IPv6", id("/x", "[::1]:1", "b:1"), id("/x", "[::1]:1"), true},
		{"theirs has a name", id("", "a:1"), "production", false},
		{"theirs has none at all", id("", "a:1"), "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := sameEnsemble(tc.ours, tc.theirs); got != tc.want {
				t.Errorf("%q, %q: %v", tc.ours, tc.theirs, got)
			}
			if got := sameEnsemble(tc.theirs, tc.ours); got != tc.want {
				t.Errorf("%q, %q: %v the other way round", tc.theirs, tc.ours, got)
			}
		})
	}
}

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
				if dir := filepath.Dir(d.Status().CacheFile); dir != w.dir {
					t.Errorf("cache file in %s, want %s", dir, w.dir)
				}
			})
		})
	}
}

// The plain name has a file of another ensemble, and one of our servers was replaced: see filecache's test of the same.
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
		wantError(w.T, err, ErrNoSnapshot, "of another ensemble", "zk1:2182,zk4:2181,zk5:2181")
	})
}
