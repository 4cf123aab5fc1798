package mirror

import (
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

// Phase says how far a mirror can be trusted.
type Phase uint8

// The phases.
const (
	Cold  Phase = iota // there is no Whole yet
	Stale              // the Whole was not read over the connection that is up, or ZooKeeper has refused something since
	Live               // the Whole was read over the connection that is up
)

// Mirror is what ZooKeeper has below one service path. It belongs to one goroutine.
type Mirror struct {
	watchData bool

	// The connection.
	session, link int64 // State.Session and State.Link, of which the mirror was told last
	connected     bool
	forgotten     int64 // State.Forgotten
	lasting       bool  // it has lasting watches: hints name every child, see lasting.go
	told          int   // so many times a child was told to have been created or deleted

	plan plan // what is to be asked, and when
	look look // whether ZooKeeper is still what it was

	// What the answers have brought. Of pass and children nothing is shown before the pass is read to its end.
	pass     *pass             // what the last list has begun
	children map[string]*child // listed by the last list, or by one before it, and read
	denied   int               // so many of them may not be read
	touched  []string          // children that have changed, come or gone since the Whole
	newest   int64             // the newest zxid of the last list's lineage
	lists    int64             // so many lists were answered
	err      error             // the last answer, if it was not what was asked for

	// What is shown.
	whole  Whole
	shown  bool  // there was a Whole
	liveOn int64 // the link over which it was read; 0: ZooKeeper has refused something since
	news   News
}

// New returns a mirror that knows nothing. watchData says whether the owner's reads leave watches on the instances' data.
func New(watchData bool) *Mirror {
	return &Mirror{
		watchData: watchData, pass: &pass{}, children: make(map[string]*child), plan: plan{dirty: make(map[string]struct{})},
	}
}

// Phase says how far the Whole can be trusted.
func (m *Mirror) Phase() Phase {
	switch {
	case !m.shown:
		return Cold
	case m.connected && m.liveOn == m.link && m.link > 0:
		return Live
	}
	return Stale
}

// Whole returns the newest list. It is zero while the mirror is Cold.
func (m *Mirror) Whole() Whole { return m.whole }

// TakeNews returns what has come of the answers since it was called last.
func (m *Mirror) TakeNews() News {
	n := m.news
	m.news = News{}
	return n
}

// Link is State.Link of the connection that the mirror was told of last.
func (m *Mirror) Link() int64 { return m.link }

// Err is ZooKeeper's last answer, if it was not what was asked for. It is nil again when a pass has been read to its end.
func (m *Mirror) Err() error { return m.err }

// Exists reports whether the last list found the service path, also while what it listed is not read.
func (m *Mirror) Exists() bool { return m.pass.exists }

// Skipped returns the number of children in the last list whose name is no instance's, and one of these names.
func (m *Mirror) Skipped() (children int, one string) { return m.pass.skipped, m.pass.odd }

// AtRest reports that nothing is to be asked and that, but for a check, nothing is being asked.
func (m *Mirror) AtRest() bool {
	p := &m.plan
	return (p.running == None || p.running == Check) && !p.list && !p.path && !m.pass.open && len(p.dirty) == 0
}

// Connection tells the mirror the state of the connection.
func (m *Mirror) Connection(st session.State, now time.Time) {
	m.connected = st.Connected
	if !st.Connected || st.Link == m.link {
		return
	}
	m.link = st.Link
	m.drop()
	m.plan.connected(m.err, now)
	m.beginLook()
	was := m.lasting
	m.lasting = st.Extension.Lasting
	if st.Session != m.session {
		m.session, m.plan.sync = st.Session, true
		m.allDirty() // which leaves nothing to be looked at
	} else if was || m.lasting || st.Forgotten != m.forgotten { // nobody tells what has changed meanwhile
		m.allDirty()
	}
	m.forgotten = st.Forgotten
}

// Hinted tells the mirror what may have changed. An instance that may be gone is treated as one that may have changed: the list, which is
// hinted at too, says that it is gone. If that hint was lost, the read finds out.
func (m *Mirror) Hinted(h session.Hints, now time.Time) {
	m.told = max(m.told, h.Members)
	if m.lasting {
		m.hintedLasting(h, now)
		return
	}
	for name := range h.Children {
		if m.knows(name) {
			m.plan.dirty[name] = struct{}{}
			m.look.told = m.look.told || name == m.look.name
		}
	}
	if h.List {
		m.plan.list = true
		m.plan.checkSoon(now)
	}
}

// Confirm tells the mirror that it has been given every hint of what happened before at. That confirms the Whole, if it is live and nothing
// is to be asked.
func (m *Mirror) Confirm(at time.Time) {
	if m.Phase() == Live && at.After(m.whole.AsOf) && m.AtRest() {
		m.whole.AsOf = at
	}
}

// Doubt asks for a pass that follows a sync and reads everything. A pass or a list that is under way does not count as that pass. The
// first Whole that is Synced again is its answer.
func (m *Mirror) Doubt() {
	m.whole.Synced, m.whole.Proof = false, false
	m.plan.doubts++
	m.plan.list, m.plan.sync = true, true
}

// knows reports whether the last list had an instance of that name.
func (m *Mirror) knows(name string) bool {
	_, fresh := m.pass.fresh[name]
	return fresh || m.children[name] != nil
}

func (m *Mirror) allDirty() {
	for name := range m.children {
		m.plan.dirty[name] = struct{}{}
	}
}
