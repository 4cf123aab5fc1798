package zkdiscovery

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/znode"
)

// answered ends a job that was answered, and reports whether the answer counts: one from an earlier session has no watch behind it.
func (m *mirror) answered(j job) bool {
	if j.session != m.session {
		m.lost(j)
		return false
	}
	m.busy, m.passing = false, false
	return true
}

// missing is the answer that the service path does not exist. That is no error: nobody is registered yet, or any more.
func (m *mirror) missing(j job) {
	if !m.answered(j) {
		return
	}
	m.begins(j, "", 0)
	m.exists, m.pzxid, m.cversion, m.skipped = false, 0, 0, 0
	clear(m.dirty)
	m.dropUnlisted()
	m.complete()
}

// listed is the answer to jobList.
func (m *mirror) listed(j job, l session.Listing) {
	if !m.answered(j) {
		return
	}
	unread, odd := len(m.fresh), m.skipped
	m.begins(j, lineageOf(l.Stat), l.Stat.Pzxid)
	m.skipped = 0
	expected := 0
	for _, name := range l.Names {
		if c := m.child(name, &expected); c != nil {
			m.spare = append(m.spare, place{name: name, child: c})
		} else if _, ok := znode.InstanceKey(name); ok {
			name = strings.Clone(name) // what stays would keep the whole list in memory, all of whose names are one piece
			m.fresh[name] = struct{}{}
			m.dirty[name] = struct{}{}
		} else {
			m.skipped++
			m.odd = name
		}
	}
	gone := m.dropUnlisted()
	if !m.watchData && m.exists {
		// Only the count of changes tells of an instance that was replaced by its successor since the last list.
		seen := len(m.fresh) + gone + max(m.skipped-odd, odd-m.skipped)
		if unread > 0 || int(l.Stat.Cversion-m.cversion) != seen {
			m.allDirty()
		}
	}
	m.exists, m.pzxid, m.cversion = true, l.Stat.Pzxid, l.Stat.Cversion
	m.odd = strings.Clone(m.odd)
	maps.DeleteFunc(m.dirty, func(name string, _ struct{}) bool { return !m.known(name) })
	if m.synced {
		for name, c := range m.children {
			if _, toRead := m.dirty[name]; !toRead {
				m.zxid = max(m.zxid, c.mzxid)
			}
		}
	}
	if m.owed = len(m.dirty) > 0; !m.owed {
		m.complete()
	}
}

// child returns the child of that name, which is listed. ZooKeeper lists in the order of last time, nearly, so that most names stand where they
// are expected. That spares a look into the map and at the child, and with them most of the time that a list of thousands takes.
func (m *mirror) child(name string, expected *int) *child {
	next := m.order[*expected:min(*expected+lookAhead, len(m.order))]
	for i := range next {
		if p := &next[i]; p.name == name {
			*expected += i + 1
			p.listed = true
			return p.child
		}
	}
	c := m.children[name]
	if c != nil {
		c.listed = m.lists
	}
	return c
}

// begins notes what a list, or its absence, says about lineage and time.
func (m *mirror) begins(j job, lineage string, pzxid int64) {
	clear(m.fresh)
	m.lists++
	m.listedOn, m.listedAt, m.synced = j.link, j.asked, j.sync
	switch {
	case lineage != m.lineage || m.era == 0:
		m.generation = generation{lineage, m.era + 1, pzxid}
		m.floor = 0
		for _, c := range m.children {
			c.czxid, c.mzxid = 0, 0 // of the other lineage
		}
		m.allDirty()
	case j.sync:
		m.floor = max(m.floor, m.zxid)
		m.zxid = pzxid // and the instances' own, which listed and take add; complete compares with the floor
	default:
		m.zxid = max(m.zxid, pzxid)
	}
	if j.rearm {
		m.rearm = false
		m.allDirty()
	}
}

// read is the answer to jobRead.
func (m *mirror) read(j job, nodes []session.Node) {
	if !m.answered(j) {
		return
	}
	m.owed = false
	m.take(nodes)
	if m.torn > 0 && m.torn <= maxTorn {
		return // what is here was never so: some of what came together has gone together, and the list which says so is next
	}
	m.complete()
}

// checked is the answer to jobCheck: the path's stat, if it exists, and some instances. Hints of what changed before the answer was given are
// with the mirror already (ZooKeeper sends notifications before later answers), so that a difference which nothing has hinted at was missed.
func (m *mirror) checked(j job, exists bool, st session.Stat, nodes []session.Node) {
	if !m.answered(j) {
		return
	}
	missed := 0
	if !m.needList && (exists != m.exists || exists && (lineageOf(st) != m.lineage || st.Pzxid != m.pzxid || st.Cversion != m.cversion)) {
		missed++
	}
	nodes = slices.DeleteFunc(nodes, func(n session.Node) bool { _, hinted := m.dirty[n.Name]; return hinted })
	if n := m.take(nodes); m.watchData {
		missed += n
	}
	if missed > 0 {
		m.news.mended += missed
		m.needList, m.rearm = true, true
	} else if m.atRest() {
		m.listedAt = j.asked
	}
	m.complete()
}

// take puts nodes that were read into the children, and returns how many could be read before and are not as they were.
func (m *mirror) take(nodes []session.Node) (differ int) {
	var changes []change
	metrics, vanished, torn := true, false, false
	for i := range nodes {
		n := &nodes[i]
		if !m.known(n.Name) {
			continue // no longer listed
		}
		was := m.children[n.Name]
		if errors.Is(n.Err, session.ErrNoNode) {
			// The list says whether it is gone, or there again: then it is another, which nobody watches.
			m.needList, vanished = true, true
			delete(m.fresh, n.Name)
			if was != nil {
				m.dirty[n.Name] = struct{}{}
			} else {
				torn = true
			}
			if was.isReadable() {
				differ++
			}
			continue
		}
		if was != nil && n.Err == nil && n.Stat.Czxid == was.czxid && n.Stat.Mzxid < was.mzxid && !m.synced {
			continue // older than what is known
		}
		c := m.newChild(was, n)
		delete(m.fresh, n.Name)
		m.zxid = max(m.zxid, c.mzxid)
		var before child
		if was == nil {
			m.children[n.Name] = &c
			m.order = append(m.order, place{name: n.Name, child: &c})
		} else {
			before, *was = *was, c
		}
		if c.pair == before.pair {
			continue
		}
		if before.isReadable() {
			differ++
		}
		metrics = metrics && before.pair != nil && onlyMetrics(before.pair.Value, c.pair.Value)
		if !validMetadata(c.pair.Value) {
			m.news.badMetadata = append(m.news.badMetadata, n.Name)
		}
		changes = append(changes, change{c.pair.Key, c.pair})
	}
	if vanished {
		// Its transaction, newer than all, is in no zxid of this pass, and what is shown of it until the list tells is old.
		m.synced, m.listedAt = false, time.Time{}
	}
	if m.torn++; !torn {
		m.torn = 0
	}
	m.edit(changes, metrics)
	return differ
}

// newChild is the child that was read; it keeps the pair when that says the same.
func (m *mirror) newChild(was *child, n *session.Node) child {
	key, _ := znode.InstanceKey(n.Name)
	if n.Err != nil { // may not be read
		if was == nil || !was.denied {
			m.news.denied = append(m.news.denied, n.Name)
		}
		if was == nil {
			return child{pair: &client.KVPair{Key: key}, denied: true}
		}
		return child{pair: was.pair, mzxid: was.mzxid, czxid: was.czxid, denied: true}
	}
	c := child{mzxid: n.Stat.Mzxid, czxid: n.Stat.Czxid}
	if was != nil && was.pair.Value == string(n.Data) {
		c.pair = was.pair
	} else {
		c.pair = &client.KVPair{Key: key, Value: string(n.Data)}
	}
	return c
}

// dropUnlisted forgets the children that the last list, which is in m.spare, does not have, and returns how many those are.
func (m *mirror) dropUnlisted() int {
	gone := len(m.order) - len(m.spare)
	if gone > 0 {
		changes := make([]change, 0, gone)
		for _, p := range m.order {
			if !p.listed && p.child.listed != m.lists {
				changes = append(changes, change{key: p.child.pair.Key})
				delete(m.children, p.name)
			}
		}
		m.edit(changes, false)
	}
	clear(m.order) // which must not keep alive what is gone
	m.order, m.spare = m.spare, m.order[:0]
	return gone
}

// change is what becomes of one key: a new pair, or nil when it is gone.
type change struct {
	key  string
	pair *client.KVPair
}

// edit makes a new sorted list of the old one.
func (m *mirror) edit(changes []change, metrics bool) {
	if len(changes) == 0 {
		return
	}
	slices.SortFunc(changes, func(a, b change) int { return cmp.Compare(a.key, b.key) })
	out := make([]*client.KVPair, 0, len(m.pairs)+len(changes))
	rest := m.pairs
	for _, c := range changes {
		at, found := slices.BinarySearchFunc(rest, c.key, func(p *client.KVPair, key string) int { return cmp.Compare(p.Key, key) })
		out = append(out, rest[:at]...)
		if rest = rest[at:]; found {
			rest = rest[1:]
		}
		if c.pair != nil {
			out = append(out, c.pair)
		}
	}
	m.pairs = append(out, rest...)
	m.metrics = metrics && (m.metrics || !m.edited)
	m.edited = true
	if !metrics {
		m.edits++
	}
}

// complete says that everything that was listed has been read: the list is whole.
func (m *mirror) complete() {
	m.torn = 0
	m.err, m.retryEvery, m.retryAt = nil, 0, time.Time{}
	if m.connected && m.listedOn == m.link {
		m.phase = phaseLive
	}
	switch {
	case m.synced:
		if m.zxid < m.floor {
			// The same path, the server has caught up, and yet it is as it was earlier: restored from a backup. What follows is another
			// history.
			m.era++
		}
		m.sync, m.synced, m.floor = false, false, 0
	case m.lineage == m.whole.lineage && m.era == m.whole.era:
		m.zxid = max(m.zxid, m.whole.zxid) // a pass that has proved nothing begins no era, and so does not go back
	}
	if m.edited {
		m.news.onlyMetrics = m.metrics && (m.news.onlyMetrics || !m.news.changed)
		m.news.changed = true
	}
	m.edited, m.metrics = false, false
	asOf := m.whole.asOf
	if m.listedAt.After(asOf) {
		asOf = m.listedAt
	}
	m.whole = whole{generation: m.generation, pairs: m.pairs, edits: m.edits, asOf: asOf}
}

// takeNews returns what has come of the answers since it was called last.
func (m *mirror) takeNews() news {
	n := m.news
	m.news = news{}
	return n
}

// lineageOf names the life of a service path: a path that was made anew, or is another ensemble's, has another. Zxids of two lineages are
// never compared. A path that does not exist has the empty one.
func lineageOf(st session.Stat) string {
	return strconv.FormatInt(st.Czxid, 16) + "-" + strconv.FormatInt(st.Ctime, 16)
}
