package filecache

import (
	"errors"
	"io/fs"
)

// faultFS makes the n-th operation fail and does all others. What an operation is: whatever may fail by itself, so replacing a file is several.
type faultFS struct {
	fileSystem
	failAt int // counted from 1; 0: none
	err    error

	done int
	hit  string // the operation that was made to fail
}

var errInjected = errors.New("injected failure")

func newFaultFS(failAt int) *faultFS {
	return &faultFS{fileSystem: disk{}, failAt: failAt, err: errInjected}
}

func (f *faultFS) fail(op, path string) error {
	f.done++
	if f.done != f.failAt {
		return nil
	}
	f.hit = op + " " + path
	return &fs.PathError{Op: op, Path: path, Err: f.err}
}

func (f *faultFS) open(path string) (fs.File, error) {
	if err := f.fail("open", path); err != nil {
		return nil, err
	}
	file, err := f.fileSystem.open(path)
	return &faultFile{file, f, path}, err
}

func (f *faultFS) stat(path string) (fs.FileInfo, error) {
	if err := f.fail("stat", path); err != nil {
		return nil, err
	}
	return f.fileSystem.stat(path)
}

func (f *faultFS) lstat(path string) (fs.FileInfo, error) {
	if err := f.fail("lstat", path); err != nil {
		return nil, err
	}
	return f.fileSystem.lstat(path)
}

func (f *faultFS) readDir(dir string) ([]fs.DirEntry, error) {
	if err := f.fail("readdir", dir); err != nil {
		return nil, err
	}
	return f.fileSystem.readDir(dir)
}

func (f *faultFS) mkdirAll(dir string) error {
	if err := f.fail("mkdir", dir); err != nil {
		return err
	}
	return f.fileSystem.mkdirAll(dir)
}

func (f *faultFS) link(old, path string) error {
	if err := f.fail("link", path); err != nil {
		return err
	}
	return f.fileSystem.link(old, path)
}

func (f *faultFS) rename(old, path string) error {
	if err := f.fail("rename", path); err != nil {
		return err
	}
	return f.fileSystem.rename(old, path)
}

func (f *faultFS) remove(path string) error {
	if err := f.fail("remove", path); err != nil {
		return err
	}
	return f.fileSystem.remove(path)
}

func (f *faultFS) syncDir(dir string) error {
	if err := f.fail("syncdir", dir); err != nil {
		return err
	}
	return f.fileSystem.syncDir(dir)
}

func (f *faultFS) tryLock(path string) (func() error, bool, error) {
	if err := f.fail("lock", path); err != nil {
		return nil, false, err
	}
	unlock, ok, err := f.fileSystem.tryLock(path)
	if !ok {
		return unlock, ok, err
	}
	return func() error { return errors.Join(unlock(), f.fail("unlock", path)) }, true, nil
}

func (f *faultFS) create(path string) (newFile, error) {
	if err := f.fail("create", path); err != nil {
		return nil, err
	}
	file, err := f.fileSystem.create(path)
	if err != nil {
		return nil, err
	}
	return &faultNew{file, f, path}, nil
}

// faultFile is open for reading, so that closing it cannot lose anything and need not be reported.
type faultFile struct {
	fs.File
	fs   *faultFS
	path string
}

func (f *faultFile) Stat() (fs.FileInfo, error) {
	if err := f.fs.fail("fstat", f.path); err != nil {
		return nil, err
	}
	return f.File.Stat()
}

func (f *faultFile) Read(p []byte) (int, error) {
	if err := f.fs.fail("read", f.path); err != nil {
		return 0, err
	}
	return f.File.Read(p)
}

// faultNew is being written.
type faultNew struct {
	newFile
	fs   *faultFS
	path string
}

func (p *faultNew) Stat() (fs.FileInfo, error) {
	if err := p.fs.fail("fstat", p.path); err != nil {
		return nil, err
	}
	return p.newFile.Stat()
}

func (p *faultNew) Chmod(mode fs.FileMode) error {
	if err := p.fs.fail("chmod", p.path); err != nil {
		return err
	}
	return p.newFile.Chmod(mode)
}

func (p *faultNew) Write(data []byte) (int, error) {
	if err := p.fs.fail("write", p.path); err != nil {
		n, _ := p.newFile.Write(data[:len(data)/2]) // as a disk does that is full
		return n, err
	}
	return p.newFile.Write(data)
}

func (p *faultNew) Sync() error {
	if err := p.fs.fail("sync", p.path); err != nil {
		return err
	}
	return p.newFile.Sync()
}

// CloseAtomicallyReplace may fail at each of its steps.
func (p *faultNew) CloseAtomicallyReplace() error {
	for _, op := range []string{"sync", "close", "rename"} {
		if err := p.fs.fail(op, p.path); err != nil {
			if op == "close" {
				err = errors.Join(err, p.newFile.Close())
			}
			return err
		}
	}
	return p.newFile.CloseAtomicallyReplace()
}

func (p *faultNew) Close() error { return errors.Join(p.newFile.Close(), p.fs.fail("close", p.path)) }
