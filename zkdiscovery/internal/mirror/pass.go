package mirror

import (
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/znode"
)

// pass is what one list, or the answer that there is no path, has begun.
type pass struct {
	open  bool      // something is to be read before it can be shown. False: it was shown, or dropped
	link  int64     // of the connection over which it was listed
	asked time.Time // when it was; zero when an answer has shown that what it found is older than that

	exists   bool
	lineage  string
	mzxid    int64
	pzxid    int64
	cversion int32
	told     int    // Job.Told with cversion
	skipped  int    // children whose name is no instance's …
	odd      string // … and one of these names

	fresh map[string]struct{} // listed, and never read
	names bool                // a watch on the children was left beside a lasting one

	// What it proves.
	synced bool  // the list followed a sync, and nothing was found that is newer
	doubts int64 // plan.doubts when the list was asked for: it does not answer a later doubt
	full   bool  // everything is to be read
	denied bool  // something may not be read
	torn   bool  // an answer contradicts another: what is in it was never so at one moment
	older  bool  // an answer is older than what was known
}

// Missing is the answer to List that the service path does not exist. That is no error: nobody is registered yet, or any more.
func (m *Mirror) Missing(j Job) {
	if !m.ended(j) {
		return
	}
	was, p := m.pass, &pass{full: true}
	if !was.exists && was.link == j.link { // something has said since that it exists
		p.torn = true
		m.plan.contradicted(j.Asked)
	}
	m.turn(j, p)
	clear(m.plan.dirty)
	m.plan.hinted = nil
	m.dropUnlisted()
	m.commit()
}

// Listed is the answer to List.
func (m *Mirror) Listed(j Job, l session.Listing) {
	if !m.ended(j) {
		return
	}
	was, p := m.pass, &pass{
		exists: true, lineage: LineageOf(l.Stat), mzxid: l.Stat.Mzxid, pzxid: l.Stat.Pzxid, cversion: l.Stat.Cversion, fresh: make(map[string]struct{}),
	}
	m.turn(j, p)
	listed, again := 0, 0 // of those that were read before, and of those that were listed before and not read
	for _, name := range l.Names {
		if c := m.children[name]; c != nil {
			c.listed = m.lists
			listed++
		} else if _, ok := znode.InstanceKey(name); ok {
			if _, ok := was.fresh[name]; ok {
				again++
			}
			p.fresh[strings.Clone(name)] = struct{}{} // what stays would keep the whole list in memory, all of whose names are one piece
		} else {
			p.skipped++
			p.odd = name
		}
	}
	p.odd = strings.Clone(p.odd)
	gone, newestGone := len(m.children)-listed, int64(0)
	if gone > 0 {
		newestGone = m.dropUnlisted()
	}
	m.hintedStay()
	if !m.watchData && was.exists {
		// Only the count of changes tells of an instance that was replaced by its successor since the last list.
		come, left := len(p.fresh)-again, gone+len(was.fresh)-again
		if int(p.cversion-was.cversion) != come+left+max(p.skipped-was.skipped, was.skipped-p.skipped) {
			m.allDirty()
		}
	}
	m.lookAtNewest()
	known := 0 // of the dirty. The fresh are read anyway
	for name := range m.plan.dirty {
		_, fresh := p.fresh[name]
		switch {
		case m.children[name] != nil:
			known++
		case fresh || !m.lasting:
			delete(m.plan.dirty, name)
		}
	}
	p.full = known == len(m.children)
	if p.lineage == was.lineage && (p.pzxid < was.pzxid || newestGone > p.pzxid) { // an instance goes after its last change
		m.wentBack()
	}
	switch {
	case p.older:
		m.drop()
	case known+len(p.fresh) > 0:
		p.open = true
	default:
		m.commit()
	}
}

// turn begins the pass of a list. The one before it was shown, or dropped.
func (m *Mirror) turn(j Job, p *pass) {
	p.link, p.asked, p.synced, p.doubts = j.link, j.Asked, j.Sync, j.doubts
	m.lists++
	if p.lineage != m.pass.lineage {
		m.newest = 0
		for _, c := range m.children {
			c.mzxid = 0 // of the other lineage
		}
		m.allDirty()
	}
	if j.Rearm || p.doubts > m.pass.doubts {
		m.allDirty()
	}
	if j.Rearm {
		m.plan.rearm = false
	}
	p.names, p.told = j.Watch, j.Told
	m.newest = max(m.newest, p.pzxid)
	m.pass = p
}

// dropUnlisted forgets the children that the last list does not have. It returns the newest zxid of theirs that is known.
func (m *Mirror) dropUnlisted() (newest int64) {
	for name, c := range m.children {
		if c.listed != m.lists {
			newest = max(newest, c.mzxid)
			m.forget(name)
		}
	}
	return newest
}

// drop gives up a pass that has lost an answer. What it has read stays known; the next list begins another.
func (m *Mirror) drop() {
	m.pass.open = false
	m.plan.list = true
}

// commit shows the pass, all of which is read.
func (m *Mirror) commit() {
	p := m.pass
	p.open = false
	if len(p.fresh) == 0 {
		p.fresh = nil // an empty map keeps the room that it has had
	}
	m.err, m.liveOn = nil, p.link
	if !p.torn {
		m.plan.agreed()
	}
	synced := p.synced && p.doubts == m.plan.doubts
	proof := synced && p.full && !p.denied
	doubt := false
	if p.synced = false; synced {
		m.plan.sync = false
		newest := p.pzxid
		for _, c := range m.children {
			newest = max(newest, c.mzxid)
		}
		// A pass that went on from one that was dropped has read a part only: too little for a doubt, or to tell whether the zxid has
		// fallen. A full one tells.
		doubt = !p.full && (p.doubts > m.plan.settled || newest < m.newest)
		if p.full {
			m.plan.settled = p.doubts
		}
		if proof {
			m.newest = newest
		}
	}
	if m.show(synced, proof); doubt {
		m.Doubt()
	}
	if m.lasting {
		m.judge()
	}
}
