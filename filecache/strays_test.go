package filecache

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/tests/bubbles"
)

// F3: an override with a name that nobody reads is told once, with the name that is right. The first is what the README said once.
func TestAnOverrideWithAWrongNameIsTold(t *testing.T) {
	for _, tt := range []struct {
		name string
		at   func(c *Cache) string
		told int
	}{
		{"as it was called once", func(c *Cache) string { return filepath.Join(c.dir, "Arith.override.json") }, 1},
		{"in the ensemble's directory", func(c *Cache) string { return filepath.Join(c.home, "override.json") }, 1},
		{"above the service's", func(c *Cache) string { return filepath.Join(filepath.Dir(c.at), "Arith.json") }, 1},
		{"beside the list", func(c *Cache) string { return filepath.Join(c.at, "Override.JSON") }, 1},
		{"for a service that is not there", func(c *Cache) string { return filepath.Join(c.dir, "Katalog.override.json") }, 1},
		{"as Notepad saves it", func(c *Cache) string { return filepath.Join(c.at, "override.json.txt") }, 1},
		{"without .json", func(c *Cache) string { return filepath.Join(c.at, "override") }, 1},
		{"with the service's name, by Notepad", func(c *Cache) string { return filepath.Join(filepath.Dir(c.at), "Arith.json.txt") }, 1},
		{"in a directory without the mark of capital letters", func(c *Cache) string { return filepath.Join(filepath.Dir(c.at), "Arith", "override.json") }, 1},
		{"something else", func(c *Cache) string { return filepath.Join(c.at, "app.log") }, 0},
		{"our own", func(c *Cache) string { return filepath.Join(c.home, ensembleFile) }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			watching(t, func(t *testing.T, ours, theirs *Cache, logs *lines) {
				mustSave(t, ours, at(1, "tcp@a:1"))
				ours.Watch(t.Context())
				look()
				if n := logs.count("nobody reads"); n != 0 {
					t.Errorf("told of nothing:\n%s", logs)
				}
				if path := tt.at(ours); filepath.Base(path) != ensembleFile {
					if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
						t.Fatal(err)
					}
					write(t, path, `["tcp@o:1"]`)
				}
				pass(time.Minute)
				mustSave(t, ours, at(2, "tcp@b:1"))
				pass(time.Hour)
				if n := logs.count("nobody reads"); n != tt.told {
					t.Errorf("told %d times, want %d:\n%s", n, tt.told, logs)
				}
				if tt.told > 0 && logs.count("override="+ours.OverridePath()) == 0 {
					t.Errorf("the right name is not told:\n%s", logs)
				}
			})
		})
	}
}

func TestLevelsEndAtTheTop(t *testing.T) {
	for _, tt := range []struct{ dir, top, want string }{
		{"/cache/zk/rpcx/Arith", "/cache", "/cache/zk/rpcx/Arith /cache/zk/rpcx /cache/zk /cache"},
		{"/cache/zk", "/cache/zk", "/cache/zk"},
		{"/zk/rpcx", "/", "/zk/rpcx /zk /"},
		{"/", "/", "/"},
		{"/a/b", "/elsewhere", "/a/b /a /"},
	} {
		if got := filepath.ToSlash(strings.Join(levels(filepath.FromSlash(tt.dir), filepath.FromSlash(tt.top)), " ")); got != tt.want {
			t.Errorf("from %s to %s: %s, want %s", tt.dir, tt.top, got, tt.want)
		}
	}
}

// A container's working directory is often the root, and WithCacheDir(".") means it. Nothing is above the root, and the look above it did not end.
func TestARootIsACacheDirectoryLikeAnyOther(t *testing.T) {
	bubbles.Test(t, func(t *testing.T) {
		cfg := defaultConfig()
		cfg.pollingOnly, cfg.logger = true, logger(t)
		disk := newMemFS() // nothing is written into the root of this machine
		c, err := prepare(disk, "/", "zk1:2181", "/prod/rpcx/Arith", cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		k := Keep(func() (*Cache, error) { return c, c.open() }, KeeperConfig{Logger: logger(t), Dir: c.dir})
		pass(time.Minute)
		k.Save(recordOf(at(1, "tcp@a:1")))
		pass(time.Minute)
		if st := k.Status(); st.Saves != 1 || disk.names[c.main] == nil {
			t.Errorf("status %+v, files %s", st, disk.paths())
		}
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Editors keep a copy of what was there before, and people put an override away for later.
func TestACopyBesideAnOverrideIsNotTold(t *testing.T) {
	watching(t, func(t *testing.T, ours, _ *Cache, logs *lines) {
		write(t, ours.OverridePath(), `["tcp@o:1"]`)
		for _, name := range []string{"override.json~", "override.json.bak", "override.old"} {
			write(t, filepath.Join(ours.at, name), `["tcp@o:2"]`)
		}
		ours.Watch(t.Context())
		pass(time.Minute)
		if n := logs.count("nobody reads"); n != 0 {
			t.Errorf("told:\n%s", logs)
		}
	})
}

// Where a file system ignores case, Arith is a name of the directory of arith, too.
func TestAnotherServicesOverrideIsNotTold(t *testing.T) {
	watching(t, func(t *testing.T, ours, _ *Cache, logs *lines) {
		ours.fsys = ignoringCase{disk{}}
		theirs := filepath.Join(filepath.Dir(ours.at), "arith")
		if err := os.Mkdir(theirs, 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(theirs, "override.json"), `["tcp@o:1"]`)
		ours.Watch(t.Context())
		pass(time.Minute)
		if n := logs.count("nobody reads"); n != 0 {
			t.Errorf("told:\n%s", logs)
		}
	})
}

// ignoringCase is a disk that finds arith also as Arith.
type ignoringCase struct{ fileSystem }

func (i ignoringCase) stat(path string) (os.FileInfo, error) { return i.fileSystem.stat(folded(path)) }

func (i ignoringCase) readDir(dir string) ([]os.DirEntry, error) {
	return i.fileSystem.readDir(folded(dir))
}

func folded(path string) string {
	if dir, name := filepath.Split(path); name == "Arith" {
		return filepath.Join(dir, "arith")
	}
	return path
}

// One directory may have all: the lists below it, and overrides flat in it, as WithOverrideDir has them. An override is read by whoever it is of.
func TestOverridesInTheCacheDirectoryAreNotTold(t *testing.T) {
	dir := t.TempDir()
	bubbles.Test(t, func(t *testing.T) {
		logs := &lines{}
		for _, name := range []string{"prod__rpcx__Arith.json", "prod__rpcx__Other.json", "prod__rpcx__Third.json"} {
			write(t, filepath.Join(dir, name), `["tcp@o:1"]`)
		}
		write(t, filepath.Join(dir, "Other.json"), `["tcp@o:1"]`)
		for _, service := range []string{"/prod/rpcx/Arith", "/prod/rpcx/Other"} { // the third belongs to another process
			c, err := Open(dir, "zk1:2181", service, WithPollingOnly(), WithOverrideDir(dir), WithLogger(logs.logger()))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			ch := c.Watch(t.Context())
			pass(time.Minute)
			wantOverride(t, ch, "tcp@o:1")
		}
		write(t, filepath.Join(dir, "Arith.json"), `["tcp@o:1"]`)
		pass(time.Minute)
		if logs.count("nobody reads") != 2 || logs.count("override="+filepath.Join(dir, "prod__rpcx__Arith.json")) != 1 {
			t.Errorf("told:\n%s", logs)
		}
	})
}

// Of many services, the one that is meant tells; and nobody fills the log.
func TestTheServiceThatIsMeantTellsOfAStrayFile(t *testing.T) {
	dir := t.TempDir()
	bubbles.Test(t, func(t *testing.T) {
		logs := &lines{}
		var meant *Cache
		for i := range 50 {
			c, err := Open(dir, "zk", fmt.Sprintf("/rpcx/S%d", i), WithPollingOnly(), WithLogger(logs.logger()))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.Watch(t.Context())
			if i == 49 {
				meant = c
			}
		}
		look()
		write(t, filepath.Join(dir, "S49.override.json"), `["tcp@o:1"]`)
		pass(time.Hour)
		if n := logs.count("nobody reads"); n != 1 || logs.count("service=/rpcx/S49") == 0 || logs.count(meant.OverridePath()) == 0 {
			t.Errorf("told %d times:\n%s", n, logs)
		}
		for i := range 1000 {
			write(t, filepath.Join(dir, fmt.Sprintf("%d.json", i)), "{}")
		}
		pass(time.Hour)
		if n := logs.count("nobody reads"); n > maxStrays {
			t.Errorf("told %d times", n)
		}
	})
}

// Lists of the older layout lay flat in the directory. One line says that they are not read.
func TestListsOfTheOlderLayoutAreTold(t *testing.T) {
	watching(t, func(t *testing.T, ours, theirs *Cache, logs *lines) {
		mustSave(t, theirs, at(1, "tcp@a:1"))
		data, err := os.ReadFile(theirs.Path())
		if err != nil {
			t.Fatal(err)
		}
		remove(t, theirs.Path())
		for _, name := range []string{"prod,rpcx,_Arith.json", "prod,rpcx,_Arith.prev.json", "prod,rpcx,_Other.json", "prod,rpcx,_Arith.lock"} {
			write(t, filepath.Join(ours.dir, name), string(data))
		}
		if _, err := ours.Load(); err == nil {
			t.Error("read")
		}
		ours.Watch(t.Context())
		pass(time.Hour)
		if logs.count("level=INFO") != 1 || logs.count("older layout") != 1 || logs.count("files=3") != 1 || logs.count("WARN") != 0 {
			t.Errorf("told:\n%s", logs)
		}
	})
}

func TestAnOverrideInTheOperatorsDirectoryIsReadAndLosesToOurs(t *testing.T) {
	dir, operators := t.TempDir(), t.TempDir()
	bubbles.Test(t, func(t *testing.T) {
		logs := &lines{}
		c := mustOpen(t, dir, WithPollingOnly(), WithOverrideDir(operators), WithLogger(logs.logger()))
		flat := filepath.Join(operators, "prod__rpcx__Arith.json")
		_, err := c.LoadOverride()
		wantError(t, err, errNone)
		write(t, filepath.Join(operators, "Arith.json"), `["tcp@wrong:1"]`)
		write(t, filepath.Join(operators, "prod__rpcx__Other.json"), `["tcp@other:1"]`)
		ch := c.Watch(t.Context())
		look()
		wantNothing(t, ch)
		if logs.count("nobody reads") != 1 || logs.count("override="+flat) != 1 {
			t.Errorf("told:\n%s", logs)
		}

		write(t, flat, `["tcp@flat:1"]`)
		if s, err := c.LoadOverride(); err != nil || s.Path != flat {
			t.Errorf("override from %q, %v", s.Path, err)
		}
		look()
		wantOverride(t, ch, "tcp@flat:1")
		write(t, c.OverridePath(), `["tcp@ours:1"`) // bad, and none was good before
		look()
		wantNothing(t, ch)
		if s, err := c.LoadOverride(); err != nil || s.Path != flat {
			t.Errorf("override from %q, %v", s.Path, err)
		}
		write(t, c.OverridePath(), `["tcp@ours:1"]`)
		look()
		wantOverride(t, ch, "tcp@ours:1")
		write(t, flat, `["tcp@flat:2"]`)
		look()
		wantNothing(t, ch)
		remove(t, c.OverridePath())
		look()
		wantOverride(t, ch, "tcp@flat:2")
		remove(t, flat)
		look()
		if s := <-ch; s.Override {
			t.Errorf("got %+v", s)
		}
		_ = c.Close()
		synctest.Wait()
	})
}

// In a Kubernetes volume our file's name is in no event (hazard F4): it is a link to ..data/name, and ..data is a link that is replaced.
func TestAnOverrideOfAConfigMapIsNoticedByEvents(t *testing.T) {
	t.Parallel()
	operators := t.TempDir()
	c := mustOpen(t, t.TempDir(), WithOverrideDir(operators))
	ch := c.Watch(t.Context())
	settled(t, &notifications, operators)
	volume(t, c.overrides[1], "v1", `["tcp@o:1"]`)
	next(t, ch, notified)
	volume(t, c.overrides[1], "v2", `["tcp@o:2"]`)
	if s := next(t, ch, notified); s.Servers[0].Key != "tcp@o:2" {
		t.Fatalf("got %+v, want the new version", s)
	}
}

// A copy of the list is a valid override, as it is and with lines taken out.
func TestACopyOfTheListIsAnOverride(t *testing.T) {
	c := mustOpen(t, t.TempDir())
	s := at(1, "tcp@a:1", "tcp@b:1")
	s.Servers[0].HeldSince = noon
	s.Servers[1].Value = "\xff"
	mustSave(t, c, s)
	data, err := os.ReadFile(c.Path())
	if err != nil {
		t.Fatal(err)
	}
	write(t, c.OverridePath(), string(data))
	o, err := c.LoadOverride()
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Servers) != 2 || !o.Servers[0].HeldSince.IsZero() || o.Servers[1].Value != "\xff" || !o.Override || o.Zxid != 0 || o.Lineage != "" {
		t.Errorf("override %+v", o)
	}
	s.Servers = nil
	s.Zxid++
	mustSave(t, c, s)
	if data, err = os.ReadFile(c.Path()); err != nil {
		t.Fatal(err)
	}
	write(t, c.OverridePath(), string(data))
	_, err = c.LoadOverride()
	wantError(t, err, ErrOverride) // an empty one must say that it is meant to be
}

func TestACopyOfALargeListIsAnOverride(t *testing.T) {
	c := mustOpen(t, t.TempDir())
	s := at(1)
	for i := range 1000 {
		s.Servers = append(s.Servers, Server{Key: fmt.Sprintf("tcp@a:%d", i+1), Value: strings.Repeat("x", 20<<10)})
	}
	mustSave(t, c, s)
	data, err := os.ReadFile(c.Path())
	if err != nil {
		t.Fatal(err)
	}
	write(t, c.OverridePath(), string(data))
	if o, err := c.LoadOverride(); err != nil || len(o.Servers) != len(s.Servers) {
		t.Errorf("of %d bytes, %d servers: %v", len(data), len(o.Servers), err)
	}
}

// Somebody has edited the list by hand, which breaks its checksum.
func TestAnEditedListSaysWhatToDoInstead(t *testing.T) {
	logs := &lines{}
	c := mustOpen(t, t.TempDir(), WithLogger(logs.logger()))
	mustSave(t, c, at(1, "tcp@a:1"))
	spoil(t, c.Path())
	_, err := c.Load()
	wantError(t, err, ErrCorrupt)
	if logs.count("set aside") != 1 || logs.count("write override.json beside it") != 1 {
		t.Errorf("told:\n%s", logs)
	}
}

// A process may use thousands of services, each for a moment. What was told stays told, for a service that is used every now and then.
func TestADirectoryThatNobodyWatchesIsForgotten(t *testing.T) {
	dir := t.TempDir()
	bubbles.Test(t, func(t *testing.T) {
		before, logs := len(strayFiles.dirs), &lines{}
		use := func(service string) {
			c, err := Open(dir, "zk1:2181", service, WithPollingOnly(), WithLogger(logs.logger()))
			if err != nil {
				t.Fatal(err)
			}
			c.Watch(t.Context())
			pass(time.Minute)
			if len(strayFiles.dirs) == before {
				t.Error("it is not looked at")
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
		for i := range 20 {
			use(fmt.Sprintf("/rpcx/s%d", i))
		}
		if n := len(strayFiles.dirs) - before; n != 0 {
			t.Errorf("%d directories are remembered", n)
		}
		write(t, filepath.Join(dir, "zk1_2181", "rpcx", "s0", "override"), "[]")
		for range 20 {
			use("/rpcx/s0")
		}
		if n := logs.count("nobody reads"); n != 1 {
			t.Errorf("told %d times:\n%s", n, logs)
		}
	})
}
