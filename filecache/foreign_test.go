package filecache

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// F2: a file of another ensemble is left alone, and ours has another name.
func TestForeignFileIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	ours := mustOpen(t, dir)
	theirs := mustForeign(t, ours)
	mustSave(t, theirs, at(8, "tcp@theirs:1"))
	mustSave(t, theirs, at(9, "tcp@theirs:2"))
	before := contents(t, theirs.plain)

	_, err := ours.Load()
	wantError(t, err, ErrForeign)
	mustSave(t, ours, at(1, "tcp@a:1"))
	mustSave(t, ours, at(2, "tcp@b:1"))
	if want := filepath.Join(dir, "prod,rpcx,_Arith"+ensembleSuffix("zk1:2181")+".json"); ours.Path() != want {
		t.Errorf("ours is %s, want %s", ours.Path(), want)
	}
	write(t, ours.OverridePath(), `["tcp@o:1"]`)
	if ours.OverridePath() == theirs.OverridePath() {
		t.Error("one override for two ensembles")
	}
	if after := contents(t, theirs.plain); !slices.EqualFunc(before, after, bytes.Equal) {
		t.Error("their files have changed")
	}
	wantSame(t, mustLoad(t, ours), at(2, "tcp@b:1"))
	wantSame(t, mustLoad(t, theirs), at(9, "tcp@theirs:2"))
	spoil(t, ours.Path())
	wantSame(t, mustLoad(t, ours), at(1, "tcp@a:1"))

	// When they go, ours is still found, and the plain name is free.
	if err := errors.Join(os.Remove(theirs.plain.main), os.Remove(theirs.plain.prev)); err != nil {
		t.Fatal(err)
	}
	wantSame(t, mustLoad(t, ours), at(1, "tcp@a:1"))
	mustSave(t, ours, at(3, "tcp@c:1"))
	if ours.Path() != ours.plain.main {
		t.Errorf("ours is %s", ours.Path())
	}
	wantSame(t, mustLoad(t, ours), at(3, "tcp@c:1"))
}

// Another ensemble takes the plain name while a Save, which has found it free, waits for its lock.
func TestPlainNameTakenMeanwhileIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	theirs := mustForeign(t, mustOpen(t, dir))
	take := sync.OnceFunc(func() { mustSave(t, theirs, at(9, "tcp@theirs:1")) })
	ours := onFaults(t, dir, beforeLock{disk{}, take}, &lines{})
	mustSave(t, ours, at(1, "tcp@a:1"))
	wantSame(t, mustLoad(t, ours), at(1, "tcp@a:1"))
	wantSame(t, mustLoad(t, theirs), at(9, "tcp@theirs:1"))
}

// A damaged file whose head still says that it is another's is not ours to move either.
func TestDamagedForeignFileIsLeftAlone(t *testing.T) {
	ours := mustOpen(t, t.TempDir())
	theirs := mustForeign(t, ours)
	mustSave(t, theirs, at(8, "tcp@theirs:1"))
	spoil(t, theirs.plain.main)
	_, err := ours.Load()
	wantError(t, err, ErrForeign)
	mustSave(t, ours, at(1, "tcp@a:1"))
	if aside := setAside(t, ours); len(aside) != 0 {
		t.Errorf("moved: %q", aside)
	}
}

func TestFileOfAnotherServiceIsForeign(t *testing.T) {
	dir := t.TempDir()
	ours := mustOpen(t, dir)
	other, err := Open(dir, "zk1:2181", "/prod/rpcx/Other")
	if err != nil {
		t.Fatal(err)
	}
	mustSave(t, other, at(1, "tcp@other:1"))
	if err := os.Rename(other.Path(), ours.Path()); err != nil { // somebody has copied files about
		t.Fatal(err)
	}
	_, err = ours.Load()
	wantError(t, err, ErrForeign)
}

// WithEnsembleMatch: an ensemble that gained a host is the same ensemble.
func TestEnsembleMatchDecidesWhatIsOurs(t *testing.T) {
	dir := t.TempDir()
	small := mustOpen(t, dir)
	mustSave(t, small, at(1, "tcp@a:1"))
	grown, err := Open(dir, "zk1:2181,zk2:2181", small.service, WithEnsembleMatch(func(ours, theirs string) bool {
		return strings.HasPrefix(ours, theirs)
	}))
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, mustLoad(t, grown), at(1, "tcp@a:1"))
	mustSave(t, grown, at(2, "tcp@b:1"))
	if s, err := grown.Load(); err != nil || s.Ensemble != "zk1:2181,zk2:2181" || grown.Path() != grown.plain.main {
		t.Errorf("loaded %+v, %v from %s", s, err, grown.Path())
	}
}

// A later version of this library owns its file: this one leaves it alone, uses what is older, and writes beside it.
func TestFileOfALaterVersionIsLeftAlone(t *testing.T) {
	logs := &lines{}
	c := mustOpen(t, t.TempDir(), WithLogger(logs.logger()))
	mustSave(t, c, at(1, "tcp@a:1"))
	mustSave(t, c, at(2, "tcp@b:1"))
	later := `{"holdfast": 2, "whatever": "comes"}`
	write(t, c.plain.main, later)
	wantSame(t, mustLoad(t, c), at(1, "tcp@a:1"))
	if logs.count("later format version") == 0 {
		t.Errorf("reported as\n%s", logs)
	}
	mustSave(t, c, at(3, "tcp@c:1"))
	wantSame(t, mustLoad(t, c), at(3, "tcp@c:1"))
	if data, err := os.ReadFile(c.plain.main); err != nil || string(data) != later {
		t.Errorf("the file is %q, %v now", data, err)
	}
	if err := os.Remove(c.plain.prev); err != nil {
		t.Fatal(err)
	}
	wantSame(t, mustLoad(t, c), at(3, "tcp@c:1"))

	alone := mustOpen(t, t.TempDir())
	write(t, alone.plain.main, later)
	_, err := alone.Load()
	wantError(t, err, ErrVersion)
}

func contents(tb testing.TB, f files) [][]byte {
	tb.Helper()
	var all [][]byte
	for _, path := range []string{f.main, f.prev} {
		data, err := os.ReadFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, data)
	}
	return all
}

// shareOne is how zkdiscovery compares lists of servers.
func shareOne(ours, theirs string) bool {
	return slices.ContainsFunc(strings.Split(ours, ","), func(h string) bool { return slices.Contains(strings.Split(theirs, ","), h) })
}

// An operator has replaced zk3 by zk4 and restarts a client in an outage. The plain name has a file of another ensemble, so that the client's own has a
// hash of its old list of servers in its name: it was not found, and the client was left without.
func TestAChangedEnsembleFindsItsFileBesideAForeignOne(t *testing.T) {
	dir := t.TempDir()
	openAs := func(ensemble string) *Cache {
		t.Helper()
		c, err := Open(dir, ensemble, "/prod/rpcx/Arith", WithEnsembleMatch(shareOne))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	theirs := openAs("other:2181")
	mustSave(t, theirs, at(9, "tcp@theirs:1"))
	old := openAs("zk1,zk2,zk3")
	mustSave(t, old, at(1, "tcp@a:1"))
	mustSave(t, old, at(2, "tcp@b:1"))
	write(t, old.OverridePath(), `["tcp@127.0.0.1:1"]`)
	stranger := openAs("zk7,zk8,zk9")
	_, err := stranger.Load()
	wantError(t, err, ErrForeign)
	if stranger.Path() == old.Path() || !strings.Contains(err.Error(), `ours is "/prod/rpcx/Arith", "zk7,zk8,zk9"`) {
		t.Errorf("%s: %v", stranger.Path(), err)
	}
	mustSave(t, stranger, at(7, "tcp@stranger:1"))

	changed := openAs("zk1,zk2,zk4")
	wantSame(t, mustLoad(t, changed), at(2, "tcp@b:1"))
	if o, err := changed.LoadOverride(); err != nil || len(o.Servers) != 1 {
		t.Errorf("override %v, %v", o, err)
	}
	mustSave(t, changed, at(3, "tcp@c:1"))
	if changed.Path() != old.Path() {
		t.Errorf("saved to %s, found in %s: processes with the old list do not share it", changed.Path(), old.Path())
	}
	wantSame(t, mustLoad(t, openAs("zk1,zk2,zk3")), at(3, "tcp@c:1")) // as after the change is taken back
	wantSame(t, mustLoad(t, openAs("zk4")), at(3, "tcp@c:1"))

	// Also when only the predecessor is left.
	if err := os.Remove(changed.Path()); err != nil {
		t.Fatal(err)
	}
	wantSame(t, mustLoad(t, openAs("zk2,zk5")), at(2, "tcp@b:1"))
	wantSame(t, mustLoad(t, openAs("zk9")), at(7, "tcp@stranger:1"))
	wantSame(t, mustLoad(t, theirs), at(9, "tcp@theirs:1"))
}

// Two files that are ours: the later one counts, whatever its name.
func TestOfSeveralFilesBesideAForeignOneTheLatestIsOurs(t *testing.T) {
	dir := t.TempDir()
	mustSave(t, mustForeign(t, mustOpen(t, dir)), at(9, "tcp@theirs:1"))
	for i, ensemble := range []string{"zk1", "zk3", "zk2"} {
		c, err := Open(dir, ensemble, "/prod/rpcx/Arith")
		if err != nil {
			t.Fatal(err)
		}
		mustSave(t, c, at(int64(1+i%2), "tcp@"+ensemble+":1")) // zk3's is the latest
	}
	ours, err := Open(dir, "zk1,zk2,zk3", "/prod/rpcx/Arith", WithEnsembleMatch(shareOne))
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, mustLoad(t, ours), at(2, "tcp@zk3:1"))
}
