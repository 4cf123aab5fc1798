package zkdiscovery

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/internal/watchers"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

const (
	cloneWait     = 200 * time.Millisecond // how long Clone waits for the live list: OneClient calls it under its own lock
	cloneFallback = 150 * time.Millisecond // when a clone's list comes from the file instead
	startGrace    = time.Second            // for the file, when the start timeout has passed
)

var _ client.ServiceDiscovery = (*Discovery)(nil)

// Discovery is rpcx's client.ServiceDiscovery on ZooKeeper: the instances of one service, or a template of which OneClient makes clones.
// All methods may be called at once from anywhere, but Close not from code of the caller's that the library runs, which it would wait for: a
// filter, an Observer's hook, a probe, a log handler.
type Discovery struct {
	// RetriesAfterWatchFailed is there for programs written for rpcx-zookeeper. It has no effect: a Discovery always goes on trying.
	RetriesAfterWatchFailed int

	root  *root
	path  string // znode path of the service, or of what the template's services stand below
	kind  kind
	wrong error // why an inert Discovery is inert

	set  watchers.Set
	gone chan struct{} // closed by the first call of Close when it is done, for which the others wait

	mu       sync.Mutex // guards what follows; may be held while set's is taken, never while a service's or root's is
	closed   bool
	service  *service
	filter   client.ServiceDiscoveryFilter
	panicked bool // filter has, and that was reported
	used     time.Time
	newest   *list         // as the service handed it over
	gen      int64         // grows when newest or filter changes …
	shownGen int64         // … and follows when that is shown
	shown    *list         // what Snapshot tells of
	pairs    watchers.List // filtered
	revision int64
	changed  chan struct{} // closed, and replaced, whenever shown changes
}

// kind tells the four lives of a Discovery apart.
type kind uint8

const (
	owner    kind = iota // of the connection, with a service of its own: what New returned
	template             // owner of the connection, without a service
	clone                // of either
	inert                // a clone that cannot have a list
)

func newDiscovery(r *root, path string, k kind) *Discovery {
	return &Discovery{
		root: r, path: path, kind: k, filter: r.cfg.filter, used: time.Now(), gone: make(chan struct{}), changed: make(chan struct{}),
	}
}

// New returns the instances of the service at basePath/servicePath. servers are ZooKeeper's, host:port, IPv6 in brackets, the last one with an
// optional chroot. basePath may begin and end with a slash or not, servicePath may contain some.
//
// New waits for ZooKeeper, at most for the start timeout (3 s, see WithStartTimeout), and less when every server refuses at once. If there is
// no answer by then, the list comes from the cache file, and connecting goes on in the background for ever. If there is no file either, New
// waits for the whole start timeout and fails with ErrNoSnapshot within two more seconds, leaving nothing behind; WithLazyStart makes an
// empty start of that. A service that nobody has registered yet is no error: the list is empty, and fills.
//
// A bad argument or option is an error that joins every mistake; nothing was started then.
//
// The caller owns the Discovery and closes it. Closing it ends its clones.
func New(basePath, servicePath string, servers []string, opts ...Option) (*Discovery, error) {
	cfg, err := newConfig(basePath, servers, opts, servicePath)
	if err != nil {
		return nil, err
	}
	path, _ := cfg.servicePath(servicePath) // newConfig has found no mistake in it
	d := newDiscovery(newRoot(cfg), path, owner)
	if err := d.start(); err != nil && !cfg.lazy {
		d.Close()
		return nil, err
	}
	return d, nil
}

// start waits until there is a list, or cannot be one for now.
func (d *Discovery) start() error {
	timeout := d.root.cfg.startTimeout
	began := time.Now()
	sv := d.root.attach(d, began.Add(timeout))
	limit := time.NewTimer(timeout + startGrace)
	defer limit.Stop()
	select {
	case <-sv.settled:
	case <-limit.C:
	}
	if d.source() != None {
		return nil
	}
	// Nobody is there to be asked, and there is no file: programs and ZooKeeper boot together, so the rest of the start timeout is worth
	// waiting for.
	rest, cancel := context.WithDeadline(context.Background(), began.Add(timeout))
	defer cancel()
	if d.waitFor(rest, func(s Source) bool { return s != None }) == nil {
		return nil
	}
	return sv.noList()
}

// NewTemplate returns a Discovery without a service of its own, for rpcx's OneClient and whoever else makes clones: all clones share its one
// connection. It fails for bad arguments and options only, joining every mistake, and does not wait for ZooKeeper. Its own list is empty and
// its watchers hear nothing.
//
// The caller owns the template and closes it, which ends its clones; rpcx closes neither.
func NewTemplate(basePath string, servers []string, opts ...Option) (*Discovery, error) {
	cfg, err := newConfig(basePath, servers, opts)
	if err != nil {
		return nil, err
	}
	return newDiscovery(newRoot(cfg), cfg.base, template), nil
}

// GetServices returns the current list, sorted by key and filtered. It does not block. The slice is the caller's own (XClient sorts it in
// place); the pairs are shared and must not be changed. After Close it returns the last list.
func (d *Discovery) GetServices() []*client.KVPair {
	d.touch()
	return d.set.Current()
}

// WatchService returns a channel that holds the current list, if there is one, and receives every newer one that its reader has time for, in
// order; the newest always arrives. Lists are as GetServices returns them. It does not block, and a reader that does not read delays nobody.
// The channel is never closed by the library. Give it to RemoveWatcher when it is no longer needed. After Close it holds the last list and
// receives nothing.
func (d *Discovery) WatchService() chan []*client.KVPair {
	d.touch()
	return d.set.Watch()
}

// RemoveWatcher ends the delivery to ch: nothing is sent on it after RemoveWatcher has returned, so that its owner may close it. A channel that
// is nil or unknown is no error. It does not block. A clone whose last watcher is gone lets its mirror go after a minute, and takes it up again
// when it is used.
func (d *Discovery) RemoveWatcher(ch chan []*client.KVPair) {
	d.set.Remove(ch)
	d.touch()
}

// SetFilter sets what decides which instances are listed, here and for clones that are made later; nil lists all. It takes effect on the list
// and for every watcher before SetFilter returns. The filter gets copies of the pairs, outside every lock of the library's, on the goroutine
// that delivers: it must return soon. One that panics is reported, once, and the instance is kept.
func (d *Discovery) SetFilter(filter client.ServiceDiscoveryFilter) {
	d.mu.Lock()
	d.filter, d.panicked = filter, false
	d.gen++
	d.mu.Unlock()
	d.refresh()
}

// Clone returns a Discovery of another service below the same base path, with the same connection, options and filter. Its service path
// replaces that of d. It waits for the list at most 200 ms, and not at all while ZooKeeper is known to be away: then the list comes from the
// file. It returns no error: after Close, or for an impossible name, the clone is inert, its list empty for ever and its Status tells why,
// since rpcx's OneClient would panic over an error.
//
// A clone need not be closed: it ends with the Discovery that owns the connection.
func (d *Discovery) Clone(servicePath string) (client.ServiceDiscovery, error) {
	r := d.root
	path, err := r.cfg.servicePath(servicePath)
	c := newDiscovery(r, path, clone)
	d.mu.Lock()
	c.filter = d.filter
	if d.hasEnded() {
		err = ErrClosed
	}
	d.mu.Unlock()
	if err != nil {
		c.kind, c.wrong = inert, err
		r.cfg.log.Error("clone has no list, for ever", "service", c.path, "err", err)
		return c, nil
	}
	now := time.Now()
	fallbackAt := now.Add(cloneFallback)
	if st := r.session.State(); !st.Connected && (st.Rounds > 0 || st.Link > 0) {
		fallbackAt = now
	}
	sv := r.attach(c, fallbackAt)
	if sv == nil {
		return c, nil
	}
	limit := time.NewTimer(cloneWait)
	defer limit.Stop()
	select {
	case <-sv.settled:
	case <-limit.C:
	case <-r.ctx.Done():
	}
	return c, nil
}

// Close ends the Discovery. When it owns the connection (what New and NewTemplate return), that ends too, and with it every clone; closing a
// clone ends nothing but itself. Close returns when everything that it ends is gone: at once, or after about two seconds when ZooKeeper cannot be
// told or the disk hangs, where the write that is under way is left behind. It may be called more than once, and every call waits. Afterwards
// the last list stays readable, nothing is delivered, RemoveWatcher does nothing, and Clone returns an inert Discovery.
func (d *Discovery) Close() {
	d.mu.Lock()
	first := !d.closed
	d.closed = true
	d.mu.Unlock()
	if !first {
		<-d.gone
		return
	}
	defer close(d.gone)
	switch d.kind {
	case owner, template:
		d.root.close()
	case clone, inert:
		d.root.leave(d)
	}
	d.set.Clear()
}

// Snapshot returns the current list with where it came from. It does not block.
func (d *Discovery) Snapshot() Snapshot {
	d.touch()
	st := d.root.session.State()
	d.mu.Lock()
	defer d.mu.Unlock()
	s := Snapshot{Service: d.path, Revision: d.revision}
	if d.shown == nil {
		return s
	}
	s.Source, s.Zxid, s.AsOf = d.sourceLocked(st), d.shown.zxid, d.shown.confirmed()
	s.Servers = make([]client.KVPair, len(d.pairs))
	for i, p := range d.pairs {
		s.Servers[i] = *p
	}
	s.Held = d.held()
	return s
}

// held is whom the guard has kept in the list that is shown, as far as the filter shows them. The caller holds mu.
func (d *Discovery) held() (keys []string) {
	for _, key := range d.shown.held {
		if _, found := slices.BinarySearchFunc(d.pairs, key, func(p *client.KVPair, key string) int { return strings.Compare(p.Key, key) }); found {
			keys = append(keys, key)
		}
	}
	return keys
}

func (d *Discovery) source() Source {
	st := d.root.session.State()
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sourceLocked(st)
}

// sourceLocked is the source of the list at this moment: a list is live only over the connection that confirmed it, also in the moment before
// the service's loop has noticed that this is gone. The caller holds mu.
func (d *Discovery) sourceLocked(st session.State) Source {
	switch {
	case d.shown == nil:
		return None
	case d.shown.source == Live && (!st.Connected || st.Link != d.shown.link || d.closed || d.service == nil):
		return Stale
	}
	return d.shown.source
}
