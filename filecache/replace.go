package filecache

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
)

// replace puts data in the place of the list. If keep is not nil it is what stands there now, and becomes the previous generation. The caller has the
// lock. After an error nothing has changed, except that the new list may already be in place if it was only the directory that could not be synced.
func (c *Cache) replace(data []byte, keep *generation) error {
	// Whatever can fail for want of space or permission does so before the previous generation is touched.
	temp, err := c.writeBeside(c.main, data)
	if err != nil {
		return err
	}
	if keep != nil {
		err = c.keepPrevious(keep)
	}
	if err == nil {
		err = c.fsys.rename(temp, c.main)
	}
	if err != nil {
		if errors.Is(err, syscall.EBUSY) {
			err = fmt.Errorf("%w (a file that is a mount point cannot be replaced: mount its directory instead)", err)
		}
		return errors.Join(err, c.discard(temp))
	}
	err = c.fsys.syncDir(c.at)
	if refused(err) {
		c.tolerate("sync of the directory", c.at, err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("written, but may not survive a power cut: %w", err)
	}
	return nil
}

// keepPrevious gives the file that is about to be replaced a second name, so that there is no instant without a whole one. Where hard links
// are not possible it copies.
func (c *Cache) keepPrevious(keep *generation) error {
	link := filepath.Join(c.at, tempPrefix(c.prev)+"link")      // one name is enough under the lock, and leaves one orphan at most
	if err := c.fsys.remove(link); err != nil && !absent(err) { // a killed writer's
		return err
	}
	if err := c.fsys.link(c.main, link); err != nil {
		c.config.logger.Debug("no hard link, so the predecessor is copied", "path", c.main, "error", err)
		if link, err = c.writeBeside(c.prev, keep.data); err != nil {
			return err
		}
	}
	if err := c.fsys.rename(link, c.prev); err != nil {
		return errors.Join(err, c.discard(link))
	}
	return nil
}

// writeBeside writes data to a new file in the directory of path, so that a rename need not cross file systems, and returns its name. The data is on
// the disk then, if the file system can promise that. After an error nothing is left.
func (c *Cache) writeBeside(path string, data []byte) (temp string, err error) {
	var f newFile
	for {
		temp = filepath.Join(filepath.Dir(path), tempPrefix(path)+strconv.FormatInt(rand.Int64(), 10))
		if f, err = c.fsys.create(temp); !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	if err != nil {
		return "", err
	}
	c.keepPrivate(f, temp)
	if _, err = f.Write(data); err == nil {
		err = c.sync(f, temp)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(err, c.discard(temp))
	}
	return temp, nil
}

// keepPrivate sets the mode if it is not the one that was asked for, because of the umask or a file system that has a mode for all. What that refuses
// protects nothing: its mode is not the file's.
func (c *Cache) keepPrivate(f newFile, path string) {
	info, err := f.Stat()
	if err == nil && (info.Mode().Perm() == private || runtime.GOOS == "windows") {
		return
	}
	if err == nil {
		err = f.Chmod(private)
	}
	if err != nil {
		c.tolerate("mode of a file", path, err)
	}
}

// sync makes the data durable. Where the file system cannot, a power cut may cost the newest lists.
func (c *Cache) sync(f newFile, path string) error {
	err := f.Sync()
	if refused(err) {
		c.tolerate("sync of a file", path, err)
		return nil
	}
	return err
}

// discard removes a temporary file. One that cannot be removed is remembered, and no other is made before it is gone: they must not gather.
func (c *Cache) discard(temp string) error {
	err := c.fsys.remove(temp)
	if err == nil || absent(err) {
		return nil
	}
	c.litter = temp
	return err
}

// removeLitter removes what discard could not. The caller has c.saving.
func (c *Cache) removeLitter() error {
	if c.litter == "" {
		return nil
	}
	temp := c.litter
	c.litter = ""
	if err := c.discard(temp); err != nil {
		return fmt.Errorf("a temporary file cannot be removed: %w", err)
	}
	return nil
}
