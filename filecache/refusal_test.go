package filecache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// refusingFS is a disk that refuses one kind of operation, each time.
type refusingFS struct {
	fileSystem
	kind string
	err  error
	mode fs.FileMode // of new files, if it is not 0: a disk that has one mode for all
}

func (r refusingFS) refuse(kind, path string) error {
	if kind != r.kind {
		return nil
	}
	return &fs.PathError{Op: kind, Path: path, Err: r.err}
}

func (r refusingFS) mkdirAll(dir string) error {
	return errors.Join(r.refuse("mkdir", dir), r.fileSystem.mkdirAll(dir))
}

func (r refusingFS) create(path string) (newFile, error) {
	if err := r.refuse("create", path); err != nil {
		return nil, err
	}
	f, err := r.fileSystem.create(path)
	if err == nil && r.mode != 0 {
		err = f.Chmod(r.mode)
	}
	return refusingFile{f, r, path}, err
}

func (r refusingFS) link(old, path string) error {
	if err := r.refuse("link", path); err != nil {
		return err
	}
	return r.fileSystem.link(old, path)
}

func (r refusingFS) rename(old, path string) error {
	if err := r.refuseRename(path); err != nil {
		return err
	}
	return r.fileSystem.rename(old, path)
}

func (r refusingFS) refuseRename(path string) error {
	if _, err := os.Lstat(path); err == nil {
		if err := r.refuse("rename over", path); err != nil {
			return err
		}
	}
	return r.refuse("rename", path)
}

func (r refusingFS) remove(path string) error {
	if err := r.refuse("remove", path); err != nil {
		if _, missing := os.Lstat(path); missing == nil {
			return err
		}
	}
	return r.fileSystem.remove(path)
}

func (r refusingFS) syncDir(dir string) error {
	return errors.Join(r.refuse("sync of the directory", dir), r.fileSystem.syncDir(dir))
}

func (r refusingFS) tryLock(path string) (func() error, bool, error) {
	if err := r.refuse("lock", path); err != nil {
		return nil, false, err
	}
	unlock, ok, err := r.fileSystem.tryLock(path)
	return func() error { return errors.Join(r.refuse("unlock", path), unlock()) }, ok, err
}

type refusingFile struct {
	newFile
	r    refusingFS
	path string
}

func (f refusingFile) Chmod(mode fs.FileMode) error {
	if err := f.r.refuse("chmod", f.path); err != nil {
		return err
	}
	return f.newFile.Chmod(mode)
}

func (f refusingFile) Sync() error {
	return errors.Join(f.r.refuse("sync", f.path), f.newFile.Sync())
}

func (f refusingFile) Write(data []byte) (int, error) {
	if err := f.r.refuse("write", f.path); err != nil {
		return 0, err
	}
	return f.newFile.Write(data)
}

// CloseAtomicallyReplace is the disk's own, up to the step that is refused.
func (f refusingFile) CloseAtomicallyReplace() error {
	if err := f.r.refuse("sync", f.path); err != nil {
		return err
	}
	if err := f.r.refuse("close", f.path); err != nil {
		return errors.Join(err, f.newFile.Close())
	}
	if err := f.r.refuseRename(f.path); err != nil {
		return errors.Join(err, f.newFile.Close())
	}
	return f.newFile.CloseAtomicallyReplace()
}

func (f refusingFile) Close() error {
	return errors.Join(f.r.refuse("close", f.path), f.newFile.Close())
}

// F1: what a file system refuses to do costs what it protects, or it is reported; whatever it is, the file is whole, and nothing gathers.
func TestWhatAFileSystemRefusesCostsOnlyWhatItProtects(t *testing.T) {
	never := []error{syscall.EPERM, syscall.EOPNOTSUPP, syscall.ENOSYS, syscall.ENOSPC, syscall.EROFS, syscall.EIO}
	unsupported := []error{syscall.EPERM, syscall.EOPNOTSUPP, syscall.ENOSYS, syscall.EINVAL}
	lost := []error{syscall.ENOSPC, syscall.EROFS, syscall.EIO}
	for _, tt := range []struct {
		kind    string
		errs    []error
		written bool // nevertheless
		told    int  // in the log; what Save returns is told by its caller
	}{
		{"chmod", never, true, 1},
		{"link", never, true, 0}, // the predecessor is copied instead
		{"lock", never, true, 1},
		{"unlock", never, true, 1},
		{"sync", unsupported, true, 1},
		{"sync", lost, false, 0},
		{"sync of the directory", unsupported, true, 1},
		{"mkdir", never, false, 0},
		{"create", never, false, 0},
		{"write", never, false, 0},
		{"close", never, false, 0},
		{"rename", never, false, 0},
		{"rename over", never, false, 0},
	} {
		for _, err := range tt.errs {
			t.Run(fmt.Sprintf("%s %v", tt.kind, err), func(t *testing.T) {
				dir := t.TempDir()
				good := mustOpen(t, dir)
				mustSave(t, good, at(1, "tcp@a:1"))
				mustSave(t, good, at(2, "tcp@b:1"))
				refusing := refusingFS{fileSystem: disk{}, kind: tt.kind, err: err}
				if tt.kind == "chmod" {
					refusing.mode = 0o644
				}
				logs := &lines{}
				c := onFaults(t, dir, refusing, logs)
				before := descriptors(t)
				for n := range int64(20) {
					last := at(n+3, fmt.Sprintf("tcp@c:%d", n))
					switch saved := c.Save(last); {
					case tt.written && saved != nil:
						t.Fatalf("not written: %v", saved)
					case !tt.written && !errors.Is(saved, err):
						t.Fatalf("nobody is told: %v", saved)
					case tt.written:
						wantSame(t, mustLoad(t, good), last)
					default:
						wantSame(t, mustLoad(t, good), at(2, "tcp@b:1"))
					}
				}
				if left := temporaries(t, c.at, c.home); len(left) > 0 {
					t.Errorf("left: %q", left)
				}
				if after := descriptors(t); after > before {
					t.Errorf("%d descriptors, before %d", after, before)
				}
				if n := logs.count("refuses"); n != tt.told {
					t.Errorf("told %d times, want %d:\n%s", n, tt.told, logs)
				}
				spoil(t, c.main)
				s := mustLoad(t, good) // the predecessor was kept
				if tt.written && s.Zxid != 21 || !tt.written && s.Zxid != 1 {
					t.Errorf("the predecessor is number %d", s.Zxid)
				}
			})
		}
	}
}

// A temporary file that cannot be removed must not get company.
func TestTemporaryFilesThatCannotBeRemovedDoNotGather(t *testing.T) {
	dir := t.TempDir()
	good := mustOpen(t, dir)
	mustSave(t, good, at(1, "tcp@a:1"))
	c := onFaults(t, dir, refusingFS{fileSystem: refusingFS{fileSystem: disk{}, kind: "remove", err: syscall.EPERM}, kind: "rename", err: syscall.EIO}, &lines{})
	for n := range int64(20) {
		if err := c.Save(at(n+2, "tcp@b:1")); err == nil {
			t.Fatal("nobody is told")
		}
	}
	if left := temporaries(t, c.at, c.home); len(left) > 2 { // the list's, and the second name of the predecessor
		t.Errorf("left: %q", left)
	}
	c.fsys = disk{}
	mustSave(t, c, at(30, "tcp@c:1"))
	if left := temporaries(t, c.at, c.home); len(left) != 0 {
		t.Errorf("left: %q", left)
	}
	wantSame(t, mustLoad(t, good), at(30, "tcp@c:1"))
}

// A cache directory in which nothing can be made is no reason to fail; and what another process has saved there is read.
func TestADirectoryThatCannotBeWrittenIsRead(t *testing.T) {
	for _, kind := range []string{"mkdir", "create", "rename", "lock"} {
		dir := t.TempDir()
		c := onFaults(t, dir, refusingFS{fileSystem: disk{}, kind: kind, err: syscall.EROFS}, &lines{})
		_, err := c.Load()
		wantError(t, err, errNone)
		mustSave(t, mustOpen(t, dir), at(1, "tcp@a:1"))
		wantSame(t, mustLoad(t, c), at(1, "tcp@a:1"))
	}
}

// descriptors is how many files this process has open, 0 where that cannot be told.
func descriptors(tb testing.TB) int {
	tb.Helper()
	if runtime.GOOS != "linux" {
		return 0
	}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		tb.Fatal(err)
	}
	n := 0
	for _, e := range entries {
		if to, err := os.Readlink(filepath.Join("/proc/self/fd", e.Name())); err == nil && strings.HasPrefix(to, os.TempDir()) {
			n++
		}
	}
	return n
}
