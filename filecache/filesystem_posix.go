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

func (disk) pending(path string) (pendingFile, error) {
	// The temporary file stands beside its target: the rename cannot cross file systems, and renameio need not probe for a better place.
	return renameio.NewPendingFile(path, renameio.WithTempDir(filepath.Dir(path)), renameio.WithStaticPermissions(0o600))
}

func (disk) rename(old, path string) error { return os.Rename(old, path) }

func (disk) syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // the Cache's own directory
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		err = nil // some network and FUSE file systems have no such thing: their names are as durable as they are
	}
	return errors.Join(err, d.Close())
}

// lockUnsupported reports whether err means that the file system knows no locks (NFS without its lock service, some FUSE ones).
func lockUnsupported(err error) bool {
	return errors.Is(err, syscall.ENOLCK) || errors.Is(err, errors.ErrUnsupported)
}
