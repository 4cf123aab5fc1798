package filecache

import (
	"math/rand/v2"
	"time"

	"github.com/holdfast-go/holdfast/internal/belief"
)

// run is the Keeper's goroutine. It owns the Cache.
func (k *Keeper) run() {
	defer close(k.ended)
	if !k.opens() {
		return
	}
	defer k.disk(k.finish)

	var wants chan struct{}       // nil: nothing is written now
	gap := time.NewTimer(k.retry) // until something may be
	defer gap.Stop()
	restamp := time.NewTimer(k.restampEvery())
	defer restamp.Stop()
	for {
		w := k.watch
		select {
		case <-k.stop:
			return
		case err := <-w.sub.failed:
			w.without(err)
		case <-w.events:
			w.gather()
		case <-w.settle.C:
			k.disk(k.look)
		case <-w.poll.C:
			k.disk(w.sub.attach)
			k.disk(k.look)
		case <-wants:
			if rec := k.take(); rec != nil { // nil: the save that this token stands for has been made with an earlier one
				k.disk(func() { k.save(rec) })
				wants = nil
				gap.Reset(max(saveGap, k.retry))
			}
		case <-gap.C:
			if !k.opened {
				k.tryOpen()
			}
			if k.opened {
				wants = k.wants
			} else {
				gap.Reset(k.retry)
			}
		case <-restamp.C:
			k.tell(News{Restamp: true})
			restamp.Reset(k.restampEvery())
		}
	}
}

// opens tries to open the file until there is a Cache. It reports false when the Keeper is closed first.
func (k *Keeper) opens() bool {
	for k.tryOpen(); k.cache == nil; k.tryOpen() {
		again := time.NewTimer(k.retry)
		select {
		case <-again.C:
		case <-k.stop:
			again.Stop()
			return false
		}
	}
	return true
}

// tryOpen opens the file, or not yet: what stands in the way may go. A Cache that comes with an error is watched nevertheless, for the overrides that
// are elsewhere.
func (k *Keeper) tryOpen() {
	var c *Cache
	var err error
	k.disk(func() { c, err = k.open() })
	before := k.retry
	first := before == 0
	switch k.opened = err == nil; {
	case !k.opened && first:
		k.config.Logger.Error("no cache file: an outage at the next start will not find one", "dir", k.config.Dir, "err", err)
	case k.opened && !first:
		k.config.Logger.Info("the cache file can be opened now", "file", c.Path())
	}
	k.note(func(st *KeeperStatus) { st.Err = err })
	if k.retry = 0; !k.opened {
		k.retry = min(max(saveRetry, 2*before), maxRetry)
	}
	switch {
	case k.opened || c != nil && k.cache == nil:
		k.disk(func() { k.begin(c, err) })
	case first:
		k.tell(News{Err: err})
	}
}

// begin tells what is there, unless err says why no list can be, and watches it.
func (k *Keeper) begin(c *Cache, err error) {
	if k.cache != nil {
		k.watch.end()
	}
	k.cache = c
	k.noteNames()
	n := News{Err: err}
	if err == nil {
		var s Snapshot
		if s, n.Err = c.Load(); n.Err == nil {
			n.File = &s
		}
	}
	switch o, err := c.LoadOverride(); {
	case err == nil:
		k.override = &o
	case absent(err):
		k.override = nil
	default: // the watch reports it, and that it changes nothing
		c.learnOverride(k.override)
	}
	k.noteNames()
	k.tell(n)
	k.watch = c.newWatch(k.heard)
	k.watch.begin()
}

// finish writes what is left to be written, and ends the watch. What fails is reported there; there is no later. But an owner whose list was refused, and
// who has not heard of that, may number it anew.
func (k *Keeper) finish() {
	rec := k.take()
	if rec == nil && k.isLost() {
		rec = k.last
	}
	if rec != nil {
		k.save(rec)
	}
	if rec = k.refused(); rec != nil {
		k.save(rec)
	}
	k.watch.end()
	_ = k.cache.Close() // no Watch of it was started
}

// refused is what the owner saves instead of what was refused; nil: nothing.
func (k *Keeper) refused() *belief.Record {
	if k.config.Refused == nil {
		return nil
	}
	select {
	case n := <-k.news:
		if !n.InTheWay {
			return nil
		}
		_ = k.take() // what could not be written
		k.config.Refused(n)
		return k.take()
	default:
		return nil
	}
}

func (k *Keeper) isLost() bool {
	_, err := k.cache.fsys.stat(k.cache.main)
	return absent(err)
}

func (k *Keeper) look() {
	k.watch.look()
	if k.watch.lost && k.last != nil {
		k.again(k.last)
	}
}

// heard takes what the watch has found.
func (k *Keeper) heard(s Snapshot) {
	var n News
	switch {
	case s.Override:
		k.override = &s
	case s.SavedAt.IsZero(): // an override is gone and there is no file
		k.override = nil
	default:
		k.override, n.File = nil, &s
	}
	k.noteNames()
	k.tell(n)
}

// noteNames notes where the files are.
func (k *Keeper) noteNames() {
	k.note(func(st *KeeperStatus) {
		st.Path, st.OverridePath = k.cache.Path(), k.cache.OverridePath()
		if k.override != nil {
			st.OverridePath = k.override.Path
		}
	})
}

// save writes one list, and reports edges: the first failure, and the success after it.
func (k *Keeper) save(rec *belief.Record) {
	began := time.Now()
	s := snapshotOf(rec)
	err := k.cache.Save(s)
	failed := isFailure(err)
	var wasFailing bool
	k.note(func(st *KeeperStatus) {
		wasFailing = st.Err != nil
		switch st.Err = nil; {
		case failed:
			st.Err = err
			st.Failures++
		case err == nil:
			st.Saves++
			st.Saved = began
		}
	})
	log, file := k.config.Logger, k.cache.Path()
	switch {
	case failed && !wasFailing:
		log.Error("cache file not written: a start during an outage would find an older one, or none", "file", file, "err", err)
	case failed:
		log.Debug("cache file not written", "file", file, "err", err)
	case wasFailing:
		log.Info("cache file written again", "file", file)
	}
	switch {
	case failed:
		k.again(rec)
		k.retry = min(max(saveRetry, 2*k.retry), maxRetry)
	case err == nil:
		k.last, k.retry = rec, 0
	default:
		k.retry = 0
		k.tellInTheWay()
	}
	if k.config.Saved != nil {
		k.config.Saved(Saved{Servers: len(s.Servers), Took: time.Since(began), Err: err})
	}
}

// tellInTheWay tells of a file which says that ours would go back in time.
func (k *Keeper) tellInTheWay() {
	if file, err := k.cache.inTheWay(); err == nil {
		k.tell(News{File: &file, InTheWay: true})
	}
}

// restampEvery is a quarter of the maximum age, and 15 minutes at most, jittered.
func (k *Keeper) restampEvery() time.Duration {
	d := lastRestamp
	if a := k.cache.config.maxAge; a > 0 {
		d = min(d, max(a/4, saveGap))
	}
	return d - d/10 + rand.N(d/5)
}
