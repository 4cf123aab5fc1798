package mirror

import (
	"errors"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/znode"
)

// publication is a list that was published, and a copy of it.
type publication struct {
	Whole
	copy []client.KVPair
}

// rigPass is what the rig knows of the last list that counts.
type rigPass struct {
	synced bool // after the last doubt
	read   map[string]bool
}

func (r *rig) noteList(j *modelJob) {
	if j.link != r.m.link {
		return
	}
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
	r.pass = rigPass{synced: j.Sync && j.doubts == r.m.plan.doubts, read: map[string]bool{}}
}

// noteReads notes what was read.
func (r *rig) noteReads(j *modelJob, lost bool) {
	if j.Path && !lost && j.link == r.m.link {
		for _, n := range j.nodes[:len(j.nodes)-1] { // which says who is a member
			gone := errors.Is(n.Err, session.ErrNoNode)
			if r.listed[n.Name] = true; gone {
				delete(r.listed, n.Name)
				r.missing[n.Name] = true
			}
		}
		return
	}
	for _, n := range j.answered() {
		switch {
		case j.session != r.m.session:
		case errors.Is(n.Err, session.ErrNoNode):
			if _, fresh := r.m.pass.fresh[n.Name]; fresh {
				delete(r.listed, n.Name)
			}
			r.pass.synced = false // and what was listed is not what is there
		case n.Err == nil && !lost && j.link == r.m.link:
			r.pass.read[n.Name] = true
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
	p := publication{Whole: r.m.whole}
	have := make(map[string]bool)
	for i, pair := range p.Pairs {
		p.copy = append(p.copy, *pair)
		have[pair.Key] = true
		if !r.listed[pair.Key] {
			r.fatalf("%s is published, but was not in the last list", pair.Key)
		}
		if !r.values[pair.Key][pair.Value] {
			r.fatalf("%s is published with %q, which it never had", pair.Key, pair.Value)
		}
		if i > 0 && p.Pairs[i-1].Key >= pair.Key {
			r.fatalf("not sorted: %s, %s", p.Pairs[i-1].Key, pair.Key)
		}
	}
	r.note("publish %v", p.copy)
	if len(have) != len(r.listed) {
		r.fatalf("a partial list: %v of %v", have, r.listed)
	}
	if !r.denied && !r.wasSo(have) && (!r.m.pass.torn || r.loses(have)) {
		r.fatalf("a partial list: ZooKeeper never had just %v", have)
	}
	if n := len(r.published); n > 0 {
		for _, pair := range r.published[n-1].Pairs {
			if !have[pair.Key] && !r.missing[pair.Key] {
				r.fatalf("%s was dropped, but no list had it missing", pair.Key)
			}
		}
	}
	clear(r.missing)
	r.published = append(r.published, p)
}

// wasSo reports whether these were the instances after some transaction.
func (r *rig) wasSo(have map[string]bool) bool {
	return slices.ContainsFunc(slices.Concat(r.zk.history, r.zk.undone), func(s state) bool {
		n := 0
		for name := range s.nodes {
			if _, ok := znode.InstanceKey(name); ok {
				n++
			}
		}
		for key := range have {
			if _, ok := s.nodes[key]; !ok {
				return false
			}
		}
		return n == len(have)
	})
}

// loses reports whether a list has nobody, or somebody no more who was published last.
func (r *rig) loses(have map[string]bool) bool {
	n := len(r.published)
	return len(have) == 0 || n > 0 && slices.ContainsFunc(r.published[n-1].Pairs, func(p *client.KVPair) bool { return !have[p.Key] })
}

// check checks what holds after every step.
func (r *rig) check() {
	w := r.m.Whole()
	if n := len(r.published); n > 0 {
		last := r.published[n-1]
		if !slices.Equal(last.Pairs, w.Pairs) {
			r.fatalf("the whole list changed and was not published")
		}
		was := last.Whole
		switch falls := w.Lineage == was.Lineage && w.Zxid < was.Zxid; {
		case falls && !w.Proof:
			r.fatalf("zxid %d after %d without a proof", w.Zxid, was.Zxid)
		case falls && !r.rolledBack:
			r.fatalf("zxid %d after %d is proved, but no backup was restored", w.Zxid, was.Zxid)
		case w.AsOf.Before(was.AsOf) || w.AsOf.After(r.zk.now):
			r.fatalf("as of %v, after %v", w.AsOf, was.AsOf)
		case w.Edits < was.Edits:
			r.fatalf("%d edits after %d", w.Edits, was.Edits)
		}
		r.published[n-1].Whole = w
	}
	denied := 0
	for _, c := range r.m.children {
		if c.denied {
			denied++
		}
	}
	if denied != r.m.denied {
		r.fatalf("%d children may not be read, and the mirror counts %d", denied, r.m.denied)
	}
	r.checkAsOf()
}

// checkProof checks that what claims to be a proof is one.
func (r *rig) checkProof(w Whole) {
	if !w.Synced || !r.pass.synced {
		r.fatalf("a proof without a sync since the last doubt")
	}
	for name := range r.listed {
		if !r.pass.read[name] {
			r.fatalf("a proof, but %s was not read in that pass", name)
		}
	}
}

// checkAsOf checks that the list shows, for every instance, something that the server had at the moment as of which it is confirmed, or had
// later.
func (r *rig) checkAsOf() {
	w, zk := r.m.whole, r.zk
	if r.m.Phase() != Live || r.lossy || r.rolledBack {
		return
	}
	from := 0
	for i, at := range zk.passed {
		if !at.IsZero() && at.Before(w.AsOf) {
			from = i
		}
	}
	shown := make(map[string]string)
	for _, p := range w.Pairs {
		shown[p.Key] = p.Value
	}
	for _, name := range rigNames[:len(rigNames)-1] {
		value, has := shown[name]
		if !slices.ContainsFunc(zk.history[from:], func(s state) bool {
			n, exists := s.nodes[name]
			return has == exists && (!has || n.denied || n.value == value || !r.m.watchData)
		}) && !r.wasDenied(name) {
			r.fatalf("as of %v, but %s %v %q is older than that: the server had transaction %d", w.AsOf, name, has, value, from)
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
	for _, p := range r.m.whole.Pairs {
		got = append(got, *p)
	}
	if !slices.Equal(got, want) {
		r.fatalf("the list is %v, ZooKeeper has %v", got, want)
	}
	// Where data may not be read, what a backup has undone of it goes unnoticed.
	if w := r.m.whole; w.Lineage != s.lineage() || w.Exists != s.exists || w.Zxid != s.newest() && (!r.rolledBack || !r.denied) {
		r.fatalf("lineage %q, zxid %d; ZooKeeper has %q, %d", w.Lineage, w.Zxid, s.lineage(), s.newest())
	}
	for _, p := range want {
		if r.m.watchData && !r.lossy && !r.zk.watching.lasting && !r.zk.watching.data[p.Key] {
			r.fatalf("nobody watches %s", p.Key)
		}
	}
	for _, p := range r.published {
		for i := range p.copy {
			if *p.Pairs[i] != p.copy[i] {
				r.fatalf("a published list was changed")
			}
		}
	}
}

// shows is the list as "key metadata" lines.
func (r *rig) shows() []string {
	var lines []string
	for _, p := range r.m.whole.Pairs {
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
