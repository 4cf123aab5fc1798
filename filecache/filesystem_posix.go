//go:build !windows

package filecache

import (
	"errors"
	"os"
	"syscall"
)

// dontWait keeps the lock from waiting should a FIFO have its name, as opening one does otherwise.
const dontWait = syscall.O_NONBLOCK

func (disk) rename(old, path string) error {
	return os.Rename(old, path) //nolint:gosec // both are the Cache's own, the service's name escaped
}

func (disk) syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // the Cache's own directory
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
