package zkdiscovery

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/filecache"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// hangingDisk is a directory on a disk that does not answer, as a network drive's whose server has gone: whoever touches it waits until it is
// given up, and gets an error then. It takes root, and a kernel that lets it mount.
func hangingDisk(t *testing.T) (dir string, giveUp func()) {
	t.Helper()
	dir = t.TempDir()
	dev, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no file system of our own here: %v", err)
	}
	err = syscall.Mount("holdfast", dir, "fuse.holdfast", 0, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", dev.Fd()))
	if err != nil {
		_ = dev.Close()
		t.Skipf("cannot mount here: %v", err)
	}
	giveUp = func() { _ = dev.Close() } // which may have happened already
	t.Cleanup(func() {
		giveUp()
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir, giveUp
}

// hungDisk is how long Close may wait for it.
const hungDisk = 2 * time.Second

// On a real disk, and so in real time.
func TestADiskThatHangsDelaysNobodyElse(t *testing.T) {
	hung, giveUp := hangingDisk(t)
	zk := zktest.NewServer()
	t.Cleanup(zk.Close)
	if err := zk.Put("/rpcx/Arith/tcp@a:1", nil); err != nil {
		t.Fatal(err)
	}
	log := new(records)
	discover := func(dir string) *Discovery {
		t.Helper()
		d, err := New("/rpcx", "Arith", []string{"zk:2181"}, WithDialer(zk.Dial), WithLogger(slog.New(log)), WithCacheDir(dir), probesAnswer())
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	quick := func(what string, f func()) {
		t.Helper()
		began := time.Now()
		f()
		if took := time.Since(began); took > hungDisk+2*time.Second {
			t.Errorf("%s has taken %v", what, took)
		}
	}
	var left []*filecache.Keeper
	for _, dir := range []string{hung, filepath.Join(hung, "cache")} {
		var d, other *Discovery
		quick("New", func() { d = discover(dir) })
		if got := keys(d.GetServices()); got != "tcp@a:1" || d.Snapshot().Source != Live {
			t.Errorf("list %s, %v", got, d.Status())
		}
		left = append(left, d.service().keeper)
		healthy := t.TempDir()
		quick("New with another disk", func() { other = discover(healthy) })
		quick("Close with another disk", other.Close)
		if files, _ := filepath.Glob(healthy + "/zk_2181/rpcx/Arith~c1/list.json"); len(files) != 1 {
			t.Errorf("files on the other disk: %q", files)
		}
		quick("Close", d.Close)
		if lines := log.with(slog.LevelError, "does not answer", "dir="+dir); len(lines) == 0 {
			t.Errorf("not reported: %q", log.from(slog.LevelWarn))
		}
	}
	giveUp()
	for _, k := range left {
		for k.Close() != nil {
			runtime.Gosched() // until it has noticed
		}
	}
}
