package filecache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/internal/belief"
	"github.com/holdfast-go/holdfast/internal/watchers"
)

const (
	// Between two attempts to get a source.
	minConnectDelay = time.Second
	maxConnectDelay = time.Minute

	// silentEnd is how long Close waits for a call of the registry's.
	silentEnd = 2 * time.Second
)

var errClosed = errors.New("closed meanwhile")

// upstream is the wrapped discovery, as soon as there is one.
type upstream struct {
	log      *slog.Logger
	outcomes chan outcome       // connect sends each outcome, the loop receives; never closed
	answers  chan watchers.List // so do the goroutines of ask
	calls    sync.WaitGroup     // goroutines that may never come back from a call of the registry's

	mu      sync.Mutex
	source  client.ServiceDiscovery // nil while there is none yet
	updates chan watchers.List      // its channel; nil when there is nothing to hear
	closed  bool
}

// outcome is that of an attempt to have a source: what it lists, or why there is none.
type outcome struct {
	updates chan watchers.List
	list    watchers.List
	err     error
}

func newUpstream(log *slog.Logger) *upstream {
	return &upstream{log: log, outcomes: make(chan outcome), answers: make(chan watchers.List)}
}

// connect calls open until there is a source for the loop, or ctx ends.
func (u *upstream) connect(ctx context.Context, open func() (client.ServiceDiscovery, error)) {
	level := slog.LevelWarn
	for delay := minConnectDelay; ; delay = min(2*delay, maxConnectDelay) {
		o := u.attach(open)
		select {
		case u.outcomes <- o:
		case <-ctx.Done():
			return
		}
		if o.err == nil {
			return
		}
		u.log.Log(ctx, level, "the wrapped discovery is not there yet: the file has to do meanwhile", "error", o.err)
		level = slog.LevelDebug
		pause := time.NewTimer(delay/2 + rand.N(delay/2))
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-pause.C:
		}
	}
}

// attach makes what open returns the source. Watching comes before asking: a change between the two calls is in the channel then.
func (u *upstream) attach(open func() (client.ServiceDiscovery, error)) outcome {
	var d client.ServiceDiscovery
	err := try(func() (err error) {
		d, err = open()
		return err
	})
	if err == nil && isNil(d) {
		err = errors.New("the discovery is nil")
	}
	if err != nil {
		return outcome{err: err}
	}
	u.mu.Lock()
	closed := u.closed
	if !closed {
		u.source = d
	}
	u.mu.Unlock()
	if closed {
		u.call("Close", d.Close)
		return outcome{err: errClosed}
	}
	var updates chan watchers.List
	u.call("WatchService", func() { updates = d.WatchService() })
	u.mu.Lock()
	u.updates, closed = updates, u.closed
	u.mu.Unlock()
	if closed {
		u.unwatch(d, updates)
		return outcome{err: errClosed}
	}
	return outcome{updates: updates, list: u.list(d)}
}

// list is what d lists now, nil if it panics.
func (u *upstream) list(d client.ServiceDiscovery) (list watchers.List) {
	u.call("GetServices", func() { list = copyOf(d.GetServices()) })
	return list
}

// ask asks the source what it lists. It does not wait: the answer comes to the loop, which asks nothing else until then.
func (u *upstream) ask(ctx context.Context) {
	u.mu.Lock()
	source := u.source
	u.mu.Unlock()
	u.calls.Go(func() {
		list := u.list(source)
		select {
		case u.answers <- list:
		case <-ctx.Done():
		}
	})
}

// clone is the source's Clone.
func (u *upstream) clone(servicePath string) (client.ServiceDiscovery, error) {
	u.mu.Lock()
	source := u.source
	u.mu.Unlock()
	if source == nil {
		return nil, errors.New("the discovery to be cloned is not there yet itself")
	}
	return source.Clone(servicePath)
}

// close closes the source, and waits a little for that and for the other calls, whose ctx has ended. They may be left in a call of the registry's, which
// nothing can end. The loop has ended before.
func (u *upstream) close() {
	u.mu.Lock()
	u.closed = true // what open returns from now on is closed by attach
	source, updates := u.source, u.updates
	u.mu.Unlock()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		if source != nil {
			u.unwatch(source, updates)
			u.call("Close", source.Close)
		}
		u.calls.Wait()
	}()
	t := time.NewTimer(silentEnd)
	defer t.Stop()
	select {
	case <-gone:
	case <-t.C:
		u.log.Error("a call of the registry's does not return, leaving it")
	}
}

// unwatch removes the watcher, and takes what comes until that is done: d may hand a change over under the lock that RemoveWatcher needs.
func (u *upstream) unwatch(d client.ServiceDiscovery, updates chan watchers.List) {
	if updates == nil {
		return
	}
	removed := make(chan struct{})
	go func() {
		defer close(removed)
		u.call("RemoveWatcher", func() { d.RemoveWatcher(updates) })
	}()
	for taken := updates; ; {
		select {
		case <-removed:
			return
		case _, ok := <-taken:
			if !ok {
				taken = nil // its owner has closed it
			}
		}
	}
}

// call calls a method of the registry's that has no error.
func (u *upstream) call(method string, do func()) {
	err := try(func() error {
		do()
		return nil
	})
	if err != nil {
		u.log.Error("a call of the registry's panics", "method", method, "error", err)
	}
}

// try calls the registry's code. A panic is the error of that call.
func try(call func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return call()
}

// isNil reports whether d is nil, or a nil pointer: a constructor that fails returns one, and its error may have been passed over.
func isNil(d client.ServiceDiscovery) bool {
	v := reflect.ValueOf(d)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}

// copyOf returns list sorted by key, in pairs of our own: the source may change its own at any time. Of several with one key it has the last.
func copyOf(list watchers.List) watchers.List {
	own := make(watchers.List, 0, len(list))
	for _, kv := range slices.Backward(list) {
		if kv != nil {
			own = append(own, &client.KVPair{Key: kv.Key, Value: kv.Value})
		}
	}
	slices.SortStableFunc(own, belief.ByKey)
	return slices.CompactFunc(own, func(a, b *client.KVPair) bool { return a.Key == b.Key })
}

func equal(a, b watchers.List) bool {
	return slices.EqualFunc(a, b, func(x, y *client.KVPair) bool { return *x == *y })
}
