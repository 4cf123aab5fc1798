package selector

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/selector/internal/health"
	"github.com/holdfast-go/holdfast/selector/internal/policy"
)

// roster is one list of servers, of the XClients that have the same group. The Selector knows the union of all rosters. Selector.mu guards it, but for
// what Select reads.
type roster struct {
	group  string
	leader *view // whose lists count; views.mu guards it
	table  atomic.Pointer[table]
	turn   atomic.Uint64 // counts picks
	far    struct {      // what is known of servers that are too far to be called, for Locality: one call at a time measures one
		permit health.Permit
		load   atomic.Pointer[health.Load] // of the one that was measured last
	}

	servers []*server
	byKey   map[string]*server // the same servers; nil before the first list
	ranked  []*server          // those that are not drained, tag by tag, in the order in which a subset takes them; nil when that has changed
	pool    *pool
	ejected int              // servers that were since the table was made
	lanes   map[string]*lane // by tag
}

// lane is what stays of the calls of one tag when the list or a state changes.
type lane struct {
	turns *policy.Turns          // the latest, for WeightedRoundRobin
	only  atomic.Pointer[resort] // the server that all calls go to while none can be used, of this tag with WithOnlyTagged
}

func (r *roster) lane(tag string) *lane {
	if r.lanes[tag] == nil {
		r.lanes[tag] = &lane{turns: &policy.Turns{}}
	}
	return r.lanes[tag]
}

func newRoster(group string) *roster {
	r := &roster{group: group, pool: &pool{}, lanes: make(map[string]*lane)}
	r.far.load.Store(&health.Load{})
	r.table.Store(&table{pool: r.pool, plain: &choice{lane: r.lane("")}})
	return r
}

// remembered is how long a server that left the list keeps its state: a registry may show a flap.
const remembered = int64(time.Minute / time.Millisecond)

// UpdateServer implements client.Selector: the servers from now on, each with its metadata. The map is only read, and not kept. It does not block,
// but for the function given to WithLive.
func (s *Selector) UpdateServer(servers map[string]string) {
	s.update(s.main, servers, s.askLive(s.now()))
}

func (s *Selector) update(r *roster, servers map[string]string, live bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.replace(r, servers, live) {
		return
	}
	s.publish(s.now())
	if len(servers) > 0 && !s.closed && !s.loop.started {
		s.loop.started = true
		s.loop.wg.Go(s.run)
	}
	s.loop.poke()
}

// replace makes a list the roster's, and says whether it differs from the last one in what matters here: servers that tell of their load in their
// metadata bring a list every few seconds.
func (s *Selector) replace(r *roster, servers map[string]string, live bool) bool {
	now := s.now()
	first := r.byKey == nil
	moved, changed := len(servers) != len(r.byKey), false // whether servers came or went, and whether one is to be used otherwise
	var strange []string
	for key, data := range servers {
		srv := r.byKey[key]
		if srv == nil {
			srv = s.join(key, live && !first, now)
			r.servers = append(r.servers, srv)
			moved = true
		}
		if srv.known.data != data {
			is := parseTraits(data)
			if is != srv.known.traits {
				changed = true
				for _, other := range s.rosters { // that may list it, too
					other.ranked = nil
				}
			}
			s.starts(srv, is.started, now)
			srv.known.data, srv.known.traits = data, is
			if is.strange {
				strange = append(strange, key)
			}
		}
	}
	s.report(strange)
	if moved {
		r.servers = slices.DeleteFunc(r.servers, func(srv *server) bool {
			_, stays := servers[srv.key]
			if !stays {
				srv.known.lists--
				srv.known.gone = now
			}
			return !stays
		})
		maps.DeleteFunc(s.servers, func(_ string, srv *server) bool { return srv.known.lists == 0 && now-srv.known.gone > remembered })
		r.byKey = make(map[string]*server, len(r.servers))
		for _, srv := range r.servers {
			r.byKey[srv.key] = srv
		}
	}
	if moved || changed {
		r.ranked = nil
	}
	return moved || changed
}

// join returns the server of a key that the roster did not list. One that was listed lately is what it was, but is asked at once if it is out of
// use, and its latency is forgotten: it may be another process.
func (s *Selector) join(key string, newcomer bool, now int64) *server {
	srv := s.servers[key]
	if srv == nil || srv.known.lists == 0 && now-srv.known.gone > remembered {
		srv = newServer(key, s.config.clientHash)
		if newcomer {
			srv.ramp.Store(now)
		}
		s.servers[key] = srv
	} else if srv.known.lists == 0 {
		s.restarted(srv, now)
	}
	srv.known.lists++
	return srv
}

// restarted forgets what a former process at a server's address has shown.
func (s *Selector) restarted(srv *server, now int64) {
	srv.load.Forget()
	srv.good.Reset()
	srv.bad.Reset()
	s.apply(srv, health.Event{Kind: health.ProcessesChanged, Now: now})
}

// starts takes the time at which a server's process says that it has started. The slow start goes by that, but lasts no longer than if the process had
// started when it was seen first.
func (s *Selector) starts(srv *server, started, now int64) {
	was := srv.known.traits.started
	if started == was {
		return
	}
	if started != 0 {
		age := max(0, time.Now().Unix()-started) // a clock that is ahead has started now
		srv.ramp.Store(cmp.Or(now-min(age, 1<<40)*1000, 1))
	}
	if was != 0 {
		s.restarted(srv, now)
	}
}

// rank orders the servers that may be used.
func (r *roster) rank() {
	r.ranked = make([]*server, 0, len(r.servers))
	for _, srv := range r.servers {
		if srv.known.traits.weight > 0 {
			r.ranked = append(r.ranked, srv)
		}
	}
	if len(r.ranked) == 0 { // all are drained
		r.ranked = append(r.ranked, r.servers...)
	}
	slices.SortFunc(r.ranked, inOrder)
}

// inOrder is by tag, then by place.
func inOrder(a, b *server) int {
	switch x, y := a.known.traits.tag, b.known.traits.tag; {
	case x != y:
		return strings.Compare(x, y)
	case a.place != b.place:
		return cmp.Compare(a.place, b.place)
	}
	return strings.Compare(a.key, b.key)
}

// subset returns how many of ranked servers are used: as many as hold n that do not fail, but not more than 2n. A replacement is needed only when
// there is a failure, and is given back after it. All are when n is 0.
func subset(ranked []*server, n int) int {
	fine := 0
	for i, srv := range ranked {
		if n > 0 && (fine == n || i == 2*n) {
			return i
		}
		if !srv.known.health.Failing() {
			fine++
		}
	}
	return len(ranked)
}

// view is what one XClient has of a Selector that it may share with others: a roster, which XClients of the same group share.
type view struct {
	*Selector
	roster *roster
	list   map[string]string // the one that it has received last; nil: none
}

// views says whose lists count. Of the XClients that share a roster one leads. They have the same lists in the same order, but each at its own time:
// in rpcx v1.9.4 a dial delays an XClient's by a second or more. When the leader closes, the one that has received a list last leads.
type views struct {
	mu   sync.Mutex // held while the Selector takes a list: XClients that have the same list must not select before it is there
	open []*view    // whose list is the newest comes last
}

// newView returns a view of s for one XClient. The servers of an XClient whose group is not known are its own.
func (s *Selector) newView(of settings) *view {
	v := &view{Selector: s}
	s.views.mu.Lock()
	defer s.views.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.IndexFunc(s.rosters, func(r *roster) bool { return r.group == of.option.Group }); i >= 0 && of.known {
		v.roster = s.rosters[i]
	} else {
		v.roster = newRoster(of.option.Group)
		s.rosters = append(s.rosters, v.roster)
	}
	s.views.open = append(s.views.open, v)
	return v
}

// Select implements client.Selector.
func (v *view) Select(ctx context.Context, servicePath, serviceMethod string, args any) string {
	return v.selectFrom(v.roster, call{ctx, servicePath, serviceMethod, args})
}

// UpdateServer implements client.Selector. The leader's list is the roster's.
func (v *view) UpdateServer(servers map[string]string) {
	live := v.askLive(v.now())
	w := &v.views
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.Index(w.open, v)
	if i < 0 { // its XClient is closed
		return
	}
	w.open = append(slices.Delete(w.open, i, i+1), v)
	v.list = servers
	if v.roster.leader == nil {
		v.roster.leader = v
	}
	if v.roster.leader == v {
		v.update(v.roster, servers, live)
	}
}

// close ends the view with its XClient. The last list stays the Selector's when nobody else has one, but for that of a group.
func (v *view) close() {
	live := v.live()
	w := &v.views
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.Index(w.open, v)
	if i < 0 { // it was closed before
		return
	}
	w.open = slices.Delete(w.open, i, i+1)
	var next *view
	for _, other := range w.open {
		if other.roster == v.roster && (next == nil || other.list != nil) {
			next = other
		}
	}
	switch {
	case next == nil && v.roster != v.main:
		v.drop(v.roster)
	case v.roster.leader == v:
		if v.roster.leader = next; next != nil && next.list != nil {
			v.update(v.roster, next.list, live)
		}
	}
}

// drop takes a roster away.
func (s *Selector) drop(r *roster) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rosters = slices.DeleteFunc(s.rosters, func(other *roster) bool { return other == r })
	s.replace(r, nil, false)
}
