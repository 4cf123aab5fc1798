package filecache

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Load returns the newest good generation of the file, read anew, with the Path that it was read from. The Servers are the caller's own. A HeldSince in
// the future, by a clock that was ahead, is now: otherwise the hold would not end before that clock's time has come.
//
// A damaged file is renamed, so that it can be looked into (the newest three are kept), and reported to the logger, and the generation
// before it is used; it stays where it is when the directory cannot be written or a writer has the lock. Files of another ensemble and of
// later versions of this library are left alone. Load never waits for a writer.
//
// When no generation will do, the error says for each file why, and wraps what applies of ErrCorrupt, ErrForeign, ErrVersion, ErrTooOld
// and the file system's errors; if there is no file at all, it wraps fs.ErrNotExist.
func (c *Cache) Load() (Snapshot, error) {
	s, err := c.load(c.checkAge)
	if err != nil {
		c.learn(beforeAll)
		return Snapshot{}, fmt.Errorf("filecache: load: %w", err)
	}
	c.learn(s.stamp())
	return s, nil
}

// inTheWay is the generation that has refused a Save, whatever its age: one that is too old to be used may still be later than ours.
func (c *Cache) inTheWay() (Snapshot, error) {
	return c.load(func(Snapshot) error { return nil })
}

func (c *Cache) load(usable func(Snapshot) error) (Snapshot, error) {
	s, err := c.loadFrom(c.main, usable)
	if err != nil {
		return c.loadBefore(err, usable)
	}
	return s, nil
}

// loadBefore loads the generation before the newest, of which err says why it will not do.
func (c *Cache) loadBefore(err error, usable func(Snapshot) error) (Snapshot, error) {
	s, prevErr := c.loadFrom(c.prev, usable)
	reason := errors.Join(slices.DeleteFunc([]error{err, prevErr}, absent)...)
	switch {
	case prevErr != nil && reason == nil:
		return Snapshot{}, &fs.PathError{Op: "open", Path: c.main, Err: fs.ErrNotExist}
	case prevErr != nil:
		return Snapshot{}, reason
	case reason != nil:
		c.config.logger.Warn("an older generation is used", "path", c.prev, "as_of", s.AsOf, "reason", reason)
	}
	return s, nil
}

func (c *Cache) loadFrom(path string, usable func(Snapshot) error) (Snapshot, error) {
	s, err := c.readOrSetAside(path)
	if err == nil {
		err = usable(s)
	}
	if err != nil {
		return Snapshot{}, fmt.Errorf("%s: %w", path, err)
	}
	holdByNow(s.Servers, time.Now())
	return s, nil
}

// read returns the snapshot at path if it is whole and ours.
func (c *Cache) read(path string) (Snapshot, error) {
	data, err := c.readWhole(path)
	if err != nil {
		return Snapshot{}, err
	}
	s, err := decode(data)
	s.Path = path
	return s, err
}

// readWhole returns the file at path if its head is sound and ours. The checksum has not been looked at: a damaged file whose head says
// that it is another's is not ours to move.
func (c *Cache) readWhole(path string) ([]byte, error) {
	data, err := readFile(c.fsys, path, maxFileSize)
	if errors.Is(err, errTooLarge) || errors.Is(err, errIrregular) {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if err != nil {
		return nil, err
	}
	return data, c.checkHead(data)
}

func (c *Cache) checkHead(data []byte) error {
	h, _, err := decodeHead(data)
	if err != nil {
		return err
	}
	return c.checkOwner(h)
}

// Judge is what Load makes of a file at path with that text, or LoadOverride where path is an override's. The file itself is not read.
func (c *Cache) Judge(path string, text []byte) (s Snapshot, err error) {
	if slices.Contains(c.overrides, path) {
		if err := within(maxFileSize, int64(len(text))); err != nil {
			return s, fmt.Errorf("%w: %s: %w", ErrOverride, path, err)
		}
		return c.judgeOverride(path, text)
	}
	if err = within(maxFileSize, int64(len(text))); err == nil {
		err = c.checkHead(text)
	}
	if err == nil {
		s, err = decode(text)
	}
	if err != nil {
		return Snapshot{}, fmt.Errorf("%s: %w", path, err)
	}
	holdByNow(s.Servers, time.Now())
	s.Path = path
	return s, nil
}

func holdByNow(servers []Server, now time.Time) {
	for i, sv := range servers {
		if sv.HeldSince.After(now) {
			servers[i].HeldSince = now.Round(0)
		}
	}
}

// checkAge takes a time in the future for an age, too: one of two clocks is wrong by that much.
func (c *Cache) checkAge(s Snapshot) error {
	switch age, limit := time.Since(s.AsOf), c.config.maxAge; {
	case limit == 0:
		return nil
	case age > limit:
		return fmt.Errorf("%w: confirmed %v ago, the limit is %v", ErrTooOld, age.Round(time.Second), limit)
	case age < -limit:
		return fmt.Errorf("%w: confirmed %v in the future, so that its age is unknown; the limit is %v", ErrTooOld, -age.Round(time.Second), limit)
	}
	return nil
}

// A damaged file is set aside under its own name, this mark and the time. Of each name the newest few are kept.
const (
	corruptMark = ".corrupt-"
	corruptTime = "20060102T150405.000000000Z"
	keptCorrupt = 3
)

// readOrSetAside is read, which moves a damaged file out of the way if no writer is at work; it waits for none.
func (c *Cache) readOrSetAside(path string) (Snapshot, error) {
	s, err := c.read(path)
	if !errors.Is(err, ErrCorrupt) {
		return s, err
	}
	unlock, ok, lockErr := c.fsys.tryLock(c.lock)
	switch {
	case lockErr != nil: // no locks here, so nobody has one
		c.tolerate("lock", c.lock, lockErr)
	case !ok:
		c.config.logger.Warn("damaged file left in place, since somebody is writing", "path", path, "reason", err)
		return s, err
	default:
		defer c.giveBack(unlock)
	}
	s, err = c.read(path) // again: a writer may have replaced it before we had the lock
	if errors.Is(err, ErrCorrupt) {
		c.setAside(path, err)
	}
	return s, err
}

// setAside renames the damaged file at path and removes the oldest of those set aside before. The caller has the lock.
func (c *Cache) setAside(path string, reason error) {
	aside := path + corruptMark + time.Now().UTC().Format(corruptTime)
	if err := c.fsys.rename(path, aside); err != nil {
		c.config.logger.Warn("damaged file left in place", "path", path, "reason", reason, "error", err)
		return
	}
	c.config.logger.Warn("damaged file set aside", "path", path, "to", aside, "reason", reason)

	if err := c.forgetCorrupt(filepath.Base(path) + corruptMark); err != nil {
		c.config.logger.Warn("old damaged files are not removed", "error", err)
	}
}

// forgetCorrupt removes all but the newest files whose names are prefix and a time.
func (c *Cache) forgetCorrupt(prefix string) error {
	entries, err := c.fsys.readDir(c.at)
	if err != nil {
		return err
	}
	var names []string
	for _, e := range entries {
		written, ok := strings.CutPrefix(e.Name(), prefix)
		if _, err := time.Parse(corruptTime, written); ok && err == nil {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	for len(names) > keptCorrupt {
		if err := c.fsys.remove(filepath.Join(c.at, names[0])); err != nil {
			return err
		}
		names = names[1:]
	}
	return nil
}
