package filecache

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"strconv"
	"time"
)

// maxEnsembleFile is ample for a name.
const maxEnsembleFile = 64 << 10

// settle decides which directory is the ensemble's. As a rule it is there and has the plain name, and one read shows it. Otherwise the others are
// looked at, under a lock, so that two processes that start at once decide the same. Without the lock what stands there decides.
func (c *Cache) settle() {
	plain := filepath.Join(c.dir, c.id.directoryName())
	if owner, known := c.ownerOf(plain); known && owner.is(c.id) {
		c.home, c.owner = plain, owner
		return
	}
	path := filepath.Join(c.dir, openLock)
	unlock, err := c.lockFor(path)
	if err != nil {
		c.config.logger.Debug("the ensemble's directory is chosen without a lock", "path", path, "error", err)
	}
	defer func() { _ = unlock() }() // it ends with this process at the latest
	c.home, c.owner = c.choose(plain)
	if c.fsys.mkdirAll(c.home) == nil {
		c.removeOrphans(c.home)
		_ = c.claim() // Save tries again, and says why it cannot
	}
}

// choose returns the directory that is ours: the one with our name, or with exactly our hosts and root; else the one with our root and a host of ours
// whose lists are newest; else a new one.
func (c *Cache) choose(plain string) (home string, owner ensemble) {
	entries, _ := c.fsys.readDir(c.dir) // what cannot be read is not there
	var related []string
	owners := make(map[string]ensemble)
	for _, e := range entries {
		path := filepath.Join(c.dir, e.Name())
		if info, err := c.fsys.stat(path); err != nil || !info.IsDir() {
			continue
		}
		owner, err := c.readOwner(path) // and no more: a directory without ensemble.json may be anything
		switch {
		case err != nil:
		case owner.is(c.id):
			return path, owner
		case owner.mayBe(c.id):
			related, owners[path] = append(related, path), owner
		}
	}
	if len(related) > 0 {
		home = related[0]
		if len(related) > 1 {
			home = c.newest(related)
		}
		return home, owners[home]
	}
	for home, n := plain, 2; ; n++ {
		if _, known := c.ownerOf(home); !known {
			return home, c.id
		}
		home = plain + "-" + strconv.Itoa(n)
	}
}

// newest returns the directory with the list that was confirmed last, the first if there is none.
func (c *Cache) newest(homes []string) string {
	newest, last := homes[0], time.Time{}
	for _, home := range homes {
		for h := range heads(c.fsys, home) {
			if h.AsOf.After(last) {
				newest, last = home, h.AsOf
			}
		}
	}
	return newest
}

// ownerOf says whose a directory is that has our name, or one that we would give to it. If ensemble.json is missing or no use, any list in the
// directory tells. known is false when nothing does.
func (c *Cache) ownerOf(home string) (owner ensemble, known bool) {
	if owner, err := c.readOwner(home); err == nil {
		return owner, true
	}
	for h := range heads(c.fsys, home) {
		return parseEnsemble(h.Ensemble), true
	}
	return ensemble{}, false
}

// ownerDocument is ensemble.json: one of the two.
type ownerDocument struct {
	Name    *string `json:"name,omitempty"`
	Servers *string `json:"servers,omitempty"`
}

func (c *Cache) readOwner(home string) (ensemble, error) {
	data, err := readFile(c.fsys, filepath.Join(home, ensembleFile), maxEnsembleFile)
	if err != nil {
		return ensemble{}, err
	}
	var doc ownerDocument
	err = json.Unmarshal(data, &doc)
	switch {
	case err == nil && doc.Name != nil:
		return nameOf(*doc.Name), nil
	case err == nil && doc.Servers != nil:
		return parseEnsemble(*doc.Servers), nil
	}
	return ensemble{}, fmt.Errorf("%w: it does not name an ensemble", ErrCorrupt)
}

// claim makes ensemble.json say whose the directory is, if nothing does yet or any more. What it says is never changed: A,B and B,C may be one ensemble
// at two times, and so may B,C and C,D, but that does not make C,D the owner of what A,B has left. The error is ErrForeign if it is another's.
func (c *Cache) claim() error {
	switch owner, err := c.readOwner(c.home); {
	case err == nil && !owner.is(c.owner) && !owner.mayBe(c.id):
		return fmt.Errorf("%s: %w: it is of ensemble %q; ours is %q", c.home, ErrForeign, owner.text, c.owner.text)
	case err == nil:
		return nil
	case !absent(err) && !errors.Is(err, ErrCorrupt):
		return fmt.Errorf("%s: the name of the ensemble in it cannot be read: %w", c.home, err)
	}
	doc := ownerDocument{Servers: &c.owner.text}
	if c.owner.isName() {
		doc = ownerDocument{Name: &c.owner.text}
	}
	data, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	path := filepath.Join(c.home, ensembleFile)
	owner, err := c.writeBeside(path, append(data, '\n'))
	if err != nil {
		return err
	}
	return c.takePlace(owner)
}

// heads yields the head of every list in dir and below that can be read.
func heads(fsys fileSystem, dir string) iter.Seq[head] {
	return func(yield func(head) bool) { eachHead(fsys, dir, yield) }
}

func eachHead(fsys fileSystem, dir string, yield func(head) bool) (more bool) {
	entries, _ := fsys.readDir(dir)
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if e.IsDir() {
			if !eachHead(fsys, path, yield) {
				return false
			}
			continue
		}
		if e.Name() != listFile && e.Name() != prevFile {
			continue
		}
		if h, err := readHead(fsys, path); err == nil && !yield(h) {
			return false
		}
	}
	return true
}
