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
//
// The package's promises have these bounds:
//
//   - F1. A file system may refuse to set a mode, link, lock or sync. Only what that step protects is lost then, and that is reported once.
//   - F2. A damaged file gets a name with ".corrupt-" in it; the newest three are kept. A file that cannot be read stays where it is, since nothing
//     proves it bad. So does one that a later version of this library has written.
//   - F3. A list that came from a file or an override is not saved again. Wrap saves nothing before the discovery has listed something.
//   - F4. The failure is an error and a log line. A Keeper writes a file again that somebody has removed.
//   - F5. Readers always see a whole file, also between the generations. Writers take an advisory lock for the moment of writing and wait a second for
//     it at most; Load never waits. The age of a list counts from when its source last confirmed it.
type Cache struct {
	dir, service string
	id           ensemble // ours
	config       config
	fsys         fileSystem
	notify       *notifier

	decided // by Open; a Keeper whose Open has failed decides again

	saving sync.Mutex // held for the whole of a Save
	litter []string   // temporary files that could not be removed; guarded by saving

	mu        sync.Mutex
	known     stamp           // the latest snapshot that this Cache's user has loaded or saved, beforeAll if it found none to load
	knows     bool            // known is set
	override  *Snapshot       // what LoadOverride has returned last; nil if there was none. It does not change.
	tolerated map[string]bool // what was told by tolerate

	closed  bool
	stop    chan struct{}  // Close closes it
	watches sync.WaitGroup // a goroutine for each Watch; added to under mu, and not once closed
}

// decided is where everything is.
type decided struct {
	home      string   // the ensemble's directory
	owner     ensemble // whose it is: ours, or ours at another time
	files              // in the service's directory
	overrides []string // where an override may be, the first wins
	searched  []string // the directories in which one may be that has a wrong name
}

// files are those of a service: its directory, and their paths.
type files struct {
	at, main, prev, lock string
}

func filesIn(dir string) files {
	return files{at: dir, main: filepath.Join(dir, listFile), prev: filepath.Join(dir, prevFile), lock: filepath.Join(dir, lockFile)}
}

// Limits of what Open takes, so that a head is never longer than maxHead.
const (
	maxNameLength    = 4096
	maxLineageLength = 1024
)

// orphanAge is how old a temporary file must be before Open takes its writer for dead. A live one needs milliseconds, seconds at worst.
const orphanAge = 10 * time.Minute

// Open prepares the file of a service below dir; it does not read it. The ensemble is a name, which may be empty, or hosts with ports and what all
// paths begin with, as in "zk1:2181,zk2:2181/prod" (see WithNamedEnsemble). Open makes the directories (mode 0700) where it can and removes what writers
// that were killed have left there. That they cannot be made or written now is not an error: Save will say so.
//
// An error names the value and the rule that it breaks: an empty or over-long name, one that is not UTF-8, a dir that is a file, a contradictory
// or negative option. Where the dir is all that is wrong there is a Cache beside the error: it cannot save, but it knows the overrides of
// WithOverrideDir. Open waits at most a second for other processes that are in it at the same time.
//
// # Places
//
// Each ensemble has a directory below dir, and each service one in that:
//
//	zk1_2181,zk2_2181/ensemble.json                            whose the directory is
//	zk1_2181,zk2_2181/prod/rpcx/Arith~c1/list.json             the snapshot of /prod/rpcx/Arith: JSON, a server on each line
//	zk1_2181,zk2_2181/prod/rpcx/Arith~c1/prev.json             the list before it
//	zk1_2181,zk2_2181/prod/rpcx/Arith~c1/override.json         what an operator wants instead, written by hand; see Cache.LoadOverride
//	zk1_2181,zk2_2181/prod/rpcx/Arith~c1/list.lock             the writers' lock; empty, never removed
//
// The ensemble's directory is called by the ensemble's name, or after its hosts. Open decides which one is ours, once:
//
//   - the one that says it has our name, or exactly our hosts and root;
//   - else, for hosts, the one with our root and at least one host of ours; of several, the one whose list is newest;
//   - else a new one.
//
// For example, a client that knows zk1 and zk2 has made the directory. A client of zk2 and zk3 uses it, too, since zk2 is in both. A client of zk3 alone
// does not: the directory goes on saying zk1 and zk2, because zk3 may belong to another ensemble by now.
//
// The directory of a service is its path. A name is escaped only where a file system needs it, in the same way everywhere. "~c1" behind a name with capital
// letters keeps Arith apart from arith where a file system ignores case; the digits say which letters are capitals. What Windows forbids in names, a
// dot at the beginning, and a name that one of our files has are escaped as in a URL.
//
// All files have mode 0600 and all directories 0700, because who writes them decides which servers are called. So processes of different users cannot
// share them. The list is not meant to be edited, which breaks its checksum. The override is, and a copy of the list is a valid one. WithOverrideDir adds a
// second place for overrides, such as a mounted ConfigMap.
//
// Give Open a directory, not a file: a single file that is mounted into a container cannot be replaced, and Save says so. The list itself may not be a
// symbolic link, which a replacement would destroy. Its directory may be one, and the override, too.
func Open(dir, ensemble, service string, opts ...Option) (*Cache, error) {
	cfg := newConfig(opts)
	c, err := prepare(disk{}, dir, ensemble, service, cfg, cfg.forOpen())
	if err != nil {
		return nil, err
	}
	return c, c.open()
}

// prepare is the part of Open that does not touch the disk. It adds what is wrong already, if anything, to what it finds wrong itself.
func prepare(fsys fileSystem, dir, ensemble, service string, cfg config, wrong error) (*Cache, error) {
	errs := []error{wrong, cfg.validate(), checkName("ensemble", ensemble), checkName("service", service)}
	if service == "" {
		errs = append(errs, errors.New(`service "": must not be empty`))
	}
	abs, err := filepath.Abs(dir) // so that a later change of the working directory does not move the file
	if dir == "" {
		err = errors.New(`directory "": must not be empty`)
	}
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, fmt.Errorf("filecache: open: %w", err)
	}
	if cfg.readOnly {
		fsys = readOnly{fsys}
	}
	id := parseEnsemble(ensemble)
	if cfg.nameOnly {
		id = nameOf(ensemble)
	}
	return &Cache{
		dir: abs, id: id, service: service, config: cfg, fsys: fsys, notify: &notifications, stop: make(chan struct{}),
		tolerated: make(map[string]bool),
	}, nil
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

// open is the part of Open that does, and decides where everything is in any case. Its error is what cannot heal by itself: something which is no
// directory stands where one should be.
func (c *Cache) open() error {
	err := c.fsys.mkdirAll(c.dir)
	c.warnOfStrangers()
	c.settle()
	c.files = filesIn(filepath.Join(c.home, place(c.service)))
	c.overrides = []string{filepath.Join(c.at, overrideFile)}
	if dir := c.config.overrideDir; dir != "" {
		c.overrides = append(c.overrides, filepath.Join(dir, flatName(c.service)))
	}
	c.searched = c.search()
	_ = c.fsys.mkdirAll(c.at) // so that an operator finds it; Save will say if it cannot be made
	c.removeOrphans(c.at)
	if errors.Is(err, syscall.ENOTDIR) {
		return fmt.Errorf("filecache: open: directory %q: must be a directory, but it or a parent of it is a file", c.dir)
	}
	return nil
}

// warnOfStrangers reports a directory in which anybody may put a list, and so direct this program's calls.
func (c *Cache) warnOfStrangers() {
	info, err := c.fsys.stat(c.dir)
	if err == nil && info.IsDir() && runtime.GOOS != "windows" && info.Mode().Perm()&0o002 != 0 {
		c.config.logger.Warn("anybody may write the cache directory, and so decide which servers are called",
			"dir", c.dir, "mode", info.Mode().String())
	}
}

// removeOrphans removes the temporary files of writers that were killed. That it cannot is no matter: they do not hurt.
func (c *Cache) removeOrphans(dir string) {
	entries, _ := c.fsys.readDir(dir) // without it, nothing is removed
	for _, e := range entries {
		if !isTemporary(e.Name()) {
			continue
		}
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > orphanAge {
			_ = c.fsys.remove(filepath.Join(dir, e.Name()))
		}
	}
}

// Path is the file that Save writes.
func (c *Cache) Path() string { return c.main }

// OverridePath is where an operator may put a list by hand; see LoadOverride. WithOverrideDir adds a second place.
func (c *Cache) OverridePath() string { return c.overrides[0] }

// readHead reads and judges the head of the file at path. The rest of the file may be damaged, and so may the head.
func (c *Cache) readHead(path string) (head, error) {
	h, err := readHead(c.fsys, path)
	if err != nil {
		return head{}, err
	}
	return h, c.checkOwner(h)
}

func readHead(fsys fileSystem, path string) (head, error) {
	data, err := readLines(fsys, path, headLines, maxHead)
	if errors.Is(err, errIrregular) {
		err = fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if err != nil {
		return head{}, err
	}
	h, _, err := decodeHead(data)
	return h, err
}

// checkOwner says whose a file is that somebody has put into our directory.
func (c *Cache) checkOwner(h head) error {
	if h.Service != c.service || h.Ensemble != c.owner.text && !c.owner.mayBe(parseEnsemble(h.Ensemble)) {
		return fmt.Errorf("%w: it is of service %q, ensemble %q; ours is %q, %q", ErrForeign, h.Service, h.Ensemble, c.service, c.owner.text)
	}
	return nil
}

// tolerate reports, once, what a file system refuses to do and we can do without.
func (c *Cache) tolerate(what, path string, err error) {
	c.mu.Lock()
	told := c.tolerated[what]
	c.tolerated[what] = true
	c.mu.Unlock()
	if !told {
		c.config.logger.Warn("the file system refuses something, going on without", "what", what, "path", path, "error", err)
	}
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

// refused reports whether err says that a file system does not do such a thing, rather than that it has failed to do it.
func refused(err error) bool {
	return errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EINVAL)
}

// isTemporary reports whether name is one that writeBeside, by create, makes.
func isTemporary(name string) bool {
	for _, path := range []string{listFile, prevFile, ensembleFile} {
		digits, ok := strings.CutPrefix(name, tempPrefix(path))
		if ok && digits != "" && strings.Trim(digits, "0123456789") == "" {
			return true
		}
	}
	return false
}

// tempPrefix is how the name of the temporary file for path begins; digits follow.
func tempPrefix(path string) string { return "." + filepath.Base(path) }
