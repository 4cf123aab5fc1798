package zkdiscovery

import (
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
	"github.com/smallnest/rpcx/client"
)

// phase says how far a mirror can be trusted.
type phase uint8

const (
	phaseCold  phase = iota // never listed
	phaseStale              // listed, but not over the connection that is up now
	phaseLive               // listed over the connection that is up now
)

const (
	firstCheck = 20 * time.Second // the net under the watches: a look at rest, at intervals doubling from this
	lastCheck  = 15 * time.Minute // to this
	firstRetry = time.Second      // after an answer that is no list, doubling from this
	lastRetry  = time.Minute      // to this
	checkSize  = 8                // instances whose data a look at rest reads again
)

// mirror is what ZooKeeper has below one service path, and what must be read to know it. It does no I/O, reads no clock and starts no
// goroutine: its owner tells it what happened and does what todo says, one job at a time.
//
// Membership is decided by lists only. A watch event or a read that says "gone" asks for the list which confirms it, so a node that is
// replaced in one transaction, which arrives as a deletion first, is never seen missing. What a list adds counts when it has been read, and
// it is read before the next list, so that constant change starves nobody.
type mirror struct {
	watchData bool

	// What ZooKeeper said.
	phase    phase
	exists   bool // the service path, in the last list
	lineage  string
	era      int64
	zxid     int64 // the newest transaction seen in this lineage
	pzxid    int64
	cversion int32
	children map[string]*child
	pairs    []*client.KVPair // of the children, sorted by key; replaced, never changed
	edits    int64            // grows when pairs changes in more than calls and connections
	skipped  int              // children in the last list whose name is no instance
	err      error            // the last answer, if it was no list

	// What is to be asked.
	session, link int64 // State.Session and State.Link that the mirror has seen last
	connected     bool
	listedOn      int64 // the link that the last list was answered on
	busy          bool  // a job is under way
	sync          bool  // the first list of a session follows a sync
	synced        bool  // the last list did: zxids of the pass that it began may tell of a restored backup
	floor         int64 // zxid before that pass
	needList      bool
	owed          bool // what the last list added or put in doubt must be read before the next
	rearm         bool // watches were found missing: set all of them again
	dirty         map[string]struct{}
	fresh         map[string]struct{} // listed, never read yet
	checkAt       time.Time
	checkEvery    time.Duration
	retryAt       time.Time
	retryEvery    time.Duration

	news news
}

// news is what the owner takes with takeNews.
type news struct {
	edited      bool // pairs is new …
	changed     bool // … and complete: it may be published
	onlyMetrics bool // it differs in nothing but calls and connections
	mended      int  // changes that no watch had told
	badMetadata []string
	denied      []string
}

// child is one instance.
type child struct {
	pair   *client.KVPair
	mzxid  int64
	czxid  int64
	denied bool // may not be read: the metadata is what was known last
}

func (c *child) isReadable() bool { return c != nil && !c.denied }

func newMirror(watchData bool) *mirror {
	return &mirror{
		watchData: watchData, children: make(map[string]*child),
		dirty: make(map[string]struct{}), fresh: make(map[string]struct{}),
	}
}

// jobKind is something to ask ZooKeeper.
type jobKind uint8

const (
	jobNone  jobKind = iota
	jobList          // the children, after a sync where sync is set
	jobRead          // the data of names
	jobCheck         // whether anything was missed: the path's stat, and the data of names
)

type job struct {
	kind          jobKind
	names         []string
	sync          bool
	rearm         bool
	session, link int64 // in which it is asked: what an earlier session answered has left no watch
}

// remember tells a mirror that has not listed yet what an earlier process knew, so that eras go on where that one stopped.
func (m *mirror) remember(lineage string, era, zxid int64) {
	if m.phase == phaseCold && m.era == 0 {
		m.lineage, m.era, m.zxid = lineage, era, zxid
	}
}

// overtake puts a live list behind or above a file that claims to be newer: a sibling process with the same history may have counted more
// eras, and what ZooKeeper says now is later than any other history.
func (m *mirror) overtake(lineage string, era int64) {
	switch {
	case m.phase != phaseLive || era < m.era:
	case lineage == m.lineage:
		m.era = era
	default:
		m.era = era + 1
	}
}

// connection tells the mirror the state of the connection.
func (m *mirror) connection(st session.State, now time.Time) {
	m.connected = st.Connected
	if m.phase == phaseLive && (!st.Connected || st.Link != m.link) {
		m.phase = phaseStale
	}
	if !st.Connected || st.Link == m.link {
		return
	}
	m.link = st.Link
	m.needList, m.owed = true, false
	m.retryEvery, m.retryAt = 0, time.Time{}
	m.checkEvery = 0
	m.planCheck(now)
	if st.Session != m.session {
		m.session, m.sync = st.Session, true
		m.allDirty()
	}
}

func (m *mirror) allDirty() {
	for name := range m.children {
		m.dirty[name] = struct{}{}
	}
}

// hinted tells the mirror what may have changed.
func (m *mirror) hinted(h session.Hints, now time.Time) {
	for name, c := range h.Children {
		if m.known(name) {
			m.dirty[name] = struct{}{}
		}
		h.List = h.List || c == session.Gone
	}
	if !h.List {
		return
	}
	m.needList = true
	// Where one thing changes, another may be missed: look soon. An earlier look stands.
	if soon := now.Add(firstCheck); soon.Before(m.checkAt) {
		m.checkEvery = 0
		m.planCheck(now)
	}
}

// planCheck plans the next look at rest, later and later. The jitter of a fifth keeps clients that started together apart.
func (m *mirror) planCheck(now time.Time) {
	m.checkEvery = min(max(2*m.checkEvery, firstCheck), lastCheck)
	m.checkAt = now.Add(jittered(m.checkEvery))
}

// jittered is d, give or take a tenth.
func jittered(d time.Duration) time.Duration { return d*9/10 + rand.N(d/5) }

// todo returns the next job, and when to ask again if nothing happens before; jobNone while one is under way or nothing is to be done. The
// job is taken as begun.
func (m *mirror) todo(now time.Time) (job, time.Time) {
	switch {
	case m.busy || !m.connected:
		return job{}, time.Time{}
	case now.Before(m.retryAt):
		return job{}, m.retryAt
	case m.owed || !m.needList && len(m.dirty) > 0:
		names := slices.Collect(maps.Keys(m.dirty))
		clear(m.dirty)
		return m.begin(job{kind: jobRead, names: names}), time.Time{}
	case m.needList:
		m.needList = false
		return m.begin(job{kind: jobList, sync: m.sync, rearm: m.rearm}), time.Time{}
	case m.phase == phaseLive && !now.Before(m.checkAt):
		m.planCheck(now)
		return m.begin(job{kind: jobCheck, names: m.sample()}), time.Time{}
	case m.phase == phaseLive:
		return job{}, m.checkAt
	}
	return job{}, time.Time{}
}

func (m *mirror) begin(j job) job {
	m.busy = true
	j.session, j.link = m.session, m.link
	return j
}

// sample is a few instances to look at: those that may not be read, which no watch tells of, and some others, different ones each time, for
// which the order of a map is random enough.
func (m *mirror) sample() []string {
	var denied, names []string
	for name, c := range m.children {
		if c.denied && len(denied) < checkSize {
			denied = append(denied, name)
		} else if len(names) < checkSize {
			names = append(names, name)
		}
	}
	return append(denied, names...)
}

func (m *mirror) known(name string) bool {
	_, fresh := m.fresh[name]
	return fresh || m.children[name] != nil
}

// lost tells the mirror that a job ended without an answer, because the connection did: what it asked is still to be asked.
func (m *mirror) lost(j job) {
	m.busy, m.owed, m.needList = false, false, true
	for _, name := range j.names {
		if m.known(name) {
			m.dirty[name] = struct{}{}
		}
	}
}

// refused tells the mirror that ZooKeeper answered a job, but not with what was asked: the list stays, is no longer confirmed, and the job is
// tried again later and later.
func (m *mirror) refused(j job, err error, now time.Time) {
	m.lost(j)
	m.err = err
	if m.phase == phaseLive {
		m.phase = phaseStale
	}
	m.retryEvery = min(max(2*m.retryEvery, firstRetry), lastRetry)
	m.retryAt = now.Add(jittered(m.retryEvery))
}
