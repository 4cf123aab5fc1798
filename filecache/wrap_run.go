package filecache

import (
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
		f.believe(f.belief.told(s))
	}
	if source != nil {
		f.attach(source)
	}
	if !f.belief.live {
		f.readFile()
	}

	files := f.cache.Watch(f.ctx)
	f.mu.Lock()
	f.started = !f.closed
	if f.started {
		f.workers.Go(func() { f.run(files) })
		f.workers.Go(func() { f.saver.run(f.ctx) })
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

// readFile takes the file's list for want of a better one.
func (f *fileBacked) readFile() {
	s, err := f.cache.Load()
	switch {
	case err == nil:
		f.cache.config.logger.Info("the list is the file's until the wrapped discovery has one",
			"path", f.cache.Path(), "servers", len(s.Servers), "as_of", s.AsOf)
		f.believe(f.belief.read(s))
	case !absent(err):
		f.cache.config.logger.Warn("no list from the file", "error", err)
	}
}

// attach makes d the source and hears what it has to say. Watching comes first: a change between the two calls is in the channel then.
func (f *fileBacked) attach(d client.ServiceDiscovery) {
	f.mu.Lock()
	f.source = d
	f.mu.Unlock()
	f.updates = d.WatchService()
	if list := copyOf(d.GetServices()); len(list) > 0 { // silence is not news
		f.hear(list)
	}
}

// run owns the belief.
func (f *fileBacked) run(files <-chan Snapshot) {
	empty := time.NewTimer(holdEmpty) // set anew in each round
	defer empty.Stop()
	for {
		if at := f.belief.emptyFrom; at.IsZero() {
			empty.Stop()
		} else {
			empty.Reset(time.Until(at))
		}
		select {
		case <-f.ctx.Done():
			return
		case d := <-f.sources:
			f.attach(d)
		case list, ok := <-f.updates:
			if !ok {
				f.updates = nil // its owner has closed it: nothing more will come
				f.cache.config.logger.Warn("the wrapped discovery has closed its channel: the list stays as it is")
				continue
			}
			f.hear(copyOf(list))
		case <-empty.C:
			f.believe(f.belief.waited(time.Now()))
			f.save()
		case s, ok := <-files:
			if !ok {
				files = nil
				continue
			}
			f.believe(f.belief.told(s))
		}
	}
}

func (f *fileBacked) hear(list watchers.List) {
	f.believe(f.belief.heard(list, time.Now()))
	f.save()
}

// save hands the source's list to the saver, unless it is in doubt.
func (f *fileBacked) save() {
	if !f.belief.live || !f.belief.emptyFrom.IsZero() {
		return
	}
	// Lists are ordered by AsOf, and two may come within one tick of the clock.
	if now := time.Now(); now.After(f.asOf) {
		f.asOf = now
	} else {
		f.asOf = f.asOf.Add(1)
	}
	f.saver.offer(snapshotOf(f.belief.good, f.asOf))
}

// believe makes next the belief, lists it, and reports what a person may want to know.
func (f *fileBacked) believe(next belief) {
	old := f.belief
	f.belief = next
	f.shown.setList(next.list())

	log := f.cache.config.logger.With("service", f.cache.service)
	switch {
	case next.overridden && (!old.overridden || !equal(old.override, next.override)):
		log.Warn("an operator's override is in force", "path", f.cache.OverridePath(), "servers", len(next.override))
	case old.overridden && !next.overridden:
		log.Warn("the override is gone", "servers", len(next.good))
	}
	switch {
	case old.emptyFrom.IsZero() && !next.emptyFrom.IsZero():
		log.Warn("the wrapped discovery lists no servers, which is not believed yet", "servers", len(next.good), "until", next.emptyFrom)
	case !old.emptyFrom.IsZero() && next.emptyFrom.IsZero() && len(next.good) == 0:
		log.Warn("the wrapped discovery still lists no servers, which is believed now")
	case !old.emptyFrom.IsZero() && next.emptyFrom.IsZero():
		log.Info("the wrapped discovery lists servers again", "servers", len(next.good))
	}
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
		f.cache.config.logger.Debug("still no clone of the wrapped discovery", "service", f.cache.service, "error", err)
	}
}

// copyOf returns list sorted by key, in pairs of our own: the source may change its own at any time.
func copyOf(list watchers.List) watchers.List {
	own := make(watchers.List, 0, len(list))
	for _, kv := range list {
		if kv != nil {
			own = append(own, &client.KVPair{Key: kv.Key, Value: kv.Value})
		}
	}
	slices.SortStableFunc(own, func(a, b *client.KVPair) int { return strings.Compare(a.Key, b.Key) })
	return own
}

func listOf(s Snapshot) watchers.List {
	list := make(watchers.List, len(s.Servers))
	for i, server := range s.Servers {
		list[i] = &client.KVPair{Key: server.Key, Value: server.Value}
	}
	return list
}

func snapshotOf(list watchers.List, asOf time.Time) Snapshot {
	s := Snapshot{AsOf: asOf, Servers: make([]Server, len(list))}
	for i, kv := range list {
		s.Servers[i] = Server{Key: kv.Key, Value: kv.Value}
	}
	return s
}

func equal(a, b watchers.List) bool {
	return slices.EqualFunc(a, b, func(x, y *client.KVPair) bool { return *x == *y })
}
