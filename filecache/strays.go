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

// inspected is a directory that is looked through.
type inspected struct {
	watches int // of Caches that it matters to

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
	for _, dir := range s.caches[c].searched {
		s.of(dir).watches++
	}
}

// leave forgets the directories that matter to nobody any more. But what was told stays told: a service may be used for a moment now and then.
func (s *strays) leave(c *Cache) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, dir := range s.caches[c].searched {
		d := s.of(dir)
		if d.watches--; d.watches == 0 && len(d.told) == 0 {
			delete(s.dirs, dir)
		}
	}
	if s.caches[c].times--; s.caches[c].times == 0 {
		delete(s.caches, c)
	}
}

// look looks through the directories that have changed.
func (s *strays) look(c *Cache, now time.Time) {
	for _, dir := range c.searched {
		if s.hasChanged(c, dir, now) {
			s.inspect(c, dir)
		}
	}
}

// search says where an override of ours may be that has a wrong name: in the directories from that of the service up to the one that Open was given, in
// the service's without the mark of capital letters, and in that of WithOverrideDir.
func (c *Cache) search() []string {
	dirs := append(levels(c.at, c.dir), unmarked(c.at))
	for _, override := range c.overrides[1:] {
		dirs = append(dirs, filepath.Dir(override))
	}
	return dirs
}

// unmarked is the directory that a person would make for the service whose directory is dir.
func unmarked(dir string) string {
	name, _, _ := strings.Cut(filepath.Base(dir), capitals)
	return filepath.Join(filepath.Dir(dir), name)
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
	files := lookalikes(c.fsys, dir)
	inForce := c.belongs(dir, overrideFile) && files[overrideFile] != ""
	watched, older := s.watched(), 0
	for name, file := range files {
		isRead := func(by *entered) bool { return slices.Contains(by.overrides, file) }
		if c.belongs(dir, name) || inForce && !isJSON(name) || slices.ContainsFunc(watched, isRead) {
			continue
		}
		if _, err := readHead(c.fsys, file); err == nil && dir == c.dir {
			if s.isNew(dir, name, false) {
				older++
			}
			continue
		}
		of := meant(c, watched, dir, name)
		if of != nil && s.isNew(dir, name, true) {
			of.config.logger.Warn("nobody reads this file: the override of a service has one name only",
				"file", file, "service", of.service, "override", of.overrideFor(dir))
		}
	}
	if older > 0 {
		c.config.logger.Info("lists of an older layout are not read; new ones are written below the ensemble's directory",
			"dir", dir, "files", older, "ensemble", c.home)
	}
}

// meant is the Cache that a file in dir is meant for. If its name does not say so it is c, for example, but not in an operator's directory: nobody knows
// all the names that may be in it.
func meant(c *Cache, watched []*entered, dir, name string) *entered {
	for _, other := range watched {
		if (other.dir == c.dir || slices.Contains(other.searched, dir)) && other.isMeantBy(name) {
			return other
		}
	}
	if c.overrideFor(dir) != c.overrides[0] {
		return nil
	}
	return &entered{Cache: c, decided: c.decided}
}

// overrideFor is what a person should have written who has written another file in dir.
func (d *decided) overrideFor(dir string) string {
	if i := slices.IndexFunc(d.overrides, func(path string) bool { return filepath.Dir(path) == dir }); i >= 0 {
		return d.overrides[i]
	}
	return d.overrides[0]
}

// lookalikes are the names and paths of the files in dir that look like one of ours, but for those that are being written.
func lookalikes(fsys fileSystem, dir string) map[string]string {
	entries, _ := fsys.readDir(dir) // what cannot be read is not told
	files := make(map[string]string)
	for _, e := range entries {
		name := e.Name()
		if !e.IsDir() && !isTemporary(name) && (isJSON(name) || strings.HasPrefix(strings.ToLower(name), "override")) {
			files[name] = filepath.Join(dir, name)
		}
	}
	return files
}

// isJSON reports whether a person would take a file of this name for JSON. Where Windows hides it, ".txt" is behind names.
func isJSON(name string) bool { return strings.HasSuffix(withoutTxt(name), ".json") }

func withoutTxt(name string) string { return strings.TrimSuffix(strings.ToLower(name), ".txt") }

// belongs reports whether a file of this name may be ours in dir.
func (c *Cache) belongs(dir, name string) bool {
	switch dir {
	case c.at:
	case c.dir:
		return false
	case c.home:
		return name == ensembleFile
	case unmarked(c.at):
		return !isListed(c.fsys, dir) // it is another service's, where the file system ignores case
	}
	return slices.Contains(ownNames, name)
}

// isListed reports whether the file system has a name as it is written in path.
func isListed(fsys fileSystem, path string) bool {
	entries, _ := fsys.readDir(filepath.Dir(path))
	return slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == filepath.Base(path) })
}

// isMeantBy reports whether a person who has made a file of this name is likely to have meant our service.
func (c *Cache) isMeantBy(name string) bool {
	name = strings.TrimSuffix(strings.TrimSuffix(withoutTxt(name), ".json"), ".override")
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
