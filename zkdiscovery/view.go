package zkdiscovery

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/internal/belief"
	"github.com/holdfast-go/holdfast/internal/watchers"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

// view is what one Discovery shows: the newest list of its service, through its filter, to its watchers. It knows its service by number only.
type view struct {
	path     string
	cfg      *config
	ended    <-chan struct{} // closed when the connection's owner is
	watchers watchers.Set

	mu         sync.Mutex // guards what follows; may be held while watchers' is taken, never while a service's or root's is
	closed     bool
	use        use
	service    int64 // number of the service whose lists are taken; 0: none, or it was let go
	filter     *filter
	newest     *list     // as the service handed it over
	lapsed     bool      // nobody keeps newest up to date: live or not, it is stale until the service hands over a list again
	resting    int64     // State.Link of the connection whose answered pings confirm what is shown; 0: none
	confirmed  time.Time // what is shown and came from ZooKeeper was confirmed at least up to then
	gen        int64     // grows when newest or filter changes
	shown      shown
	refreshing bool          // some goroutine is in refresh
	changed    chan struct{} // closed by wake; nil: nobody waits
}

// shown is what Snapshot tells of.
type shown struct {
	*list                  // nil: nothing yet
	gen      int64         // view.gen when it was made
	pairs    watchers.List // filtered
	revision int64
}

func newView(path string, cfg *config, ended <-chan struct{}) *view {
	return &view{
		path: path, cfg: cfg, ended: ended, filter: &filter{keeps: cfg.filter}, use: use{called: time.Now()},
	}
}

// answered wakes those who wait for a list: ZooKeeper has answered, but not with one.
func (v *view) answered() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.wake()
}

// filterNow is the user's filter of this moment.
func (v *view) filterNow() client.ServiceDiscoveryFilter {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.filter.keeps
}

// isOver is hasEnded for those who do not hold mu.
func (v *view) isOver() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.hasEnded()
}

// wake wakes everybody who waits for a change. The caller holds mu.
func (v *view) wake() {
	if v.changed != nil {
		close(v.changed)
		v.changed = nil
	}
}

// change is closed when something changes that somebody may wait for. The caller holds mu.
func (v *view) change() <-chan struct{} {
	if v.changed == nil {
		v.changed = make(chan struct{})
	}
	return v.changed
}

// hasEnded reports whether v or what it depends on was closed: then nothing is delivered any more. The caller holds mu.
func (v *view) hasEnded() bool {
	select {
	case <-v.ended:
		return true
	default:
		return v.closed
	}
}

// close ends the delivery, and reports whether this was the first call.
func (v *view) close() (first bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return false
	}
	v.closed = true
	v.lapse()
	return true
}

// lapse notes that nobody keeps the list up to date any more. The caller holds mu.
func (v *view) lapse() {
	v.lapsed, v.resting = true, 0
	v.wake()
}

// called notes a use of this moment, and reports whether v has a service.
func (v *view) called() (served bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.use.called = time.Now()
	return v.service != 0
}

// waits notes a use that lasts until done is called.
func (v *view) waits() (done func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.use.waiters++
	return func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.use.waiters--
		v.use.called = time.Now()
	}
}

// idleSince returns since when nobody has used v, or that somebody does.
func (v *view) idleSince() (since time.Time, used bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.use.idleSince(v.watchers.Len())
}

// has reports whether v takes the lists of the service of that number.
func (v *view) has(service int64) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.service == service
}

// letGo takes the service away if nobody has used v for long enough. It asks and acts in one step: a use that comes at the last moment keeps the
// service, and one that comes later finds that it is gone and takes it up again.
func (v *view) letGo(now time.Time) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.use.isOver(v.watchers.Len(), now) {
		return false
	}
	v.lapse()
	v.service = 0
	return true
}

// take lets v take the lists of the service of that number, whose newest is cur, if it has any, resting the connection that confirms it, and
// confirmed when it was before. The caller sees to it that the service delivers nothing meanwhile, and calls refresh afterwards.
func (v *view) take(service int64, cur *list, resting int64, confirmed time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return
	}
	v.service = service
	if cur != nil {
		v.accept(cur)
	}
	v.resting, v.confirmed = resting, laterOf(v.confirmed, confirmed)
	v.wake()
}

// accept makes l the newest list, unless there is a newer one or l comes from a service that v does not have any more. The caller holds mu.
func (v *view) accept(l *list) bool {
	switch {
	case v.closed || l.service != v.service:
		return false
	case l == v.shown.list: // a sibling has kept the service, and nothing has changed
		v.lapsed = false
		return false
	case !v.newest.isOlderThan(l):
		return false
	}
	v.newest = l
	v.gen++
	return true
}

// source says where the list comes from at this moment: a list is live only over the connection that confirmed it, also in the moment before
// the service's loop has noticed that this is gone. changed is closed when that, or what else a waiter asks about, may have changed.
func (v *view) source(st session.State) (s Source, changed <-chan struct{}) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.sourceLocked(st), v.change()
}

func (v *view) sourceLocked(st session.State) Source {
	if v.shown.list == nil {
		return None
	}
	s, _ := v.shown.source(st, v.lapsed)
	return s
}

// rest notes over which connection answered pings confirm what is shown from now on, 0 for none, and up to when it was confirmed before.
func (v *view) rest(link int64, confirmed time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.resting, v.confirmed = link, laterOf(v.confirmed, confirmed)
}

// asOf is when ZooKeeper last confirmed what is shown: while that is live and at rest, when the last answered ping was sent. It does not go back from
// one list of ZooKeeper's to the next. The caller holds mu.
func (v *view) asOf(st session.State) time.Time {
	if v.resting != 0 && v.resting == st.Link && !v.lapsed {
		v.confirmed = laterOf(v.confirmed, st.Heard)
	}
	if v.shown.list == nil {
		return time.Time{}
	}
	if s := v.shown.Source; s == belief.Live || s == belief.Stale {
		return laterOf(v.confirmed, v.shown.AsOf)
	}
	return v.shown.AsOf
}

func laterOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// snapshot is what v shows at this moment.
func (v *view) snapshot(st session.State) Snapshot {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := Snapshot{Service: v.path, Revision: v.shown.revision}
	if v.shown.list == nil {
		return s
	}
	s.Source, s.Zxid, s.AsOf = v.sourceLocked(st), v.shown.Zxid, v.asOf(st)
	s.Servers = make([]client.KVPair, len(v.shown.pairs))
	for i, p := range v.shown.pairs {
		s.Servers[i] = *p
	}
	s.Held = v.shown.heldShown()
	return s
}

// heldShown are the instances that the guard has kept in the list and the filter shows.
func (s shown) heldShown() (keys []string) {
	for _, key := range s.Held {
		if _, found := slices.BinarySearchFunc(s.pairs, key, func(p *client.KVPair, key string) int { return strings.Compare(p.Key, key) }); found {
			keys = append(keys, key)
		}
	}
	return keys
}
