package filecache

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/internal/belief"
	"github.com/holdfast-go/holdfast/tests/bubbles"
)

// kept is a Keeper in a bubble, and the file as another process has it.
type kept struct {
	*Keeper
	theirs *Cache
	logs   *lines
	saved  []Saved // read it after pass
}

// keeping runs a test with a Keeper in a bubble. before prepares the file.
func keeping(t *testing.T, before func(theirs *Cache), test func(t *testing.T, k *kept)) {
	t.Helper()
	dir := t.TempDir()
	bubbles.Test(t, func(t *testing.T) {
		k := &kept{theirs: mustOpen(t, dir, WithPollingOnly()), logs: &lines{}}
		if before != nil {
			before(k.theirs)
		}
		k.Keeper = k.start(dir, nil)
		synctest.Wait()
		test(t, k)
		if err := k.Close(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
	})
}

// start starts another Keeper of the same file; first is called before it is opened.
func (k *kept) start(dir string, first func()) *Keeper {
	return Keep(func() (*Cache, error) {
		if first != nil {
			first()
		}
		return Open(dir, "zk1:2181", "/prod/rpcx/Arith", WithPollingOnly(), WithLogger(k.logs.logger()))
	}, KeeperConfig{Logger: slog.New(slog.NewTextHandler(k.logs, nil)), Dir: dir, Saved: func(s Saved) { k.saved = append(k.saved, s) }})
}

func recordOf(s Snapshot) *belief.Record { return s.record() }

// news is what there is to take, if anything.
func (k *kept) next(t *testing.T) News {
	t.Helper()
	select {
	case n := <-k.News():
		return n
	default:
		t.Fatal("no news")
		return News{}
	}
}

func (k *kept) quiet(t *testing.T) {
	t.Helper()
	select {
	case n := <-k.News():
		t.Errorf("news: %+v", n)
	default:
	}
}

func (k *kept) has(t *testing.T, want Snapshot) {
	t.Helper()
	wantSame(t, mustLoad(t, k.theirs), want)
}

func TestKeeperTellsWhatIsThere(t *testing.T) {
	for name, tt := range map[string]struct {
		before func(theirs *Cache)
		check  func(t *testing.T, n News)
	}{
		"nothing": {nil, func(t *testing.T, n News) {
			if n.File != nil || n.Override != nil || !errors.Is(n.Err, errNone) {
				t.Errorf("news %+v", n)
			}
		}},
		"a list": {func(c *Cache) { _ = c.Save(at(1, "tcp@a:1")) }, func(t *testing.T, n News) {
			if n.File == nil || n.Err != nil || filepath.Base(n.File.Path) != listFile {
				t.Fatalf("news %+v", n)
			}
			wantSame(t, bare(*n.File), at(1, "tcp@a:1"))
		}},
		"an override": {func(c *Cache) { _ = os.WriteFile(c.OverridePath(), []byte(`["tcp@o:1"]`), 0o600) }, func(t *testing.T, n News) {
			if n.Override == nil || len(n.Override.Servers) != 1 {
				t.Errorf("news %+v", n)
			}
		}},
		"damage": {func(c *Cache) { _ = os.WriteFile(c.Path(), []byte("damaged"), 0o600) }, func(t *testing.T, n News) {
			if n.File != nil || !errors.Is(n.Err, ErrCorrupt) {
				t.Errorf("news %+v", n)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			keeping(t, tt.before, func(t *testing.T, k *kept) {
				tt.check(t, k.next(t))
				if st := k.Status(); st.Path != k.theirs.Path() || st.OverridePath != k.theirs.OverridePath() || st.Err != nil {
					t.Errorf("status %+v", st)
				}
				pass(time.Minute)
			})
		})
	}
}

func TestKeeperWritesAtOnceAndThenOnceASecond(t *testing.T) {
	keeping(t, nil, func(t *testing.T, k *kept) {
		k.Save(recordOf(at(1, "tcp@a:1")))
		pass(0)
		k.has(t, at(1, "tcp@a:1"))
		for n := range int64(100) {
			k.Save(recordOf(at(n+2, fmt.Sprintf("tcp@a:%d", n))))
			pass(100 * time.Millisecond)
		}
		if n := k.Status().Saves; n < 9 || n > 12 {
			t.Errorf("%d writes in 10 s of constant change, want one a second", n)
		}
		pass(time.Second)
		k.has(t, at(101, "tcp@a:99"))
		if len(k.saved) != int(k.Status().Saves) || k.saved[0].Servers != 1 || k.saved[0].Err != nil {
			t.Errorf("told of %d saves, the first %+v", len(k.saved), k.saved[0])
		}
		k.Save(recordOf(at(200, "tcp@last:1"))) // and Close follows at once
		if err := k.Close(); err != nil {
			t.Error(err)
		}
		k.has(t, at(200, "tcp@last:1"))
		k.Save(recordOf(at(201, "tcp@a:1")))
		pass(time.Minute)
		k.has(t, at(200, "tcp@last:1"))
	})
}

// F4: a cleaner or a person has removed the file of a quiet service, or its directory.
func TestARemovedFileIsWrittenAgainAtTheNextLook(t *testing.T) {
	keeping(t, nil, func(t *testing.T, k *kept) {
		s := at(1, "tcp@a:1")
		k.Save(recordOf(s))
		for range 3 {
			pass(time.Hour)
			remove(t, k.theirs.Path())
			pass(2 * pollInterval)
			k.has(t, s)
			if err := os.RemoveAll(k.theirs.home); err != nil {
				t.Fatal(err)
			}
			pass(2 * pollInterval)
			k.has(t, s)
		}
		pass(time.Hour)
		remove(t, k.theirs.Path())
		if err := k.Close(); err != nil {
			t.Error(err)
		}
		k.has(t, s)
	})
}

// F3: what was only read is never written.
func TestAFileThatWasOnlyReadIsNotWritten(t *testing.T) {
	keeping(t, func(c *Cache) { _ = c.Save(at(1, "tcp@a:1")) }, func(t *testing.T, k *kept) {
		remove(t, k.theirs.Path())
		pass(time.Hour)
		if _, err := k.theirs.Load(); !errors.Is(err, errNone) {
			t.Error(err)
		}
	})
}

func TestKeeperTellsOfAFileThatIsInTheWay(t *testing.T) {
	keeping(t, nil, func(t *testing.T, k *kept) {
		k.next(t)
		k.Save(recordOf(at(1, "tcp@a:1")))
		pass(0)
		mustSave(t, k.theirs, at(9, "tcp@b:1"))
		k.Save(recordOf(at(5, "tcp@c:1")))
		pass(saveGap)
		n := k.next(t)
		if n.File == nil || !n.InTheWay {
			t.Fatalf("news %+v", n)
		}
		wantSame(t, bare(*n.File), at(9, "tcp@b:1"))
		if st := k.Status(); st.Err != nil || st.Failures != 0 {
			t.Errorf("that is no failure: %+v", st)
		}
		k.Save(recordOf(at(10, "tcp@c:1")))
		pass(saveGap)
		k.has(t, at(10, "tcp@c:1"))
		pass(time.Minute)
		k.quiet(t)
		mustSave(t, k.theirs, at(11, "tcp@d:1"))
		pass(2 * pollInterval)
		if n := k.next(t); n.InTheWay || n.File == nil || n.File.Zxid != 11 {
			t.Errorf("news %+v", n)
		}
	})
}

// What is too old to be used may be later than ours all the same. Nobody was told, and nothing was saved any more.
func TestKeeperTellsOfAFileThatIsTooOldAndInTheWay(t *testing.T) {
	dir := t.TempDir()
	bubbles.Test(t, func(t *testing.T) {
		theirs := mustOpen(t, dir, WithPollingOnly())
		mustSave(t, theirs, Snapshot{Era: 2, Zxid: 9, AsOf: time.Now(), Servers: []Server{{Key: "tcp@b:1"}}})
		time.Sleep(time.Hour)
		k := Keep(func() (*Cache, error) {
			return Open(dir, "zk1:2181", "/prod/rpcx/Arith", WithPollingOnly(), WithMaxAge(time.Minute))
		}, KeeperConfig{Dir: dir})
		if n := <-k.News(); n.File != nil || !errors.Is(n.Err, ErrTooOld) {
			t.Errorf("news %+v", n)
		}
		k.Save(recordOf(Snapshot{Era: 1, Zxid: 20, AsOf: time.Now(), Servers: []Server{{Key: "tcp@c:1"}}}))
		if n := <-k.News(); n.File == nil || !n.InTheWay || n.File.Era != 2 {
			t.Errorf("news %+v", n)
		}
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
}

// The owner logs each override that comes, and has taken what was found before the watch looks.
func TestAnOverrideThatIsThereAtTheStartIsNewsOnce(t *testing.T) {
	keeping(t, func(c *Cache) { write(t, c.OverridePath(), `["tcp@o:1"]`) }, func(t *testing.T, k *kept) {
		owner := &kept{logs: k.logs}
		owner.Keeper = owner.start(k.theirs.dir, nil)
		defer owner.Close()
		if n := <-owner.News(); n.Override == nil {
			t.Fatalf("news %+v", n)
		}
		pass(time.Minute)
		owner.quiet(t)
		write(t, k.theirs.OverridePath(), `["tcp@o:2"]`)
		pass(2 * pollInterval)
		owner.overridden(t, "tcp@o:2")
	})
}

// Nobody has taken the news for a while: the newest of each kind is there.
func TestNewsThatWasNotTakenIsJoined(t *testing.T) {
	keeping(t, func(c *Cache) { _ = c.Save(at(1, "tcp@a:1")) }, func(t *testing.T, k *kept) {
		write(t, k.theirs.OverridePath(), `["tcp@o:1"]`)
		pass(2 * pollInterval)
		pass(lastRestamp * 5 / 4) // one restamp, with its jitter, and no second
		n := k.next(t)
		if n.File == nil || n.Override == nil || !n.Restamp || n.Err != nil || k.Status().OverridePath != k.theirs.OverridePath() {
			t.Fatalf("news %+v", n)
		}
		remove(t, k.theirs.OverridePath())
		mustSave(t, k.theirs, at(2, "tcp@b:1"))
		pass(4 * pollInterval)
		if n := k.next(t); n.File == nil || n.File.Zxid != 2 || n.Override != nil || n.Restamp {
			t.Errorf("news %+v", n)
		}
	})
}

func TestKeeperAsksForARestamp(t *testing.T) {
	keeping(t, nil, func(t *testing.T, k *kept) {
		k.next(t)
		asked := 0
		for range 10 * lastRestamp / time.Minute {
			pass(time.Minute)
			select {
			case n := <-k.News():
				if !n.Restamp {
					t.Errorf("news %+v", n)
				}
				asked++
			default:
			}
		}
		if asked < 9 || asked > 11 {
			t.Errorf("asked %d times in ten times %v", asked, lastRestamp)
		}
	})
}

func TestAtRestNothingIsRead(t *testing.T) {
	dir := t.TempDir()
	bubbles.Test(t, func(t *testing.T) {
		fsys := &countingFS{fileSystem: disk{}}
		c := mustOpen(t, dir, WithPollingOnly(), WithOverrideDir(t.TempDir()))
		c.fsys = fsys
		mustSave(t, c, at(1, "tcp@a:1"))
		mustSave(t, c, at(2, "tcp@b:1"))
		write(t, c.OverridePath(), `["tcp@o:1"]`)
		write(t, filepath.Join(c.at, "app.log"), "")
		k := Keep(func() (*Cache, error) { return c, nil }, KeeperConfig{})
		pass(time.Minute)
		fsys.reads.Store(0)
		fsys.stats.Store(0)
		pass(time.Hour)
		if reads, stats := fsys.reads.Load(), fsys.stats.Load(); reads != 0 || stats == 0 || stats > 12*3600/4 {
			t.Errorf("%d reads and %d stats in an hour", reads, stats)
		}
		remove(t, c.OverridePath())
		pass(time.Minute)
		fsys.reads.Store(0)
		pass(time.Hour)
		if reads := fsys.reads.Load(); reads != 0 {
			t.Errorf("%d reads in an hour without an override", reads)
		}
		if err := k.Close(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
	})
}

// countingFS counts what goes to the disk.
type countingFS struct {
	fileSystem
	reads, stats atomic.Int64
}

func (c *countingFS) open(path string) (fs.File, error) {
	c.reads.Add(1)
	return c.fileSystem.open(path)
}

func (c *countingFS) readDir(dir string) ([]os.DirEntry, error) {
	c.reads.Add(1)
	return c.fileSystem.readDir(dir)
}

func (c *countingFS) stat(path string) (os.FileInfo, error) {
	c.stats.Add(1)
	return c.fileSystem.stat(path)
}
