package filecache

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/tests/bubbles"
)

// These tests look at what Watch says, in a bubble, where it polls; directories_test.go has those about how it notices.

// watching runs a test with a Cache, and another for the same file, in a bubble.
func watching(t *testing.T, test func(t *testing.T, ours, theirs *Cache, logs *lines)) {
	t.Helper()
	dir := t.TempDir()
	bubbles.Test(t, func(t *testing.T) {
		logs := &lines{}
		ours := mustOpen(t, dir, WithPollingOnly(), WithLogger(logs.logger()))
		theirs := mustOpen(t, dir)
		test(t, ours, theirs, logs)
		if err := ours.Close(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
	})
}

// look lets every Watch look, twice because it wants to be sure that an override is gone.
func look() { pass(2 * pollInterval) }

func wantFile(tb testing.TB, ch <-chan Snapshot, want Snapshot) {
	tb.Helper()
	select {
	case s := <-ch:
		wantSame(tb, bare(s), want)
	default:
		tb.Fatal("nothing was delivered")
	}
}

func wantNothing(tb testing.TB, ch <-chan Snapshot) {
	tb.Helper()
	select {
	case s, ok := <-ch:
		tb.Fatalf("got %+v (open: %t), want nothing", s, ok)
	default:
	}
}

func remove(tb testing.TB, path string) {
	tb.Helper()
	if err := os.Remove(path); err != nil {
		tb.Fatal(err)
	}
}

// F5, hazard F3: own saves do not come back, others' do, if they are later than what the Cache's user knows.
func TestOnlyAnothersLaterSaveIsNews(t *testing.T) {
	watching(t, func(t *testing.T, ours, theirs *Cache, _ *lines) {
		ch := ours.Watch(t.Context())
		look()
		wantNothing(t, ch)
		mustSave(t, ours, at(1, "tcp@a:1"))
		look()
		wantNothing(t, ch)
		mustSave(t, theirs, at(2, "tcp@b:1"))
		look()
		wantFile(t, ch, at(2, "tcp@b:1"))
		look()
		wantNothing(t, ch)

		confirmed := at(2, "tcp@b:1")
		confirmed.AsOf = confirmed.AsOf.Add(time.Minute)
		mustSave(t, theirs, confirmed)
		look()
		wantFile(t, ch, confirmed)

		mustSave(t, ours, at(5, "tcp@c:1"))
		remove(t, ours.Path())
		mustSave(t, theirs, at(4, "tcp@b:1")) // somebody has restored an old file
		look()
		wantNothing(t, ch)
		mustLoad(t, ours) // which is no reason to forget what was known already
		restored := at(4, "tcp@b:1")
		restored.AsOf = restored.AsOf.Add(time.Second / 2)
		mustSave(t, theirs, restored)
		look()
		wantNothing(t, ch)

		// A refused save: the user learns from the file what is newer.
		mustSave(t, theirs, at(9, "tcp@d:1"))
		wantError(t, ours.Save(at(8, "tcp@e:1")), ErrNewer)
		look()
		wantFile(t, ch, at(9, "tcp@d:1"))
	})
}

func TestWhatWatchFindsIsNewsOnlyToThoseWhoHaveLookedBefore(t *testing.T) {
	watching(t, func(t *testing.T, ours, theirs *Cache, _ *lines) {
		_, err := ours.Load()
		wantError(t, err, errNone)
		mustSave(t, theirs, at(1, "tcp@a:1")) // between Load and Watch
		looked := ours.Watch(t.Context())
		fresh := mustOpen(t, ours.dir, WithPollingOnly())
		defer fresh.Close()
		never := fresh.Watch(t.Context())
		look()
		wantFile(t, looked, at(1, "tcp@a:1"))
		wantNothing(t, never)
	})
}

func TestFileSaysNothingWhileAnOverrideIsInForce(t *testing.T) {
	watching(t, func(t *testing.T, ours, theirs *Cache, _ *lines) {
		mustSave(t, ours, at(1, "tcp@a:1"))
		write(t, ours.OverridePath(), `["tcp@o:1"]`)
		ch := ours.Watch(t.Context())
		synctest.Wait()
		wantOverride(t, ch, "tcp@o:1")
		mustSave(t, theirs, at(2, "tcp@b:1"))
		look()
		wantNothing(t, ch)
		remove(t, ours.OverridePath())
		look()
		wantFile(t, ch, at(2, "tcp@b:1"))
		mustSave(t, theirs, at(3, "tcp@c:1"))
		look()
		wantFile(t, ch, at(3, "tcp@c:1"))
	})
}

func TestWatchDeliversNothingThatLoadWouldRefuse(t *testing.T) {
	dir := t.TempDir()
	bubbles.Test(t, func(t *testing.T) {
		logs := &lines{}
		ours := mustOpen(t, dir, WithPollingOnly(), WithMaxAge(time.Minute), WithLogger(logs.logger()))
		ours.fsys = withoutRename{disk{}} // a damaged file stays where it is
		theirs := mustOpen(t, dir)
		ch := ours.Watch(t.Context())
		old := at(1, "tcp@a:1")
		old.AsOf = time.Now().Add(-time.Hour)
		mustSave(t, theirs, old)
		look()
		wantNothing(t, ch)

		damaged := at(2, "tcp@b:1")
		damaged.AsOf = time.Now()
		mustSave(t, theirs, damaged)
		spoil(t, theirs.Path())
		for range 10 {
			look()
			wantNothing(t, ch)
		}
		if n := logs.count(`level=WARN msg="damaged file left in place" path=`); n != 1 {
			t.Errorf("%d reports of one damaged file:\n%s", n, logs)
		}
		_ = ours.Close()
		synctest.Wait()
	})
}

// A list that cannot be read for a moment, as when the process has no descriptors left, is not bad: it is read at a later look. One of two generations may
// stand in for it in that moment, or none.
func TestAListThatCannotBeReadForAMomentIsToldLater(t *testing.T) {
	for _, before := range []int64{0, 2} {
		watching(t, func(t *testing.T, ours, theirs *Cache, logs *lines) {
			if before > 0 {
				mustSave(t, theirs, at(before-1, "tcp@a:1"))
				mustSave(t, theirs, at(before, "tcp@b:1"))
			}
			_, _ = ours.Load() // which may find nothing
			fsys := &headsOnly{fileSystem: disk{}}
			ours.fsys = fsys
			ch := ours.Watch(t.Context())
			look()
			fsys.fails.Store(true)
			mustSave(t, theirs, at(9, "tcp@c:1"))
			pass(time.Minute)
			wantNothing(t, ch)
			fsys.fails.Store(false)
			pass(time.Minute)
			wantFile(t, ch, at(9, "tcp@c:1"))
			if logs.count("WARN") > 0 {
				t.Errorf("told:\n%s", logs)
			}
		})
	}
}

// headsOnly is a disk that may fail to open a list every other time: its head can be read then, and the rest cannot.
type headsOnly struct {
	fileSystem
	fails atomic.Bool
	opens atomic.Int64
}

func (h *headsOnly) open(path string) (fs.File, error) {
	if h.fails.Load() && filepath.Base(path) == listFile && h.opens.Add(1)%2 == 0 {
		return nil, &fs.PathError{Op: "open", Path: path, Err: syscall.EMFILE}
	}
	return h.fileSystem.open(path)
}

// withoutRename is a disk on which nothing can be renamed.
type withoutRename struct{ fileSystem }

func (withoutRename) rename(string, string) error { return errInjected }

func TestSlowReaderGetsTheNewest(t *testing.T) {
	watching(t, func(t *testing.T, ours, theirs *Cache, _ *lines) {
		slow, quick := ours.Watch(t.Context()), ours.Watch(t.Context())
		for n := range int64(5) {
			mustSave(t, theirs, at(n+1, "tcp@a:1"))
			look()
			wantFile(t, quick, at(n+1, "tcp@a:1"))
		}
		wantFile(t, slow, at(5, "tcp@a:1"))
		wantNothing(t, slow)
	})
}

func TestWatchEndsWithItsContextAndItsCache(t *testing.T) {
	watching(t, func(t *testing.T, ours, _ *Cache, _ *lines) {
		ctx, cancel := context.WithCancel(t.Context())
		one, other := ours.Watch(ctx), ours.Watch(t.Context())
		cancel()
		synctest.Wait()
		if _, open := <-one; open {
			t.Error("still open although its context has ended")
		}
		wantNothing(t, other)
		for range 2 {
			if err := ours.Close(); err != nil {
				t.Error(err)
			}
		}
		if _, open := <-other; open {
			t.Error("still open although the Cache is closed")
		}
		if _, open := <-ours.Watch(t.Context()); open {
			t.Error("open on a closed Cache")
		}
		mustSave(t, ours, at(1, "tcp@a:1"))
		wantSame(t, mustLoad(t, ours), at(1, "tcp@a:1"))
	})
}

var writes atomic.Int64

// write makes path a file with this text. Its time is another at each call, as it is where two changes are not within one tick of the file system's clock.
func write(tb testing.TB, path, text string) {
	tb.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	touch(tb, path)
}

// touch gives a file a time that no other has.
func touch(tb testing.TB, path string) {
	tb.Helper()
	at := time.Now().Add(time.Duration(writes.Add(1)) * time.Millisecond)
	if err := os.Chtimes(path, at, at); err != nil {
		tb.Fatal(err)
	}
}
