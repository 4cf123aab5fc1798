package filecache

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/internal/watchers"
)

// Between two attempts to get a source for a clone.
const (
	minConnectDelay = time.Second
	maxConnectDelay = time.Minute
)

// start shows what is known already and starts the goroutines. Without a source they call connect until they have one.
func (f *fileBacked) start(source client.ServiceDiscovery, connect func() (client.ServiceDiscovery, error)) {
	if s, err := f.cache.LoadOverride(); err == nil {
		f.told(s)
	}
	var list watchers.List
	if source != nil {
		list = f.attach(source)
	}
	f.readFile(len(list) == 0)
	if len(list) > 0 {
		f.hear(list)
	}
	f.show(time.Now())

	files := f.cache.Watch(f.ctx)
	f.mu.Lock()
	f.started = !f.closed
	if f.started {
		f.workers.Go(func() {
			ctx, end := context.WithCancel(context.Background())
			f.workers.Go(func() { f.saver.run(ctx) })
			defer end() // not with f.ctx: what run offers last is to be written
			f.run(files)
		})
		if connect != nil {
			f.workers.Go(func() { f.connect(connect) })
		}
	}
	started := f.started
	f.mu.Unlock()
	if !started { // the parent was closed meanwhile
		f.letGo()
	}
}

// readFile remembers what the file has; serve says that it is the list, for want of a better one.
func (f *fileBacked) readFile(serve bool) {
	s, err := f.cache.Load()
	switch {
	case err == nil:
		if serve {
			f.log.Info("the list is the file's until the wrapped discovery has one",
				"path", f.cache.Path(), "servers", len(s.Servers), "as_of", s.AsOf)
		}
		f.belief.read(s, serve)
	case !absent(err):
		f.log.Warn("no list from the file", "error", err)
	}
}

// attach makes d the source and returns what it lists now. Watching comes first: a change between the two calls is in the channel then.
func (f *fileBacked) attach(d client.ServiceDiscovery) watchers.List {
	f.mu.Lock()
	f.source = d
	f.mu.Unlock()
	f.updates = d.WatchService()
	return copyOf(d.GetServices())
}

// run owns the belief.
func (f *fileBacked) run(files <-chan Snapshot) {
	wake := time.NewTimer(0) // set anew in each round
	defer wake.Stop()
	for {
		if at := f.act(time.Now()); at.IsZero() {
			wake.Stop()
		} else {
			wake.Reset(time.Until(at))
		}
		select {
		case <-f.ctx.Done():
			if f.unsaved {
				f.save(time.Now())
			}
			return
		case <-wake.C:
		case answer := <-f.answers:
			answer(time.Now())
		case d := <-f.sources:
			if list := f.attach(d); len(list) > 0 { // silence is not news
				f.hear(list)
			}
		case list, ok := <-f.updates:
			if !ok {
				f.updates = nil // its owner has closed it: nothing more will come
				f.log.Warn("the wrapped discovery has closed its channel: the list stays as it is")
				continue
			}
			f.hear(copyOf(list))
		case s, ok := <-files:
			if !ok {
				files = nil
				continue
			}
			f.told(s)
			f.show(time.Now())
		}
	}
}

// hear takes what the source lists now, and lists it.
func (f *fileBacked) hear(list watchers.List) {
	now := time.Now()
	f.belief.heard(list, now)
	// Saved lists are ordered by AsOf, and two may come within one tick of the clock.
	if !now.After(f.asOf) {
		now = f.asOf.Add(1)
	}
	f.asOf, f.unsaved = now, true
	f.show(now)
}

// told takes what Watch has said, and reports what a person may want to know.
func (f *fileBacked) told(s Snapshot) {
	was, old := f.belief.overridden, f.belief.override
	f.belief.told(s)
	switch is := f.belief.overridden; {
	case is && (!was || !equal(old, f.belief.override)):
		f.log.Warn("an operator's override is in force", "path", f.cache.OverridePath(), "servers", len(f.belief.override))
	case was && !is:
		f.log.Warn("the override is gone", "servers", len(f.belief.list()))
	}
}

// show lists what is believed.
func (f *fileBacked) show(now time.Time) {
	f.shownAt, f.holding.shown = now, f.belief.guard.Holds()
	f.shown.setList(f.belief.list())
}

// connect calls get until it has a source for run, or Close.
func (f *fileBacked) connect(get func() (client.ServiceDiscovery, error)) {
	for delay := minConnectDelay; ; delay = min(2*delay, maxConnectDelay) {
		pause := time.NewTimer(delay/2 + rand.N(delay/2))
		select {
		case <-f.ctx.Done():
			pause.Stop()
			return
		case <-pause.C:
		}
		d, err := get()
		if err == nil {
			f.sources <- d // has room: it is sent once
			return
		}
		f.log.Debug("still no clone of the wrapped discovery", "error", err)
	}
}

// copyOf returns list sorted by key, in pairs of our own: the source may change its own at any time. Of several with one key it has the last.
func copyOf(list watchers.List) watchers.List {
	own := make(watchers.List, 0, len(list))
	for _, kv := range slices.Backward(list) {
		if kv != nil {
			own = append(own, &client.KVPair{Key: kv.Key, Value: kv.Value})
		}
	}
	slices.SortStableFunc(own, func(a, b *client.KVPair) int { return strings.Compare(a.Key, b.Key) })
	return slices.CompactFunc(own, func(a, b *client.KVPair) bool { return a.Key == b.Key })
}

func equal(a, b watchers.List) bool {
	return slices.EqualFunc(a, b, func(x, y *client.KVPair) bool { return *x == *y })
}
