//go:build unix

package zkdiscovery

import (
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// homeless is a process without a home directory; the temporary directory is what prepare makes of it.
func homeless(t *testing.T, prepare func(temp, ours string)) (temp, ours string) {
	t.Helper()
	temp = t.TempDir()
	t.Setenv("HOME", "")
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("TMPDIR", temp)
	ours = filepath.Join(temp, "holdfast-"+strconv.Itoa(os.Geteuid()))
	prepare(temp, ours)
	return temp, ours
}

func TestTheCacheBelongsInTheUsersCacheDirectory(t *testing.T) {
	home := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", home)
	log := new(records)
	if dir, err := cacheDirectory("", slog.New(log)); dir != filepath.Join(home, "holdfast") || err != nil || len(log.from(slog.LevelDebug)) > 0 {
		t.Errorf("%q, %v, log %q", dir, err, log.from(slog.LevelDebug))
	}
}

// The file decides which servers are called, so nobody else may have a hand in it.
func TestADirectoryBelowTheTemporaryOneIsUsedOnlyIfItIsOurs(t *testing.T) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	chmod := func(path string, mode os.FileMode) { must(os.Chmod(path, mode)) } // whatever the umask
	for _, tc := range []struct {
		name    string
		root    bool // only root can prepare it
		prepare func(temp, ours string)
		why     string // "" if it is to be used
	}{
		{"there is none", false, func(string, string) {}, ""},
		{"it is there from last time", false, func(_, ours string) { must(os.Mkdir(ours, 0o700)) }, ""},
		{"others may read it", false, func(_, ours string) { must(os.Mkdir(ours, 0o700)); chmod(ours, 0o755) }, ""},
		{"others may write it", false, func(_, ours string) { must(os.Mkdir(ours, 0o700)); chmod(ours, 0o777) }, "may be written by others"},
		{"the group may write it", false, func(_, ours string) { must(os.Mkdir(ours, 0o700)); chmod(ours, 0o770) }, "may be written by others"},
		{"it is another user's", true, func(_, ours string) { must(os.Mkdir(ours, 0o700)); must(os.Chown(ours, 65534, 65534)) }, "belongs to another user"},
		{"it is a link to somewhere", false, func(temp, ours string) {
			must(os.Mkdir(filepath.Join(temp, "elsewhere"), 0o700))
			must(os.Symlink(filepath.Join(temp, "elsewhere"), ours))
		}, "is not a directory"},
		{"it is a file", false, func(_, ours string) { must(os.WriteFile(ours, nil, 0o600)) }, "is not a directory"},
		{"the temporary directory is everybody's, with a sticky bit", false, func(temp, _ string) { chmod(temp, 0o777|os.ModeSticky) }, ""},
		{"the temporary directory is everybody's, without", false, func(temp, _ string) { chmod(temp, 0o777) }, "has no sticky bit"},
		{"there is no temporary directory", false, func(temp, _ string) { must(os.Remove(temp)) }, "no such file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.root && os.Geteuid() != 0 {
				t.Skip("only root can give a directory away")
			}
			_, ours := homeless(t, tc.prepare)
			log := new(records)
			dir, err := cacheDirectory("", slog.New(log))
			if tc.why == "" {
				if info, statErr := os.Stat(ours); err != nil || dir != ours || statErr != nil || info.Mode().Perm()&0o022 != 0 {
					t.Errorf("%q, %v", dir, err)
				}
				if len(log.with(slog.LevelWarn, "temporary", ours)) != 1 {
					t.Errorf("told: %q", log.from(slog.LevelDebug))
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.why) {
				t.Errorf("%q, %v; want it refused, because it %s", dir, err, tc.why)
			}
		})
	}
}

// wantCacheIn fails the test if the cache directory is not dir, or if the use of temp is not told in so many lines.
func wantCacheIn(t *testing.T, what, dir, temp string, lines int) {
	t.Helper()
	log := new(records)
	if got, err := cacheDirectory("", slog.New(log)); got != dir || err != nil || len(log.with(slog.LevelWarn, "temporary", temp)) != lines {
		t.Errorf("%s: %q, %v, want %q; log %q", what, got, err, dir, log.from(slog.LevelDebug))
	}
}

// F9: a home directory that cannot be written is as good as none, unless there are lists in it from before.
func TestAHomeThatCannotBeWrittenIsAsGoodAsNone(t *testing.T) {
	_, ours := homeless(t, func(string, string) {})
	home := t.TempDir()
	cache := filepath.Join(home, "holdfast")
	t.Setenv("XDG_CACHE_HOME", home)
	if err := os.WriteFile(cache, nil, 0o600); err != nil { // nobody can make a directory there, root neither
		t.Fatal(err)
	}
	wantCacheIn(t, "a file in its place", ours, ours, 1)
	if err := os.Remove(cache); err != nil {
		t.Fatal(err)
	}
	wantCacheIn(t, "a directory that can be made", cache, ours, 0)
	if entries, err := os.ReadDir(cache); err != nil || len(entries) > 0 {
		t.Errorf("something is left: %v, %v", entries, err)
	}
}

func TestWithoutADirectoryThatCanBeTrustedThereIsNoFileAndEverybodyIsTold(t *testing.T) {
	_, ours := homeless(t, func(_, ours string) {
		if err := os.Mkdir(ours, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(ours, 0o777); err != nil {
			t.Fatal(err)
		}
	})
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		d := w.discover("Arith", withoutCacheDir())
		pass(time.Minute)
		w.source(d, Live)
		st := d.Status()
		if st.CacheFile != "" || st.CacheErr == nil || !strings.Contains(st.String(), "may be written by others") {
			t.Errorf("Status does not tell: file %q, %v", st.CacheFile, st)
		}
		if lines := w.log.with(slog.LevelError, "no cache file", ours); len(lines) != 1 {
			t.Errorf("reported: %q", lines)
		}
		if entries, err := os.ReadDir(ours); err != nil || len(entries) > 0 {
			t.Errorf("something was written there: %v, %v", entries, err)
		}
		d.Close()
		w.zk.Stop()
		_, err := New("/rpcx", "Arith", []string{"zk:2181"}, w.options(withoutCacheDir())...)
		wantError(t, err, ErrNoSnapshot, "may be written by others")
	})
}
