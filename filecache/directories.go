package filecache

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// directories are the directories that this process is notified about: one fsnotify watcher for each, however many Caches look at it,
// because a user has only about a hundred inotify instances.
var directories = registry{newWatcher: fsnotify.NewWatcher}

// registry is the directories that somebody is watching.
type registry struct {
	newWatcher func() (*fsnotify.Watcher, error)

	mu   sync.Mutex
	dirs map[string]*directory
}

// subscription tells one Watch about a directory. The zero value never tells anything.
type subscription struct {
	dir      *directory
	concerns func(name string) bool // called by the directory's goroutine; must not block
	events   chan struct{}          // cap 1; the directory sends: look again
	failed   chan error             // cap 1; the directory sends: there are no events
}

// subscribe reports events in dir for the files that concern the caller.
func (r *registry) subscribe(dir string, concerns func(name string) bool) *subscription {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.dirs[dir]
	if d == nil {
		d = &directory{path: dir, newWatcher: r.newWatcher, stop: make(chan struct{}), done: make(chan struct{})}
		if r.dirs == nil {
			r.dirs = make(map[string]*directory)
		}
		r.dirs[dir] = d
		go d.run()
	}
	s := &subscription{dir: d, concerns: concerns, events: make(chan struct{}, 1), failed: make(chan error, 1)}
	d.add(s)
	return s
}

// release ends s. With the last subscription the directory's goroutine ends; release waits for it.
func (r *registry) release(s *subscription) {
	d := s.dir
	r.mu.Lock()
	last := d.drop(s)
	if last {
		delete(r.dirs, d.path)
	}
	r.mu.Unlock()
	if last {
		close(d.stop)
		<-d.done
	}
}

// directory is one directory and its fsnotify watcher. The watcher belongs to the goroutine of run.
type directory struct {
	path       string
	newWatcher func() (*fsnotify.Watcher, error)
	stop       chan struct{} // release closes it
	done       chan struct{} // run closes it at its end

	mu     sync.Mutex
	subs   map[*subscription]struct{}
	broken error // why there are no events; nil while there are, or the directory is missing

	watcher *fsnotify.Watcher
	watched os.FileInfo // the directory that the watcher knows under path; nil if none
}

func (d *directory) add(s *subscription) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.subs == nil {
		d.subs = make(map[*subscription]struct{})
	}
	d.subs[s] = struct{}{}
	if d.broken != nil {
		s.failed <- d.broken
	}
}

// drop reports whether s was the last.
func (d *directory) drop(s *subscription) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.subs, s)
	return len(d.subs) == 0
}

// tell asks those whom name concerns to look again, everybody if it is empty.
func (d *directory) tell(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for s := range d.subs {
		if name != "" && !s.concerns(name) {
			continue
		}
		select {
		case s.events <- struct{}{}:
		default: // already asked
		}
	}
}

// fail says that there are no events, if that is new.
func (d *directory) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.broken != nil {
		return
	}
	d.broken = err
	for s := range d.subs {
		select {
		case s.failed <- err:
		default: // has not heard of the last failure yet
		}
	}
}

// giveUp closes a watcher that does not work; attach makes a new one.
func (d *directory) giveUp(err error) {
	_ = d.watcher.Close() // nothing to save
	d.watcher, d.watched = nil, nil
	d.fail(err)
}

// recovered notes that there are events, so that the next failure is news again.
func (d *directory) recovered() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.broken = nil
}

func (d *directory) run() {
	defer close(d.done)
	defer func() {
		if d.watcher != nil {
			_ = d.watcher.Close()
		}
	}()
	retry := time.NewTicker(pollInterval)
	defer retry.Stop()
	d.attach()
	for {
		var events chan fsnotify.Event
		var errs chan error
		if d.watcher != nil {
			events, errs = d.watcher.Events, d.watcher.Errors
		}
		select {
		case <-d.stop:
			return
		case <-retry.C:
			d.attach()
		case e, ok := <-events:
			if !ok {
				d.giveUp(fsnotify.ErrClosed)
				continue
			}
			d.handle(e)
		case err, ok := <-errs:
			if !ok {
				err = fsnotify.ErrClosed
			}
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				d.giveUp(err)
			}
			d.tell("") // what was lost may have been anything
		}
	}
}

func (d *directory) handle(e fsnotify.Event) {
	switch {
	case e.Name == d.path && e.Has(fsnotify.Remove|fsnotify.Rename):
		d.detach()
		d.attach() // it may be back already; if not, the ticker finds out
		d.tell("")
	case e.Op == fsnotify.Chmod: // indexers and virus scanners make them all day; content comes with another one
	default:
		d.tell(filepath.Base(e.Name))
	}
}

// attach makes sure that the directory which is at path now is watched: it may have been missing, or removed and made anew.
func (d *directory) attach() {
	if d.watcher == nil {
		w, err := d.newWatcher()
		if err != nil {
			d.fail(err)
			return
		}
		d.watcher = w
	}
	info, err := os.Stat(d.path)
	if err == nil && d.watched != nil && os.SameFile(info, d.watched) && len(d.watcher.WatchList()) > 0 {
		return
	}
	d.detach()
	if err != nil {
		return // missing: nothing to look at
	}
	if err := d.watcher.Add(d.path); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			d.fail(err)
		}
		return
	}
	d.watched = info
	d.recovered()
	d.tell("") // what happened before is not reported
}

func (d *directory) detach() {
	if d.watched != nil {
		_ = d.watcher.Remove(d.path) // fsnotify may have noticed before us
		d.watched = nil
	}
}

// madeHere reports whether name is one that this library makes: a snapshot, an override, a lock, a temporary file or one set aside.
func madeHere(name string) bool {
	return strings.HasSuffix(name, ".json") || strings.HasSuffix(name, ".lock") ||
		strings.Contains(name, ".json.corrupt-") || (strings.HasPrefix(name, ".") && strings.Contains(name, ".json"))
}
