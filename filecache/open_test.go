package filecache

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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

// all is what stands below dir: the names, and what is in the files.
func all(tb testing.TB, dir string) map[string]string {
	tb.Helper()
	found := make(map[string]string)
	if err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			found[path] = ""
			return err
		}
		text, err := os.ReadFile(path)
		found[path] = string(text)
		return err
	}); err != nil {
		tb.Fatal(err)
	}
	return found
}

// An operator looks as root at the files of a program, which could not write what root has made.
func TestWhoOnlyReadsLeavesTheDiskAsItIs(t *testing.T) {
	dir := t.TempDir()
	c := mustOpen(t, dir)
	mustSave(t, c, at(1, "tcp@a:1"))
	mustSave(t, c, at(2, "tcp@b:1"))
	write(t, c.Path(), `{"holdfast": 1, "crc32c": "00000000"`)
	write(t, c.OverridePath(), `["tcp@o:1"]`)
	orphan := filepath.Join(c.at, tempPrefix(listFile)+"1")
	write(t, orphan, "")
	if long := time.Now().Add(-2 * orphanAge); os.Chtimes(orphan, long, long) != nil {
		t.Fatal("chtimes")
	}
	was := all(t, dir)

	looks := mustOpen(t, dir, WithReadOnly())
	if looks.Path() != c.Path() || looks.OverridePath() != c.OverridePath() {
		t.Errorf("%s, %s", looks.Path(), looks.OverridePath())
	}
	wantSame(t, mustLoad(t, looks), at(1, "tcp@a:1"))
	if s, err := looks.LoadOverride(); err != nil || s.Path != c.OverridePath() {
		t.Error(s, err)
	}
	wantError(t, looks.Save(at(3, "tcp@c:1")), errReadOnly)
	for _, ensemble := range []string{"zk7:1", "zk1:2181,zk2:2181"} {
		c, err := Open(dir, ensemble, "/never/Seen", WithReadOnly())
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Load()
		wantError(t, err, errNone)
	}
	if _, err := Open(filepath.Join(dir, "nowhere"), "zk", "a", WithReadOnly()); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(was, all(t, dir)); diff != "" {
		t.Error(diff)
	}
}

// A text that is no file yet is judged as the file that it would be.
func TestATextIsJudgedAsTheFileAtItsPath(t *testing.T) {
	c := mustOpen(t, t.TempDir())
	mustSave(t, c, at(1, "tcp@a:1"))
	text, err := os.ReadFile(c.Path())
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Judge(c.prev, text)
	if err != nil || s.Path != c.prev {
		t.Fatal(s.Path, err)
	}
	wantSame(t, bare(s), at(1, "tcp@a:1"))
	if s, err := c.Judge(c.OverridePath(), []byte(`["tcp@o:1"]`)); err != nil || !s.Override || len(s.Servers) != 1 {
		t.Error(s, err)
	}
	foreign, err := Open(t.TempDir(), "zk9:1", "/prod/rpcx/Arith", WithLogger(logger(t)))
	if err != nil {
		t.Fatal(err)
	}
	_, ofAnother := foreign.Judge(foreign.Path(), text)
	_, damaged := c.Judge(c.Path(), text[:len(text)-3])
	_, refused := c.Judge(c.OverridePath(), []byte(`["nonsense"]`))
	_, large := c.Judge(c.OverridePath(), bytes.Repeat([]byte{' '}, maxFileSize+1))
	for _, tc := range []struct {
		err, want error
		path      string
	}{{ofAnother, ErrForeign, foreign.Path()}, {damaged, ErrCorrupt, c.Path()}, {refused, ErrOverride, c.OverridePath()}, {large, ErrOverride, c.OverridePath()}} {
		if !errors.Is(tc.err, tc.want) || strings.Count(tc.err.Error(), tc.path) != 1 {
			t.Errorf("%v, want %v of %s", tc.err, tc.want, tc.path)
		}
	}
}
