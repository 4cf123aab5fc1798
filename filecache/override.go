package filecache

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"
)

// LoadOverride reads the list that an operator has put at OverridePath. It is a JSON document without a checksum, in the simplest case a
// list of addresses:
//
//	["tcp@10.0.0.1:8972", "tcp@10.0.0.2:8972"]
//
// Where metadata matters an entry is an object, and the list may stand in one too, with a comment for colleagues:
//
//	{"comment": "INC-4711, remove on Monday", "servers": [{"key": "tcp@10.0.0.1:8972", "value": "weight=5"}]}
//
// A list without servers is believed only as {"empty": true}. The snapshot has Override set, the file's time as AsOf and SavedAt, and the
// servers in the file's order.
//
// What list.json has beside the servers is ignored, so that a copy of it is a valid override, with some lines changed or taken out.
//
// WithOverrideDir adds a second place. The first that has a good override counts.
//
// Without the file the error wraps fs.ErrNotExist. A file that breaks a rule is refused whole: the error wraps ErrOverride and names line,
// column and reason. Rules: JSON, at most 64 MiB; no unknown or repeated field; no key twice; a key is network@address, the address host:port with a
// numeric port, except for the networks unix, memu and inprocess, where it only must not be empty.
func (c *Cache) LoadOverride() (Snapshot, error) {
	var errs []error
	missing := 0
	for _, path := range c.overrides {
		text, err := c.readOverride(path)
		if err == nil {
			var s Snapshot
			if s, err = c.judgeOverride(path, text); err == nil {
				c.learnOverride(&s)
				s.Servers = slices.Clone(s.Servers)
				return s, nil
			}
		}
		if absent(err) {
			missing++
			err = nil
		}
		errs = append(errs, err)
	}
	err := errors.Join(errs...)
	if missing == len(c.overrides) {
		c.learnOverride(nil)
		err = &fs.PathError{Op: "open", Path: c.overrides[0], Err: fs.ErrNotExist}
	}
	return Snapshot{}, fmt.Errorf("filecache: override: %w", err)
}

// learnOverride notes what override the user of this Cache knows of, so that Watch can tell when it is gone.
func (c *Cache) learnOverride(s *Snapshot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.override = s
}

func (c *Cache) readOverride(path string) ([]byte, error) {
	text, err := readFile(c.fsys, path, maxFileSize)
	if err != nil && !absent(err) {
		err = fmt.Errorf("%w: %w", ErrOverride, err)
	}
	return text, err
}

// judgeOverride returns the snapshot that text, read from path, stands for.
func (c *Cache) judgeOverride(path string, text []byte) (Snapshot, error) {
	servers, err := parseOverride(text)
	if err != nil {
		return Snapshot{}, fmt.Errorf("%w: %s:%w", ErrOverride, path, err)
	}
	asOf := time.Time{}
	if info, err := c.fsys.stat(path); err == nil {
		asOf = info.ModTime()
	}
	return Snapshot{
		Ensemble: c.id.text, Service: c.service, SavedAt: asOf, AsOf: asOf, Servers: servers, Override: true, Path: path,
	}, nil
}
