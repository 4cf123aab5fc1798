package filecache

import (
	"errors"
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

func (disk) pending(path string) (pendingFile, error) {
	for {
		name := filepath.Join(filepath.Dir(path), tempPrefix(path)+strconv.FormatInt(rand.Int64(), 10))
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			return &windowsPending{File: f, path: path}, nil
		}
		if !errors.Is(err, os.ErrExist) {
			return nil, err
		}
	}
}

// windowsPending does what renameio does elsewhere; renameio leaves Windows out because Microsoft does not document MoveFileEx as atomic.
// On NTFS it is in practice: the name refers to the old or to the new file. It fails while a reader has the old file open without sharing
// deletion, hence the retries.
type windowsPending struct {
	*os.File
	path         string
	closed, done bool
}

func (p *windowsPending) CloseAtomicallyReplace() error {
	if err := p.Sync(); err != nil {
		return err
	}
	p.closed = true
	if err := p.Close(); err != nil {
		return err
	}
	if err := (disk{}).rename(p.Name(), p.path); err != nil {
		return err
	}
	p.done = true
	return nil
}

func (p *windowsPending) Cleanup() error {
	if p.done {
		return nil
	}
	var err error
	if !p.closed {
		err = p.Close()
	}
	return errors.Join(err, os.Remove(p.Name()))
}

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

func lockUnsupported(err error) bool { return errors.Is(err, windows.ERROR_NOT_SUPPORTED) }
