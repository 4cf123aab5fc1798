package filecache

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/gofrs/flock"
)

// fileSystem is what a Cache does to the disk, and nothing else, so that tests can make each step fail or crash between two of them.
type fileSystem interface {
	open(path string) (fs.File, error)
	stat(path string) (fs.FileInfo, error)
	lstat(path string) (fs.FileInfo, error)
	readDir(dir string) ([]fs.DirEntry, error)
	mkdirAll(dir string) error
	// create makes a new file beside path, of mode 0600 less what the umask takes away, that is to take the place of path.
	create(path string) (newFile, error)
	link(old, path string) error
	rename(old, path string) error
	remove(path string) error
	// syncDir makes the names in dir durable, where the system can.
	syncDir(dir string) error
	// tryLock takes the advisory lock on path, creating the file. It never waits: ok is false while somebody else has the lock.
	tryLock(path string) (unlock func() error, ok bool, err error)
}

// newFile is a file that is being written: a *renameio.PendingFile, or what does the same.
type newFile interface {
	io.Writer
	Name() string
	Stat() (fs.FileInfo, error)
	Chmod(mode fs.FileMode) error
	Sync() error
	Close() error
	// CloseAtomicallyReplace syncs and closes the file and renames it to the path whose place it is to take. After an error the file may be open.
	CloseAtomicallyReplace() error
}

// disk is the real file system.
type disk struct{}

func (disk) open(path string) (fs.File, error) {
	return os.Open(path) //nolint:gosec // the path is the Cache's own, its service name escaped
}

func (disk) stat(path string) (fs.FileInfo, error)     { return os.Stat(path) }
func (disk) lstat(path string) (fs.FileInfo, error)    { return os.Lstat(path) }
func (disk) readDir(dir string) ([]fs.DirEntry, error) { return os.ReadDir(dir) }
func (disk) mkdirAll(dir string) error                 { return os.MkdirAll(dir, 0o700) }
func (disk) link(old, path string) error               { return os.Link(old, path) }
func (disk) remove(path string) error                  { return os.Remove(path) }

func (disk) tryLock(path string) (unlock func() error, ok bool, err error) {
	lock := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR|dontWait), flock.SetPermissions(private))
	if ok, err = lock.TryLock(); !ok {
		return nil, false, errors.Join(err, lock.Close())
	}
	return lock.Unlock, true, nil
}

// readOnly is a file system that is only looked at.
type readOnly struct{ fileSystem }

var errReadOnly = errors.New("opened to read only")

func (readOnly) mkdirAll(string) error                      { return errReadOnly }
func (readOnly) create(string) (newFile, error)             { return nil, errReadOnly }
func (readOnly) link(_, _ string) error                     { return errReadOnly }
func (readOnly) rename(_, _ string) error                   { return errReadOnly }
func (readOnly) remove(string) error                        { return errReadOnly }
func (readOnly) tryLock(string) (func() error, bool, error) { return nil, false, errReadOnly }

// private is the mode of every file: who writes it decides which servers are called.
const private fs.FileMode = 0o600

var (
	errTooLarge  = errors.New("too large")
	errIrregular = errors.New("not a regular file")
)

// readFile reads the regular file at path if it is no larger than limit. The size is looked at first, so that a huge file costs nothing,
// and so is the kind: opening a FIFO would wait for its writer.
func readFile(fsys fileSystem, path string, limit int64) ([]byte, error) {
	f, size, err := openRegular(fsys, path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read: nothing is lost
	if err := within(limit, size); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	data := make([]byte, size)
	n, err := io.ReadFull(f, data)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return data[:n], nil // shorter when somebody has cut it meanwhile: the checksum tells
}

func within(limit, size int64) error {
	if size > limit {
		return fmt.Errorf("%d bytes, limit %d: %w", size, limit, errTooLarge)
	}
	return nil
}

// readLines reads the first n lines of the regular file at path, with some bytes more, or less if the file ends before or limit does.
func readLines(fsys fileSystem, path string, n int, limit int64) ([]byte, error) {
	f, _, err := openRegular(fsys, path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read: nothing is lost
	data := make([]byte, 0, 2048)
	for bytes.Count(data, []byte{'\n'}) < n && int64(len(data)) < limit {
		data = slices.Grow(data, 1)
		read, err := f.Read(data[len(data):cap(data)])
		data = data[:len(data)+read]
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	return data, nil
}

// openRegular opens the regular file at path and returns its size.
func openRegular(fsys fileSystem, path string) (fs.File, int64, error) {
	info, err := fsys.stat(path)
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s: %v: %w", path, info.Mode(), errIrregular)
	}
	f, err := fsys.open(path)
	if err != nil {
		return nil, 0, err
	}
	if info, err = f.Stat(); err != nil {
		_ = f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}
