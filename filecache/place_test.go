package filecache

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// openAs opens the file of one service for a client of the ensemble.
func openAs(tb testing.TB, dir, ensemble string) *Cache {
	tb.Helper()
	c, err := Open(dir, ensemble, "/prod/rpcx/Arith", WithLogger(logger(tb)))
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func wantPath(tb testing.TB, c *Cache, path, want string) {
	tb.Helper()
	if got, err := filepath.Rel(c.dir, path); err != nil || filepath.ToSlash(got) != want {
		tb.Errorf("the file is %s, want %s, %v", got, want, err)
	}
}

// F2: each ensemble has a directory of its own, and each service one in it.
func TestEveryEnsembleAndServiceHasADirectory(t *testing.T) {
	dir := t.TempDir()
	for ensemble, want := range map[string]string{
		"zk2:2181,zk1:2181":      "zk1_2181,zk2_2181/prod/rpcx/Arith~c1/",
		"zk1:2181,zk2:2181/prod": "zk1_2181,zk2_2181+prod/prod/rpcx/Arith~c1/",
		"prod":                   "prod/prod/rpcx/Arith~c1/",
		"Prod":                   "Prod~c1/prod/rpcx/Arith~c1/",
		"[::1]:2181":             "[__1]_2181/prod/rpcx/Arith~c1/",
		"":                       "%/prod/rpcx/Arith~c1/",
	} {
		c := openAs(t, dir, ensemble)
		wantPath(t, c, c.Path(), want+"list.json")
		wantPath(t, c, c.OverridePath(), want+"override.json")
		mustSave(t, c, at(1, "tcp@"+c.id.text+":1"))
	}
	for _, ensemble := range []string{"zk1:2181,zk2:2181,zk1:2181", "prod", "Prod", "zk1:2181,zk2:2181/prod/", ""} {
		c := openAs(t, dir, ensemble)
		wantSame(t, mustLoad(t, c), at(1, "tcp@"+c.id.text+":1"))
	}
}

// A service may be called after the directory that others are in.
func TestAServiceMayBeTheBeginningOfAnother(t *testing.T) {
	dir := t.TempDir()
	var caches []*Cache
	for _, service := range []string{"/a/b", "/a/b/c", "/a/b/list.json", "/a/b/override.json/x", "/a", "a", "a/b"} {
		c, err := Open(dir, "zk", service)
		if err != nil {
			t.Fatal(err)
		}
		mustSave(t, c, at(1, "tcp@"+service+":1"))
		mustSave(t, c, at(2, "tcp@"+service+":2"))
		write(t, c.OverridePath(), `["tcp@o:1"]`)
		caches = append(caches, c)
	}
	for _, c := range caches {
		wantSame(t, mustLoad(t, c), at(2, "tcp@"+c.service+":2"))
		if _, err := c.LoadOverride(); err != nil {
			t.Error(err)
		}
	}
}

// An operator has replaced zk3 by zk4 and restarts a client in an outage. Another ensemble's lists are no matter.
func TestAChangedEnsembleFindsItsLists(t *testing.T) {
	dir := t.TempDir()
	mustSave(t, openAs(t, dir, "other:1"), at(9, "tcp@theirs:1"))
	mustSave(t, openAs(t, dir, "zk1:1,zk2:1,zk3:1/elsewhere"), at(8, "tcp@elsewhere:1"))
	old := openAs(t, dir, "zk1:1,zk2:1,zk3:1")
	mustSave(t, old, at(1, "tcp@a:1"))
	write(t, old.OverridePath(), `["tcp@127.0.0.1:1"]`)
	stranger := openAs(t, dir, "zk7:1,zk8:1")
	_, err := stranger.Load()
	wantError(t, err, errNone)
	_, err = stranger.LoadOverride()
	wantError(t, err, errNone)
	mustSave(t, stranger, at(7, "tcp@stranger:1"))

	changed := openAs(t, dir, "zk1:1,zk2:1,zk4:1")
	wantSame(t, mustLoad(t, changed), at(1, "tcp@a:1"))
	if _, err := changed.LoadOverride(); err != nil {
		t.Error(err)
	}
	mustSave(t, changed, at(3, "tcp@c:1"))
	if changed.Path() != old.Path() {
		t.Errorf("saved to %s, found in %s: processes with the old list of servers do not share it", changed.Path(), old.Path())
	}
	wantSame(t, mustLoad(t, openAs(t, dir, "zk1:1,zk2:1,zk3:1")), at(3, "tcp@c:1")) // as after the change is taken back
	wantSame(t, mustLoad(t, openAs(t, dir, "zk3:1")), at(3, "tcp@c:1"))

	// That zk4 was once in the same ensemble does not make a client of zk4 alone the owner: it may be another ensemble's by now.
	_, err = openAs(t, dir, "zk4:1").Load()
	wantError(t, err, errNone)
	wantSame(t, mustLoad(t, stranger), at(7, "tcp@stranger:1"))
}

// Of two directories that may be ours, neither of exactly our servers, the one with the newest list is.
func TestOfSeveralDirectoriesTheOneWithTheNewestListIsOurs(t *testing.T) {
	dir := t.TempDir()
	for i, ensemble := range []string{"zk1:1", "zk3:1", "zk2:1"} {
		mustSave(t, openAs(t, dir, ensemble), at(int64(1+i%2), "tcp@"+ensemble+":1")) // zk3's is the newest
	}
	wantSame(t, mustLoad(t, openAs(t, dir, "zk1:1,zk2:1,zk3:1")), at(2, "tcp@zk3:1:1"))
	wantSame(t, mustLoad(t, openAs(t, dir, "zk1:1")), at(1, "tcp@zk1:1:1")) // exactly ours
}

// Which directory is ours does not change while the Cache is open, whatever others do.
func TestTheDirectoryIsDecidedOnce(t *testing.T) {
	dir := t.TempDir()
	ours, theirs := openAs(t, dir, "zk1:1"), openAs(t, dir, "zk2:1")
	write(t, ours.OverridePath(), `["tcp@10.0.0.1:1"]`)
	if _, err := theirs.LoadOverride(); !errors.Is(err, errNone) {
		t.Errorf("the other ensemble's client obeys it, too: %v", err)
	}
	mustSave(t, theirs, at(9, "tcp@theirs:1"))
	mustSave(t, ours, at(1, "tcp@a:1"))
	both := openAs(t, dir, "zk1:1,zk2:1")
	mustSave(t, both, at(10, "tcp@both:1"))
	if err := os.RemoveAll(theirs.home); err != nil {
		t.Fatal(err)
	}
	if o, err := ours.LoadOverride(); err != nil || o.Path != ours.OverridePath() {
		t.Errorf("override from %q, %v", o.Path, err)
	}
	wantSame(t, mustLoad(t, ours), at(1, "tcp@a:1"))
}

// A directory says whose it is in a file of its own, which a cleaner or a person may remove.
func TestAListSaysWhoseItsDirectoryIs(t *testing.T) {
	dir := t.TempDir()
	theirs := openAs(t, dir, "zk1_2181") // a name, which gives the same directory as our host
	mustSave(t, theirs, at(9, "tcp@theirs:1"))
	remove(t, filepath.Join(theirs.home, ensembleFile))
	ours := openAs(t, dir, "zk1:2181")
	wantPath(t, ours, ours.Path(), "zk1_2181-2/prod/rpcx/Arith~c1/list.json")
	mustSave(t, ours, at(1, "tcp@a:1"))
	remove(t, filepath.Join(ours.home, ensembleFile))
	mustSave(t, ours, at(2, "tcp@b:1")) // writes it again
	wantSame(t, mustLoad(t, openAs(t, dir, "zk1:2181")), at(2, "tcp@b:1"))
	wantSame(t, mustLoad(t, openAs(t, dir, "zk1_2181")), at(9, "tcp@theirs:1"))
}

// An operator may make the directory before any client runs.
func TestADirectoryThatAPersonHasMadeIsUsed(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "prod", "prod", "rpcx", "Arith~c1")
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(path, "override.json"), `["tcp@o:1"]`)
	if s, err := openAs(t, dir, "prod").LoadOverride(); err != nil || len(s.Servers) != 1 {
		t.Errorf("override %+v, %v", s, err)
	}
}

func TestANameThatLooksLikeHostsIsANameWhereThatIsSaid(t *testing.T) {
	dir := t.TempDir()
	hosts := openAs(t, dir, "a:1,b:1")
	mustSave(t, hosts, at(1, "tcp@hosts:1"))
	c, err := Open(dir, "a:1", "/prod/rpcx/Arith", WithNamedEnsemble())
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Load()
	wantError(t, err, errNone)
	mustSave(t, c, at(2, "tcp@name:1"))
	wantPath(t, c, c.Path(), "a%3a1/prod/rpcx/Arith~c1/list.json")
	c, err = Open(dir, "a:1", "/prod/rpcx/Arith", WithNamedEnsemble())
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, mustLoad(t, c), at(2, "tcp@name:1"))
	wantSame(t, mustLoad(t, openAs(t, dir, "a:1")), at(1, "tcp@hosts:1"))
}

// Two programs that start at once, of one ensemble and of two, decide without treading on each other.
func TestManyOpenAtOnce(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	homes := make([]string, 20)
	for i := range homes {
		wg.Go(func() { homes[i] = openAs(t, dir, []string{"zk1:2181", "zk1_2181"}[i%2]).home })
	}
	wg.Wait()
	for i, home := range homes {
		if home != homes[i%2] || homes[0] == homes[1] {
			t.Fatalf("homes %q", homes)
		}
	}
}

// Somebody else has the lock for as long as he likes, or there are no locks: what stands there decides, and Open does not wait for ever.
func TestOpenNeedsNoLock(t *testing.T) {
	dir := t.TempDir()
	unlock, ok, err := disk{}.tryLock(filepath.Join(dir, openLock))
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	c := openAs(t, dir, "zk1:2181")
	mustSave(t, c, at(1, "tcp@a:1"))
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	logs := &lines{}
	without := onFaults(t, t.TempDir(), withoutLocks{disk{}}, logs)
	mustSave(t, without, at(1, "tcp@a:1"))
	if _, err := os.Stat(filepath.Join(without.home, ensembleFile)); err != nil {
		t.Error(err)
	}
}

// F2: what somebody has copied into our directory is not ours, and not ours to remove.
func TestAForeignFileInOurDirectoryIsLeftAlone(t *testing.T) {
	for name, whose := range map[string][2]string{
		"of another service":  {"zk1:2181", "/prod/rpcx/Other"},
		"of another ensemble": {"other:2181", "/prod/rpcx/Arith"},
		"damaged besides":     {"other:2181", "/prod/rpcx/Arith"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			ours := mustOpen(t, dir)
			other, err := Open(dir, whose[0], whose[1])
			if err != nil {
				t.Fatal(err)
			}
			mustSave(t, other, at(1, "tcp@other:1"))
			if name == "damaged besides" {
				spoil(t, other.Path())
			}
			if err := os.Rename(other.Path(), ours.Path()); err != nil {
				t.Fatal(err)
			}
			_, err = ours.Load()
			wantError(t, err, ErrForeign)
			wantError(t, ours.Save(at(5, "tcp@a:1")), ErrForeign)
			if aside := setAside(t, ours); len(aside) != 0 {
				t.Errorf("moved: %q", aside)
			}
		})
	}
}

// Another ensemble's directory was moved to our name while the Cache was open.
func TestNothingIsWrittenIntoAnotherEnsemblesDirectory(t *testing.T) {
	dir := t.TempDir()
	ours := openAs(t, dir, "zk1:2181")
	theirs := openAs(t, dir, "other:2181")
	mustSave(t, theirs, at(9, "tcp@theirs:1"))
	if err := errors.Join(os.RemoveAll(ours.home), os.Rename(theirs.home, ours.home)); err != nil {
		t.Fatal(err)
	}
	wantError(t, ours.Save(at(10, "tcp@a:1")), ErrForeign)
	_, err := ours.Load()
	wantError(t, err, ErrForeign)
}

// A later version of this library owns its file: this one leaves it alone, uses what is older, and says why it cannot write.
func TestFileOfALaterVersionIsLeftAlone(t *testing.T) {
	logs := &lines{}
	c := mustOpen(t, t.TempDir(), WithLogger(logs.logger()))
	mustSave(t, c, at(1, "tcp@a:1"))
	mustSave(t, c, at(2, "tcp@b:1"))
	later := `{"holdfast": 2, "whatever": "comes"}`
	write(t, c.main, later)
	wantSame(t, mustLoad(t, c), at(1, "tcp@a:1"))
	if logs.count("later format version") == 0 {
		t.Errorf("reported as\n%s", logs)
	}
	wantError(t, c.Save(at(3, "tcp@c:1")), ErrVersion)
	if data, err := os.ReadFile(c.main); err != nil || string(data) != later {
		t.Errorf("the file is %q, %v now", data, err)
	}
	remove(t, c.prev)
	_, err := c.Load()
	wantError(t, err, ErrVersion)
}

func TestEnsemblesThatAreWrittenDifferentlyAreTheSame(t *testing.T) {
	for _, tt := range []struct {
		a, b      string
		is, mayBe bool
	}{
		{"a:1,b:1", "b:1,a:1,a:1", true, true},
		{"a:1/x", "a:1/x/", true, true},
		{"a:1", "a:1/x", false, false},
		{"a:1,b:1", "b:1,c:1", false, true},
		{"a:1,b:1", "c:1", false, false},
		{"prod", "prod", true, true},
		{"prod", "prod,eu", false, false},
		{"a,b", "b,c", false, false}, // names: hosts have ports
	} {
		a, b := parseEnsemble(tt.a), parseEnsemble(tt.b)
		if a.is(b) != tt.is || a.mayBe(b) != tt.mayBe || b.mayBe(a) != tt.mayBe {
			t.Errorf("%q and %q: the same %t, may be %t", tt.a, tt.b, a.is(b), a.mayBe(b))
		}
	}
	if name := parseEnsemble(strings.Repeat("host:2181,", 50) + "host:1").directoryName(); len(name) > maxPart {
		t.Errorf("a directory's name of %d bytes", len(name))
	}
}
