package filecache

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"syscall"
	"time"
	"unicode/utf8"
)

// lockTimeout bounds how long Save waits for another writer, who needs milliseconds.
const lockTimeout = time.Second

// Save writes s, whole or not at all: at every instant, also of a crash, the file is the old or the new one, mode 0600, and when Save has
// returned nil it is durable. The file that it replaces becomes the previous generation, unless it lists the same servers. Save stamps
// SavedAt and writes the Cache's own ensemble and service.
//
// Save refuses, with ErrNewer, to replace a snapshot that is later than s: one of a greater Era; of the same Era and Lineage with a
// greater Zxid, or with the same Zxid, an AsOf that is not earlier and another list; of the same Era and another Lineage with an AsOf that
// is not earlier. If s only repeats what the file says, there is nothing to write, and no error, unless the file's AsOf is in the future: then it gets
// that of s. It refuses an Override, a snapshot of another service, one over 64 MiB, and a file that is a symbolic link (which would be
// replaced by a regular file, behind the back of whoever made it: open the link's target directory instead).
//
// Save blocks while it writes and syncs, and up to a second for another process that is writing. After an error the file is as it was,
// except that the new one may already be in place if it was only the directory that could not be synced.
func (c *Cache) Save(s Snapshot) error {
	if err := c.save(s); err != nil {
		return fmt.Errorf("filecache: save: %w", err)
	}
	return nil
}

func (c *Cache) save(s Snapshot) error {
	if err := c.admissible(s); err != nil {
		return err
	}
	s.Ensemble, s.Service, s.SavedAt = c.ensemble, c.service, time.Now()
	data, err := encode(s)
	if err != nil {
		return err
	}
	if len(data) > maxFileSize {
		return fmt.Errorf("%d servers need %d bytes, the limit is %d", len(s.Servers), len(data), maxFileSize)
	}
	c.learn(s.stamp()) // before it is on the disk, or Watch might see it there first and take it for another's
	c.saving.Lock()
	defer c.saving.Unlock()

	if err := c.fsys.mkdirAll(c.dir); err != nil {
		return err
	}
	f, err := c.locate()
	if err != nil {
		return err
	}
	err = c.saveAt(f, s, data)
	if f == c.plain && (errors.Is(err, ErrForeign) || errors.Is(err, ErrVersion)) {
		err = c.saveAt(c.own, s, data) // the plain name was taken while this Save waited for its lock
	}
	return err
}

func (c *Cache) admissible(s Snapshot) error {
	switch {
	case s.Override:
		return errors.New("an operator's override is never saved")
	case s.Service != "" && s.Service != c.service:
		return fmt.Errorf("snapshot of service %q: this is the file of %q", s.Service, c.service)
	case len(s.Lineage) > maxLineageLength || !utf8.ValidString(s.Lineage):
		return fmt.Errorf("lineage %.40q: must be UTF-8 of at most %d bytes", s.Lineage, maxLineageLength)
	}
	return nil
}

// saveAt saves s, which data encodes, at f.
func (c *Cache) saveAt(f files, s Snapshot, data []byte) (err error) {
	unlock, err := c.lock(f.lock)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()

	switch info, err := c.fsys.lstat(f.main); {
	case err != nil && !absent(err):
		return err
	case err == nil && info.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%s is a symbolic link, which would be replaced by a file", f.main)
	}
	cur, found, err := c.current(f)
	if err != nil {
		return err
	}
	if !found {
		return c.replace(f, data, nil)
	}
	same := cur.lists(data, s.Servers)
	switch old := cur.head.stamp(); {
	case s.stamp().after(old):
	case !same || !s.stamp().sameVersion(old):
		return fmt.Errorf("%s: %w: era %d, zxid %d, as of %v; refused era %d, zxid %d, as of %v", cur.path, ErrNewer,
			old.era, old.zxid, old.asOf, s.Era, s.Zxid, s.AsOf.UTC())
	case old.asOf.After(s.SavedAt): // by a clock that was ahead; ours counts, or the file would look fresh until it has caught up
	case cur.path == f.main && cur.sameBody(data):
		return nil
	default: // the same list, confirmed no later, but HeldSince differs or f.main is lost
		s.AsOf = old.asOf
		if data, err = encode(s); err != nil {
			return err
		}
	}
	if same || cur.path != f.main {
		return c.replace(f, data, nil)
	}
	return c.replace(f, data, &cur)
}

// errLocked: another writer, or several in turn, had the lock.
var errLocked = errors.New("locked by others")

// lock takes the writers' lock, or gives up after lockTimeout. Where the file system has no locks, writers do without: what they lose is
// only the order of two that write at once.
func (c *Cache) lock(path string) (unlock func() error, err error) {
	for deadline := time.Now().Add(lockTimeout); ; time.Sleep(time.Millisecond + rand.N(4*time.Millisecond)) {
		unlock, ok, err := c.fsys.tryLock(path)
		switch {
		case errors.Is(err, errors.ErrUnsupported):
			c.lockless.Do(func() {
				c.config.logger.Warn("the file system has no locks, writing without", "path", path, "error", err)
			})
			return func() error { return nil }, nil
		case err != nil:
			return nil, err
		case ok:
			return unlock, nil
		case time.Now().After(deadline):
			return nil, fmt.Errorf("%s: %w for %v", path, errLocked, lockTimeout)
		}
	}
}

// generation is a file that was found good.
type generation struct {
	path string
	head head
	data []byte
	body []byte // data without the head
}

// sameBody reports whether the encoded snapshot data has the same servers, HeldSince included.
func (g *generation) sameBody(data []byte) bool {
	_, size, err := decodeHead(data)
	return err == nil && bytes.Equal(g.body, data[size:])
}

// lists reports whether g lists the same servers with the same metadata as the snapshot data, which has the given servers.
func (g *generation) lists(data []byte, servers []Server) bool {
	if g.sameBody(data) {
		return true
	}
	held := []byte(`"heldSince": `)
	if !bytes.Contains(g.body, held) && !bytes.Contains(data, held) {
		return false // one way to write a list: the bytes differ, so do the lists
	}
	old, err := decodeServers(g.body)
	return err == nil && sameList(old, servers)
}

// current returns the newest good generation, if there is one. Damaged ones are set aside. The caller has the lock.
func (c *Cache) current(f files) (g generation, found bool, err error) {
	for _, path := range []string{f.main, f.prev} {
		data, err := c.readWhole(path)
		if err == nil {
			err = verify(data)
		}
		switch {
		case err == nil:
			h, size, _ := decodeHead(data) // readWhole has seen that it is sound
			return generation{path: path, head: h, data: data, body: data[size:]}, true, nil
		case errors.Is(err, ErrCorrupt):
			c.setAside(path, err)
		case !absent(err):
			return generation{}, false, fmt.Errorf("%s: %w", path, err)
		}
	}
	return generation{}, false, nil
}

// replace puts data in the place of f.main. If keep is not nil it is what stands there now, and becomes the previous generation. The caller
// has the lock.
func (c *Cache) replace(f files, data []byte, keep *generation) error {
	p, err := c.fsys.pending(f.main)
	if err != nil {
		return err
	}
	// Whatever can fail for want of space or permission does so before the previous generation is touched.
	if _, err = p.Write(data); err == nil {
		err = p.Sync()
	}
	if err == nil && keep != nil {
		err = c.keepPrevious(f, keep)
	}
	if err == nil {
		err = p.CloseAtomicallyReplace()
	}
	if err != nil {
		if errors.Is(err, syscall.EBUSY) {
			err = fmt.Errorf("%w (a file that is a mount point cannot be replaced: mount its directory instead)", err)
		}
		return errors.Join(err, p.Cleanup())
	}
	if err := c.fsys.syncDir(c.dir); err != nil {
		return fmt.Errorf("written, but may not survive a power cut: %w", err)
	}
	return nil
}

// keepPrevious gives the file that is about to be replaced a second name, so that there is no instant without a whole one. Where hard links
// are not possible it copies.
func (c *Cache) keepPrevious(f files, keep *generation) error {
	link := filepath.Join(c.dir, tempPrefix(f.prev)+"link")     // one name is enough under the lock, and leaves one orphan at most
	if err := c.fsys.remove(link); err != nil && !absent(err) { // a killed writer's
		return err
	}
	if err := c.fsys.link(f.main, link); err != nil {
		c.config.logger.Debug("no hard link, so the predecessor is copied", "path", f.main, "error", err)
		return c.copyPrevious(f, keep)
	}
	if err := c.fsys.rename(link, f.prev); err != nil {
		return errors.Join(err, c.fsys.remove(link))
	}
	return nil
}

func (c *Cache) copyPrevious(f files, keep *generation) error {
	p, err := c.fsys.pending(f.prev)
	if err != nil {
		return err
	}
	if _, err = p.Write(keep.data); err == nil {
		err = p.CloseAtomicallyReplace()
	}
	if err != nil {
		return errors.Join(err, p.Cleanup())
	}
	return nil
}
