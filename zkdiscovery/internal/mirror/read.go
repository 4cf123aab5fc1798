package mirror

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/znode"
)

// child is one instance that was read.
type child struct {
	pair   *client.KVPair
	mzxid  int64
	listed int64 // Mirror.lists when it was listed last
	denied bool  // may not be read: the metadata is what was known last
}

func (c *child) isReadable() bool { return c != nil && !c.denied }

// Read is the answer to Read, or what had been answered of it when the connection was lost: nodes has what was answered, in any order.
func (m *Mirror) Read(j Job, nodes []session.Node, lost bool) {
	current := m.ended(j)
	if j.session != m.session || !current && (j.lasting || m.lasting) { // which reads everything again
		return
	}
	if j.Path && current && !lost {
		m.readAtRest(j, nodes)
		return
	}
	if lost {
		m.stillOwed(j, unanswered(j.Names, nodes))
	}
	_, came := m.take(j, nodes)
	p := m.pass
	switch {
	case lost || !current || p.open && p.older:
		m.drop()
	case !p.open:
		m.showRead(j)
	case came && (m.plan.torn <= maxTorn || m.loses()):
		m.drop() // what came together may have gone together: the next list says
	case m.lookAtNewest(): // the pass goes on
	default:
		m.commit()
	}
}

// loses reports whether the next Whole would have nobody, or somebody no more who is shown now.
func (m *Mirror) loses() bool {
	return len(m.children) == 0 || slices.ContainsFunc(m.touched, func(name string) bool {
		key, _ := znode.InstanceKey(name)
		_, shown := slices.BinarySearchFunc(m.whole.Pairs, key, func(p *client.KVPair, key string) int { return strings.Compare(p.Key, key) })
		return shown && m.children[name] == nil
	})
}

// unanswered is the names of which nodes has none.
func unanswered(names []string, nodes []session.Node) []string {
	answered := make(map[string]struct{}, len(nodes))
	for i := range nodes {
		answered[nodes[i].Name] = struct{}{}
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		_, ok := answered[name]
		return ok
	})
}

// Checked is the answer to Check: the path's stat, nil if it does not exist, and some instances. Hints of what changed before the answer was
// given are with the mirror already, because ZooKeeper sends notifications before later answers. So a difference of which nothing has hinted
// was missed.
func (m *Mirror) Checked(j Job, st *session.Stat, nodes []session.Node) {
	if !m.ended(j) {
		return // a list is to be asked for over the new connection
	}
	if m.lasting {
		m.checkedLasting(j, st, nodes)
		return
	}
	missed := 0
	if !m.plan.list && !m.pass.agrees(st) {
		missed++
	}
	nodes = slices.DeleteFunc(nodes, func(n session.Node) bool {
		_, hinted := m.plan.dirty[n.Name]
		return hinted
	})
	if differ, _ := m.take(j, nodes); m.watchData {
		missed += differ
	}
	if missed > 0 {
		m.news.Mended += missed
		m.plan.list, m.plan.rearm = true, true
	}
	m.showRead(j)
}

// showRead shows what an answer has brought that no pass waits for. It confirms the rest: ZooKeeper sends notifications before later answers. While a list
// is due, it may be a part of what has changed: the pass shows all of it.
func (m *Mirror) showRead(j Job) {
	if m.plan.list {
		return
	}
	m.show(false, false)
	m.Confirm(j.Asked)
}

// agrees reports whether the path is as it was listed.
func (p *pass) agrees(st *session.Stat) bool {
	if st == nil || !p.exists {
		return st == nil && !p.exists
	}
	return LineageOf(*st) == p.lineage && st.Pzxid == p.pzxid && st.Cversion == p.cversion
}

// take puts nodes that were read into the children. It returns how many could be read before and are not as they were, and whether some were
// gone that were never read.
func (m *Mirror) take(j Job, nodes []session.Node) (differ int, came bool) {
	vanished := false
	for i := range nodes {
		n := &nodes[i]
		if !m.knows(n.Name) {
			continue
		}
		was := m.children[n.Name]
		readable, gone := was.isReadable(), errors.Is(n.Err, session.ErrNoNode)
		older := n.Err == nil && was != nil && n.Stat.Mzxid < was.mzxid
		if m.look.answered(was, n, m.watchData) || older {
			m.wentBack()
		}
		delete(m.pass.fresh, n.Name)
		switch {
		case gone && was == nil:
			came = true
			delete(m.plan.dirty, n.Name)
		case gone: // or there again: then it is another, which nobody watches
			m.plan.dirty[n.Name] = struct{}{}
		case older && !m.pass.synced:
			continue
		case !m.put(was, n):
			continue // as it was
		}
		vanished = vanished || gone
		if readable {
			differ++
		}
	}
	if vanished { // which is a change that is newer than the list, and the list that confirms it is still to come
		m.plan.list = true
		m.plan.contradicted(j.Asked)
		m.pass.torn, m.pass.synced, m.pass.asked = true, false, time.Time{}
	}
	return differ, came
}

// put notes an instance as it was read, and reports whether it differs from what was known.
func (m *Mirror) put(was *child, n *session.Node) (differs bool) {
	c := m.newChild(was, n)
	m.newest = max(m.newest, c.mzxid)
	m.countDenied(was != nil && was.denied, c.denied)
	if was == nil {
		m.children[n.Name] = &c
	} else {
		differs = c.pair != was.pair
		*was = c
	}
	if was != nil && !differs {
		return false
	}
	if !validMetadata(c.pair.Value) {
		m.news.BadMetadata = append(m.news.BadMetadata, n.Name)
	}
	m.touched = append(m.touched, n.Name)
	return true
}

// newChild is the child as it was read; it keeps the pair where that says the same.
func (m *Mirror) newChild(was *child, n *session.Node) child {
	key, _ := znode.InstanceKey(n.Name)
	if n.Err != nil { // may not be read
		m.pass.denied = true
		if was == nil || !was.denied {
			m.news.Denied = append(m.news.Denied, n.Name)
		}
		if was == nil {
			return child{pair: &client.KVPair{Key: key}, listed: m.lists, denied: true}
		}
		return child{pair: was.pair, mzxid: was.mzxid, listed: was.listed, denied: true}
	}
	c := child{mzxid: n.Stat.Mzxid, listed: m.lists}
	if was != nil && was.pair.Value == string(n.Data) {
		c.pair = was.pair
	} else {
		c.pair = &client.KVPair{Key: key, Value: string(n.Data)}
	}
	return c
}

// forget takes away a child that is gone.
func (m *Mirror) forget(name string) {
	m.countDenied(m.children[name].denied, false)
	delete(m.children, name)
	m.touched = append(m.touched, name)
}

// countDenied notes whether a child could not be read, and whether it cannot be read now.
func (m *Mirror) countDenied(was, is bool) {
	switch {
	case is && !was:
		m.denied++
	case was && !is:
		m.denied--
	}
}
