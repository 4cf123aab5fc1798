package mirror

import (
	"errors"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/znode"
)

// Where the connection has lasting watches, one watch tells of the path and of every child by name, and stays. So after a pass no list is needed for
// a change: the children that were hinted at are read, and the path with them, at one moment. Such a read confirms as a list does. ZooKeeper sends an
// event before any answer that shows its change: when no child is hinted at any more, what is known is the state of that moment.
//
// A list is needed at the start and over every new connection, since nobody tells what has changed meanwhile; when the path is not the one that was
// listed; when the reads do not catch up; and at rest, when children that are no instances have come or gone.
//
// Of a child that may not be read nobody tells (since ZooKeeper 3.8.4 and 3.9.2). Once there is one, lists leave a watch on the children, too.

// maxBehind is how many reads in a row may end with children hinted at that are not read. Then what is known is shown all the same, if it is all of one
// moment. Otherwise a list is asked for, whose names are: what came in one transaction may be half read.
const maxBehind = 3

// hintedLasting is Hinted over a connection that has lasting watches.
func (m *Mirror) hintedLasting(h session.Hints, now time.Time) {
	p, resting := &m.plan, m.AtRest() && m.plan.running == None
	for name, change := range h.Children {
		switch _, isInstance := znode.InstanceKey(name); {
		case isInstance:
			if change == session.Gone || !m.knows(name) {
				p.checkSoon(now)
			}
			p.dirty[name] = struct{}{}
		default: // a lock, say: it has changed the path's stat, and a list at rest counts them
			p.path, p.odd = true, true
			p.checkSoon(now)
		}
	}
	if !h.List {
		return
	}
	p.checkSoon(now)
	if h.Names || !m.pass.exists {
		p.list = true
		return
	}
	p.path, p.accused = true, p.accused || resting
}

// readAtRest takes the answer to a read that no pass waits for: the last node is the path's own.
func (m *Mirror) readAtRest(j Job, nodes []session.Node) {
	at := nodes[len(nodes)-1]
	m.takeLasting(nodes[:len(nodes)-1])
	p := m.pass
	if at.Err != nil || LineageOf(at.Stat) != p.lineage {
		m.drop()
		return
	}
	if j.accused && at.Stat.Mzxid == p.mzxid { // an event of the path, which is as it was: its server tells the watch's path instead of the child's
		m.news.Untold = true
	}
	if m.plan.list { // which will tell more
		return
	}
	whole, newest := m.isWhole(j), p.pzxid
	if m.untold(j, at.Stat) {
		m.mend(1)
		return
	}
	if len(m.plan.dirty) == 0 {
		newest = p.pzxid
	} else if m.plan.behind++; m.plan.behind <= maxBehind {
		return
	} else if !whole {
		m.drop()
		return
	}
	m.newest = max(m.newest, newest)
	m.showRead(j)
	m.judge()
}

// isWhole reports whether the children, after j was read, are those of one moment although more is hinted at: of the moment of j's answer, if nobody was
// told to have come or gone between question and answer; or of the moment of the answer before it, if that had counted just what was told before j, and
// of what j has read nothing was told since.
//
// Three come in one transaction. Of one the notification is here, and it is read: two more were told of before the answer, and to show the one would be
// wrong. The two are read, while a fourth comes. Now the three are shown without the fourth: what was told before the second question is what the first
// answer had counted.
func (m *Mirror) isWhole(j Job) bool {
	return j.Told == j.told ||
		j.told == m.pass.told && !slices.ContainsFunc(j.Names, func(name string) bool { _, again := m.plan.dirty[name]; return again })
}

// takeLasting puts nodes that were read into the children: those that are gone are gone. It returns how many could be read before and are not as
// they were.
func (m *Mirror) takeLasting(nodes []session.Node) (differ int) {
	for i := range nodes {
		n := &nodes[i]
		was := m.children[n.Name]
		readable := was.isReadable()
		switch {
		case !errors.Is(n.Err, session.ErrNoNode):
			if n.Err == nil && was != nil && n.Stat.Mzxid < was.mzxid {
				m.wentBack()
				continue
			}
			if !m.put(was, n) {
				continue
			}
		case was == nil:
			continue
		default:
			m.forget(n.Name)
		}
		if readable {
			differ++
		}
	}
	return differ
}

// judge looks at what is known now. Once a child may not be read, a watch on the children is to be left. Otherwise a change of which nobody has told
// was the server's fault.
func (m *Mirror) judge() {
	denied := m.denied > 0
	if denied && !m.pass.names {
		m.plan.list, m.plan.names = true, true
	}
	if m.plan.suspect {
		m.plan.suspect = false
		m.news.Untold = m.news.Untold || !denied
	}
	m.plan.names = denied
}

// untold reports whether more children have come and gone than were told of since the answer before. st is j's answer.
func (m *Mirror) untold(j Job, st session.Stat) bool {
	p := m.pass
	missed := int(st.Cversion-p.cversion) > j.Told-p.told
	p.mzxid, p.pzxid, p.cversion, p.told = st.Mzxid, st.Pzxid, st.Cversion, j.Told
	return missed
}

// checkedLasting is Checked over a connection that has lasting watches.
func (m *Mirror) checkedLasting(j Job, st *session.Stat, nodes []session.Node) {
	missed := 0
	switch p := m.pass; {
	case m.plan.list || m.plan.path:
	case st == nil || !p.exists || LineageOf(*st) != p.lineage:
		if (st != nil) != p.exists || st != nil {
			missed++
		}
	case m.untold(j, *st):
		missed++
	}
	nodes = slices.DeleteFunc(nodes, func(n session.Node) bool {
		_, hinted := m.plan.dirty[n.Name]
		return hinted
	})
	if missed += m.takeLasting(nodes); missed > 0 {
		m.mend(missed) // the list shows what is
		return
	}
	m.showRead(j)
	m.judge()
}

// mend has everything read again after changes were found of which nobody has told. What the server is to be thought of, judge says then.
func (m *Mirror) mend(missed int) {
	if missed > 0 {
		m.news.Mended += missed
		m.plan.list, m.plan.rearm, m.plan.suspect = true, true, true
		m.allDirty()
	}
}

// hintedStay has those children read again that were to be read when the last list was asked for, as far as they are known.
func (m *Mirror) hintedStay() {
	for name := range m.plan.hinted {
		if m.children[name] != nil {
			m.plan.dirty[name] = struct{}{}
		}
	}
	m.plan.hinted = nil
}
