package filecache

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
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
// replaced by a regular file, unnoticed: open the link's target directory instead).
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
	s.Ensemble, s.Service, s.SavedAt = c.id.text, c.service, time.Now()
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

	if err := c.removeLitter(); err != nil {
		return err
	}
	if err := c.fsys.mkdirAll(c.at); err != nil {
		return err
	}
	if err := c.claim(); err != nil {
		return err
	}
	return c.saveLocked(s, data)
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

// saveLocked saves s, which data encodes, under the writers' lock. Where the file system has no locks, writers do without: what they lose is only the
// order of two that write at once.
func (c *Cache) saveLocked(s Snapshot, data []byte) error {
	unlock, err := c.lockFor(c.lock)
	if errors.Is(err, errLocked) {
		return err
	}
	defer c.giveBack(unlock)
	if saveErr := c.saveInOrder(s, data); saveErr != nil {
		return errors.Join(saveErr, err)
	}
	if err != nil {
		c.tolerate("lock", c.lock, err)
	}
	return nil
}

// saveInOrder saves s unless the file is later.
func (c *Cache) saveInOrder(s Snapshot, data []byte) error {
	switch info, err := c.fsys.lstat(c.main); {
	case err != nil && !absent(err):
		return err
	case err == nil && info.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%s is a symbolic link, which would be replaced by a file", c.main)
	}
	cur, found, err := c.current()
	if err != nil {
		return err
	}
	if !found {
		return c.replace(data, nil)
	}
	same := cur.lists(data, s.Servers)
	switch old := cur.head.stamp(); {
	case s.stamp().after(old):
	case !same || !s.stamp().sameVersion(old):
		return fmt.Errorf("%s: %w: era %d, zxid %d, as of %v; refused era %d, zxid %d, as of %v", cur.path, ErrNewer,
			old.era, old.zxid, old.asOf, s.Era, s.Zxid, s.AsOf.UTC())
	case old.asOf.After(s.SavedAt): // by a clock that was ahead; ours counts, or the file would look fresh until it has caught up
	case cur.path == c.main && cur.sameBody(data):
		return nil
	default: // the same list, confirmed no later, but HeldSince differs or c.main is lost
		s.AsOf = old.asOf
		if data, err = encode(s); err != nil {
			return err
		}
	}
	if same || cur.path != c.main {
		return c.replace(data, nil)
	}
	return c.replace(data, &cur)
}

// errLocked: another writer, or several in turn, had the lock.
var errLocked = errors.New("locked by others")

// lockFor takes the lock at path. It waits for lockTimeout at most; then the error is errLocked. After any other error there are no locks here. unlock
// is never nil.
func (c *Cache) lockFor(path string) (unlock func() error, err error) {
	nothing := func() error { return nil }
	for deadline := time.Now().Add(lockTimeout); ; time.Sleep(time.Millisecond + rand.N(4*time.Millisecond)) {
		unlock, ok, err := c.fsys.tryLock(path)
		switch {
		case err != nil:
			return nothing, err
		case ok:
			return unlock, nil
		case time.Now().After(deadline):
			return nothing, fmt.Errorf("%s: %w for %v", path, errLocked, lockTimeout)
		}
	}
}

func (c *Cache) giveBack(unlock func() error) {
	if err := unlock(); err != nil {
		c.tolerate("unlock", c.lock, err)
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
func (c *Cache) current() (g generation, found bool, err error) {
	for _, path := range []string{c.main, c.prev} {
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
