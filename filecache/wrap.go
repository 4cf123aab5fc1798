package filecache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/internal/probe"
	"github.com/holdfast-go/holdfast/internal/watchers"
)

// defaultService is the service name of a wrapped discovery that was given none.
const defaultService = "default"

// Wrap keeps what d says in a file below dir, and says it in d's place while d has nothing to say: rpcx's CacheDiscovery as it should be, for
// etcd, consul, nacos and whatever else implements the interface. (For ZooKeeper there is package zkdiscovery, which knows more.)
//
//   - While d has listed nothing since the start, the list is the file's.
//   - What d says goes to the watchers at once, and to the file behind their backs, be it larger or smaller than before. Only a sudden loss of
//     many or all servers is suspected, not obeyed, since most discoveries say the same when the registry has lost its entries as when nobody is
//     there: the missing ones stay in the list and in the file, marked there, and are asked; who does not answer twice is gone within seconds, who
//     answers stays as long as it does. See Guard. A server that said state=inactive before it went passes at once.
//   - The first list after the file had to do is in doubt as a whole: whoever is missing from it is asked. If d lists something at once, whom only
//     the file knows gets into the list when it has answered, and is asked only if more than the share is missing.
//   - An operator's override (see Cache.LoadOverride) stands above all while it is there.
//   - Clone wraps the clone, with a file of its own. If d cannot clone because the registry is away, the clone starts from its file and goes
//     on trying.
//   - Every caller and watcher gets a slice of its own, of shared pairs which must not be changed. Watchers never wait for each other, nothing
//     is sent when nothing changed, nothing after RemoveWatcher has returned, and the channels are never closed.
//   - The filter applies to what is listed, not to what is stored or asked. SetFilter returns when it has taken effect; later clones inherit it. A
//     filter is given copies of the pairs, counts as "keep" when it panics, and must not call SetFilter or Close.
//   - A file that cannot be read or written is reported to the logger and changes nothing else.
//
// What it cannot know, because d does not say: when the registry was away and is back, and whether it is still the same. So a registry that comes
// back with most of its entries and lacks less than the share is obeyed, where zkdiscovery asks the missing ones; one that comes back empty, or with
// few, is not. Nor can it know that the process is cut off itself, so that those held do not answer. Of a key that d lists twice, the last counts, as with XClient.
//
// The files' ensemble is d's type, so that two kinds of registry do not take each other's lists for their own; two registries of one kind
// need two directories. AsOf is when d last said the list, since Wrap cannot know whether d's silence confirms it; so WithMaxAge makes a
// quiet service look old.
//
// d's GetServices and WatchService are called once each. The error is one of Open's, or that d is nil, and then nothing was started. Close
// closes the clones and d, and waits for every goroutine that was started, also for a Clone of d that is under way; only a probe of the user's that
// ignores its context is left behind. Afterwards the last list stays readable, and Clone returns a discovery that lists nothing.
func Wrap(d client.ServiceDiscovery, dir string, opts ...Option) (client.ServiceDiscovery, error) {
	var wrong error
	if d == nil {
		wrong = errors.New("discovery <nil>: there is nothing to wrap")
	}
	cfg := newConfig(opts)
	if cfg.service == "" {
		cfg.service = defaultService
	}
	cache, err := open(disk{}, dir, fmt.Sprintf("%T", d), cfg.service, cfg, wrong)
	if err != nil {
		return nil, err
	}
	f := newFileBacked(cache, nil)
	f.start(d, nil)
	return f, nil
}

// fileBacked is a discovery and its file.
type fileBacked struct {
	cache  *Cache
	saver  *saver
	log    *slog.Logger
	parent *fileBacked // nil for what Wrap has returned
	shown  shown

	ctx     context.Context // of the goroutines; Close cancels it
	cancel  context.CancelFunc
	workers sync.WaitGroup
	ending  sync.Once
	sources chan client.ServiceDiscovery // cap 1; connect sends, once at most; never closed

	answers chan func(now time.Time) // a probe sends what to do with its outcome; run receives
	prober  *probe.Queue

	// The goroutine of run owns these; before it, start does, and behind it, letGo.
	updates chan watchers.List // the source's; nil when there is nothing to hear
	belief  belief
	holding holding
	shownAt time.Time // when the list was shown last
	asOf    time.Time // when the source last said a list, and a little later with each save of what has become of it
	unsaved bool      // the file should have what it has not
	savedAt time.Time // when a list was given to the saver last

	mu      sync.Mutex
	source  client.ServiceDiscovery // the wrapped one; nil while a clone has none yet
	clones  map[*fileBacked]struct{}
	started bool
	closed  bool
}

func newFileBacked(cache *Cache, parent *fileBacked) *fileBacked {
	ctx, cancel := context.WithCancel(context.Background())
	settings := cache.config.guard.settings()
	return &fileBacked{
		cache: cache, log: cache.config.logger.With("service", cache.service), saver: newSaver(cache), parent: parent,
		ctx: ctx, cancel: cancel, sources: make(chan client.ServiceDiscovery, 1),
		answers: make(chan func(time.Time)), prober: settings.NewQueue(), belief: belief{guard: settings.NewGuard(cache.config.noGuard)},
		clones: make(map[*fileBacked]struct{}),
	}
}

// GetServices returns the list, nil while nothing is known.
func (f *fileBacked) GetServices() []*client.KVPair { return f.shown.set.Current() }

// WatchService returns a channel which holds the list, if there is one, and later the newest that was not taken.
func (f *fileBacked) WatchService() chan []*client.KVPair { return f.shown.set.Watch() }

// RemoveWatcher forgets ch. When it has returned, nothing is sent on ch any more, so the caller may close it.
func (f *fileBacked) RemoveWatcher(ch chan []*client.KVPair) { f.shown.set.Remove(ch) }

// SetFilter lists only what filter keeps, everything if it is nil.
func (f *fileBacked) SetFilter(filter client.ServiceDiscoveryFilter) {
	f.shown.setFilter(harmless(filter, f.cache.config.logger))
}

// Clone returns the discovery of the service at servicePath. The error is that this cannot be a service's name, never the registry's, which
// OneClient could not bear.
func (f *fileBacked) Clone(servicePath string) (client.ServiceDiscovery, error) {
	cfg := f.cache.config
	cfg.service = servicePath
	cache, err := open(f.cache.fsys, f.cache.dir, f.cache.ensemble, servicePath, cfg, nil)
	if err != nil {
		return nil, err
	}
	clone := newFileBacked(cache, f)
	clone.shown.setFilter(f.shown.currentFilter())

	f.mu.Lock()
	closed := f.closed
	if !closed {
		f.clones[clone] = struct{}{} // from here on Close closes it, started or not
	}
	f.mu.Unlock()
	if closed {
		clone.Close()
		return clone, nil
	}
	connect := func() (client.ServiceDiscovery, error) { return f.cloneSource(servicePath) }
	if d, err := connect(); err == nil {
		clone.start(d, nil)
	} else {
		cfg.logger.Warn("cannot clone the wrapped discovery: the file has to do meanwhile", "service", servicePath, "error", err)
		clone.start(nil, connect)
	}
	return clone, nil
}

func (f *fileBacked) cloneSource(servicePath string) (client.ServiceDiscovery, error) {
	f.mu.Lock()
	source := f.source
	f.mu.Unlock()
	if source == nil {
		return nil, errors.New("the discovery to be cloned is not there yet itself")
	}
	d, err := source.Clone(servicePath)
	if err == nil && d == nil {
		err = errors.New("the clone is nil")
	}
	return d, err
}

// Close ends everything that was started for f and its clones, and closes the wrapped discovery. Further calls wait for the first.
func (f *fileBacked) Close() {
	f.ending.Do(func() {
		f.mu.Lock()
		f.closed = true
		started, clones := f.started, f.clones
		f.clones = nil // Clone looks at closed first
		f.mu.Unlock()

		for clone := range clones {
			clone.Close()
		}
		f.cancel()
		f.workers.Wait()
		f.prober.Wait()
		if started {
			f.letGo()
		}
		if f.parent != nil {
			f.parent.forget(f)
		}
	})
}

func (f *fileBacked) forget(clone *fileBacked) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.clones, clone)
}

// letGo closes the source and forgets the watchers. No goroutine of f is left.
func (f *fileBacked) letGo() {
	select {
	case d := <-f.sources: // connected, but too late for run
		d.Close()
	default:
	}
	if f.source != nil {
		if f.updates != nil {
			f.source.RemoveWatcher(f.updates)
		}
		f.source.Close()
	}
	f.shown.set.Clear()
	_ = f.cache.Close() // its Watch has ended with ctx
}
