package filecache

import (
	"errors"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// F2: what is no good is not used, not fatal, set aside and reported; and the generation before it is used.
func TestDamagedFileIsSetAsideAndItsPredecessorUsed(t *testing.T) {
	damage := map[string]func(tb testing.TB, path string){
		"empty":       func(tb testing.TB, path string) { write(tb, path, "") },
		"truncated":   func(tb testing.TB, path string) { resize(tb, path, 150) },
		"cut in head": func(tb testing.TB, path string) { resize(tb, path, 30) },
		"zeros":       func(tb testing.TB, path string) { write(tb, path, string(make([]byte, 500))) },
		"one bit":     spoil,
		"garbage":     func(tb testing.TB, path string) { write(tb, path, strings.Repeat("garbage\n", 100)) },
		"1 GB":        func(tb testing.TB, path string) { resize(tb, path, 1<<30) },
		"a directory": func(tb testing.TB, path string) {
			if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
				tb.Fatal(err)
			}
		},
	}
	for name, spoil := range damage {
		t.Run(name, func(t *testing.T) {
			logs := &lines{}
			c := mustOpen(t, t.TempDir(), WithLogger(logs.logger()))
			mustSave(t, c, at(1, "tcp@a:1"))
			mustSave(t, c, at(2, "tcp@b:1"))
			spoil(t, c.Path())
			began := time.Now()
			wantSame(t, mustLoad(t, c), at(1, "tcp@a:1"))
			if took := time.Since(began); took > time.Second {
				t.Errorf("it took %v", took)
			}
			if logs.count("set aside") != 1 || logs.count("older generation") != 1 {
				t.Errorf("reported as\n%s", logs)
			}
			if aside := setAside(t, c); len(aside) != 1 {
				t.Errorf("set aside: %q", aside)
			}
			mustSave(t, c, at(3, "tcp@c:1"))
			wantSame(t, mustLoad(t, c), at(3, "tcp@c:1"))

			// Both: nothing is left to use.
			spoil(t, c.main)
			spoil(t, c.prev)
			_, err := c.Load()
			wantError(t, err, ErrCorrupt)
			if errors.Is(err, errNone) {
				t.Errorf("error %v says that there was no file", err)
			}
			_, err = c.Load()
			wantError(t, err, errNone) // they are out of the way
		})
	}
}

func TestSaveSetsADamagedFileAside(t *testing.T) {
	c := mustOpen(t, t.TempDir())
	mustSave(t, c, at(1, "tcp@a:1"))
	mustSave(t, c, at(5, "tcp@b:1"))
	spoil(t, c.Path())
	wantError(t, c.Save(at(0, "tcp@old:1")), ErrNewer) // than the predecessor, which is the newest good one now
	mustSave(t, c, at(2, "tcp@c:1"))
	wantSame(t, mustLoad(t, c), at(2, "tcp@c:1"))
	if aside := setAside(t, c); len(aside) != 1 {
		t.Errorf("set aside: %q", aside)
	}
	write(t, c.Path(), "damaged")
	wantSame(t, mustLoad(t, c), at(1, "tcp@a:1")) // the damaged file has not become the predecessor
}

func TestLostFileIsWrittenAgainFromItsPredecessorsList(t *testing.T) {
	c := mustOpen(t, t.TempDir())
	mustSave(t, c, at(1, "tcp@a:1"))
	mustSave(t, c, at(2, "tcp@b:1"))
	if err := os.Remove(c.Path()); err != nil {
		t.Fatal(err)
	}
	mustSave(t, c, at(1, "tcp@a:1")) // says nothing new, and yet the file is missing
	if _, err := os.Stat(c.Path()); err != nil {
		t.Error(err)
	}
	wantSame(t, mustLoad(t, c), at(1, "tcp@a:1"))
}

func TestFewDamagedFilesAreKept(t *testing.T) {
	c := mustOpen(t, t.TempDir())
	for range 3 * keptCorrupt {
		write(t, c.Path(), "damaged")
		_, err := c.Load()
		wantError(t, err, ErrCorrupt)
	}
	if aside := setAside(t, c); len(aside) != keptCorrupt {
		t.Errorf("kept: %q", aside)
	}
}

// A writer at work may just be replacing the damaged file, so Load neither waits for it nor moves what it has put there.
func TestLoadDoesNotWaitForAWriter(t *testing.T) {
	logs := &lines{}
	c := mustOpen(t, t.TempDir(), WithLogger(logs.logger()))
	mustSave(t, c, at(1, "tcp@a:1"))
	spoil(t, c.Path())
	unlock, ok, err := disk{}.tryLock(c.lock)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	began := time.Now()
	_, err = c.Load()
	wantError(t, err, ErrCorrupt)
	if took := time.Since(began); took > lockTimeout/2 {
		t.Errorf("Load took %v", took)
	}
	if aside := setAside(t, c); len(aside) != 0 {
		t.Errorf("moved: %q", aside)
	}
	if n := logs.count(`level=WARN msg="damaged file left in place, since somebody is writing"`); n != 1 {
		t.Errorf("told %d times:\n%s", n, logs)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
}

func TestFileThatWasReplacedMeanwhileIsUsed(t *testing.T) {
	dir := t.TempDir()
	theirs := mustOpen(t, dir)
	mustSave(t, theirs, at(1, "tcp@a:1"))
	mustSave(t, theirs, at(2, "tcp@b:1"))
	spoil(t, theirs.Path())
	c := onFaults(t, dir, beforeLock{disk{}, func() { mustSave(t, theirs, at(3, "tcp@c:1")) }}, &lines{})
	wantSame(t, mustLoad(t, c), at(3, "tcp@c:1"))
	if _, err := os.Stat(c.Path()); err != nil {
		t.Errorf("the good file was moved: %v", err)
	}
}

// beforeLock is a disk on which something happens before a lock is taken.
type beforeLock struct {
	fileSystem
	do func()
}

func (b beforeLock) tryLock(path string) (func() error, bool, error) {
	b.do()
	return b.fileSystem.tryLock(path)
}

func TestUnreadableFileIsReportedAndNotMoved(t *testing.T) {
	dir := t.TempDir()
	good := mustOpen(t, dir)
	mustSave(t, good, at(1, "tcp@a:1"))
	mustSave(t, good, at(2, "tcp@b:1"))
	before := names(t, good.at)
	logs := &lines{}
	c := onFaults(t, dir, noPermission{disk{}, good.main}, logs)
	wantSame(t, mustLoad(t, c), at(1, "tcp@a:1"))
	if logs.count("permission denied") != 1 {
		t.Errorf("reported as\n%s", logs)
	}
	wantError(t, c.Save(at(3, "tcp@c:1")), os.ErrPermission) // what must not be overwritten cannot be told
	if after := names(t, good.at); !slices.Equal(before, after) {
		t.Errorf("files before %q, after %q", before, after)
	}
}

// WithMaxAge counts from AsOf, not from when the file was written.
func TestTooOldCountsFromTheLastConfirmation(t *testing.T) {
	dir := t.TempDir()
	s := at(1, "tcp@a:1")
	s.AsOf = time.Now().Add(-time.Hour)
	mustSave(t, mustOpen(t, dir), s)
	_, err := mustOpen(t, dir, WithMaxAge(time.Minute)).Load()
	wantError(t, err, ErrTooOld)
	if _, err := mustOpen(t, dir, WithMaxAge(2*time.Hour)).Load(); err != nil {
		t.Error(err)
	}
	if _, err := mustOpen(t, dir).Load(); err != nil {
		t.Error(err)
	}
}

func TestLoadedSnapshotBelongsToTheCaller(t *testing.T) {
	c := mustOpen(t, t.TempDir())
	mustSave(t, c, at(1, "tcp@a:1", "tcp@b:1"))
	s := mustLoad(t, c)
	clear(s.Servers)
	wantSame(t, mustLoad(t, c), at(1, "tcp@a:1", "tcp@b:1"))
}

// noPermission is a disk on which one file cannot be opened; as root, permissions mean nothing.
type noPermission struct {
	fileSystem
	path string
}

func (n noPermission) open(path string) (fs.File, error) {
	if path == n.path {
		return nil, &os.PathError{Op: "open", Path: path, Err: os.ErrPermission}
	}
	return n.fileSystem.open(path)
}

func resize(tb testing.TB, path string, size int64) {
	tb.Helper()
	if runtime.GOOS == "windows" && size > maxFileSize {
		tb.Skip("no sparse file")
	}
	if err := os.Truncate(path, size); err != nil {
		tb.Fatal(err)
	}
}

func names(tb testing.TB, dir string) []string {
	tb.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		tb.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// setAside are the damaged files that were set aside.
func setAside(tb testing.TB, c *Cache) []string {
	tb.Helper()
	return slices.DeleteFunc(names(tb, c.at), func(name string) bool { return !strings.Contains(name, ".corrupt-") })
}

// A clock was ahead when the file was written, or ours was set back since.
func TestAFileFromTheFutureIsOfUnknownAge(t *testing.T) {
	for _, tc := range []struct {
		ahead, limit time.Duration
		refused      bool
	}{
		{time.Minute, time.Hour, false},
		{2 * time.Hour, time.Hour, true},
		{24 * 365 * time.Hour, 24 * 365 * time.Hour / 2, true},
		{24 * 365 * time.Hour, 0, false},
	} {
		dir := t.TempDir()
		s := at(1, "tcp@a:1")
		s.AsOf = time.Now().Add(tc.ahead).Round(0).UTC()
		mustSave(t, mustOpen(t, dir), s)
		c := mustOpen(t, dir, WithMaxAge(tc.limit))
		if _, err := c.Load(); !tc.refused && err != nil || tc.refused && (!errors.Is(err, ErrTooOld) || !strings.Contains(err.Error(), "in the future")) {
			t.Errorf("%v ahead, limit %v: %v", tc.ahead, tc.limit, err)
		}
		// Its source confirms the same list: now the age is known.
		s.AsOf = time.Now().Round(0).UTC()
		mustSave(t, c, s)
		wantSame(t, mustLoad(t, c), s)
	}
}

// A hold that began in the future would not end before that: where nobody can be asked, a server that is gone would be listed for so long.
func TestAHoldFromTheFutureBeganNow(t *testing.T) {
	c := mustOpen(t, t.TempDir())
	s := at(1, "tcp@a:1", "quic@b:1")
	s.Servers[0].HeldSince = noon
	s.Servers[1].HeldSince = time.Now().Add(24 * 365 * time.Hour)
	mustSave(t, c, s)
	got := mustLoad(t, c)
	if since := got.Servers[0].HeldSince; !since.Equal(noon) {
		t.Errorf("held since %v, want %v as it was saved", since, noon)
	}
	if since := time.Since(got.Servers[1].HeldSince); since < 0 || since > time.Minute {
		t.Errorf("held since %v ago", since)
	}
}
