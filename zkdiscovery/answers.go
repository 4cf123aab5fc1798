package zkdiscovery

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
	"github.com/smallnest/rpcx/client"
)

// answered ends a job that was answered, and reports whether the answer counts: one from an earlier session has no watch behind it.
func (m *mirror) answered(j job) bool {
	if j.session != m.session {
		m.lost(j)
		return false
	}
	m.busy = false
	m.err, m.retryEvery, m.retryAt = nil, 0, time.Time{}
	return true
}

// missing is the answer that the service path does not exist. That is no error: nobody is registered yet, or any more.
func (m *mirror) missing(j job) {
	if !m.answered(j) {
		return
	}
	m.begins(j, "", 0)
	m.exists, m.pzxid, m.cversion, m.skipped = false, 0, 0, 0
	m.drop(func(string) bool { return true })
	m.complete()
}

// listed is the answer to jobList.
func (m *mirror) listed(j job, l session.Listing) {
	if !m.answered(j) {
		return
	}
	m.begins(j, lineageOf(l.Stat), l.Stat.Pzxid)
	m.exists, m.pzxid, m.cversion, m.skipped = true, l.Stat.Pzxid, l.Stat.Cversion, 0
	seen := make(map[string]struct{}, len(l.Names))
	for _, name := range l.Names {
		if _, ok := instanceKey(name); !ok {
			m.skipped++
			continue
		}
		seen[name] = struct{}{}
		if m.children[name] == nil {
			m.fresh[name] = struct{}{}
			m.dirty[name] = struct{}{}
		}
	}
	m.drop(func(name string) bool { _, listed := seen[name]; return !listed })
	maps.DeleteFunc(m.dirty, func(name string, _ struct{}) bool { return !m.known(name) })
	if m.owed = len(m.dirty) > 0; !m.owed {
		m.complete()
	}
}

// begins notes what a list, or its absence, says about lineage and time.
func (m *mirror) begins(j job, lineage string, pzxid int64) {
	clear(m.fresh)
	m.listedOn, m.synced = j.link, j.sync
	switch {
	case lineage != m.lineage || m.era == 0:
		m.lineage, m.zxid, m.floor = lineage, pzxid, 0
		m.era++
		m.allDirty()
	case j.sync:
		m.floor = max(m.floor, m.zxid)
		m.zxid = pzxid // and of what the pass reads; complete compares with the floor
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
	nodes = slices.DeleteFunc(nodes, func(n session.Node) bool {
		_, hinted := m.dirty[n.Name]
		return hinted || n.Err != nil && !m.children[n.Name].isReadable()
	})
	opened := 0
	for i := range nodes {
		if nodes[i].Err == nil && !m.children[nodes[i].Name].isReadable() {
			opened++ // of a change of permission no watch tells
		}
	}
	if n := m.take(nodes); m.watchData {
		missed += max(n-opened, 0)
	}
	if missed > 0 {
		m.news.mended += missed
		m.needList, m.rearm = true, true
	}
	m.complete()
}

// take puts nodes that were read into the children and returns how many were news.
func (m *mirror) take(nodes []session.Node) (changes int) {
	var add []*client.KVPair
	del := make(map[string]struct{})
	metrics := true
	for i := range nodes {
		n := &nodes[i]
		if !m.known(n.Name) {
			continue // no longer listed
		}
		if errors.Is(n.Err, session.ErrNoNode) {
			delete(m.fresh, n.Name)
			m.needList = true // which says whether it is gone, or there again
			continue
		}
		was := m.children[n.Name]
		if was != nil && n.Err == nil && n.Stat.Czxid == was.czxid && n.Stat.Mzxid < was.mzxid && !m.synced {
			continue // older than what is known
		}
		c := m.newChild(was, n)
		delete(m.fresh, n.Name)
		m.children[n.Name] = c
		m.zxid = max(m.zxid, c.mzxid)
		if was != nil && c.pair == was.pair {
			continue
		}
		if was != nil {
			metrics = metrics && onlyMetrics(was.pair.Value, c.pair.Value)
			del[was.pair.Key] = struct{}{}
		} else {
			metrics = false
		}
		if !validMetadata(c.pair.Value) {
			m.news.badMetadata = append(m.news.badMetadata, n.Name)
		}
		add = append(add, c.pair)
		changes++
	}
	if changes > 0 {
		m.edit(del, add, metrics)
	}
	return changes
}

// newChild is the child that was read; it keeps the pair when that says the same.
func (m *mirror) newChild(was *child, n *session.Node) *child {
	key, _ := instanceKey(n.Name)
	if n.Err != nil { // may not be read
		if was == nil || !was.denied {
			m.news.denied = append(m.news.denied, n.Name)
		}
		if was == nil {
			return &child{pair: &client.KVPair{Key: key}, denied: true}
		}
		return &child{pair: was.pair, mzxid: was.mzxid, czxid: was.czxid, denied: true}
	}
	c := &child{mzxid: n.Stat.Mzxid, czxid: n.Stat.Czxid}
	if was != nil && was.pair.Value == string(n.Data) {
		c.pair = was.pair
	} else {
		c.pair = &client.KVPair{Key: key, Value: string(n.Data)}
	}
	return c
}

// drop forgets the children that gone says are.
func (m *mirror) drop(gone func(name string) bool) {
	del := make(map[string]struct{})
	for name, c := range m.children {
		if gone(name) {
			del[c.pair.Key] = struct{}{}
			delete(m.children, name)
			delete(m.dirty, name)
		}
	}
	if len(del) > 0 {
		m.edit(del, nil, false)
	}
}

// edit makes a new sorted list of the old one, in one pass.
func (m *mirror) edit(del map[string]struct{}, add []*client.KVPair, metrics bool) {
	slices.SortFunc(add, func(a, b *client.KVPair) int { return cmp.Compare(a.Key, b.Key) })
	out := make([]*client.KVPair, 0, len(m.pairs)-len(del)+len(add))
	for _, p := range m.pairs {
		if len(del) > 0 {
			if _, gone := del[p.Key]; gone {
				continue
			}
		}
		for len(add) > 0 && add[0].Key < p.Key {
			out = append(out, add[0])
			add = add[1:]
		}
		out = append(out, p)
	}
	m.pairs = append(out, add...)
	m.news.onlyMetrics = metrics && (m.news.onlyMetrics || !m.news.edited)
	m.news.edited = true
	if !metrics {
		m.edits++
	}
}

// complete says that everything that was listed has been read: the list is whole.
func (m *mirror) complete() {
	if m.connected && m.listedOn == m.link && m.err == nil {
		m.phase = phaseLive
	}
	if m.synced {
		if m.zxid < m.floor {
			// The same path, the server has caught up, and yet it is as it was earlier: restored from a backup. What follows is another
			// history.
			m.era++
		}
		m.sync, m.synced, m.floor = false, false, 0
	}
	m.news.changed = m.news.edited
}

// takeNews returns what has come of the answers since it was called last; what is not whole yet stays.
func (m *mirror) takeNews() news {
	n := m.news
	m.news = news{}
	if !n.changed {
		m.news.edited, m.news.onlyMetrics = n.edited, n.onlyMetrics
		n.edited, n.onlyMetrics = false, false
	}
	return n
}

// lineageOf names the life of a service path: a path that was made anew, or is another ensemble's, has another. Zxids of two lineages are
// never compared. A path that does not exist has the empty one.
func lineageOf(st session.Stat) string {
	return strconv.FormatInt(st.Czxid, 16) + "-" + strconv.FormatInt(st.Ctime, 16)
}
