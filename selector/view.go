package selector

import (
	"hash/maphash"
	"slices"
	"sync"
)

// view is what one XClient has of a Selector that it may share with others: its list updates. XClients on one discovery receive the same lists in
// the same order, but each at its own time; in rpcx v1.9.4 a dial delays an XClient's by a second or more. What comes late is not news.
type view struct {
	*Selector
	seen    int               // index in views of the list that this XClient has received last; -1: none
	servers map[string]string // that list
}

// views orders the lists of the XClients that share a Selector.
type views struct {
	// mu is held while the Selector takes a list, in which the function given to WithLive may be asked, as it is with XClient's own lock: who has
	// the same list must not select before it is there.
	mu     sync.Mutex
	open   []*view
	recent []uint64 // fingerprints of the lists; the last is the Selector's
	first  int      // index of recent[0]
}

// recentLists is how many lists an XClient can be behind the others before its old ones are taken for new.
const recentLists = 64

// newView returns a view of s for one XClient.
func (s *Selector) newView() *view {
	v := &view{Selector: s, seen: -1}
	s.views.mu.Lock()
	defer s.views.mu.Unlock()
	s.views.open = append(s.views.open, v)
	return v
}

// UpdateServer implements client.Selector. The first XClient that receives a list changes the Selector's.
func (v *view) UpdateServer(servers map[string]string) {
	w := &v.views
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case !slices.Contains(w.open, v): // its XClient is closed
	case v.seen < 0 && len(w.recent) > 0 && len(servers) == 0: // has just been made and knows nobody yet
	case w.find(servers, v):
	default:
		v.tell(servers)
	}
}

// tell makes a list the Selector's. The caller holds mu.
func (v *view) tell(servers map[string]string) {
	v.seen, v.servers = v.views.add(servers), servers
	v.Selector.UpdateServer(servers)
}

// close ends the view with its XClient. When nobody else has the Selector's list, it is that of whom is least behind.
func (v *view) close() {
	w := &v.views
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open = slices.DeleteFunc(w.open, func(other *view) bool { return other == v })
	if len(w.open) == 0 {
		return
	}
	newest := slices.MaxFunc(w.open, func(a, b *view) int { return a.seen - b.seen })
	if newest.seen >= 0 && newest.seen < w.last() {
		newest.tell(newest.servers)
	}
}

// find looks for a list among those that v has not received yet, and the one that it has, and notes that it has.
func (w *views) find(servers map[string]string, v *view) bool {
	from := max(v.seen-w.first, 0)
	if from >= len(w.recent) {
		return false
	}
	i := slices.Index(w.recent[from:], fingerprint(servers))
	if i < 0 {
		return false
	}
	v.seen, v.servers = w.first+from+i, servers
	return true
}

func (w *views) last() int { return w.first + len(w.recent) - 1 }

// add appends a list and returns its index.
func (w *views) add(servers map[string]string) int {
	if len(w.recent) == recentLists {
		w.recent = slices.Delete(w.recent, 0, 1)
		w.first++
	}
	w.recent = append(w.recent, fingerprint(servers))
	return w.last()
}

var fingerprintSeed = maphash.MakeSeed()

// fingerprint is equal for equal lists, whatever the order of the map, and hardly ever for others.
func fingerprint(servers map[string]string) uint64 {
	sum := uint64(len(servers))
	for key, metadata := range servers {
		var h maphash.Hash
		h.SetSeed(fingerprintSeed)
		h.WriteString(key)
		h.WriteByte(0)
		h.WriteString(metadata)
		sum += h.Sum64()
	}
	return sum
}
