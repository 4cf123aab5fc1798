package filecache

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/windows"
)

// dontWait is nothing here: no name in a directory stands for something that has to be waited for.
const dontWait = 0

// replaceTimeout bounds the retries of a rename that a reader is in the way of.
const replaceTimeout = time.Second

// pendingFile is what renameio has on other systems only.
type pendingFile struct {
	*os.File
	path string
}

func (disk) create(path string) (newFile, error) {
	for {
		temp := filepath.Join(filepath.Dir(path), tempPrefix(path)+strconv.FormatInt(rand.Int64(), 10))
		f, err := os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, private)
		switch {
		case err == nil:
			return pendingFile{f, path}, nil
		case !errors.Is(err, fs.ErrExist):
			return nil, err
		}
	}
}

func (f pendingFile) CloseAtomicallyReplace() error {
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return disk{}.rename(f.Name(), f.path)
}

// rename replaces path. Microsoft does not document MoveFileEx as atomic. On NTFS it is in practice: the name refers to the old or to the new file.
// It fails while a reader has the old file open without sharing deletion, hence the retries.
func (disk) rename(old, path string) error {
	for deadline := time.Now().Add(replaceTimeout); ; time.Sleep(5 * time.Millisecond) {
		err := os.Rename(old, path)
		inTheWay := errors.Is(err, windows.ERROR_SHARING_VIOLATION) || errors.Is(err, syscall.ERROR_ACCESS_DENIED)
		if err == nil || !inTheWay || time.Now().After(deadline) {
			return err
		}
	}
}

// syncDir does nothing: Windows has no way to flush a directory; NTFS journals its names.
func (disk) syncDir(string) error { return nil }
