package filecache

import (
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// maxStrays is how many stray files of one directory are told: somebody may keep a thousand of his own there.
const maxStrays = 8

// strayFiles are the files that this process has told about.
var strayFiles strays

// strays finds files which look like an override or a list but have the name of none, so that nobody reads them. Each is told once.
type strays struct {
	mu   sync.Mutex
	dirs map[string]*inspected
}

// inspected is a directory that was looked through.
type inspected struct {
	looked looked
	told   map[string]bool // by name; also those that were counted only
	lines  int
}

// look looks through the directories from that of the service up to the one that Open was given, if they have changed.
func (s *strays) look(c *Cache, now time.Time) {
	for dir := c.at; ; dir = filepath.Dir(dir) {
		if info, err := c.fsys.stat(dir); err == nil && s.changed(dir, info, now) {
			s.inspect(c, dir)
		}
		if len(dir) <= len(c.dir) {
			break
		}
	}
	for _, override := range c.overrides[1:] {
		dir := filepath.Dir(override)
		key := dir + " " + c.service // each service knows its own name only
		if info, err := c.fsys.stat(dir); err == nil && s.changed(key, info, now) {
			s.inspectFlat(c, key, dir, override)
		}
	}
}

// inspectFlat tells what is stray in an operator's directory. Nobody knows all the names that may be in it, so it is what seems to be meant for us.
func (s *strays) inspectFlat(c *Cache, key, dir, override string) {
	entries, _ := c.fsys.readDir(dir) // what cannot be read is not told
	for _, e := range entries {
		name := e.Name()
		if strings.HasSuffix(name, ".json") && name != filepath.Base(override) && c.isMeantBy(name) && s.isNew(key, name, true) {
			c.config.logger.Warn("nobody reads this file, but it seems to be meant for this service", "file", filepath.Join(dir, name),
				"service", c.service, "override", override)
		}
	}
}

func (s *strays) changed(dir string, info fs.FileInfo, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.dirs[dir]
	if d == nil {
		if s.dirs == nil {
			s.dirs = make(map[string]*inspected)
		}
		d = &inspected{told: make(map[string]bool)}
		s.dirs[dir] = d
	}
	return !d.looked.unchanged(info, now)
}

// inspect tells what is stray in dir.
func (s *strays) inspect(c *Cache, dir string) {
	entries, _ := c.fsys.readDir(dir) // what cannot be read is not told
	older := 0
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() || !strings.HasSuffix(strings.ToLower(name), ".json") || isTemporary(name) || c.belongs(dir, name) {
			continue
		}
		file := filepath.Join(dir, name)
		switch _, err := readHead(c.fsys, file); {
		case err == nil && dir == c.dir:
			if s.isNew(dir, name, false) {
				older++
			}
		case s.isNew(dir, name, true):
			s.isNew(dir, c.service+"/"+name, false) // this is the line of our service
			c.config.logger.Warn("nobody reads this file: the override of a service has one name only",
				"file", file, "service", c.service, "override", c.OverridePath())
		case c.isMeantBy(name) && s.isNew(dir, c.service+"/"+name, true):
			c.config.logger.Warn("nobody reads this file, but it seems to be meant for this service", "file", file, "service", c.service,
				"override", c.OverridePath())
		}
	}
	if older > 0 {
		c.config.logger.Info("lists of an older layout are not read; new ones are written below the ensemble's directory",
			"dir", dir, "files", older, "ensemble", c.home)
	}
}

// belongs reports whether a file of this name may be ours in dir.
func (c *Cache) belongs(dir, name string) bool {
	switch dir {
	case c.dir:
		return false
	case c.home:
		return name == ensembleFile
	}
	return slices.Contains(ownNames, name)
}

// isMeantBy reports whether a person who has made a file of this name is likely to have meant our service.
func (c *Cache) isMeantBy(name string) bool {
	name = strings.ToLower(name)
	name = strings.TrimSuffix(strings.TrimSuffix(name, ".json"), ".override")
	return name == strings.ToLower(path.Base(c.service)) || name == strings.ToLower(strings.TrimSuffix(flatName(c.service), ".json"))
}

// isNew notes a stray file, and reports whether it is to be told.
func (s *strays) isNew(dir, name string, line bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.dirs[dir]
	if d.told[name] || line && d.lines >= maxStrays {
		return false
	}
	d.told[name] = true
	if line {
		d.lines++
	}
	return true
}
