package filecache

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/internal/belief"
	"github.com/holdfast-go/holdfast/internal/logs"
)

const (
	saveGap     = time.Second      // between two writes; the first is at once
	saveRetry   = 10 * time.Second // after a failed write; doubled with each further one
	maxRetry    = time.Minute
	lastRestamp = 15 * time.Minute // a list that does not change is written again this often
	// hungDisk is how long Close waits for one operation of the disk. It is counted from the operation's beginning: a disk that has not answered
	// for so long is not waited for again.
	hungDisk = 1500 * time.Millisecond
)

// Keeper opens, loads, watches and writes the file of one owner, off the owner's path: a slow or broken disk delays only the Keeper. Its methods
// may be called at once from anywhere, and none but Close blocks.
type Keeper struct {
	open   func() (*Cache, error)
	config KeeperConfig
	news   chan News     // cap 1; run sends, nobody closes it
	wants  chan struct{} // cap 1; one token while want is set; Save and again send
	stop   chan struct{} // Close closes it
	ended  chan struct{} // run closes it when everything of the Keeper's is gone
	ending sync.Once
	hung   sync.Once // that the disk hangs is told once

	mu     sync.Mutex
	want   *belief.Record // the newest that is not written yet
	status KeeperStatus
	busy   time.Time // since when the disk has been asked for something; zero while it is not

	// The goroutine of run owns these.
	cache    *Cache         // nil: there is none yet
	opened   bool           // it can be written
	watch    *watch         // of cache
	override *Snapshot      // in force
	last     *belief.Record // what was written last
	retry    time.Duration  // before the next attempt, after a failed one; zero after a good one
}

// KeeperConfig is what a Keeper needs of its owner.
type KeeperConfig struct {
	// Logger is told when the file cannot be opened, when writing begins to fail and when it works again. The default is that of WithLogger. What the
	// Cache has to report goes to the Cache's own logger.
	Logger *slog.Logger
	// Dir is what the log calls the place of a file that cannot be opened, or whose disk does not answer.
	Dir string
	// Saved is called after each attempt to write, by the Keeper's goroutine. It must return soon. It may be nil.
	Saved func(Saved)
	// Refused is called at the end, by the Keeper's goroutine, if a Save was refused and the owner has not taken the News that says so: it may Save once
	// more. It must return soon. It may be nil.
	Refused func(News)
}

// Saved is an attempt to write.
type Saved struct {
	Servers int
	Took    time.Duration
	Err     error // ErrNewer is no failure: News says what stands in the way
}

// News is what a Keeper tells its owner.
type News struct {
	// File is the newest good generation: what was found at the beginning, or what another process has saved since. nil: nothing new.
	File *Snapshot
	// Override is the operator's override that is in force; nil: none is.
	Override *Snapshot
	// Err says why nothing was found at the beginning; it wraps fs.ErrNotExist if there is no file.
	Err error
	// InTheWay says that a Save was refused, since File claims to be later, also when that is older than WithMaxAge allows.
	InTheWay bool
	// Restamp asks the owner to Save what it has again, if its source confirms it, so that a quiet service does not look old.
	Restamp bool
}

// KeeperStatus is the state of a Keeper at one moment.
type KeeperStatus struct {
	Path         string    // the list's file; "" until there is a Cache
	OverridePath string    // the override that is in force; else where an operator would put one
	Saved        time.Time // when a list was written last
	Saves        int64     // how often one was
	Failures     int64     // how often one could not be
	Err          error     // why the file cannot be opened, or the last write failed; nil when it did not
}

// Keep starts a Keeper for the file that open opens. Close ends it. While open fails it is called again, after 10 s at first and at least every minute. A
// Cache that it returns beside the error is watched until then, for the overrides that can be read.
func Keep(open func() (*Cache, error), config KeeperConfig) *Keeper {
	if config.Logger == nil {
		config.Logger = logs.Default()
	} else {
		config.Logger = logs.Limited(config.Logger)
	}
	k := &Keeper{
		open: open, config: config, news: make(chan News, 1), wants: make(chan struct{}, 1),
		stop: make(chan struct{}), ended: make(chan struct{}),
	}
	go k.run()
	return k
}

// News is the channel on which the owner hears of the file. The first says what was found; while the disk hangs none comes. News that was not taken is
// joined with what comes after it: the newest of each kind is never lost. The channel is never closed.
func (k *Keeper) News() <-chan News { return k.news }

// Save has rec written: at once, or a second after the write before. It never blocks. A newer one takes the place of one that is not written yet. What
// cannot be written is tried again, after 10 s at first and at least every minute. A file that somebody has removed is written again within 6 s.
// After Close it does nothing.
func (k *Keeper) Save(rec *belief.Record) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.want = rec
	k.poke()
}

// Status does not block, also while the disk hangs.
func (k *Keeper) Status() KeeperStatus {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.status
}

// Close writes what is left to be written, and the file if it was removed, and returns nil when everything that was started has ended. A disk that does not
// answer is waited for at most 2 s, and left with a line in the log; then the error is ErrHung, and nothing can end the goroutine that waits for the disk
// but its answer. Close may be called again, from anywhere.
func (k *Keeper) Close() error {
	k.ending.Do(func() { close(k.stop) })
	for began := time.Now(); ; {
		since := k.busySince()
		limit := began.Add(hungDisk)
		if early := since.Add(hungDisk); !since.IsZero() && early.Before(limit) {
			limit = early
		}
		t := time.NewTimer(time.Until(limit))
		select {
		case <-k.ended:
			t.Stop()
			return nil
		case <-t.C:
		}
		if k.busySince().Equal(since) || time.Since(began) >= hungDisk {
			k.hung.Do(func() {
				k.config.Logger.Error("the disk of the cache file does not answer, leaving it", "dir", k.config.Dir, "file", k.Status().Path)
			})
			return ErrHung
		}
	}
}

func (k *Keeper) busySince() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.busy
}

// disk does what may hang.
func (k *Keeper) disk(do func()) {
	k.mu.Lock()
	k.busy = time.Now()
	k.mu.Unlock()
	do()
	k.mu.Lock()
	k.busy = time.Time{}
	k.mu.Unlock()
}

// take returns what is to be written, if anything.
func (k *Keeper) take() *belief.Record {
	k.mu.Lock()
	defer k.mu.Unlock()
	rec := k.want
	k.want = nil
	return rec
}

// again wants a list to be written, unless a newer one is.
func (k *Keeper) again(rec *belief.Record) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.want == nil {
		k.want = rec
		k.poke()
	}
}

func (k *Keeper) poke() {
	select {
	case k.wants <- struct{}{}:
	default: // one is there already
	}
}

// tell leaves news, joined with what was not taken. Only run sends, so there is room.
func (k *Keeper) tell(n News) {
	n.Override = k.override
	select {
	case old := <-k.news:
		n = old.and(n)
	default:
	}
	k.news <- n
}

// and is n followed by later.
func (n News) and(later News) News {
	if later.File == nil && later.Err == nil {
		later.File, later.Err = n.File, n.Err
	}
	later.InTheWay = later.InTheWay || n.InTheWay
	later.Restamp = later.Restamp || n.Restamp
	return later
}

func (k *Keeper) note(f func(*KeeperStatus)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f(&k.status)
}

// isFailure reports whether err, of a Save, is one.
func isFailure(err error) bool { return err != nil && !errors.Is(err, ErrNewer) }
