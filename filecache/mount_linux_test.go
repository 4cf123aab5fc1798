package filecache

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// mount mounts until the test ends, which takes root and a kernel that lets it.
func mount(t *testing.T, source, target, kind string, flags uintptr, data string) {
	t.Helper()
	if err := syscall.Mount(source, target, kind, flags, data); err != nil {
		t.Skipf("cannot mount here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(target, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// F4: a full disk keeps the file and its predecessor, and leaves nothing lying about; when there is room again, saves go on.
func TestFullDiskKeepsTheFile(t *testing.T) {
	dir := t.TempDir()
	mount(t, "none", dir, "tmpfs", 0, "size=64k")
	c := mustOpen(t, dir)
	mustSave(t, c, at(1, "tcp@a:1"))
	mustSave(t, c, at(2, "tcp@b:1"))
	before := names(t, c.at)
	large := many(5_000, "weight=5")
	large.Zxid, large.Lineage = 3, "one"
	wantError(t, c.Save(large), syscall.ENOSPC)
	wantSame(t, mustLoad(t, c), at(2, "tcp@b:1"))
	if after := names(t, c.at); len(after) != len(before) {
		t.Errorf("files before %q, after %q", before, after)
	}
	spoil(t, c.Path())
	wantSame(t, mustLoad(t, c), at(1, "tcp@a:1"))
	mustSave(t, c, at(4, "tcp@c:1"))
	wantSame(t, mustLoad(t, c), at(4, "tcp@c:1"))
}

func TestReadOnlyDiskIsRead(t *testing.T) {
	dir := t.TempDir()
	mount(t, "none", dir, "tmpfs", 0, "size=1m")
	c := mustOpen(t, dir)
	mustSave(t, c, at(1, "tcp@a:1"))
	mustSave(t, c, at(2, "tcp@b:1"))
	remount(t, dir, syscall.MS_RDONLY)
	wantError(t, c.Save(at(3, "tcp@c:1")), syscall.EROFS)
	fresh := mustOpen(t, dir)
	wantSame(t, mustLoad(t, fresh), at(2, "tcp@b:1"))

	// Damage that cannot be set aside is no obstacle.
	remount(t, dir, 0)
	spoil(t, c.Path())
	remount(t, dir, syscall.MS_RDONLY)
	wantSame(t, mustLoad(t, mustOpen(t, dir)), at(1, "tcp@a:1"))
}

func remount(t *testing.T, dir string, flags uintptr) {
	t.Helper()
	if err := syscall.Mount("none", dir, "tmpfs", syscall.MS_REMOUNT|flags, "size=1m"); err != nil {
		t.Fatal(err)
	}
}

// Hazard F5: a single file mounted into a container cannot be replaced.
func TestMountedFileSaysWhatToMount(t *testing.T) {
	dir := t.TempDir()
	c := mustOpen(t, dir)
	mustSave(t, c, at(1, "tcp@a:1"))
	outside := filepath.Join(t.TempDir(), "outside.json")
	if err := os.Rename(c.Path(), outside); err != nil {
		t.Fatal(err)
	}
	write(t, c.Path(), "")
	mount(t, outside, c.Path(), "", syscall.MS_BIND, "")
	err := c.Save(at(2, "tcp@b:1"))
	wantError(t, err, syscall.EBUSY)
	if !strings.Contains(err.Error(), "mount its directory instead") {
		t.Errorf("error %q does not say what to do", err)
	}
	wantSame(t, mustLoad(t, c), at(1, "tcp@a:1"))
	if left := temporaries(t, c.at); len(left) != 0 {
		t.Errorf("left: %q", left)
	}
}

// Opening a FIFO for reading waits for a writer; the kind is looked at first.
func TestFIFOIsNotWaitedFor(t *testing.T) {
	c := mustOpen(t, t.TempDir())
	for _, path := range []string{c.Path(), c.OverridePath(), c.lock} {
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Skip(err)
		}
	}
	results := make(chan error, 3)
	go func() {
		_, err := c.LoadOverride()
		results <- err
		_, err = c.Load()
		results <- err
		results <- c.Save(at(1, "tcp@a:1"))
	}()
	for _, want := range []error{ErrOverride, ErrCorrupt, nil} {
		select {
		case err := <-results:
			wantError(t, err, want)
		case <-time.After(patience):
			t.Fatal("still waiting")
		}
	}
}
