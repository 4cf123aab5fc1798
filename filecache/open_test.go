package filecache

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestOpenNamesEveryMistakeAtOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "")
	long := strings.Repeat("x", maxNameLength+1)
	for _, tt := range []struct {
		rule, dir, ensemble, service string
		opts                         []Option
		want                         []string
	}{
		{"empty directory and service", "", "e", "", nil, []string{`directory "": must not be empty`, `service "": must not be empty`}},
		{"a directory that is a file", file, "e", "s", nil, []string{file, "must be a directory"}},
		{"a directory below a file", filepath.Join(file, "a", "b"), "e", "s", nil, []string{file, "must be a directory"}},
		{"names that are too long", "", long, long, nil, []string{"ensemble", "service", "4097 bytes, at most 4096"}},
		{"names that are no text", "", "\xff", "\xfe", nil, []string{`ensemble "\xff": must be UTF-8`, `service "\xfe": must be UTF-8`}},
		{"a negative age", "", "e", "s", []Option{WithMaxAge(-time.Hour)}, []string{"WithMaxAge(-1h0m0s)", "not negative"}},
		{"a second service", "", "e", "s", []Option{WithService("t")}, []string{`WithService("t")`, "for Wrap"}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			c, err := Open(tt.dir, tt.ensemble, tt.service, tt.opts...)
			if err == nil {
				t.Fatalf("opened %s", c.Path())
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not mention %q", err, part)
				}
			}
		})
	}
}

func TestOpenMakesThePrivateDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	mustOpen(t, dir)
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v", info.Mode())
	}
}

func TestDirectoryMayAppearLater(t *testing.T) {
	c := onFaults(t, filepath.Join(t.TempDir(), "later"), &faultFS{fileSystem: disk{}, failAt: 1, err: errInjected}, &lines{})
	_, err := c.Load()
	wantError(t, err, errNone)
	mustSave(t, c, at(1, "tcp@a:1"))
	if err := os.RemoveAll(c.dir); err != nil {
		t.Fatal(err)
	}
	mustSave(t, c, at(2, "tcp@b:1"))
	wantSame(t, mustLoad(t, c), at(2, "tcp@b:1"))
}

func TestDirectoryOfEverybodyIsReported(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no such modes")
	}
	dir := t.TempDir()
	logs := &lines{}
	mustOpen(t, dir, WithLogger(logs.logger()))
	if logs.String() != "" {
		t.Errorf("a private directory is reported as\n%s", logs)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, dir, WithLogger(logs.logger()))
	if logs.count("anybody may write") != 1 {
		t.Errorf("reported as\n%s", logs)
	}
}

func TestRelativeDirectoryStaysWhereItWas(t *testing.T) {
	t.Chdir(t.TempDir())
	c := mustOpen(t, "cache")
	mustSave(t, c, at(1, "tcp@a:1"))
	t.Chdir(t.TempDir())
	wantSame(t, mustLoad(t, c), at(1, "tcp@a:1"))
}

func TestOptionsThatAreNilMeanTheDefault(t *testing.T) {
	c := mustOpen(t, t.TempDir(), WithLogger(nil), WithOverrideDir(""), nil)
	mustSave(t, c, at(1, "tcp@a:1"))
	write(t, c.Path(), "damaged")
	if _, err := c.Load(); !errors.Is(err, ErrCorrupt) {
		t.Error(err)
	}
}
