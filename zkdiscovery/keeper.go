package zkdiscovery

import (
	"errors"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/filecache"
	"github.com/holdfast-go/holdfast/internal/edges"
)

const (
	saveGap     = time.Second      // between two writes; the first is written at once
	saveRetry   = 10 * time.Second // after a failed write
	lastRestamp = 15 * time.Minute // a file whose list does not change is written again this often, with a newer AsOf
	hungDisk    = 2 * time.Second  // how long Close waits for the disk
)

// keeper reads, writes and watches the cache file of one service, off the delivery path: a slow or broken disk delays only itself.
type keeper struct {
	sv *service

	mu    sync.Mutex
	want  *whole        // the newest that is not written yet
	wants chan struct{} // one token while there is one
	ended chan struct{} // closed by run when everything of the keeper's is gone

	file, overrideFile string // names; noted here because to find them out is a look at the disk

	edges edges.Row // of what is logged of writing; run's own
}

// fileNews is what the keeper tells the service's loop.
type fileNews struct {
	file     *filecache.Snapshot // the newest good generation, nil when unknown or unchanged
	override *filecache.Snapshot // the override in force
	err      error               // why there is no file
	restamp  bool                // nothing new, but the file should say how fresh it is
	conflict bool                // file was in the way of a write: it claims to be newer
}

func newKeeper(sv *service) *keeper {
	return &keeper{sv: sv, wants: make(chan struct{}, 1), ended: make(chan struct{})}
}

// offer leaves a list that ZooKeeper has confirmed to be written. It never blocks; the newest wins.
func (k *keeper) offer(w whole) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.want = &w
	k.poke()
}

func (k *keeper) take() *whole {
	k.mu.Lock()
	defer k.mu.Unlock()
	w := k.want
	k.want = nil
	return w
}

func (k *keeper) path() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.file
}

func (k *keeper) overridePath() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.overrideFile
}

// noteNames notes where the files are: a file of another ensemble may have taken the plain name, or given it back.
func (k *keeper) noteNames(cache *filecache.Cache) {
	file, override := cache.Path(), cache.OverridePath()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.file, k.overrideFile = file, override
}

// wait waits until the keeper has ended, which it does when the loop has, after a last write; but not for a disk that hangs: nothing can end
// the keeper then, and it stays with that disk.
func (k *keeper) wait() {
	t := time.NewTimer(hungDisk)
	defer t.Stop()
	select {
	case <-k.ended:
	case <-t.C:
		k.sv.log.Error("the disk of the cache file does not answer, leaving it", "dir", k.sv.root.cfg.cacheDir)
	}
}

// run is the keeper's goroutine, which ends with the service after a last write of what is wanted still.
func (k *keeper) run() {
	defer close(k.ended)
	sv, cfg := k.sv, k.sv.root.cfg
	opts := []filecache.Option{filecache.WithMaxAge(cfg.maxCacheAge), filecache.WithLogger(slog.New(oneOfMany{sv.log.Handler(), sv.root}))}
	if cfg.ensembleName == "" {
		opts = append(opts, filecache.WithEnsembleMatch(sameEnsemble))
	}
	if cfg.pollFiles {
		opts = append(opts, filecache.WithPollingOnly())
	}
	cache, err := filecache.Open(cfg.cacheDir, cfg.ensemble, sv.path, opts...)
	if err != nil {
		const what = "no cache file: an outage at the next start will not find one"
		sv.log.Log(sv.ctx, sv.root.among(slog.LevelError, what, time.Now()), what, "dir", cfg.cacheDir, "err", err)
		sv.note(func(st *serviceStatus) { st.CacheErr = &OpError{Op: "open", Path: cfg.cacheDir, Err: err} })
		k.tell(fileNews{err: err})
		return
	}
	defer func() { _ = cache.Close() }() // nothing is lost by an error here: every write has ended
	k.noteNames(cache)

	var news fileNews
	if s, err := cache.Load(); err == nil {
		news.file = &s
	} else {
		news.err = err
	}
	if o, err := cache.LoadOverride(); err == nil {
		news.override = &o
	} else if !errors.Is(err, fs.ErrNotExist) {
		sv.log.Error("override file refused", "file", cache.OverridePath(), "err", err)
	}
	k.tell(news)
	k.watch(cache, news.override)
}

func (k *keeper) watch(cache *filecache.Cache, override *filecache.Snapshot) {
	sv := k.sv
	changes := cache.Watch(sv.ctx)
	wants := k.wants
	gap := time.NewTimer(saveGap) // while it runs, nothing is written
	gap.Stop()
	defer gap.Stop()
	restamp := time.NewTimer(k.restampEvery())
	defer restamp.Stop()
	for {
		k.reportSettled(time.Now())
		select {
		case <-sv.looped: // not its context: what it showed last, a moment before Close, is to be written
			if w := k.take(); w != nil {
				_ = k.save(cache, w) // reported there; there is no later
			}
			return
		case s, ok := <-changes:
			if !ok {
				changes = nil // the context has ended
				continue
			}
			n := fileNews{}
			if override = nil; s.Override {
				override = &s
			} else if s.Era > 0 {
				n.file = &s
			}
			n.override = override
			k.tell(n)
		case <-wants:
			w := k.take()
			if w == nil {
				continue // it was offered between a token and its taking, and is written already
			}
			err := k.save(cache, w)
			wants = nil
			gap.Reset(saveGap)
			switch {
			case errors.Is(err, filecache.ErrNewer):
				k.tellConflict(cache, override)
			case err != nil:
				k.again(w)
				gap.Reset(saveRetry)
			}
		case <-gap.C:
			wants = k.wants
		case <-restamp.C:
			k.tell(fileNews{override: override, restamp: true})
			restamp.Reset(k.restampEvery())
		}
	}
}

// tellConflict tells of a file which says that ours would go back in time.
func (k *keeper) tellConflict(cache *filecache.Cache, override *filecache.Snapshot) {
	if s, err := cache.Load(); err == nil {
		k.tell(fileNews{file: &s, override: override, conflict: true})
	}
}

// again wants a list to be written that could not be, unless there is a newer one.
func (k *keeper) again(w *whole) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.want == nil {
		k.want = w
		k.poke()
	}
}

func (k *keeper) poke() {
	select {
	case k.wants <- struct{}{}:
	default: // one is there already
	}
}

// save writes one list, and reports edges: the first failure, and the success after it.
func (k *keeper) save(cache *filecache.Cache, w *whole) error {
	sv := k.sv
	s := filecache.Snapshot{
		Ensemble: sv.root.cfg.ensemble, Service: sv.path, Lineage: w.lineage, Era: w.era, Zxid: w.zxid, AsOf: w.asOf,
		Servers: make([]filecache.Server, len(w.pairs)),
	}
	for i, p := range w.pairs {
		s.Servers[i] = filecache.Server{Key: p.Key, Value: p.Value, HeldSince: w.heldSince[p.Key]}
	}
	began := time.Now()
	s.SavedAt = began
	err := cache.Save(s)
	k.noteNames(cache)
	file := k.path()
	failed := err != nil && !errors.Is(err, filecache.ErrNewer)
	var wasFailing bool
	sv.note(func(st *serviceStatus) {
		wasFailing = st.CacheErr != nil
		if st.CacheErr = nil; failed {
			st.CacheErr = &OpError{Op: "save", Path: file, Err: err}
			st.SaveErrors++
		} else if err == nil {
			st.Saves++
			st.CacheSaved = began
		}
	})
	switch {
	case failed && !wasFailing:
		sv.log.Log(sv.ctx, k.edge(slog.LevelError, time.Now(), "cache file not written"),
			"cache file not written: a start during an outage would find an older one, or none", "file", file, "err", err)
	case failed:
		sv.log.Debug("cache file not written", "file", file, "err", err)
	case wasFailing:
		sv.log.Log(sv.ctx, k.edge(slog.LevelInfo, time.Now(), "cache file written again"), "cache file written again", "file", file)
	}
	if o := sv.root.cfg.observer.Saved; o != nil {
		sv.root.cfg.observe(func(*Observer) {
			o(Saved{Service: sv.path, Instances: len(w.pairs), Took: time.Since(began), Err: err})
		})
	}
	return err
}

// edge counts a change between writing and not, and returns the level at which it is to be logged: a disk that is full now and then must not fill
// the log, too.
func (k *keeper) edge(level slog.Level, now time.Time, what string) slog.Level {
	level = k.edges.Level(level, now, k.sv.log.Warn, "writing the cache file fails by turns, telling no more until it has settled")
	return k.sv.root.among(level, what, now)
}

func (k *keeper) reportSettled(now time.Time) {
	if changes := k.edges.Settled(now); changes > 0 {
		k.sv.mu.Lock()
		err := k.sv.status.CacheErr
		k.sv.mu.Unlock()
		k.sv.log.Warn("writing the cache file has settled", "changes", changes, "err", err)
	}
}

// restampEvery is a quarter of the maximum age, and 15 minutes at most, jittered.
func (k *keeper) restampEvery() time.Duration {
	d := lastRestamp
	if a := k.sv.root.cfg.maxCacheAge; a > 0 {
		d = min(d, max(a/4, saveGap))
	}
	return d*9/10 + rand.N(d/5)
}

func (k *keeper) tell(n fileNews) {
	select {
	case k.sv.files <- n:
	case <-k.sv.ctx.Done():
	}
}
