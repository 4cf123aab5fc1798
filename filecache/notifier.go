package filecache

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/fsnotify/fsnotify"
)

// notifications are the directories that this process is notified about: one fsnotify watcher for all, because a user has only about a hundred
// inotify instances.
var notifications = notifier{newWatcher: fsnotify.NewWatcher}

// notifier tells subscriptions about their directories. Its goroutine lives while there is a subscription.
type notifier struct {
	newWatcher func() (*fsnotify.Watcher, error)

	mu      sync.Mutex
	dirs    map[string]*directory // by their paths without links: two paths of one directory would be one watch
	watcher *fsnotify.Watcher     // nil: none could be made, or it has failed; attach makes another
	done    chan struct{}         // run closes it at its end; of the newest watcher
	broken  error                 // why there are no events; nil while there are
}

// directory is one directory that somebody has subscribed to.
type directory struct {
	path string
	subs []subscriber // guarded by notifier.mu

	gone      atomic.Bool       // an event has said that it is not there any more
	attaching sync.Mutex        // held while the disk is looked at
	watcher   *fsnotify.Watcher // the one that knows the directory; nil if none
	watched   os.FileInfo       // what was at path then
}

// subscriber is a subscription, and what it calls the directory.
type subscriber struct {
	*subscription
	dir string
}

// subscription tells one Watch about its files. The zero value never tells anything.
type subscription struct {
	notifier *notifier
	files    map[string][]string   // by what s calls the directory: the names in it that matter
	at       map[string]*directory // by the same; guarded by notifier.mu
	events   chan struct{}         // cap 1; the notifier sends: look again
	failed   chan error            // cap 1; the notifier sends: there are no events
}

// subscribe reports events for the files of these names.
func (n *notifier) subscribe(files map[string][]string) *subscription {
	s := &subscription{
		notifier: n, files: files, at: make(map[string]*directory), events: make(chan struct{}, 1), failed: make(chan error, 1),
	}
	n.mu.Lock()
	if n.dirs == nil {
		n.dirs = make(map[string]*directory)
	}
	for dir := range files {
		n.join(s, dir, dir)
	}
	if n.broken != nil {
		s.failed <- n.broken
	}
	n.mu.Unlock()
	s.attach()
	return s
}

// release ends s. With the last subscription the notifier's goroutine ends; release waits for it.
func (n *notifier) release(s *subscription) {
	n.mu.Lock()
	var done chan struct{}
	for dir := range s.files {
		n.leave(s, dir)
	}
	if len(n.dirs) == 0 {
		if n.watcher != nil {
			_ = n.watcher.Close() // nothing to save
		}
		done = n.done
		n.watcher, n.done, n.broken = nil, nil, nil
	}
	n.mu.Unlock()
	if done != nil {
		<-done
	}
}

// join has s, which calls a directory dir, told of the one at path. The caller has n.mu.
func (n *notifier) join(s *subscription, dir, path string) *directory {
	d := n.dirs[path]
	if d == nil {
		d = &directory{path: path}
		n.dirs[path] = d
	}
	d.subs = append(d.subs, subscriber{s, dir})
	s.at[dir] = d
	return d
}

// leave has s not told of dir any more. The caller has n.mu.
func (n *notifier) leave(s *subscription, dir string) {
	d := s.at[dir]
	delete(s.at, dir)
	d.subs = slices.DeleteFunc(d.subs, func(o subscriber) bool { return o == subscriber{s, dir} })
	if len(d.subs) > 0 {
		return
	}
	delete(n.dirs, d.path)
	if n.watcher != nil {
		_ = n.watcher.Remove(d.path) // it may not have been watched
	}
}

// attach makes sure that the directories which are at these paths now are watched: they may have been missing, or removed and made anew. It looks at
// the disk, so each Watch does it for itself.
func (s *subscription) attach() {
	if s.notifier == nil {
		return
	}
	for dir := range s.files {
		s.notifier.attach(s, dir)
	}
}

func (n *notifier) attach(s *subscription, dir string) {
	path, err := filepath.EvalSymlinks(dir)
	if err != nil {
		path = dir // it is missing, as a rule
	}
	w, d := n.watching(s, dir, path)
	if w == nil {
		return
	}
	d.attaching.Lock()
	defer d.attaching.Unlock()
	info, err := os.Stat(path)
	if gone := d.gone.Swap(false); err == nil && !gone && d.watcher == w && d.watched != nil && os.SameFile(info, d.watched) {
		return
	}
	if d.watcher == w && d.watched != nil {
		_ = w.Remove(path) // fsnotify may have noticed before us
	}
	d.watcher, d.watched = nil, nil
	if err != nil {
		return // missing: nothing to look at
	}
	if err := w.Add(path); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			n.fail(w, err)
		}
		return
	}
	d.watcher, d.watched = w, info
	n.attached(w)
	n.tell(path, "") // what happened before is not reported
}

// watching returns the watcher, made anew if need be, and the directory that is at path, which s calls dir; nil if there is none to be had, or s has ended.
func (n *notifier) watching(s *subscription, dir, path string) (*fsnotify.Watcher, *directory) {
	n.mu.Lock()
	defer n.mu.Unlock()
	d := s.at[dir]
	if d == nil {
		return nil, nil
	}
	if d.path != path { // a link leads elsewhere
		n.leave(s, dir)
		d = n.join(s, dir, path)
	}
	if n.watcher == nil {
		w, err := n.newWatcher()
		if err != nil {
			n.failLocked(err)
			return nil, nil
		}
		n.watcher, n.done = w, make(chan struct{})
		go n.run(w, n.done)
	}
	return n.watcher, d
}

// run passes on what the watcher says, until it is closed.
func (n *notifier) run(w *fsnotify.Watcher, done chan struct{}) {
	defer close(done)
	for {
		select {
		case e, ok := <-w.Events:
			if !ok {
				n.giveUp(w, fsnotify.ErrClosed)
				return
			}
			n.handle(e)
		case err, ok := <-w.Errors:
			switch {
			case !ok:
				n.giveUp(w, fsnotify.ErrClosed)
				return
			case !errors.Is(err, fsnotify.ErrEventOverflow):
				_ = w.Close() // nothing to save
				n.giveUp(w, err)
				return
			}
			n.tellAll() // what was lost may have been anything
		}
	}
}

func (n *notifier) handle(e fsnotify.Event) {
	if e.Op == fsnotify.Chmod {
		return // indexers and virus scanners make them all day; content comes with another one
	}
	if e.Has(fsnotify.Remove | fsnotify.Rename) {
		n.lost(e.Name)
	}
	n.tell(filepath.Dir(e.Name), filepath.Base(e.Name))
}

// lost notes that a directory is gone, so that attach watches the one that comes next, and has its subscribers look.
func (n *notifier) lost(dir string) {
	n.mu.Lock()
	d := n.dirs[dir]
	n.mu.Unlock()
	if d != nil {
		d.gone.Store(true)
		n.tell(dir, "")
	}
}

// tell asks the watchers of a file to look again, all watchers if name is empty.
func (n *notifier) tell(path, name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if d := n.dirs[path]; d != nil {
		for _, s := range d.subs {
			if name == "" || slices.Contains(s.files[s.dir], name) {
				s.tell()
			}
		}
	}
}

func (n *notifier) tellAll() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, d := range n.dirs {
		for _, s := range d.subs {
			s.tell()
		}
	}
}

func (s *subscription) tell() {
	select {
	case s.events <- struct{}{}:
	default: // already asked
	}
}

// giveUp forgets a watcher that has ended; attach makes a new one. When release has ended it that is no news.
func (n *notifier) giveUp(w *fsnotify.Watcher, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.watcher != w {
		return
	}
	n.watcher = nil
	n.failLocked(err)
	for _, d := range n.dirs {
		for _, s := range d.subs {
			s.tell()
		}
	}
}

// fail says that there are no events, if that is new.
func (n *notifier) fail(w *fsnotify.Watcher, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.watcher == w {
		n.failLocked(err)
	}
}

func (n *notifier) failLocked(err error) {
	if n.broken != nil {
		return
	}
	n.broken = err
	for _, d := range n.dirs {
		for _, s := range d.subs {
			select {
			case s.failed <- err:
			default: // has not heard of the last failure yet, or has two directories
			}
		}
	}
}

// attached notes that there are events, so that the next failure is news again.
func (n *notifier) attached(w *fsnotify.Watcher) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.watcher == w {
		n.broken = nil
	}
}
