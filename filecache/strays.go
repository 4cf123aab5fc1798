package filecache

import (
	"io/fs"
	"maps"
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
	mu     sync.Mutex
	dirs   map[string]*inspected
	caches map[*Cache]*entered // that are watched: one of them may be meant
}

// entered is a Cache that is watched, and where it has everything. A Cache whose Keeper opens it once more has it elsewhere later.
type entered struct {
	*Cache
	decided

	times int
}

// inspected is a directory that was looked through.
type inspected struct {
	at     time.Time // when somebody looked at it last
	looked looked
	told   map[string]bool // by name; also those that were counted only
	lines  int
}

func (s *strays) enter(c *Cache) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.caches == nil {
		s.caches = make(map[*Cache]*entered)
	}
	if s.caches[c] == nil {
		s.caches[c] = &entered{Cache: c, decided: c.decided}
	}
	s.caches[c].times++
}

func (s *strays) leave(c *Cache) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.caches[c].times--; s.caches[c].times == 0 {
		delete(s.caches, c)
	}
}

// look looks through the directories from that of the service up to the one that Open was given, and that of WithOverrideDir, if they have changed.
func (s *strays) look(c *Cache, now time.Time) {
	for _, dir := range levels(c.at, c.dir) {
		if s.hasChanged(c, dir, now) {
			s.inspect(c, dir)
		}
	}
	for _, override := range c.overrides[1:] {
		if dir := filepath.Dir(override); s.hasChanged(c, dir, now) {
			s.inspectFlat(c, dir)
		}
	}
}

// levels are the directories from dir up to top. Nothing is above a root, whatever is asked.
func levels(dir, top string) []string {
	all := []string{dir}
	for up := filepath.Dir(dir); dir != top && up != dir; dir, up = up, filepath.Dir(up) {
		all = append(all, up)
	}
	return all
}

// hasChanged reports whether dir has changed. Most directories are above many services, so one that somebody has looked at just now is not looked at.
func (s *strays) hasChanged(c *Cache, dir string, now time.Time) bool {
	if !s.isDue(dir, now) {
		return false
	}
	info, err := c.fsys.stat(dir)
	return err == nil && s.isOther(dir, info, now)
}

func (s *strays) isDue(dir string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.of(dir)
	if age := now.Sub(d.at); age >= 0 && age < pollInterval/2 {
		return false
	}
	d.at = now
	return true
}

func (s *strays) isOther(dir string, info fs.FileInfo, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.of(dir).looked.unchanged(info, now)
}

// of is what is known of dir. The caller has s.mu.
func (s *strays) of(dir string) *inspected {
	d := s.dirs[dir]
	if d == nil {
		if s.dirs == nil {
			s.dirs = make(map[string]*inspected)
		}
		d = &inspected{told: make(map[string]bool)}
		s.dirs[dir] = d
	}
	return d
}

// inspect tells what is stray in dir.
func (s *strays) inspect(c *Cache, dir string) {
	older := 0
	for name, file := range jsonFiles(c.fsys, dir) {
		if c.belongs(dir, name) {
			continue
		}
		if _, err := readHead(c.fsys, file); err == nil && dir == c.dir {
			if s.isNew(dir, name, false) {
				older++
			}
			continue
		}
		if !s.isNew(dir, name, true) {
			continue
		}
		of := &entered{Cache: c, decided: c.decided} // for example
		for _, other := range s.watched() {
			if other.dir == c.dir && other.isMeantBy(name) {
				of = other
			}
		}
		of.config.logger.Warn("nobody reads this file: the override of a service has one name only",
			"file", file, "service", of.service, "override", of.overrides[0])
	}
	if older > 0 {
		c.config.logger.Info("lists of an older layout are not read; new ones are written below the ensemble's directory",
			"dir", dir, "files", older, "ensemble", c.home)
	}
}

// inspectFlat tells what is stray in an operator's directory. Nobody knows all the names that may be in it, so it is what seems to be meant for a
// service of this process.
func (s *strays) inspectFlat(c *Cache, dir string) {
	for name, file := range jsonFiles(c.fsys, dir) {
		var of *entered
		for _, other := range s.watched() {
			if slices.Contains(other.overrides[1:], file) {
				of = nil
				break
			}
			if len(other.overrides) > 1 && filepath.Dir(other.overrides[1]) == dir && other.isMeantBy(name) {
				of = other
			}
		}
		if of != nil && s.isNew(dir, name, true) {
			of.config.logger.Warn("nobody reads this file: the override of a service has one name only",
				"file", file, "service", of.service, "override", of.overrides[1])
		}
	}
}

// jsonFiles are the names and paths of the files in dir that look like one of ours, but for those that are being written.
func jsonFiles(fsys fileSystem, dir string) map[string]string {
	entries, _ := fsys.readDir(dir) // what cannot be read is not told
	files := make(map[string]string)
	for _, e := range entries {
		if name := e.Name(); !e.IsDir() && strings.HasSuffix(strings.ToLower(name), ".json") && !isTemporary(name) {
			files[name] = filepath.Join(dir, name)
		}
	}
	return files
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

// watched are the Caches of this process that somebody watches.
func (s *strays) watched() []*entered {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.caches))
}

// isNew notes a stray file, and reports whether it is to be told.
func (s *strays) isNew(dir, name string, line bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.of(dir)
	if d.told[name] || line && d.lines >= maxStrays {
		return false
	}
	d.told[name] = true
	if line {
		d.lines++
	}
	return true
}
