package filecache

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// These tests look at what Watch says, in a bubble, where it polls; directories_test.go has those about how it notices.

// watching runs a test with a Cache, and another for the same file, in a bubble.
func watching(t *testing.T, test func(t *testing.T, ours, theirs *Cache, logs *lines)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
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

func wantOverride(tb testing.TB, ch <-chan Snapshot, keys ...string) {
	tb.Helper()
	select {
	case s := <-ch:
		if !s.Override {
			tb.Fatalf("got %+v, want an override", s)
		}
		wantKeys(tb, listOf(s), keys...)
	default:
		tb.Fatal("nothing was delivered")
	}
}

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

func TestOverrideComesChangesAndGoes(t *testing.T) {
	watching(t, func(t *testing.T, ours, _ *Cache, _ *lines) {
		mustSave(t, ours, at(1, "tcp@a:1"))
		write(t, ours.OverridePath(), `["tcp@o:1"]`)
		ch := ours.Watch(t.Context())
		synctest.Wait()
		wantOverride(t, ch, "tcp@o:1") // the one that is there already, at once

		look()
		wantNothing(t, ch)
		write(t, ours.OverridePath(), `{"comment": "the same, in other words", "servers": [{"key": "tcp@o:1"}]}`)
		look()
		wantNothing(t, ch)

		write(t, ours.OverridePath(), `["tcp@o:1", "tcp@o:2"]`)
		look()
		wantOverride(t, ch, "tcp@o:1", "tcp@o:2")
		write(t, ours.OverridePath(), `{"empty": true}`)
		look()
		wantOverride(t, ch)

		remove(t, ours.OverridePath())
		look()
		wantFile(t, ch, at(1, "tcp@a:1"))
		look()
		wantNothing(t, ch)
	})
}

func TestEndOfOverrideWithoutFileSaysSo(t *testing.T) {
	watching(t, func(t *testing.T, ours, _ *Cache, _ *lines) {
		write(t, ours.OverridePath(), `["tcp@o:1"]`)
		ch := ours.Watch(t.Context())
		synctest.Wait()
		wantOverride(t, ch, "tcp@o:1")
		remove(t, ours.OverridePath())
		look()
		if s := <-ch; s.Override || s.Lineage != "" || len(s.Servers) != 0 || !s.SavedAt.IsZero() || s.Service != ours.service {
			t.Errorf("got %+v", s)
		}
	})
}

// A start reads the override, and then watches. One that goes in between is gone nevertheless.
func TestOverrideThatWasOnlyLoadedEndsToo(t *testing.T) {
	watching(t, func(t *testing.T, ours, _ *Cache, _ *lines) {
		mustSave(t, ours, at(1, "tcp@a:1"))
		write(t, ours.OverridePath(), `["tcp@o:1"]`)
		s, err := ours.LoadOverride()
		if err != nil {
			t.Fatal(err)
		}
		clear(s.Servers) // the caller's own
		remove(t, ours.OverridePath())
		ch := ours.Watch(t.Context())
		look()
		wantFile(t, ch, at(1, "tcp@a:1"))

		write(t, ours.OverridePath(), `["tcp@o:1"]`)
		if _, err := ours.LoadOverride(); err != nil {
			t.Fatal(err)
		}
		write(t, ours.OverridePath(), `nonsense`) // which leaves the last good one in force
		ch = ours.Watch(t.Context())
		look()
		wantNothing(t, ch)
		remove(t, ours.OverridePath())
		look()
		wantFile(t, ch, at(1, "tcp@a:1"))

		_, err = ours.LoadOverride()
		wantError(t, err, errNone)
		ch = ours.Watch(t.Context())
		look()
		wantNothing(t, ch) // there is nothing to end
	})
}

func TestBadOverrideChangesNothing(t *testing.T) {
	watching(t, func(t *testing.T, ours, theirs *Cache, logs *lines) {
		mustSave(t, ours, at(1, "tcp@a:1"))
		write(t, ours.OverridePath(), `["tcp@o:1"`)
		ch := ours.Watch(t.Context())
		look()
		wantNothing(t, ch) // none was in force, so none is
		mustSave(t, theirs, at(2, "tcp@b:1"))
		look()
		wantFile(t, ch, at(2, "tcp@b:1"))
		remove(t, ours.OverridePath())
		look()
		wantNothing(t, ch)

		write(t, ours.OverridePath(), `["tcp@o:1"]`)
		look()
		wantOverride(t, ch, "tcp@o:1")
		write(t, ours.OverridePath(), `["tcp@o:1" "tcp@o:2"]`)
		look()
		look()
		wantNothing(t, ch) // the last good one stays
		write(t, ours.OverridePath(), `["tcp@o:1"; "tcp@o:2"]`)
		look()
		wantNothing(t, ch)
		if n := logs.count("override refused"); n != 3 {
			t.Errorf("%d lines for 3 mistakes:\n%s", n, logs)
		}
		if logs.count("1:12: invalid character") != 1 {
			t.Errorf("no line and reason:\n%s", logs)
		}
		remove(t, ours.OverridePath())
		look()
		wantFile(t, ch, at(2, "tcp@b:1"))
	})
}

// Many editors write beside the file and rename, or remove it first.
func TestEditorReplacingTheOverrideDoesNotEndIt(t *testing.T) {
	watching(t, func(t *testing.T, ours, _ *Cache, _ *lines) {
		write(t, ours.OverridePath(), `["tcp@o:1"]`)
		w := &watch{c: ours, ch: make(chan Snapshot, 1), seen: ours.baseline()}
		w.look()
		wantOverride(t, w.ch, "tcp@o:1")
		remove(t, ours.OverridePath())
		if !w.look() {
			t.Error("no second look at what may only be on its way")
		}
		write(t, ours.OverridePath(), `["tcp@o:2"]`)
		w.look()
		wantOverride(t, w.ch, "tcp@o:2")
		wantNothing(t, w.ch)
	})
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
	synctest.Test(t, func(t *testing.T) {
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
		if n := logs.count("left in place"); n != 1 {
			t.Errorf("%d reports of one damaged file:\n%s", n, logs)
		}
		_ = ours.Close()
		synctest.Wait()
	})
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

func TestOverrideOfAKubernetesVolumeIsFollowed(t *testing.T) {
	watching(t, func(t *testing.T, ours, _ *Cache, _ *lines) {
		volume(t, ours, "v1", `["tcp@o:1"]`)
		ch := ours.Watch(t.Context())
		synctest.Wait()
		wantOverride(t, ch, "tcp@o:1")
		volume(t, ours, "v2", `["tcp@o:2"]`)
		look()
		wantOverride(t, ch, "tcp@o:2")
	})
}

// volume puts an override where a ConfigMap would: a link to ..data/name, where ..data is a link that is replaced.
func volume(tb testing.TB, c *Cache, version, text string) {
	tb.Helper()
	name := filepath.Base(c.OverridePath())
	real := filepath.Join(c.dir, ".."+version)
	if err := os.Mkdir(real, 0o700); err != nil {
		tb.Fatal(err)
	}
	write(tb, filepath.Join(real, name), text)
	data, temp := filepath.Join(c.dir, "..data"), filepath.Join(c.dir, "..data_tmp")
	if err := errors.Join(os.Symlink(".."+version, temp), os.Rename(temp, data)); err != nil {
		tb.Fatal(err)
	}
	if err := os.Symlink(filepath.Join("..data", name), c.OverridePath()); err != nil && !errors.Is(err, os.ErrExist) {
		tb.Fatal(err)
	}
}

func write(tb testing.TB, path, text string) {
	tb.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
}
