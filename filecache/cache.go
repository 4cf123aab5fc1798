package filecache

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"
)

// Cache is the file of one service of one ensemble. All methods may be called at once from anywhere; several Caches and several
// processes may share the file.
type Cache struct {
	dir, ensemble, service string
	config                 config
	fsys                   fileSystem
	directories            *registry

	plain files // <service>.json and its kin
	own   files // <service>~<hash of an ensemble>.json: ours while another ensemble has the plain name; see adopt

	saving   sync.Mutex // held for the whole of a Save
	lockless sync.Once  // to report that the file system has no locks

	mu       sync.Mutex
	known    stamp     // the latest snapshot that this Cache's user has loaded or saved, beforeAll if it found none to load
	knows    bool      // known is set
	override *Snapshot // what LoadOverride has returned last; nil if there was none. It does not change.

	closed  bool
	stop    chan struct{}  // Close closes it
	watches sync.WaitGroup // a goroutine for each Watch; added to under mu, and not once closed
}

// files are the names that belong to one stem.
type files struct {
	main, prev, override, lock string
}

func filesOf(dir, stem string) files {
	at := func(suffix string) string { return filepath.Join(dir, stem+suffix) }
	return files{main: at(".json"), prev: at(".prev.json"), override: at(".override.json"), lock: at(".lock")}
}

// Limits of what Open takes, so that a head is never longer than maxHead.
const (
	maxNameLength    = 4096
	maxLineageLength = 1024
)

// orphanAge is how old a temporary file must be before Open takes its writer for dead. A live one needs milliseconds, seconds at worst.
const orphanAge = 10 * time.Minute

// Open prepares the file of service in dir; it does not read it. The name of the ensemble goes into the file, so that lists of two
// ensembles are not confused; it may be empty. Open creates dir (mode 0700) where it can and removes what writers that were killed have
// left there. That dir cannot be created or written now is not an error: Save will say so. An error names the value and the rule that it
// breaks: an empty or over-long name, one that is not UTF-8, a dir that is a file, a contradictory or negative option.
func Open(dir, ensemble, service string, opts ...Option) (*Cache, error) {
	cfg := newConfig(opts)
	return open(disk{}, dir, ensemble, service, cfg, cfg.forOpen())
}

// open is Open on any file system. It adds what is wrong already, if anything, to what it finds wrong itself.
func open(fsys fileSystem, dir, ensemble, service string, cfg config, wrong error) (*Cache, error) {
	errs := []error{wrong, cfg.validate(), checkName("ensemble", ensemble), checkName("service", service)}
	if service == "" {
		errs = append(errs, errors.New(`service "": must not be empty`))
	}
	if dir == "" {
		errs = append(errs, errors.New(`directory "": must not be empty`))
		return nil, wrapOpen(errs)
	}
	abs, err := filepath.Abs(dir) // so that a later change of the working directory does not move the file
	if err != nil {
		return nil, wrapOpen(append(errs, err))
	}
	if err := makeDir(fsys, abs); err != nil {
		errs = append(errs, err)
	}
	if err := wrapOpen(errs); err != nil {
		return nil, err
	}

	stem := escape(service)
	c := &Cache{
		dir: abs, ensemble: ensemble, service: service, config: cfg, fsys: fsys, directories: &directories,
		plain: filesOf(abs, stem), own: filesOf(abs, stem+ensembleSuffix(ensemble)),
		stop: make(chan struct{}),
	}
	c.warnOfStrangers()
	entries, err := fsys.readDir(abs)
	if err == nil { // otherwise there is nothing to be found, and Save will say so
		c.adopt(stem, entries)
		c.removeOrphans(entries)
	}
	return c, nil
}

func wrapOpen(errs []error) error {
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("filecache: open: %w", err)
	}
	return nil
}

func checkName(what, name string) error {
	switch {
	case len(name) > maxNameLength:
		return fmt.Errorf("%s %.40q…: %d bytes, at most %d are allowed", what, name, len(name), maxNameLength)
	case !utf8.ValidString(name):
		return fmt.Errorf("%s %q: must be UTF-8", what, name)
	}
	return nil
}

// makeDir reports only what cannot heal by itself: something which is no directory stands where dir or a parent of it should be.
func makeDir(fsys fileSystem, dir string) error {
	err := fsys.mkdirAll(dir)
	if errors.Is(err, syscall.ENOTDIR) {
		return fmt.Errorf("directory %q: must be a directory, but it or a parent of it is a file", dir)
	}
	return nil
}

// warnOfStrangers reports a directory in which anybody may put a list, and so direct this program's calls.
func (c *Cache) warnOfStrangers() {
	info, err := c.fsys.stat(c.dir)
	if err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o002 != 0 {
		c.config.logger.Warn("anybody may write the cache directory, and so decide which servers are called",
			"dir", c.dir, "mode", info.Mode().String())
	}
}

// adopt looks for the file that is ours beside the plain name. The hash in its name is of what the ensemble was called when it was first written,
// which may be another name of the same (see WithEnsembleMatch): whose it is stands in it. Of several the latest is it.
func (c *Cache) adopt(stem string, entries []fs.DirEntry) {
	newest := beforeAll
	for _, e := range entries {
		name, isFile := strings.CutSuffix(e.Name(), ".json")
		name = strings.TrimSuffix(name, ".prev")
		if hash, ok := strings.CutPrefix(name, stem); !isFile || !ok || !isEnsembleSuffix(hash) {
			continue
		}
		if h, err := c.readHead(filepath.Join(c.dir, e.Name())); err == nil && h.stamp().after(newest) {
			newest, c.own = h.stamp(), filesOf(c.dir, name)
		}
	}
}

// removeOrphans removes the temporary files of writers that were killed. That it cannot is no matter: they do not hurt.
func (c *Cache) removeOrphans(entries []fs.DirEntry) {
	for _, e := range entries {
		if !c.isTemporary(e.Name()) {
			continue
		}
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > orphanAge {
			_ = c.fsys.remove(filepath.Join(c.dir, e.Name()))
		}
	}
}

// tempPrefix is how renameio begins the name of the temporary file for path; digits follow.
func tempPrefix(path string) string { return "." + filepath.Base(path) }

func (c *Cache) isTemporary(name string) bool {
	for _, path := range []string{c.plain.main, c.plain.prev, c.own.main, c.own.prev} {
		digits, ok := strings.CutPrefix(name, tempPrefix(path))
		if ok && digits != "" && strings.Trim(digits, "0123456789") == "" {
			return true
		}
	}
	return false
}

// Path is the file that Save writes. It looks at the directory: while a file of another ensemble has the plain name, ours has a hash in it.
func (c *Cache) Path() string {
	f, _ := c.locate() // in doubt the plain name
	return f.main
}

// OverridePath is where an operator may put a list by hand; see LoadOverride. Like Path it looks at the directory.
func (c *Cache) OverridePath() string {
	f, _ := c.locate() // in doubt the plain name
	return f.override
}

// locate finds out which names are ours. The plain ones are not while a file of another ensemble, or of a later version of this library,
// stands at one of them: it is not ours to move or to write over. With an error, which is about reading them, it returns the plain ones.
func (c *Cache) locate() (files, error) {
	var errs []error
	for _, path := range []string{c.plain.main, c.plain.prev} {
		_, err := c.readHead(path)
		switch {
		case errors.Is(err, ErrForeign), errors.Is(err, ErrVersion):
			return c.own, nil
		case err != nil && !absent(err) && !errors.Is(err, ErrCorrupt):
			errs = append(errs, fmt.Errorf("%s: %w", path, err))
		}
	}
	return c.plain, errors.Join(errs...)
}

// readHead reads and judges the head of the file at path. The rest of the file may be damaged, and so may the head.
func (c *Cache) readHead(path string) (head, error) {
	data, err := readLines(c.fsys, path, headLines, maxHead)
	if errors.Is(err, errIrregular) {
		err = fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if err != nil {
		return head{}, err
	}
	h, _, err := decodeHead(data)
	if err != nil {
		return head{}, err
	}
	return h, c.checkOwner(h)
}

func (c *Cache) checkOwner(h head) error {
	if h.Service != c.service || !c.config.sameEnsemble(c.ensemble, h.Ensemble) {
		return fmt.Errorf("%w: it is of service %q, ensemble %q; ours is %q, %q", ErrForeign, h.Service, h.Ensemble, c.service, c.ensemble)
	}
	return nil
}

// learn notes what the user of this Cache knows, so that Watch does not tell it again.
func (c *Cache) learn(s stamp) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.knows || s.after(c.known) {
		c.known, c.knows = s, true
	}
}

// learned is the latest snapshot that the user of this Cache knows, and whether it has asked at all.
func (c *Cache) learned() (stamp, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known, c.knows
}

// Close ends every Watch and returns when their goroutines are gone. It may be called more than once. Load and Save hold nothing open
// and go on working.
func (c *Cache) Close() error {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		close(c.stop)
	}
	c.mu.Unlock()
	c.watches.Wait()
	return nil
}

// absent reports whether err says that there is no such file.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}
