package weather

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// disk is a directory for cache files and what can be wrong with it.
type disk struct {
	mu             sync.Mutex
	dir, overrides string
	away           int // those who want it to be replaced by a file
	mounted        bool
	membersOnly    bool // one of its processes has WithoutMetadataWatch
	unguarded      bool // one of its processes has WithoutGuard
	users          int  // processes that have used it so far
	damaged        int  // how often files were damaged, lost or replaced: what was in them does not bind what comes after
}

func newDisk(dir string) *disk {
	d := &disk{dir: filepath.Join(dir, "cache"), overrides: filepath.Join(dir, "overrides")}
	_ = os.MkdirAll(d.overrides, 0o700)
	_ = os.MkdirAll(d.dir, 0o700)
	return d
}

// takeAway puts a file in the place of the directory, which stops also those whom no permission stops.
func (d *disk) takeAway() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.damaged++
	if d.away++; d.away == 1 {
		_ = os.Rename(d.dir, d.dir+"-away")
		_ = os.WriteFile(d.dir, nil, 0o600)
	}
}

func (d *disk) wasDamaged() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.damaged > 0
}

func (d *disk) bringBack() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.away--; d.away == 0 {
		_ = os.Remove(d.dir)
		_ = os.Rename(d.dir+"-away", d.dir)
	}
}

// small makes the directory a file system of its own with next to no room, or one that is read-only, if this user may.
func (d *disk) small(readOnly bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mounted || d.away > 0 {
		return false
	}
	if err := mount(d.dir, readOnly); err != nil {
		return false
	}
	d.mounted = true
	d.damaged++
	return true
}

func (d *disk) large() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mounted {
		_ = unmount(d.dir)
		d.mounted = false
		d.damaged++
	}
}

// lose removes everything.
func (d *disk) lose() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.away > 0 {
		return
	}
	d.damaged++
	entries, _ := os.ReadDir(d.dir)
	for _, e := range entries {
		_ = os.RemoveAll(filepath.Join(d.dir, e.Name()))
	}
}

// files are all files below the directory.
func (d *disk) files() (paths []string) {
	_ = filepath.WalkDir(d.dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			paths = append(paths, path)
		}
		return nil
	})
	return paths
}

// damage overwrites part of the n-th list.
func (d *disk) damage(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var lists []string
	for _, f := range d.files() {
		if strings.HasSuffix(f, "list.json") || strings.HasSuffix(f, "prev.json") {
			lists = append(lists, f)
		}
	}
	if len(lists) == 0 {
		return
	}
	d.damaged++
	path := lists[n%len(lists)]
	b, err := os.ReadFile(path)
	if err != nil || len(b) == 0 {
		return
	}
	switch n % 3 {
	case 0:
		b = b[:len(b)/2]
	case 1:
		b[len(b)-1-n%max(1, len(b)/3)] ^= 0x20 // not in the head: a file that says it is another's is left alone
	default:
		b = nil
	}
	_ = os.WriteFile(path, b, 0o600)
}
