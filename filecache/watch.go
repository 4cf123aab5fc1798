package filecache

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"time"
)

const (
	// pollInterval is how often Watch looks although no event has told it to.
	pollInterval = 5 * time.Second
	// settleTime is how long Watch lets events gather before it looks: editors write in several steps, and an event means only "look again".
	settleTime = 50 * time.Millisecond
)

// Watch reports what others do to the files. The channel carries
//
//   - an operator's override (Override is true): the one that is there now, a new one, a changed one;
//   - the newest good generation when an override is gone that Watch has delivered or LoadOverride has returned. Its Override is false. It has no
//     Servers and no Lineage when there is no usable file;
//   - a snapshot that another process, or another Cache, has saved, when it is later than what this Cache has loaded or saved and no
//     override is in force. If this Cache has done neither, what is there when Watch is called counts as known.
//
// A bad override is reported to the logger, once for each content, and changes nothing: the last good one stays in force while the file is
// there. A file in our directories that looks like an override or a list but is none by its name is reported once, with the name that is right.
//
// The channel has room for one snapshot, and a newer one replaces one that was not taken: a slow reader misses steps, never the last one,
// and delays nobody. It is closed when ctx or the Cache has ended and the goroutine behind it has let go of everything; a snapshot that
// was not taken can still be received then. The slices are the receiver's own.
//
// Changes are noticed within about 50 ms where file notification works, and within 6 s otherwise; the end of an override a moment later,
// since an editor may only be replacing the file. While nothing changes, nothing is read: a look asks for the files' size, time and inode.
func (c *Cache) Watch(ctx context.Context) <-chan Snapshot {
	ch := make(chan Snapshot, 1)
	w := c.newWatch(func(s Snapshot) {
		select {
		case <-ch: // was not taken
		default:
		}
		ch <- s // only this goroutine sends, so there is room
	})
	for i := range w.overrides {
		w.overrides[i].news = true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		close(ch)
		return ch
	}
	c.watches.Go(func() {
		defer close(ch) // when run has let go of everything
		w.run(ctx)
	})
	return ch
}

// baseline is the latest snapshot that the user of this Cache knows.
func (c *Cache) baseline() stamp {
	if known, ok := c.learned(); ok {
		return known
	}
	if h, err := c.readHead(c.Path()); err == nil {
		return h.stamp()
	}
	return beforeAll
}

// watch is one call of Watch, or a Keeper's. Its goroutine owns it.
type watch struct {
	c    *Cache
	send func(Snapshot)

	force     *Snapshot // the override that the user knows of; nil when there is none
	overrides []overrideWatch

	file    looked    // what the list's file was at the last look
	lost    bool      // it was not there
	seen    stamp     // the latest snapshot that was sent, or known at the beginning
	refused time.Time // SavedAt of the file that was later but is no use, so that it is not read again and again

	sub    *subscription
	poll   *time.Timer
	settle *time.Timer
	events <-chan struct{} // nil while events gather
}

func (c *Cache) newWatch(send func(Snapshot)) *watch {
	w := &watch{c: c, send: send, seen: c.baseline(), sub: &subscription{}}
	c.mu.Lock()
	defer c.mu.Unlock()
	w.force = c.override
	for _, path := range c.overrides {
		o := overrideWatch{path: path}
		if w.force != nil && w.force.Path == path {
			o.good = w.force
		}
		w.overrides = append(w.overrides, o)
	}
	return w
}

// begin starts what wakes the watch. The first look is now.
func (w *watch) begin() {
	strayFiles.enter(w.c)
	if !w.c.config.pollingOnly {
		w.sub = w.c.notify.subscribe(w.c.filesThatMatter())
	}
	w.poll = time.NewTimer(jitter(pollInterval))
	w.settle = time.NewTimer(0)
	w.events = w.sub.events
}

func (w *watch) end() {
	strayFiles.leave(w.c)
	w.poll.Stop()
	w.settle.Stop()
	if w.sub.notifier != nil {
		w.sub.notifier.release(w.sub)
	}
}

func (w *watch) run(ctx context.Context) {
	w.begin()
	defer w.end()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.c.stop:
			return
		case err := <-w.sub.failed:
			w.without(err)
		case <-w.events:
			w.gather()
		case <-w.settle.C:
			w.look()
		case <-w.poll.C:
			w.sub.attach()
			w.look()
		}
	}
}

// without reports that there is no notification.
func (w *watch) without(err error) {
	w.c.config.logger.Warn("no file notification, looking every few seconds instead", "dir", w.c.at, "error", err)
}

// gather lets events gather until the look, which sees what comes meanwhile.
func (w *watch) gather() {
	w.settle.Reset(settleTime)
	w.events = nil
}

// jitter spreads the looks of many processes.
func jitter(d time.Duration) time.Duration { return d - d/5 + rand.N(2*d/5) }

// look compares the files with what was sent. When an override seems to be gone it comes back soon: somebody may be replacing it.
func (w *watch) look() {
	w.events = w.sub.events
	w.poll.Reset(jitter(pollInterval))
	if w.compare(time.Now()) {
		w.settle.Reset(settleTime)
	}
}

// compare does the work of look, and reports whether another is wanted soon.
func (w *watch) compare(now time.Time) (again bool) {
	strayFiles.look(w.c, now)
	var force *Snapshot
	for i := range w.overrides {
		o := &w.overrides[i]
		again = o.look(w.c, now) || again
		if force == nil {
			force = o.good
		}
	}
	for i := range w.overrides {
		w.tellRefusal(&w.overrides[i], force)
	}
	was := w.force
	w.force = force
	switch {
	case force != nil && force != was:
		w.tell(*force)
	case force == nil && was != nil:
		w.tell(w.c.latest())
	}
	w.lookAtFile(now)
	return again
}

// tellRefusal reports an override that is not used, and what is used instead: force, unless that is nil.
func (w *watch) tellRefusal(o *overrideWatch, force *Snapshot) {
	if o.refusal == nil {
		return
	}
	inForce := "the source's list"
	if force != nil {
		inForce = "the override " + force.Path
		if force == o.good {
			inForce = "the last good override"
		}
	}
	w.c.config.logger.Error("the override file is not used", "error", o.refusal, "in_force", inForce)
}

// latest is the newest good generation, or an empty snapshot.
func (c *Cache) latest() Snapshot {
	s, err := c.load(c.checkAge)
	if err != nil {
		return Snapshot{Ensemble: c.id.text, Service: c.service}
	}
	return s
}

// lookAtFile sends the file's snapshot if another has saved it, it is news and no override is in force.
func (w *watch) lookAtFile(now time.Time) {
	info, err := w.c.fsys.stat(w.c.main)
	w.lost = absent(err)
	if err != nil || w.force != nil || w.file.unchanged(info, now) {
		return
	}
	h, err := w.c.readHead(w.c.main)
	if err != nil {
		w.file = looked{} // what keeps it from being read may go without a trace: a mode, a mount
		return
	}
	if !w.isNews(h.stamp()) || h.SavedAt.Equal(w.refused) {
		return
	}
	s, err := w.c.loadFrom(w.c.main, w.c.checkAge)
	if err != nil && !isVerdict(err) {
		w.file = looked{} // as above, or there were too many open files
		return
	}
	if err != nil {
		s, err = w.c.loadBefore(err, w.c.checkAge)
	}
	if err != nil || !w.isNews(s.stamp()) {
		w.refused = h.SavedAt // too old, damaged behind its head: that has been reported, the next save may be better
		return
	}
	w.tell(s)
}

func (w *watch) isNews(s stamp) bool {
	known, ok := w.c.learned()
	return s.after(w.seen) && (!ok || s.after(known))
}

func (w *watch) tell(s Snapshot) {
	if !s.Override && s.stamp().after(w.seen) {
		w.seen = s.stamp()
	}
	s.Servers = slices.Clone(s.Servers) // an override stays here for comparison
	w.send(s)
}

// filesThatMatter are the files of which an event may mean that there is something to read. In an operator's directory "..data" is one: in a
// Kubernetes volume our name is a link that leads over it, and only it changes.
func (c *Cache) filesThatMatter() map[string][]string {
	matter := map[string][]string{c.at: {listFile, overrideFile}}
	for _, path := range c.overrides[1:] {
		matter[filepath.Dir(path)] = append(matter[filepath.Dir(path)], filepath.Base(path), "..data")
	}
	return matter
}
