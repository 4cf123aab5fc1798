package zkdiscovery

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// F9: lists that are there from before a file system became read-only are better than none.
func TestAHomeThatHasBecomeReadOnlyIsStillRead(t *testing.T) {
	_, ours := homeless(t, func(string, string) {})
	home := t.TempDir()
	cache := filepath.Join(home, "holdfast")
	t.Setenv("XDG_CACHE_HOME", home)
	if err := syscall.Mount("none", home, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("cannot mount here: %v", err)
	}
	defer func() { _ = syscall.Unmount(home, 0) }()
	remount := func(flags uintptr) {
		t.Helper()
		if err := syscall.Mount("none", home, "tmpfs", syscall.MS_REMOUNT|flags, "size=64k"); err != nil {
			t.Fatal(err)
		}
	}
	remount(syscall.MS_RDONLY)
	wantCacheIn(t, "a read-only file system", ours, ours, 1)
	remount(0)
	if err := os.MkdirAll(filepath.Join(cache, "zk"), 0o700); err != nil {
		t.Fatal(err)
	}
	remount(syscall.MS_RDONLY)
	wantCacheIn(t, "one with lists in it", cache, ours, 0)
}
