package filecache

import (
	"context"
	"hash/crc32"
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
//   - the newest good generation when an override is gone that was delivered, or that LoadOverride has returned, so Override false ends an
//     override; it has no Servers and no Lineage when there is no usable file;
//   - a snapshot that another process, or another Cache, has saved, when it is later than what this Cache has loaded or saved and no
//     override is in force. If this Cache has done neither, what is there when Watch is called counts as known.
//
// A bad override is reported to the logger, once for each content, and changes nothing: the last good one stays in force while the file is
// there.
//
// The channel has room for one snapshot, and a newer one replaces one that was not taken: a slow reader misses steps, never the last one,
// and delays nobody. It is closed when ctx or the Cache has ended and the goroutine behind it has let go of everything; a snapshot that
// was not taken can still be received then. The slices are the receiver's own.
//
// Changes are noticed within about 50 ms where file notification works, and within 6 s otherwise; the end of an override a moment later,
// since an editor may only be replacing the file.
func (c *Cache) Watch(ctx context.Context) <-chan Snapshot {
	w := &watch{c: c, ch: make(chan Snapshot, 1), seen: c.baseline()}
	c.mu.Lock()
	defer c.mu.Unlock()
	w.override = c.override
	if c.closed {
		close(w.ch)
		return w.ch
	}
	c.watches.Go(func() {
		defer close(w.ch) // when run has let go of everything
		w.run(ctx)
	})
	return w.ch
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

// watch is one call of Watch. Its goroutine owns it.
type watch struct {
	c  *Cache
	ch chan Snapshot // cap 1; run sends, Watch's goroutine closes it when run has returned

	override *Snapshot // in force; nil when there is none
	sent     bool      // override, here; until then only LoadOverride has told of it
	missing  bool      // the override in force was not there at the last look
	bad      uint32    // checksum of the last bad override and its error, so that it is reported once

	seen    stamp     // the latest snapshot that was sent, or known at the beginning
	refused time.Time // SavedAt of the file that was later but could not be used, so that it is not read again and again
}

func (w *watch) run(ctx context.Context) {
	sub := &subscription{} // without a channel: polling only
	if !w.c.config.pollingOnly {
		sub = w.c.directories.subscribe(w.c.dir, w.c.concerns)
		defer w.c.directories.release(sub)
	}
	poll := time.NewTimer(jitter(pollInterval))
	defer poll.Stop()
	settle := time.NewTimer(0) // the first look is now
	defer settle.Stop()
	for events := sub.events; ; {
		select {
		case <-ctx.Done():
			return
		case <-w.c.stop:
			return
		case err := <-sub.failed:
			w.c.config.logger.Warn("no file notification, looking every few seconds instead", "dir", w.c.dir, "error", err)
			continue
		case <-events:
			settle.Reset(settleTime)
			events = nil // until the look, which sees what comes meanwhile
			continue
		case <-settle.C:
			events = sub.events
		case <-poll.C:
			poll.Reset(jitter(pollInterval))
		}
		if again := w.look(); again {
			settle.Reset(settleTime)
		}
	}
}

// jitter spreads the looks of many processes.
func jitter(d time.Duration) time.Duration { return d - d/5 + rand.N(2*d/5) }

// look compares the files with what was sent. It asks for another look soon when the override seems to be gone: somebody may be
// replacing it.
func (w *watch) look() (again bool) {
	f, _ := w.c.locate() // in doubt the plain names; reading them will tell
	s, text, err := w.c.loadOverride(f.override)
	switch {
	case err == nil:
		w.missing, w.bad = false, 0
		if !w.sent || !sameList(w.override.Servers, s.Servers) {
			w.override, w.sent = &s, true
			w.send(s)
		}
	case !absent(err):
		w.missing = false
		if sum := crc32.Update(crc32.ChecksumIEEE(text), crc32.IEEETable, []byte(err.Error())); sum != w.bad {
			w.bad = sum
			w.c.config.logger.Error("the override file is not used", "error", err, "in_force", w.override != nil)
		}
	case w.override == nil:
		w.bad = 0
	case !w.missing:
		w.missing = true
		return true
	default:
		w.override, w.sent, w.missing, w.bad = nil, false, false, 0
		w.send(w.c.latest())
		return false
	}
	if w.override == nil {
		w.lookAtFile(f.main)
	}
	return false
}

// latest is the newest good generation, or an empty snapshot.
func (c *Cache) latest() Snapshot {
	s, err := c.load()
	if err != nil {
		return Snapshot{Ensemble: c.ensemble, Service: c.service}
	}
	return s
}

// lookAtFile sends the file's snapshot if another has saved it and it is news.
func (w *watch) lookAtFile(path string) {
	h, err := w.c.readHead(path)
	if err != nil || !w.isNews(h.stamp()) || h.SavedAt.Equal(w.refused) {
		return
	}
	s, err := w.c.load()
	if err != nil || !w.isNews(s.stamp()) {
		w.refused = h.SavedAt // too old, damaged behind its head, unreadable: that has been reported, the next save may be better
		return
	}
	w.send(s)
}

func (w *watch) isNews(s stamp) bool {
	known, ok := w.c.learned()
	return s.after(w.seen) && (!ok || s.after(known))
}

// send leaves s in the channel, dropping one that was not taken. It never blocks: only this goroutine sends.
func (w *watch) send(s Snapshot) {
	if !s.Override && s.stamp().after(w.seen) {
		w.seen = s.stamp()
	}
	s.Servers = slices.Clone(s.Servers) // an override stays here for comparison
	select {
	case <-w.ch:
	default:
	}
	w.ch <- s
}

// concerns reports whether an event for name, a file in the Cache's directory, may mean that there is something to read. The names of
// other services do not. Any name that is not of this library's making does: it may be a symbolic link on the way to our files, as in a
// Kubernetes volume, where "..data" changes and our names never do.
func (c *Cache) concerns(name string) bool {
	for _, f := range []files{c.plain, c.own} {
		if name == filepath.Base(f.main) || name == filepath.Base(f.override) {
			return true
		}
	}
	return !madeHere(name)
}
