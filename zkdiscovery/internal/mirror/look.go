package mirror

import (
	"math"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

// look is what the mirror does over each new connection of a session to find out that ZooKeeper was restored from a backup.
//
// If the session is in the backup, it lives on. A client that comes back names the newest zxid that it has seen, and is told what has changed
// after that. What the backup has brought back is older, so nobody tells of it. Example: a client has read P1 at zxid 7 and P2 at zxid 8. The
// backup has both at zxid 3. The restored ensemble goes on at zxid 20, and the client is let in and told nothing.
//
// Whatever the backup has undone is newer than what it has kept. So the newest instance of which nothing was told is read again. If it is as it
// was known, all older ones are. If it is older, everything is doubted. If it has changed in this moment, the next one is looked at.
type look struct {
	owed bool
	upTo int64  // newer instances were read over this connection, or are to be read anyway
	name string // of the instance that is being read for it
	told bool   // a hint for it has come since
}

// beginLook begins a new connection.
func (m *Mirror) beginLook() {
	if l := &m.look; l.name != "" && !l.told {
		delete(m.plan.dirty, l.name)
	}
	m.look = look{owed: true, upTo: math.MaxInt64}
}

// answered takes what was read of an instance. It reports whether that is newer than it was known, and yet no watch has told: then it was written
// in another history.
func (l *look) answered(was *child, n *session.Node, watched bool) (untold bool) {
	if n.Name != l.name {
		return false
	}
	l.name = ""
	switch {
	case n.Err != nil: // which says nothing about the others
	case n.Stat.Mzxid == was.mzxid && string(n.Data) == was.pair.Value, !watched:
		l.owed = false
	case !l.told:
		l.owed = false
		return true
	}
	return false
}

// lookAtNewest has the newest instance read that is not to be read anyway. It reports whether there is one.
func (m *Mirror) lookAtNewest() bool {
	l := &m.look
	if !l.owed {
		return false
	}
	l.name, l.told = "", false
	var newest *child
	for name, c := range m.children {
		if _, dirty := m.plan.dirty[name]; !dirty && !c.denied && c.mzxid <= l.upTo && (newest == nil || c.mzxid > newest.mzxid) {
			l.name, newest = name, c
		}
	}
	if l.owed = newest != nil; l.owed {
		l.upTo = newest.mzxid
		m.plan.dirty[l.name] = struct{}{}
	}
	return l.owed
}

// wentBack notes an answer that is older than what was known. A server that lags behind gives it, or a restored backup: a pass that follows a sync
// and reads everything tells. In such a pass the answer is the truth.
func (m *Mirror) wentBack() {
	p := m.pass
	if p.synced && p.full {
		return
	}
	p.older = true
	if p.doubts == m.plan.doubts { // no later pass answers for this one yet
		m.Doubt()
	}
}
