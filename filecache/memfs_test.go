package filecache

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// memFS is a disk in memory which remembers what would survive a power cut: of a file what was synced, of a directory what its last sync
// has seen, and of the changes to it since then, as on a journalling file system, any number in their order.
type memFS struct {
	names   map[string]*memNode // as the process sees them
	durable map[string]*memNode // as of the last syncDir
	journal []func(names map[string]*memNode)
	locked  map[string]bool
	made    int // temporary files, so far

	changing func() // called before anything changes
}

type memNode struct{ data, synced []byte }

func newMemFS() *memFS {
	return &memFS{names: map[string]*memNode{}, durable: map[string]*memNode{}, locked: map[string]bool{}, changing: func() {}}
}

// afterCrash is the disk when the power is back, if the first journalled changes had reached it and this much of the unsynced data.
func (m *memFS) afterCrash(journalled int, written float64) *memFS {
	names := maps.Clone(m.durable)
	for _, change := range m.journal[:journalled] {
		change(names)
	}
	after := newMemFS()
	copies := map[*memNode]*memNode{} // hard links stay hard links
	for name, node := range names {
		if copies[node] == nil {
			data := slices.Clone(node.synced)
			if more := len(node.data) - len(data); more > 0 {
				data = append(data, node.data[len(data):len(data)+int(written*float64(more))]...)
			}
			copies[node] = &memNode{data: data, synced: data}
		}
		after.names[name] = copies[node]
	}
	after.durable = maps.Clone(after.names)
	return after
}

func (m *memFS) change(do func(names map[string]*memNode)) {
	do(m.names)
	m.journal = append(m.journal, do)
}

func (m *memFS) find(op, path string) (*memNode, error) {
	if node := m.names[path]; node != nil {
		return node, nil
	}
	return nil, &fs.PathError{Op: op, Path: path, Err: fs.ErrNotExist}
}

func (m *memFS) open(path string) (fs.File, error) {
	node, err := m.find("open", path)
	if err != nil {
		return nil, err
	}
	return &memFile{Reader: bytes.NewReader(node.data), info: memInfo{name: filepath.Base(path), size: int64(len(node.data))}}, nil
}

func (m *memFS) stat(path string) (fs.FileInfo, error) {
	node, err := m.find("stat", path)
	if err != nil {
		return nil, err
	}
	return memInfo{name: filepath.Base(path), size: int64(len(node.data))}, nil
}

func (m *memFS) lstat(path string) (fs.FileInfo, error) { return m.stat(path) }

func (m *memFS) readDir(dir string) ([]fs.DirEntry, error) {
	var entries []fs.DirEntry
	seen := map[string]bool{}
	for _, path := range slices.Sorted(maps.Keys(m.names)) {
		rest, below := strings.CutPrefix(path, dir+"/")
		name, _, isDir := strings.Cut(rest, "/")
		if !below || seen[name] {
			continue
		}
		seen[name] = true
		info := memInfo{name: name, isDir: isDir}
		if !isDir {
			info.size = int64(len(m.names[path].data))
		}
		entries = append(entries, fs.FileInfoToDirEntry(info))
	}
	return entries, nil
}

func (m *memFS) mkdirAll(string) error { return nil }

func (m *memFS) link(old, path string) error {
	m.changing()
	node, err := m.find("link", old)
	if err != nil {
		return err
	}
	if m.names[path] != nil {
		return &fs.PathError{Op: "link", Path: path, Err: fs.ErrExist}
	}
	m.change(func(names map[string]*memNode) { names[path] = node })
	return nil
}

func (m *memFS) rename(old, path string) error {
	m.changing()
	node, err := m.find("rename", old)
	if err != nil {
		return err
	}
	if m.names[path] == node {
		return nil // rename(2): two names of one file, nothing happens
	}
	m.change(func(names map[string]*memNode) {
		delete(names, old)
		names[path] = node
	})
	return nil
}

func (m *memFS) remove(path string) error {
	m.changing()
	if _, err := m.find("remove", path); err != nil {
		return err
	}
	m.change(func(names map[string]*memNode) { delete(names, path) })
	return nil
}

func (m *memFS) syncDir(string) error {
	m.changing()
	m.durable, m.journal = maps.Clone(m.names), nil
	return nil
}

func (m *memFS) tryLock(path string) (func() error, bool, error) {
	if m.locked[path] {
		return nil, false, nil
	}
	m.locked[path] = true
	return func() error { m.locked[path] = false; return nil }, true, nil
}

func (m *memFS) create(path string) (newFile, error) {
	m.changing()
	node := &memNode{}
	m.made++
	temp := filepath.Join(filepath.Dir(path), tempPrefix(path)+strconv.Itoa(m.made))
	m.change(func(names map[string]*memNode) { names[temp] = node })
	return &memNew{m: m, node: node, temp: temp, path: path}, nil
}

// memNew is a file that is being written.
type memNew struct {
	m          *memFS
	node       *memNode
	temp, path string
}

func (p *memNew) Write(data []byte) (int, error) {
	p.m.changing()
	p.node.data = append(p.node.data, data...)
	return len(data), nil
}

func (p *memNew) Sync() error {
	p.m.changing()
	p.node.synced = slices.Clone(p.node.data)
	return nil
}

func (p *memNew) CloseAtomicallyReplace() error {
	return errors.Join(p.Sync(), p.m.rename(p.temp, p.path))
}

func (p *memNew) Name() string               { return p.temp }
func (p *memNew) Stat() (fs.FileInfo, error) { return p.m.stat(p.temp) }
func (p *memNew) Chmod(fs.FileMode) error    { return nil }
func (p *memNew) Close() error               { return nil }

type memFile struct {
	*bytes.Reader
	info memInfo
}

func (f *memFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *memFile) Close() error               { return nil }

type memInfo struct {
	name  string
	size  int64
	isDir bool
}

func (i memInfo) Name() string { return i.name }
func (i memInfo) Size() int64  { return i.size }
func (i memInfo) Mode() fs.FileMode {
	if i.isDir {
		return 0o700 | fs.ModeDir
	}
	return 0o600
}
func (i memInfo) ModTime() time.Time { return noon }
func (i memInfo) IsDir() bool        { return i.isDir }
func (i memInfo) Sys() any           { return nil }

// paths is for messages.
func (m *memFS) paths() string { return strings.Join(slices.Sorted(maps.Keys(m.names)), " ") }
