package filecache

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"syscall"
)

// pending is a whole new file that waits to take the place of path.
type pending struct {
	newFile
	path   string
	synced bool // its data is on the disk; false where the file system cannot promise that
}

// replace puts data in the place of the list. If keep is not nil it is what stands there now, and becomes the previous generation. The caller has the
// lock. After an error nothing has changed, except that the new list may be in place already, if only what follows has failed: its predecessor stays
// what it was, or the directory is not synced.
func (c *Cache) replace(data []byte, keep *generation) error {
	// Whatever can fail for want of space or permission does so before a name of either generation is touched.
	next, err := c.writeBeside(c.main, data)
	if err != nil {
		return err
	}
	second := ""
	if keep != nil {
		if second, err = c.secondName(keep); err != nil {
			return errors.Join(err, c.discard(next))
		}
	}
	if err := c.takePlace(next); err != nil {
		if errors.Is(err, syscall.EBUSY) {
			err = fmt.Errorf("%w (a file that is a mount point cannot be replaced: mount its directory instead)", err)
		}
		return errors.Join(err, c.remove(second))
	}
	if second != "" {
		if err := c.fsys.rename(second, c.prev); err != nil {
			return errors.Join(fmt.Errorf("written, but the list before is not kept: %w", err), c.remove(second))
		}
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

// secondName gives the file that is about to be replaced a second name, so that there is no instant without a whole one, and returns it. Where hard
// links are not possible it is the name of a copy. After an error there is none.
func (c *Cache) secondName(keep *generation) (string, error) {
	link := filepath.Join(c.at, tempPrefix(c.prev)+"link")      // one name is enough under the lock, and leaves one orphan at most
	if err := c.fsys.remove(link); err != nil && !absent(err) { // a killed writer's
		return "", err
	}
	err := c.fsys.link(c.main, link)
	if err == nil {
		return link, nil
	}
	c.config.logger.Debug("no hard link, so the predecessor is copied", "path", c.main, "error", err)
	temp, err := c.writeBeside(c.prev, keep.data)
	if err != nil {
		return "", err
	}
	if err := temp.Close(); err != nil {
		return "", errors.Join(err, c.remove(temp.Name()))
	}
	return temp.Name(), nil
}

// writeBeside writes data to a new file in the directory of path, so that a rename need not cross file systems. The data is on the disk then, if the
// file system can promise that. After an error nothing is left.
func (c *Cache) writeBeside(path string, data []byte) (*pending, error) {
	f, err := c.fsys.create(path)
	if err != nil {
		return nil, err
	}
	p := &pending{newFile: f, path: path}
	c.keepPrivate(f)
	if _, err = f.Write(data); err == nil {
		p.synced, err = c.sync(f)
	}
	if err != nil {
		return nil, errors.Join(err, c.discard(p))
	}
	return p, nil
}

// takePlace puts p in its place. After an error it is gone. CloseAtomicallyReplace syncs once more, so it is not for a file system that cannot.
func (c *Cache) takePlace(p *pending) error {
	var err error
	if p.synced {
		err = p.CloseAtomicallyReplace()
	} else if err = p.Close(); err == nil {
		err = c.fsys.rename(p.Name(), p.path)
	}
	if err != nil {
		return errors.Join(err, c.discard(p))
	}
	return nil
}

// keepPrivate sets the mode if it is not the one that was asked for, because of the umask or a file system that has a mode for all. What that refuses
// protects nothing: its mode is not the file's.
func (c *Cache) keepPrivate(f newFile) {
	info, err := f.Stat()
	if err == nil && (info.Mode().Perm() == private || runtime.GOOS == "windows") {
		return
	}
	if err == nil {
		err = f.Chmod(private)
	}
	if err != nil {
		c.tolerate("mode of a file", f.Name(), err)
	}
}

// sync makes the data durable, and reports whether it is. Where the file system cannot, a power cut may cost the newest lists.
func (c *Cache) sync(f newFile) (done bool, err error) {
	err = f.Sync()
	if refused(err) {
		c.tolerate("sync of a file", f.Name(), err)
		return false, nil
	}
	return err == nil, err
}

// discard closes a temporary file, unless it is closed already, and removes it.
func (c *Cache) discard(p *pending) error {
	err := p.Close()
	if errors.Is(err, fs.ErrClosed) {
		err = nil
	}
	return errors.Join(err, c.remove(p.Name()))
}

// remove removes a temporary file; "" is none. One that cannot be removed is remembered, and no other is made before it is gone: they must not gather.
func (c *Cache) remove(temp string) error {
	if temp == "" {
		return nil
	}
	err := c.fsys.remove(temp)
	if err == nil || absent(err) {
		return nil
	}
	c.litter = append(c.litter, temp)
	return err
}

// removeLitter removes what remove could not. The caller has c.saving.
func (c *Cache) removeLitter() error {
	litter := c.litter
	c.litter = nil
	var errs []error
	for _, temp := range litter {
		errs = append(errs, c.remove(temp))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("a temporary file cannot be removed: %w", err)
	}
	return nil
}
