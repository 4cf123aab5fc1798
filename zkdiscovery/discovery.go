package zkdiscovery

import (
	"context"
	"time"

	"github.com/smallnest/rpcx/client"
)

// cloneFallback is when the list of a clone comes from the file, if ZooKeeper has not given it.
const cloneFallback = 150 * time.Millisecond

var _ client.ServiceDiscovery = (*Discovery)(nil)

// Discovery is rpcx's client.ServiceDiscovery on ZooKeeper: the instances of one service, or a template of which OneClient makes clones.
// All methods may be called at once from anywhere. One exception: Close waits for the caller's own code that the library runs (a filter, an
// Observer's hook, a probe, a log handler), so such code must not call it.
//
// The package's promises have these bounds:
//
//   - L1. Every caller and every watcher gets a slice of its own. The pairs in it are shared and must not be changed.
//   - L6. An instance that may not be read is listed with its last known metadata, or with none, and is reported once. If
//     instances of a list are gone before they are read, four lists in a row, the fourth is shown without them, unless somebody who was shown would be missing.
//   - L10. An instance that is replaced in one transaction is never seen missing.
//   - O1. Two things besides ZooKeeper change a list: an operator's override, and, while the list is not live, a newer file that another process has saved.
//   - O6. The pauses between attempts to connect grow to 5 s, with some chance in them. The log tells changes of state, not attempts.
//   - F3. A list that came from a file or an override is not saved again. What is saved is unfiltered. A held instance that was let go is saved no more.
//   - F4. Writing never delays a list. A failure is told by the log, a counter and the Status.
//   - F5. The age of a file counts from when ZooKeeper last confirmed the list, not from when the list changed.
//   - C2. The path of a service has a second watch where one of its children may not be read.
type Discovery struct {
	// RetriesAfterWatchFailed is there for programs written for rpcx-zookeeper. It has no effect: a Discovery always goes on trying.
	RetriesAfterWatchFailed int

	root  *root
	view  *view
	kind  kind
	wrong error         // why an inert Discovery is inert
	made  time.Time     // when it was
	gone  chan struct{} // closed by the first call of Close when it is done, for which the others wait
}

// kind tells the four lives of a Discovery apart.
type kind uint8

const (
	owner    kind = iota // of the connection, with a service of its own: what New returned
	template             // owner of the connection, without a service
	clone                // of either
	inert                // a clone that cannot have a list
)

// newDiscovery returns a Discovery of the service at path, or of what a template's services stand below.
func newDiscovery(r *root, path string, k kind) *Discovery {
	d := &Discovery{root: r, view: newView(path, r.cfg, r.ctx.Done()), kind: k, made: time.Now(), gone: make(chan struct{})}
	if k == owner {
		d.view.waits() // for as long as it lives
	}
	return d
}

// used notes that d is used at this moment, and returns what it shows. A clone whose service was let go gets it again: it shows what it had, and what the
// file has, or an operator has decided, when ZooKeeper has not answered for as long as a start may wait.
func (d *Discovery) used() *view {
	if d.kind == clone && !d.view.called() {
		d.root.attach(d.view, time.Now().Add(d.root.cfg.startTimeout))
	}
	return d.view
}

// GetServices returns the current list, sorted by key and filtered. It does not block. The slice is the caller's own (XClient sorts it in
// place); the pairs are shared and must not be changed. After Close it returns the last list.
func (d *Discovery) GetServices() []*client.KVPair { return d.used().watchers.Current() }

// WatchService returns a channel that holds the current list, if there is one, and receives every newer one that its reader has time for, in
// order; the newest always arrives. Lists are as GetServices returns them. It does not block, and a reader that does not read delays nobody.
// The channel is never closed by the library. Give it to RemoveWatcher when it is no longer needed. After Close it holds the last list and
// receives nothing.
func (d *Discovery) WatchService() chan []*client.KVPair { return d.used().watchers.Watch() }

// RemoveWatcher ends the delivery to ch: nothing is sent on it after RemoveWatcher has returned, so that its owner may close it. A channel that
// is nil or unknown is no error. It does not block. After Close it does nothing.
//
// A clone that nobody uses lets its mirror go after a minute, and takes it up again when it is used. A watcher uses it, a call of WaitLive while it
// waits, and for a minute every call of GetServices, WatchService, Snapshot, Status and Live.
func (d *Discovery) RemoveWatcher(ch chan []*client.KVPair) {
	if d.view.watchers.Remove(ch) {
		d.view.called()
	}
}

// SetFilter sets what decides which instances are listed, here and for clones that are made later; nil lists all. It takes effect on the list
// and for every watcher before SetFilter returns.
//
// The filter gets copies of the pairs, outside every lock of the library's. Lists are not delivered while it runs: it must return soon. One that
// panics is reported, once, and the instance is kept. A Discovery's filter is called once at a time. Clones inherit it, and each of them calls it for
// itself: a filter that several Discoveries have may be called by several at once.
//
// The filter may call the Discovery's methods except Close, and finds the list of before. SetFilter takes effect soon after it returns where a filter,
// an Observer's hook or a log handler calls it. A filter must not wait for another goroutine that calls SetFilter, since that waits for the filter.
func (d *Discovery) SetFilter(filter client.ServiceDiscoveryFilter) { d.view.setFilter(filter) }

// Service returns a Discovery of another service below the same base path, with the same connection, options and filter, so that one template serves
// every client of a process. servicePath replaces the service path of d.
//
// Service waits for the list. When the cache file or a sibling has one, it waits for ZooKeeper's at most 200 ms. When there is nothing to show, it
// waits as New does: at most for the start timeout, and only until ZooKeeper has answered about this service, also that it does not exist. It does
// not wait while ZooKeeper is known to be away. When one call has waited for the whole start timeout in vain, the next ones wait 200 ms, until
// ZooKeeper answers again: rpcx's OneClient calls Clone under a lock that all its services share.
//
// It never fails: after Close, or for an impossible name, what it returns is inert. Its list is empty for ever, and its Status tells why.
//
// What it returns need not be closed: it ends with the Discovery that owns the connection.
func (d *Discovery) Service(servicePath string) *Discovery {
	r := d.root
	path, err := r.cfg.servicePath(servicePath)
	if d.view.isOver() {
		err = ErrClosed
	}
	c := newDiscovery(r, path, clone)
	c.view.filter = &filter{keeps: d.view.filterNow()}
	if err != nil {
		c.kind, c.wrong = inert, err
		r.cfg.log.Error("clone has no list, for ever", "service", path, "err", err)
		return c
	}
	fallbackAt := time.Now()
	if !isAway(r.session.State()) {
		fallbackAt = fallbackAt.Add(cloneFallback)
	}
	if sv := r.attach(c.view, fallbackAt); sv != nil {
		r.waitFirst(c.view, sv)
	}
	return c
}

// Clone is Service for rpcx. Its error is always nil: rpcx's OneClient would panic over one.
func (d *Discovery) Clone(servicePath string) (client.ServiceDiscovery, error) {
	return d.Service(servicePath), nil
}

// Snapshot returns the current list with where it came from. It does not block.
func (d *Discovery) Snapshot() Snapshot { return d.used().snapshot(d.root.session.State()) }

// Live reports whether the list comes from ZooKeeper over the connection that is up; of a template, whether it is connected. It does not block, and is
// what selector.WithLive wants.
func (d *Discovery) Live() bool {
	st := d.root.session.State()
	if d.kind == template {
		return st.Connected
	}
	s, _ := d.used().source(st)
	return s == Live
}

// WaitLive blocks until the list comes from ZooKeeper over the connection that is up. Of a template, until it is connected. When ctx ends first it
// returns ctx's error, with the reason: why there is no connection, or what ZooKeeper says instead of the list. After Close it returns ErrClosed. For a
// clone of an impossible name it says at once what is wrong. While an override is in force it waits: the list does not come from ZooKeeper then.
func (d *Discovery) WaitLive(ctx context.Context) error {
	switch d.kind {
	case template:
		return d.root.waitConnected(ctx, d.view)
	case inert:
		return &OpError{Op: "wait for", Path: d.view.path, Err: d.wrong}
	case owner, clone:
	}
	defer d.view.waits()()
	return d.root.waitFor(ctx, d.used(), func(s Source) bool { return s == Live })
}

// Close ends the Discovery. When it owns the connection (what New and NewTemplate return), that ends too, and with it every clone; closing a
// clone ends nothing but itself. Close returns when everything that it ends is gone: at once, or after about two seconds when ZooKeeper cannot be
// told or the disk hangs, where the write that is under way is left behind. It may be called more than once, and every call waits. Afterwards
// the last list stays readable, nothing is delivered, RemoveWatcher does nothing, and Clone returns an inert Discovery.
func (d *Discovery) Close() {
	if !d.view.close() {
		<-d.gone
		return
	}
	defer close(d.gone)
	switch d.kind {
	case owner, template:
		d.root.close()
	case clone, inert:
		d.root.leave(d.view)
	}
	d.view.watchers.Clear()
}
