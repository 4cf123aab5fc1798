package filecache

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// states are what a Save or Load may find: how a directory came to be, and the snapshots that Load may return from it, the newest last.
var states = []struct {
	name    string
	prepare func(t *testing.T, c *Cache)
	found   []Snapshot
	damaged bool // there are damaged files
}{
	{name: "nothing", prepare: func(*testing.T, *Cache) {}},
	{name: "one generation", prepare: func(t *testing.T, c *Cache) { mustSave(t, c, at(1, "tcp@a:1")) }, found: []Snapshot{at(1, "tcp@a:1")}},
	{name: "two generations", prepare: func(t *testing.T, c *Cache) {
		mustSave(t, c, at(1, "tcp@a:1"))
		mustSave(t, c, at(2, "tcp@b:1"))
	}, found: []Snapshot{at(1, "tcp@a:1"), at(2, "tcp@b:1")}},
	{name: "a damaged file and its predecessor", prepare: func(t *testing.T, c *Cache) {
		mustSave(t, c, at(1, "tcp@a:1"))
		mustSave(t, c, at(2, "tcp@b:1"))
		spoil(t, c.main)
	}, found: []Snapshot{at(1, "tcp@a:1")}, damaged: true},
	{name: "only damaged files, and many of them set aside", prepare: func(t *testing.T, c *Cache) {
		for i := range 5 {
			write(t, fmt.Sprintf("%s.corrupt-20260102T15040%d.000000000Z", c.main, i), "damaged")
		}
		write(t, c.main, "damaged")
		write(t, c.prev, "damaged")
	}, damaged: true},
	{name: "another ensemble's list beside ours", prepare: func(t *testing.T, c *Cache) {
		mustSave(t, mustForeign(t, c), at(9, "tcp@foreign:1"))
		mustSave(t, c, at(1, "tcp@a:1"))
		mustSave(t, c, at(2, "tcp@b:1"))
	}, found: []Snapshot{at(1, "tcp@a:1"), at(2, "tcp@b:1")}},
	{name: "a directory that does not say whose it is", prepare: func(t *testing.T, c *Cache) {
		mustSave(t, c, at(1, "tcp@a:1"))
		remove(t, filepath.Join(c.home, ensembleFile))
	}, found: []Snapshot{at(1, "tcp@a:1")}},
}

// mustForeign opens the same service of another ensemble.
func mustForeign(tb testing.TB, c *Cache) *Cache {
	tb.Helper()
	foreign, err := Open(c.dir, "other:2181", c.service)
	if err != nil {
		tb.Fatal(err)
	}
	return foreign
}

// spoil changes one byte of a file's last line but one.
func spoil(tb testing.TB, path string) {
	tb.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	data[len(data)-10] ^= 1
	write(tb, path, string(data))
}

// F1: whichever operation fails, the file is the old or the new one, whole; its predecessor is whole; and somebody is told.
func TestSaveSurvivesAnyFailure(t *testing.T) {
	for _, state := range states {
		t.Run(state.name, func(t *testing.T) {
			want := at(3, "tcp@c:1")
			for n := 1; ; n++ {
				dir := t.TempDir()
				good := mustOpen(t, dir)
				state.prepare(t, good)
				faults, logs := newFaultFS(0), &lines{}
				c := onFaults(t, dir, faults, logs)
				faults.failAt = faults.done + n
				main, prev := contents(c.main), contents(c.prev)

				err := c.Save(want)
				if faults.hit == "" {
					if err != nil {
						t.Fatal(err)
					}
					t.Logf("%d operations", n-1)
					return
				}
				told := errors.Is(err, errInjected) || logs.count("injected") > 0
				if !told {
					t.Errorf("%s failed and nobody was told; Save returned %v", faults.hit, err)
				}
				checkLoaded(t, faults.hit, good, state.found, want, err == nil)
				if !state.damaged {
					checkFiles(t, faults.hit, good)
					if contents(c.main) == main && contents(c.prev) != prev {
						t.Errorf("%s: the list is what it was, its predecessor is not", faults.hit)
					}
				}
				if left := temporaries(t, c.at, c.home); len(left) > 0 && !strings.HasPrefix(faults.hit, "remove ") {
					t.Errorf("%s: %q is left", faults.hit, left)
				}

				// The next Save, on a disk that works, finds nothing in its way.
				mustSave(t, good, at(4, "tcp@d:1"))
				wantSame(t, mustLoad(t, good), at(4, "tcp@d:1"))
			}
		})
	}
}

// contents are those of the file at path; "" where there is none.
func contents(path string) string {
	data, _ := os.ReadFile(path)
	return string(data)
}

// checkLoaded looks at what a Save of want, which went as saved says, has left where there was found before.
func checkLoaded(t *testing.T, hit string, good *Cache, found []Snapshot, want Snapshot, saved bool) {
	t.Helper()
	s, err := good.Load()
	switch {
	case err == nil && equalSnapshots(bare(s), want):
	case saved:
		t.Fatalf("%s: saved without error, and Load returns %+v, %v", hit, s, err)
	case len(found) == 0 && err != nil:
	case len(found) > 0 && err == nil && equalSnapshots(bare(s), found[len(found)-1]):
	default:
		t.Fatalf("%s: Load returns %+v, %v: neither the old snapshot nor the new one", hit, s, err)
	}
}

// checkFiles looks at every generation by itself: each is whole and ours.
func checkFiles(t *testing.T, hit string, c *Cache) {
	t.Helper()
	for _, path := range []string{c.main, c.prev} {
		data, err := os.ReadFile(path)
		if errors.Is(err, errNone) {
			continue
		}
		s, err := decode(data)
		if err != nil {
			t.Fatalf("%s: %s: %v", hit, path, err)
		}
		if strings.Contains(s.Servers[0].Key, "foreign") || s.Ensemble != "zk1:2181" {
			t.Fatalf("%s: %s is of %q and says %+v", hit, path, s.Ensemble, s.Servers)
		}
	}
}

// F2: whichever operation fails, Load returns the newest generation, or the one before it, or an error; and it is never silent about it.
func TestLoadSurvivesAnyFailure(t *testing.T) {
	for _, state := range states {
		t.Run(state.name, func(t *testing.T) {
			for n := 1; ; n++ {
				dir := t.TempDir()
				good := mustOpen(t, dir)
				state.prepare(t, good)
				faults, logs := newFaultFS(0), &lines{}
				c := onFaults(t, dir, faults, logs)
				faults.failAt = faults.done + n

				s, err := c.Load()
				if faults.hit == "" {
					t.Logf("%d operations", n-1)
					return
				}
				told := errors.Is(err, errInjected) || logs.count("injected") > 0
				found := slices.IndexFunc(state.found, func(f Snapshot) bool { return equalSnapshots(f, bare(s)) })
				best := err == nil && found == len(state.found)-1
				switch {
				case err == nil && found < 0:
					t.Fatalf("%s: Load returns %+v, which was never saved", faults.hit, s)
				case !told && !best && len(state.found) > 0:
					t.Errorf("%s failed, Load returns %+v, %v, and nobody was told", faults.hit, s, err)
				}
				if len(state.found) > 0 { // nothing was lost
					wantSame(t, mustLoad(t, good), state.found[len(state.found)-1])
				}
			}
		})
	}
}

func TestOpenSurvivesAnyFailure(t *testing.T) {
	for n := 1; ; n++ {
		faults := newFaultFS(n)
		onFaults(t, t.TempDir(), faults, &lines{})
		if faults.hit == "" {
			return
		}
	}
}

// onFaults opens the Cache that mustOpen opens, on another file system.
func onFaults(tb testing.TB, dir string, fsys fileSystem, logs *lines) *Cache {
	tb.Helper()
	cfg := defaultConfig()
	cfg.logger = logs.logger()
	c, err := prepare(fsys, dir, "zk1:2181", "/prod/rpcx/Arith", cfg, nil)
	if err == nil {
		err = c.open()
	}
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func equalSnapshots(a, b Snapshot) bool {
	return a.stamp() == b.stamp() && sameList(a.Servers, b.Servers)
}

// Some disks say only when they sync that they are full. The predecessor is not given up for a file that does not come to be.
func TestFailedSyncKeepsThePredecessor(t *testing.T) {
	dir := t.TempDir()
	good := mustOpen(t, dir)
	mustSave(t, good, at(1, "tcp@a:1"))
	mustSave(t, good, at(2, "tcp@b:1"))
	c := onFaults(t, dir, withoutSync{disk{}}, &lines{})
	wantError(t, c.Save(at(3, "tcp@c:1")), errInjected)
	wantSame(t, mustLoad(t, good), at(2, "tcp@b:1"))
	spoil(t, good.Path())
	wantSame(t, mustLoad(t, good), at(1, "tcp@a:1"))
}

// withoutSync is a disk on which no file can be synced.
type withoutSync struct{ fileSystem }

func (w withoutSync) create(path string) (newFile, error) {
	f, err := w.fileSystem.create(path)
	return unsyncable{f}, err
}

type unsyncable struct{ newFile }

func (unsyncable) Sync() error { return errInjected }
