package filecache

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/internal/watchers"
)

const (
	// Between two attempts to get a source.
	minConnectDelay = time.Second
	maxConnectDelay = time.Minute

	// silent is how long Wrap, Connect and Clone wait for the registry and the disk, and silentEnd how long Close waits for a call of the registry's.
	silent    = 500 * time.Millisecond
	silentEnd = 2 * time.Second
)

// start starts the goroutines, and waits a little for the first list.
func (f *fileBacked) start(open func() (client.ServiceDiscovery, error)) {
	f.mu.Lock()
	f.started = !f.closed // the parent may have been closed meanwhile
	if f.started {
		f.keeper = Keep(func() (*Cache, error) { return f.cache, f.cache.open() }, KeeperConfig{Logger: f.log, Dir: f.cache.dir})
		f.workers.Go(f.run)
		go f.connect(open) // not a worker: it may never come back from a call of the registry's
	}
	started := f.started
	f.mu.Unlock()
	if started {
		<-f.settled
	}
}

// begin waits for what the file and the source have, at most for silent, and shows it.
func (f *fileBacked) begin() {
	defer close(f.settled)
	limit := time.NewTimer(silent)
	defer limit.Stop()
	var found News
	var first outcome
	for fromFile, fromSource := false, false; !fromFile || !fromSource; {
		select {
		case n := <-f.keeper.News():
			found, fromFile = found.and(n), true
		case s := <-f.sources:
			first, fromSource = s, true
		case <-limit.C:
			fromFile, fromSource = true, true
		case <-f.ctx.Done():
			return
		}
	}
	f.own.hear = first.updates
	f.overrule(found.Override)
	f.heardOfFile(found, len(first.list) == 0)
	if len(first.list) > 0 {
		f.hear(first.list)
	}
	f.show(time.Now())
}

// run owns the belief.
func (f *fileBacked) run() {
	defer func() { _ = f.keeper.Close() }() // it has logged what there is to say
	f.begin()
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
			if f.own.unsaved {
				f.save(time.Now())
			}
			return
		case <-wake.C:
		case answer := <-f.answers:
			answer(time.Now())
		case s := <-f.sources:
			f.own.hear = s.updates
			if len(s.list) > 0 { // silence is not news
				f.hear(s.list)
			}
		case list, ok := <-f.own.hear:
			if !ok {
				f.own.hear = nil // its owner has closed it: nothing more will come
				f.log.Warn("the wrapped discovery has closed its channel: the list stays as it is")
				continue
			}
			f.hear(copyOf(list))
		case n := <-f.keeper.News():
			f.overrule(n.Override)
			f.heardOfFile(n, true)
			f.show(time.Now())
		}
	}
}

// hear takes what the source lists now, and lists it.
func (f *fileBacked) hear(list watchers.List) {
	now := time.Now()
	f.own.belief.heard(list, now)
	f.own.said, f.own.unsaved = now, true
	f.show(now)
}

// heardOfFile takes what the keeper has found in the file. serve says that it is the list, for want of a better one.
func (f *fileBacked) heardOfFile(n News, serve bool) {
	own := &f.own
	if n.File == nil {
		if n.Err != nil && !absent(n.Err) {
			f.log.Warn("no list from the file", "error", n.Err)
		}
		return
	}
	own.counter, own.era = max(own.counter, n.File.Zxid), max(own.era, n.File.Era)
	if own.belief.guard.Begun() {
		own.saved = *n.File // by another process, which may have heard the same
	}
	if n.InTheWay {
		// Another process has saved what it heard. If that was before we heard ours, ours is later, whatever its number. A time in the future says nothing.
		if !n.File.AsOf.After(own.said) || n.File.AsOf.After(time.Now()) {
			own.unsaved = true
		}
	}
	if own.belief.guard.Begun() {
		return
	}
	if serve {
		f.log.Info("the list is the file's until the wrapped discovery has one", "path", n.File.Path, "servers", len(n.File.Servers), "as_of", n.File.AsOf)
	}
	own.belief.read(*n.File, serve)
}

// overrule takes the override that is in force, if any, and reports what a person may want to know.
func (f *fileBacked) overrule(s *Snapshot) {
	b := &f.own.belief
	was, old := b.overridden, b.override
	b.overrule(s)
	switch is := b.overridden; {
	case is && (!was || !equal(old, b.override)):
		f.log.Warn("an operator's override is in force", "path", s.Path, "servers", len(b.override))
	case was && !is:
		f.log.Warn("the override is gone", "servers", len(b.list()))
	}
}

// show lists what is believed.
func (f *fileBacked) show(now time.Time) {
	f.own.shownAt, f.own.holding.shown = now, f.own.belief.guard.Holds()
	f.shown.setList(f.own.belief.list())
}

// connect calls open until there is a source for run, or Close.
func (f *fileBacked) connect(open func() (client.ServiceDiscovery, error)) {
	defer close(f.connected)
	level := slog.LevelWarn
	for delay := minConnectDelay; ; delay = min(2*delay, maxConnectDelay) {
		s := f.attach(open)
		select {
		case f.sources <- s:
		case <-f.ctx.Done():
			return
		}
		if s.err == nil {
			return
		}
		f.log.Log(f.ctx, level, "the wrapped discovery is not there yet: the file has to do meanwhile", "error", s.err)
		level = slog.LevelDebug
		pause := time.NewTimer(delay/2 + rand.N(delay/2))
		select {
		case <-f.ctx.Done():
			pause.Stop()
			return
		case <-pause.C:
		}
	}
}

// attach makes what open returns the source. Watching comes before asking: a change between the two calls is in the channel then.
func (f *fileBacked) attach(open func() (client.ServiceDiscovery, error)) outcome {
	d, err := open()
	if err == nil && d == nil {
		err = errors.New("the discovery is nil")
	}
	if err != nil {
		return outcome{err: err}
	}
	f.mu.Lock()
	closed := f.closed
	if !closed {
		f.source = d
	}
	f.mu.Unlock()
	if closed {
		d.Close()
		return outcome{err: errors.New("closed meanwhile")}
	}
	updates := d.WatchService()
	f.mu.Lock()
	f.updates = updates
	f.mu.Unlock()
	return outcome{updates: updates, list: copyOf(d.GetServices())}
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
