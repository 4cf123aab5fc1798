package filecache

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/tests/bubbles"
)

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

// Who sorts what it has received, or clears it, changes nothing for Watch, which still knows what it has said.
func TestReceivedOverrideBelongsToTheReceiver(t *testing.T) {
	watching(t, func(t *testing.T, ours, _ *Cache, _ *lines) {
		write(t, ours.OverridePath(), `["tcp@o:2", "tcp@o:1"]`)
		ch := ours.Watch(t.Context())
		s := <-ch
		clear(s.Servers)
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

func TestWatchTellsAlsoAnOverrideThatWasLoaded(t *testing.T) {
	watching(t, func(t *testing.T, ours, _ *Cache, _ *lines) {
		write(t, ours.OverridePath(), `["tcp@o:1"]`)
		if _, err := ours.LoadOverride(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			ch := ours.Watch(t.Context())
			synctest.Wait()
			wantOverride(t, ch, "tcp@o:1")
			look()
			wantNothing(t, ch)
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
		write(t, ours.OverridePath(), `["tcp@o:1"]`)
		look()
		write(t, ours.OverridePath(), `["tcp@o:1"; "tcp@o:2"]`) // the same mistake again, after it had been mended
		look()
		wantNothing(t, ch)
		if n := logs.count("override refused"); n != 4 {
			t.Errorf("%d lines for 4 mistakes:\n%s", n, logs)
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
		ch := make(chan Snapshot, 1)
		w := ours.newWatch(func(s Snapshot) { ch <- s })
		w.compare(time.Now())
		wantOverride(t, ch, "tcp@o:1")
		remove(t, ours.OverridePath())
		if !w.compare(time.Now()) {
			t.Error("no second look at what may only be on its way")
		}
		write(t, ours.OverridePath(), `["tcp@o:2"]`)
		w.compare(time.Now())
		wantOverride(t, ch, "tcp@o:2")
		wantNothing(t, ch)
	})
}

func TestOverrideOfAKubernetesVolumeIsFollowed(t *testing.T) {
	watching(t, func(t *testing.T, ours, _ *Cache, _ *lines) {
		volume(t, ours.OverridePath(), "v1", `["tcp@o:1"]`)
		ch := ours.Watch(t.Context())
		synctest.Wait()
		wantOverride(t, ch, "tcp@o:1")
		volume(t, ours.OverridePath(), "v2", `["tcp@o:2"]`)
		look()
		wantOverride(t, ch, "tcp@o:2")
	})
}

// volume puts an override where a ConfigMap would: a link to ..data/name, where ..data is a link that is replaced.
func volume(tb testing.TB, path, version, text string) {
	tb.Helper()
	dir, name := filepath.Split(path)
	real := filepath.Join(dir, ".."+version)
	if err := os.Mkdir(real, 0o700); err != nil {
		tb.Fatal(err)
	}
	write(tb, filepath.Join(real, name), text)
	data, temp := filepath.Join(dir, "..data"), filepath.Join(dir, "..data_tmp")
	if err := errors.Join(os.Symlink(".."+version, temp), os.Rename(temp, data)); err != nil {
		tb.Fatal(err)
	}
	if err := os.Symlink(filepath.Join("..data", name), path); err != nil && !errors.Is(err, os.ErrExist) {
		tb.Fatal(err)
	}
}

// V5: whoever has made a mistake in an override needs to know which list the program goes by.
func TestARefusedOverrideSaysWhichListIsInForce(t *testing.T) {
	dir, second := t.TempDir(), t.TempDir()
	bubbles.Test(t, func(t *testing.T) {
		logs := &lines{}
		c := mustOpen(t, dir, WithPollingOnly(), WithOverrideDir(second), WithLogger(logs.logger()))
		defer c.Close()
		ch := c.Watch(t.Context())
		synctest.Wait() // it has looked, and does not meet a file that is half written
		mistakes := 0
		mistake := func(path, want string) {
			t.Helper()
			mistakes++
			write(t, path, fmt.Sprintf(`["tcp@o:%d"; "tcp@p:1"]`, mistakes))
			look()
			if n := logs.count("the override file is not used"); n != mistakes {
				t.Fatalf("%d lines for %d mistakes:\n%s", n, mistakes, logs)
			}
			if !strings.Contains(logs.String()[strings.LastIndex(logs.String(), "the override file is not used"):], "in_force="+want) {
				t.Errorf("mistake %d: want %s to be in force:\n%s", mistakes, want, logs)
			}
		}
		ours, mounted := c.overrides[0], c.overrides[1]
		mistake(ours, `"the source's list"`)
		mistake(mounted, `"the source's list"`)
		write(t, mounted, `["tcp@m:1"]`)
		look()
		wantOverride(t, ch, "tcp@m:1")
		mistake(ours, `"the override `+mounted+`"`)
		mistake(mounted, `"the last good override"`)
		write(t, ours, `["tcp@o:1"]`)
		look()
		wantOverride(t, ch, "tcp@o:1")
		mistake(mounted, `"the override `+ours+`"`)
		mistake(ours, `"the last good override"`)
	})
}
