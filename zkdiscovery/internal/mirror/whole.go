package mirror

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/znode"
)

// Whole is the list of the last pass that was read to its end, with the single instances that were read since.
type Whole struct {
	Exists  bool   // the service path does
	Lineage string // names the life of the service path; "" while it does not exist. See [LineageOf]

	// Zxid is the newest transaction in it: the largest of the path's pzxid and the instances' mzxids. It never falls within a lineage,
	// unless Proof is set.
	Zxid int64

	// Synced says that the list followed a sync which was asked for after the last Doubt. All that anybody knew before is in it, as far as
	// it was read.
	Synced bool

	// Proof says that Synced is set and that every instance was read in that pass. Only then does a lower Zxid than before mean that
	// ZooKeeper was restored from a backup. It is unset by the next change, and by Doubt.
	Proof bool

	Pairs []*client.KVPair // sorted by key; never changed
	Edits int64            // grows when Pairs changes in more than calls and connections
	AsOf  time.Time        // when ZooKeeper confirmed it last
}

// News is what the owner takes with TakeNews.
type News struct {
	Changed     bool     // Whole.Pairs is new …
	OnlyMetrics bool     // … in nothing but calls and connections
	Mended      int      // changes that no watch had told of
	Untold      bool     // the server's lasting watch has not told, or tells something else: it is not to be relied on
	BadMetadata []string // instances whose metadata rpcx cannot parse
	Denied      []string // instances that may not be read any more, or never could be
}

// Any reports whether there is news.
func (n *News) Any() bool {
	return n.Changed || n.Untold || n.Mended > 0 || len(n.BadMetadata) > 0 || len(n.Denied) > 0
}

// LineageOf names the life of a service path. A path that was made anew, or is another ensemble's, has another lineage. Zxids of two
// lineages cannot be compared.
func LineageOf(st session.Stat) string {
	return strconv.FormatInt(st.Czxid, 16) + "-" + strconv.FormatInt(st.Ctime, 16)
}

// change is what becomes of one key: a new pair, or nil when it is gone.
type change struct {
	key  string
	pair *client.KVPair
}

// show makes the new Whole of the last list and of what is known of its instances.
func (m *Mirror) show(synced, proof bool) {
	p, w := m.pass, &m.whole
	if !proof && m.shown && w.Lineage == p.lineage {
		m.newest = max(m.newest, w.Zxid)
	}
	w.Exists, w.Lineage, w.Zxid, w.Synced, w.Proof = p.exists, p.lineage, m.newest, synced, proof
	if p.asked.After(w.AsOf) {
		w.AsOf = p.asked
	}
	m.shown, m.plan.behind = true, 0

	pairs, changed, metrics := edit(w.Pairs, m.changes())
	if !changed {
		return
	}
	w.Pairs = pairs
	m.news.OnlyMetrics = metrics && (m.news.OnlyMetrics || !m.news.Changed)
	m.news.Changed = true
	if !metrics {
		w.Edits++
	}
}

// changes takes what has become of the children that were touched since the last Whole, sorted by key.
func (m *Mirror) changes() []change {
	if len(m.touched) == 0 {
		return nil
	}
	changes := make([]change, len(m.touched))
	for i, name := range m.touched {
		if c := m.children[name]; c != nil {
			changes[i] = change{c.pair.Key, c.pair}
		} else {
			key, _ := znode.InstanceKey(name)
			changes[i] = change{key: key}
		}
	}
	m.touched = nil
	slices.SortFunc(changes, func(a, b change) int { return cmp.Compare(a.key, b.key) })
	return slices.CompactFunc(changes, func(a, b change) bool { return a.key == b.key })
}

// edit makes a new sorted list of the old one. It reports whether they differ, and whether they do so in nothing but calls and connections.
func edit(was []*client.KVPair, changes []change) (is []*client.KVPair, changed, metrics bool) {
	if len(changes) == 0 {
		return was, false, false
	}
	is, metrics = make([]*client.KVPair, 0, len(was)+len(changes)), true
	for _, c := range changes {
		at, found := slices.BinarySearchFunc(was, c.key, func(p *client.KVPair, key string) int { return cmp.Compare(p.Key, key) })
		is = append(is, was[:at]...)
		var before *client.KVPair
		if was = was[at:]; found {
			before, was = was[0], was[1:]
		}
		switch {
		case before != nil && c.pair != nil && before.Value == c.pair.Value:
			is = append(is, before)
			continue
		case before == nil && c.pair == nil:
			continue // it has come and gone without being shown
		}
		changed = true
		metrics = metrics && before != nil && c.pair != nil && onlyMetrics(before.Value, c.pair.Value)
		if c.pair != nil {
			is = append(is, c.pair)
		}
	}
	return append(is, was...), changed, metrics && changed
}
