package zkdiscovery

import (
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/znode"
)

// publication is a list that was published, and a copy of it.
type publication struct {
	whole
	copy []client.KVPair
}

func (r *rig) noteList(j *modelJob) {
	lineage := ""
	if !j.absent {
		lineage = lineageOf(j.listing.Stat)
	}
	r.another = r.another || lineage != r.lineage
	r.lineage = lineage
	clear(r.listed)
	for _, name := range j.listing.Names {
		if _, ok := znode.InstanceKey(name); ok {
			r.listed[name] = true
		}
	}
	for _, name := range rigNames {
		if !r.listed[name] {
			r.missing[name] = true
		}
	}
}

// noteValues remembers what an instance's data may be shown as.
func (r *rig) noteValues() {
	h := r.zk.history
	for _, s := range h[max(0, len(h)-2):] { // no step makes more than two transactions
		for name, n := range s.nodes {
			if r.values[name] == nil {
				r.values[name] = map[string]bool{}
			}
			r.values[name][n.value] = true
			if n.denied {
				r.values[name][""] = true
			}
		}
	}
}

// publish checks a list that is to be published.
func (r *rig) publish() {
	p := publication{whole: r.m.whole}
	have := make(map[string]bool)
	for i, pair := range p.pairs {
		p.copy = append(p.copy, *pair)
		have[pair.Key] = true
		if !r.listed[pair.Key] {
			r.fatalf("%s is published, but was not in the last list", pair.Key)
		}
		if !r.values[pair.Key][pair.Value] {
			r.fatalf("%s is published with %q, which it never had", pair.Key, pair.Value)
		}
		if i > 0 && p.pairs[i-1].Key >= pair.Key {
			r.fatalf("not sorted: %s, %s", p.pairs[i-1].Key, pair.Key)
		}
	}
	r.note("publish %v", p.copy)
	if len(have) != len(r.listed) {
		r.fatalf("a partial list: %v of %v", have, r.listed)
	}
	if n := len(r.published); n > 0 {
		for _, pair := range r.published[n-1].pairs {
			if !have[pair.Key] && !r.missing[pair.Key] {
				r.fatalf("%s was dropped, but no list had it missing", pair.Key)
			}
		}
	}
	clear(r.missing)
	r.published = append(r.published, p)
}

// check checks what holds after every step.
func (r *rig) check() {
	w := r.m.whole
	if n := len(r.published); n > 0 {
		last := r.published[n-1]
		if !slices.Equal(last.pairs, w.pairs) {
			r.fatalf("the whole list changed and was not published")
		}
		was := last.whole
		switch {
		case w.era < was.era:
			r.fatalf("era %d after %d", w.era, was.era)
		case w.era == was.era && w.lineage != was.lineage:
			r.fatalf("two lineages in era %d: %s, %s", w.era, was.lineage, w.lineage)
		case w.era == was.era && w.zxid < was.zxid:
			r.fatalf("zxid %d after %d", w.zxid, was.zxid)
		case w.lineage == was.lineage && w.era != was.era && !r.rolledBack && !r.another:
			r.fatalf("era %d began without a reason", w.era)
		case w.asOf.Before(was.asOf) || w.asOf.After(r.zk.now):
			r.fatalf("as of %v, after %v", w.asOf, was.asOf)
		}
		r.another = r.another && w.era == was.era
		r.published[n-1].whole = w
	}
	r.checkAsOf()
}

// checkAsOf checks that the list shows, for every instance, something that the server had at the moment as of which it is confirmed, or had
// later.
func (r *rig) checkAsOf() {
	w, zk := r.m.whole, r.zk
	if r.m.phase != phaseLive || r.lossy || r.rolledBack {
		return
	}
	from := 0
	for i, at := range zk.passed {
		if !at.IsZero() && at.Before(w.asOf) {
			from = i
		}
	}
	shown := make(map[string]string)
	for _, p := range w.pairs {
		shown[p.Key] = p.Value
	}
	for _, name := range rigNames[:len(rigNames)-1] {
		value, has := shown[name]
		if !slices.ContainsFunc(zk.history[from:], func(s state) bool {
			n, exists := s.nodes[name]
			return has == exists && (!has || n.denied || n.value == value || !r.m.watchData)
		}) && !r.wasDenied(name) {
			r.fatalf("as of %v, but %s %v %q is older than that: the server had transaction %d", w.asOf, name, has, value, from)
		}
	}
}

// wasDenied reports whether an instance could not be read at some time: of changes then nobody tells.
func (r *rig) wasDenied(name string) bool {
	return slices.ContainsFunc(r.zk.history, func(s state) bool { return s.nodes[name].denied })
}

// equal checks that the list is ZooKeeper's.
func (r *rig) equal() {
	s := r.zk.leader()
	var want []client.KVPair
	for _, name := range rigNames {
		if n, ok := s.nodes[name]; ok && name != "lock-0001" {
			want = append(want, client.KVPair{Key: name, Value: n.value})
		}
	}
	slices.SortFunc(want, func(a, b client.KVPair) int { return strings.Compare(a.Key, b.Key) })
	var got []client.KVPair
	for _, p := range r.m.whole.pairs {
		got = append(got, *p)
	}
	if !slices.Equal(got, want) {
		r.fatalf("the list is %v, ZooKeeper has %v", got, want)
	}
	// Where data may not be read, what a backup has undone of it goes unnoticed.
	if w := r.m.whole; w.lineage != s.lineage() || w.zxid != s.newest() && (!r.rolledBack || !r.denied) {
		r.fatalf("lineage %q, zxid %d; ZooKeeper has %q, %d", w.lineage, w.zxid, s.lineage(), s.newest())
	}
	for _, p := range r.m.spare[:cap(r.m.spare)] {
		if p != (place{}) {
			r.fatalf("the memory for the next list keeps %q alive", p.name)
		}
	}
	for _, p := range want {
		if r.m.watchData && !r.lossy && !r.zk.watching.data[p.Key] {
			r.fatalf("nobody watches %s", p.Key)
		}
	}
	for _, p := range r.published {
		for i := range p.copy {
			if *p.pairs[i] != p.copy[i] {
				r.fatalf("a published list was changed")
			}
		}
	}
}

// shows is the list as "key metadata" lines.
func (r *rig) shows() []string {
	var lines []string
	for _, p := range r.m.whole.pairs {
		lines = append(lines, p.Key+" "+p.Value)
	}
	return lines
}

func (r *rig) mustShow(want ...string) {
	r.tb.Helper()
	if diff := cmp.Diff(want, r.shows()); diff != "" {
		r.fatalf("list (-want +got):\n%s", diff)
	}
}
