package selector

import (
	"context"
	"slices"
	"sync"
)

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
