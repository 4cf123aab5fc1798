package filecache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/internal/drive"
)

// defaultService is the service name of a wrapped discovery that was given none.
const defaultService = "default"

// Wrap keeps what d lists in a file below dir, and lists it in d's place while d has nothing: rpcx's CacheDiscovery as it should be, for etcd, consul,
// nacos and every other implementation. (For ZooKeeper there is package zkdiscovery, which knows more.)
//
//   - While d has listed nothing since the start, the list is the file's.
//   - What d lists goes to the watchers at once, and to the file in the background. Only a sudden loss of many or all servers is suspected, not obeyed:
//     most discoveries list nothing both when the registry has lost its entries and when no server is there. The missing servers stay in the list and
//     in the file, marked there, and are asked. A server that does not answer twice is gone within seconds. One that answers stays as long as it
//     does. Where no probe has ever reached a server of the service, silence proves nothing: then the missing ones stay for a minute. See Guard. The
//     removal of a server that said state=inactive before passes at once.
//   - When the file has served, the first list of d's is doubted: each server that is missing from it is asked. If d lists something at once, a server
//     that only the file knows gets into the list when it has answered, and is asked only if more than the share is missing.
//   - An operator's override (see Cache.LoadOverride) stands above all while it is there.
//   - Clone wraps the clone, with a file of its own. If d cannot clone because the registry is away, the clone starts from its file and goes
//     on trying.
//   - A silent registry or disk blocks nothing for long: Wrap and Clone return after half a second at most, with what the file has, and use the registry's
//     answer when it comes. GetServices and WatchService never wait.
//   - Every caller and watcher gets a slice of its own, of shared pairs which must not be changed. Watchers never wait for each other, nothing
//     is sent when nothing changed, nothing after RemoveWatcher has returned, and the channels are never closed.
//   - The filter applies to what is listed, not to what is stored or asked. SetFilter returns when it has taken effect; later clones inherit it. A
//     filter is given copies of the pairs, counts as "keep" when it panics, and must not call SetFilter or Close.
//   - A file that cannot be read or written, and a directory that cannot be one, is reported to the logger and changes nothing else.
//
// What it cannot know, because d does not say: when the registry was away and is back, and whether it is still the same. So a registry that comes
// back with most of its entries and lacks less than the share is obeyed, where zkdiscovery asks the missing ones; one that comes back empty, or with
// few, is not. Nor can it know that the process is cut off itself, so that those held do not answer. Of a key that d lists twice, the last counts, as with XClient.
//
// The files' ensemble is d's type, so that two kinds of registry do not take each other's lists for their own; WithEnsemble gives it another name. AsOf
// is when d last said the list, since Wrap cannot know whether d's silence confirms it; so WithMaxAge makes a quiet service look old. What d said last is what
// the file has in the end, whatever the clock does: the lists are numbered. When two processes share a file, the list that was heard last stays.
//
// d's GetServices and WatchService are called once each. Only after lists that came in a row GetServices is called again, when d has been quiet for half a
// second, and tells which of them was the last: rpcx's own discoveries may send two changes in the wrong order. A call of d's that panics is reported to the
// logger and ends nothing else.
//
// The error is a mistake in the arguments, and then nothing was started. Close closes the clones and d, and waits for every goroutine that was started. A
// call of d's that does not return is left after 2 s, and what it returns is closed; a probe of the user's that ignores its context is left, too.
// Afterwards the last list stays readable, and Clone returns a discovery that lists nothing.
func Wrap(d client.ServiceDiscovery, dir string, opts ...Option) (client.ServiceDiscovery, error) {
	if isNil(d) {
		return connect(nil, errors.New("discovery <nil>: there is nothing to wrap"), "nil", dir, opts)
	}
	kind := strings.TrimPrefix(fmt.Sprintf("%T", d), "*")
	return connect(func() (client.ServiceDiscovery, error) { return d, nil }, nil, kind, dir, opts)
}

// Connect is Wrap for a constructor which fails, or does not return, while its registry is away. It calls open in the background, again after growing pauses
// (up to a minute) until there is a discovery, and lists what the file has until then. It does not wait for open longer than half a second. A discovery
// that open returns belongs to what Connect has returned, which closes it.
//
// The files' ensemble is "registry" unless WithEnsemble names it. The error is a mistake in the arguments, and then open was not called.
func Connect(open func() (client.ServiceDiscovery, error), dir string, opts ...Option) (client.ServiceDiscovery, error) {
	var wrong error
	if open == nil {
		wrong = errors.New("constructor <nil>: there is nothing to connect")
	}
	return connect(open, wrong, "registry", dir, opts)
}

func connect(open func() (client.ServiceDiscovery, error), wrong error, kind, dir string, opts []Option) (client.ServiceDiscovery, error) {
	cfg := newConfig(opts)
	cfg.nameOnly = true
	cache, err := prepare(disk{}, dir, cmp.Or(cfg.ensemble, kind), cmp.Or(cfg.service, defaultService), cfg, wrong)
	if err != nil {
		return nil, err
	}
	f := newFileBacked(cache, nil)
	f.start(open)
	return f, nil
}

// fileBacked is a discovery and its file.
type fileBacked struct {
	cache    *Cache  // opened by the keeper
	keeper   *Keeper // nil: nothing was started
	upstream *upstream
	log      *slog.Logger
	parent   *fileBacked // nil for what Wrap has returned
	trials   *drive.Gate // of what Wrap has returned, and its clones
	shown    shown

	ctx     context.Context // of the goroutines; Close cancels it
	cancel  context.CancelFunc
	workers sync.WaitGroup
	ending  sync.Once
	settled chan struct{} // the loop closes it when the first list is shown, or there is none

	mu     sync.Mutex
	clones map[*fileBacked]struct{}
	closed bool
}

func newFileBacked(cache *Cache, parent *fileBacked) *fileBacked {
	ctx, cancel := context.WithCancel(context.Background())
	log := cache.config.logger.With("service", cache.service)
	f := &fileBacked{
		cache: cache, upstream: newUpstream(log), log: log, parent: parent, trials: &drive.Gate{}, ctx: ctx, cancel: cancel,
		settled: make(chan struct{}), clones: make(map[*fileBacked]struct{}),
	}
	if parent != nil {
		f.trials = parent.trials
	}
	return f
}

// silent is how long Wrap, Connect and Clone wait for the registry and the disk.
const silent = 500 * time.Millisecond

// start starts the goroutines, and waits a little for the first list.
func (f *fileBacked) start(open func() (client.ServiceDiscovery, error)) {
	f.mu.Lock()
	started := !f.closed // the parent may have been closed meanwhile
	if started {
		lp := newWrapLoop(f)
		f.keeper = Keep(func() (*Cache, error) { return f.cache, f.cache.open() }, KeeperConfig{Logger: f.log, Dir: f.cache.dir, Refused: lp.refused})
		f.workers.Go(lp.run)
		f.upstream.calls.Go(func() { f.upstream.connect(f.ctx, open) })
	}
	f.mu.Unlock()
	if started {
		<-f.settled
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
// OneClient could not bear. It waits for the registry and the disk half a second at most.
func (f *fileBacked) Clone(servicePath string) (client.ServiceDiscovery, error) {
	cache, err := prepare(f.cache.fsys, f.cache.dir, f.cache.id.text, servicePath, f.cache.config, nil)
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
	clone.start(func() (client.ServiceDiscovery, error) { return f.upstream.clone(servicePath) })
	return clone, nil
}

// Close ends everything that was started for f and its clones, and closes the wrapped discovery. Further calls wait for the first.
func (f *fileBacked) Close() {
	f.ending.Do(func() {
		f.mu.Lock()
		f.closed = true
		started, clones := f.keeper != nil, f.clones
		f.clones = nil // Clone looks at closed first
		f.mu.Unlock()

		var closing sync.WaitGroup // at once: each may have something to wait for
		for clone := range clones {
			closing.Go(clone.Close)
		}
		closing.Wait()
		f.cancel()
		f.workers.Wait()
		if started {
			f.upstream.close()
		}
		f.shown.set.Clear()
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
