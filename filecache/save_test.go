package filecache

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holdfast-go/holdfast/tests/bubbles"
)

func TestLoadReturnsWhatWasSaved(t *testing.T) {
	c := mustOpen(t, t.TempDir())
	_, err := c.Load()
	wantError(t, err, errNone)

	want := at(1, "tcp@127.0.0.1:8972", "tcp@127.0.0.2:8972")
	want.Era = 3
	want.Servers[1].HeldSince = noon.Add(-time.Minute)
	mustSave(t, c, want)
	wantSame(t, mustLoad(t, c), want)

	s, err := c.Load()
	if err != nil || s.Ensemble != "zk1:2181" || s.Service != "/prod/rpcx/Arith" || time.Since(s.SavedAt) > time.Minute {
		t.Fatalf("loaded %+v, %v: want the Cache's own names and a fresh SavedAt", s, err)
	}
}

func TestSaveNeverGoesBackInTime(t *testing.T) {
	later := func(s Snapshot, d time.Duration) Snapshot { s.AsOf = s.AsOf.Add(d); return s }
	lineage := func(s Snapshot, l string) Snapshot { s.Lineage = l; return s }
	era := func(s Snapshot, e int64) Snapshot { s.Era = e; return s }
	cur := era(at(10, "tcp@a:1", "tcp@b:1"), 2)
	for _, tt := range []struct {
		rule    string
		s       Snapshot
		refused bool
	}{
		{"a greater zxid replaces", era(at(11, "tcp@a:1"), 2), false},
		{"a greater zxid replaces even if confirmed earlier", later(era(at(11, "tcp@a:1"), 2), -time.Hour), false},
		{"a smaller zxid is refused", era(at(9, "tcp@a:1"), 2), true},
		{"a smaller zxid is refused even if confirmed later", later(era(at(9, "tcp@a:1"), 2), time.Hour), true},
		{"the same list confirmed later replaces", later(cur, time.Second), false},
		{"the same list confirmed earlier is nothing to write", later(cur, -time.Second), false},
		{"another list of the same zxid replaces if confirmed later", later(era(at(10, "tcp@a:1"), 2), time.Second), false},
		{"another list of the same zxid and time is refused", era(at(10, "tcp@a:1"), 2), true},
		{"a greater era replaces whatever the rest", later(era(at(1, "tcp@a:1"), 3), -time.Hour), false},
		{"a smaller era is refused whatever the rest", later(era(at(99, "tcp@a:1"), 1), time.Hour), true},
		{"another lineage of the same era replaces if confirmed later", later(lineage(era(at(1, "tcp@a:1"), 2), "two"), time.Hour), false},
		{"another lineage of the same era is refused if not", lineage(era(at(10, "tcp@a:1"), 2), "two"), true},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			c := mustOpen(t, t.TempDir())
			mustSave(t, c, cur)
			err := c.Save(tt.s)
			if !tt.refused {
				if err != nil {
					t.Fatal(err)
				}
				want := tt.s
				if want.AsOf.Before(cur.AsOf) && sameList(want.Servers, cur.Servers) {
					want = cur
				}
				wantSame(t, mustLoad(t, c), want)
				return
			}
			wantError(t, err, ErrNewer)
			wantSame(t, mustLoad(t, c), cur)
		})
	}
}

func TestSaveRefusesWhatMustNotBeInTheFile(t *testing.T) {
	c := mustOpen(t, t.TempDir())
	override := at(1, "tcp@a:1")
	override.Override = true
	other := at(1, "tcp@a:1")
	other.Service = "/prod/rpcx/Other"
	lineage := at(1, "tcp@a:1")
	lineage.Lineage = strings.Repeat("x", maxLineageLength+1)
	year := at(1, "tcp@a:1")
	year.AsOf = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	large := at(1, strings.Repeat("x", maxFileSize))
	for reason, s := range map[string]Snapshot{
		"override": override, "/prod/rpcx/Other": other, "lineage": lineage, "year": year, "limit": large,
	} {
		if err := c.Save(s); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("error %v, want one about %q", err, reason)
		}
	}
	_, err := c.Load()
	wantError(t, err, errNone)
}

func TestSaveStoresAnyBytes(t *testing.T) {
	c := mustOpen(t, t.TempDir())
	want := at(1)
	want.Lineage = "\u2028<&>\"\\"
	want.Servers = []Server{{Key: "tcp@ä:1", Value: "a=\x00\xff;&<>\"\\\n"}, {Key: "\xc3@\x28", Value: "\u2028"}, {}}
	mustSave(t, c, want)
	wantSame(t, mustLoad(t, c), want)
}

func TestEmptyListIsAListToo(t *testing.T) {
	c := mustOpen(t, t.TempDir())
	s := at(1)
	s.Servers = nil
	mustSave(t, c, s)
	wantSame(t, mustLoad(t, c), at(1))
}

// What only the guard knows is kept as well: HeldSince may change while the list, its zxid and its time do not.
func TestHeldSinceIsKeptWhenNothingElseChanges(t *testing.T) {
	c := mustOpen(t, t.TempDir())
	mustSave(t, c, at(1, "tcp@a:1"))
	held := at(1, "tcp@a:1")
	held.AsOf = held.AsOf.Add(-time.Second) // and an earlier confirmation does not make the file older
	held.Servers[0].HeldSince = noon
	mustSave(t, c, held)
	held.AsOf = at(1).AsOf
	wantSame(t, mustLoad(t, c), held)
}

func TestOnlyTheOwnerCanReadTheFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no such modes")
	}
	c := mustOpen(t, t.TempDir())
	mustSave(t, c, at(1, "tcp@a:1"))
	if err := os.Chmod(c.Path(), 0o666); err != nil {
		t.Fatal(err)
	}
	mustSave(t, c, at(2, "tcp@b:1"))
	if info, err := os.Stat(c.Path()); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// Hazard F5: a rename would put a regular file in the link's place.
func TestSymbolicLinkIsNotReplaced(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	c := mustOpen(t, dir)
	if err := os.Symlink(filepath.Join(elsewhere, "target.json"), c.Path()); err != nil {
		t.Skip(err)
	}
	if err := c.Save(at(1, "tcp@a:1")); err == nil || !strings.Contains(err.Error(), "symbolic link") {
		t.Errorf("error %v", err)
	}
	if left := names(t, elsewhere); len(left) != 0 {
		t.Errorf("written to the link's target: %q", left)
	}
	// The directory may be one.
	linked := filepath.Join(elsewhere, "link")
	if err := os.Symlink(t.TempDir(), linked); err != nil {
		t.Fatal(err)
	}
	c = mustOpen(t, linked)
	mustSave(t, c, at(1, "tcp@a:1"))
	wantSame(t, mustLoad(t, c), at(1, "tcp@a:1"))
}

func TestSaveWaitsForAnotherWriterButNotForEver(t *testing.T) {
	dir := t.TempDir()
	bubbles.Test(t, func(t *testing.T) {
		c := mustOpen(t, dir)
		mustSave(t, c, at(1, "tcp@a:1"))
		unlock, ok, err := disk{}.tryLock(c.lock)
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		began := time.Now()
		wantError(t, c.Save(at(2, "tcp@b:1")), errLocked)
		if took := time.Since(began); took < lockTimeout || took > 2*lockTimeout {
			t.Errorf("it took %v", took)
		}
		wantSame(t, mustLoad(t, c), at(1, "tcp@a:1"))

		time.AfterFunc(lockTimeout/2, func() { _ = unlock() })
		mustSave(t, c, at(2, "tcp@b:1"))
		if _, err := os.Stat(c.lock); err != nil {
			t.Errorf("the lock's file is gone, %v: two writers might each have one", err)
		}
	})
}

func TestFileSystemWithoutLocksWillDo(t *testing.T) {
	logs := &lines{}
	c := onFaults(t, t.TempDir(), withoutLocks{disk{}}, logs)
	mustSave(t, c, at(1, "tcp@a:1"))
	mustSave(t, c, at(2, "tcp@b:1"))
	spoil(t, c.Path())
	wantSame(t, mustLoad(t, c), at(1, "tcp@a:1"))
	if logs.count("what=lock") != 1 || logs.count("set aside") != 1 {
		t.Errorf("reported as\n%s", logs)
	}
}

type withoutLocks struct{ fileSystem }

func (withoutLocks) tryLock(string) (func() error, bool, error) {
	return nil, false, errors.ErrUnsupported
}

// Caches of one process share a file like processes do.
func TestCachesShareAFile(t *testing.T) {
	const caches, saves = 4, 25
	dir := t.TempDir()
	var wg sync.WaitGroup
	for i := range caches {
		c := mustOpen(t, dir)
		wg.Go(func() {
			for n := range saves {
				s := numbered(int64(n*caches + i + 1))
				err := c.Save(s)
				for errors.Is(err, errLocked) { // the others are quicker on a busy machine
					err = c.Save(s)
				}
				if err != nil && !errors.Is(err, ErrNewer) {
					t.Error(err)
				}
				if got, err := c.Load(); err != nil || got.Zxid < s.Zxid || cmp.Diff(numbered(got.Zxid), bare(got)) != "" {
					t.Errorf("saved %d, loaded %d, %v", s.Zxid, got.Zxid, err)
				}
			}
		})
	}
	wg.Wait()
	wantSame(t, mustLoad(t, mustOpen(t, dir)), numbered(caches*saves))
}
