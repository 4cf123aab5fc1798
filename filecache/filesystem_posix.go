//go:build !windows

package filecache

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"github.com/google/renameio/v2"
)

// dontWait keeps the lock from waiting should a FIFO have its name, as opening one does otherwise.
const dontWait = syscall.O_NONBLOCK

// create asks renameio for no mode: it would leave the file behind, open, where the file system refuses one. See Cache.keepPrivate.
func (disk) create(path string) (newFile, error) {
	f, err := renameio.NewPendingFile(path, renameio.WithTempDir(filepath.Dir(path)))
	if err != nil {
		return nil, err
	}
	return f, nil
}

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
