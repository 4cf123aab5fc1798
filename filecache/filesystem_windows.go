package filecache

import (
	"errors"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/windows"
)

// dontWait is nothing here: no name in a directory stands for something that has to be waited for.
const dontWait = 0

// replaceTimeout bounds the retries of a rename that a reader is in the way of.
const replaceTimeout = time.Second

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
