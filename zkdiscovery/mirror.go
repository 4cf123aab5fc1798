package zkdiscovery

import (
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
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
	lastRetry  = 5 * time.Second  // to this
	lastCostly = time.Minute      // or to this, where an answer over the size limit has cost the connection
	checkSize  = 8                // instances whose data a look at rest reads again
	lookAhead  = 8                // so many instances may have gone from one place in the order of lists, and the next is found there
	maxTorn    = 3                // torn passes in a row that are not shown: instances that come and go all the time must not hold up the others
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
	phase phase
	whole whole // what may be shown; what follows may be half-way to the next
	generation
	exists   bool // the service path, in the last list
	pzxid    int64
	cversion int32
	children map[string]*child
	order    []place          // of all children, as the last list had them; behind those, the ones read since
	spare    []place          // the next order, while a list is gone through; otherwise empty, but for its memory
	lists    int64            // so many lists were answered
	pairs    []*client.KVPair // of the children, sorted by key; replaced, never changed
	edited   bool             // since it was whole …
	metrics  bool             // … in nothing but calls and connections
	edits    int64            // grows when pairs changes in more than those
	skipped  int              // children in the last list whose name is no instance …
	odd      string           // … and one of them
	listedAt time.Time        // when the last list was asked for
	err      error            // the last answer, if it was no list

	// What is to be asked.
	session, link int64 // State.Session and State.Link that the mirror has seen last
	connected     bool
	listedOn      int64 // the link that the last list was answered on
	busy          bool  // a job is under way
	passing       bool  // one that is no look at rest
	sync          bool  // the first list of a session follows a sync
	synced        bool  // the last list did: zxids of the pass that it began may tell of a restored backup
	floor         int64 // what zxid must reach in a pass that does
	needList      bool
	owed          bool // what the last list added or put in doubt must be read before the next
	torn          int  // passes since the list was whole that have lost some of what they had listed before they read it
	rearm         bool // watches were found missing: set all of them again
	dirty         map[string]struct{}
	fresh         map[string]struct{} // listed, never read yet
	checkAt       time.Time
	checkEvery    time.Duration
	retryAt       time.Time
	retryEvery    time.Duration

	news news
}

// whole is the list as of the last pass that has read everything, and no half of a later one.
type whole struct {
	generation
	pairs []*client.KVPair
	edits int64
	asOf  time.Time // when ZooKeeper confirmed it last
	// heldSince is, by key, of the instances that the guard has added, for the file.
	heldSince map[string]time.Time
}

// news is what the owner takes with takeNews.
type news struct {
	changed     bool // whole.pairs is new …
	onlyMetrics bool // … in nothing but calls and connections
	mended      int  // changes that no watch had told
	badMetadata []string
	denied      []string
}

// child is one instance.
type child struct {
	pair   *client.KVPair
	mzxid  int64
	czxid  int64
	listed int64 // mirror.lists when it was listed last where it was not expected
	denied bool  // may not be read: the metadata is what was known last
}

func (c *child) isReadable() bool { return c != nil && c.pair != nil && !c.denied }

// place is where a child stood in a list.
type place struct {
	name   string // as it stands in the newest list, so that those of a list are compared along one piece of memory
	child  *child
	listed bool // in the list after that, where it was expected
}

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

// String is the operation for an OpError.
func (k jobKind) String() string {
	return [...]string{"do nothing with", "list", "read instances of", "check"}[k]
}

type job struct {
	kind          jobKind
	names         []string
	sync          bool
	rearm         bool
	asked         time.Time
	session, link int64 // in which it is asked: what an earlier session answered has left no watch
}

// heardOf tells the mirror what the file has, which an earlier process has left or a sibling has written. inTheWay says that it refused to be
// replaced by what is whole here.
//
// A mirror that has not listed yet goes on from there. Later, a file of the same history that is ahead means that the server may lag, or that
// all this was undone by a backup: a list that follows a sync tells. A file of another history that claims to be as late counts eras ahead
// of us, and ours is later, because ZooKeeper says it now.
func (m *mirror) heardOf(f generation, inTheWay bool) {
	switch {
	case m.era == 0:
		m.generation = f
	case f.lineage == m.lineage && f.era == m.era:
		if f.zxid > max(m.zxid, m.floor) && (inTheWay || m.phase != phaseLive) {
			m.floor = f.zxid
			m.sync, m.synced, m.needList = true, false, true
		}
	case !inTheWay || m.phase != phaseLive || f.era < m.era || m.whole.lineage != m.lineage || m.whole.era != m.era:
		// Not now: a write that is refused later will say so again.
	case f.lineage == m.lineage:
		m.era, m.whole.era = f.era, f.era
	default:
		m.era, m.whole.era = f.era+1, f.era+1
	}
}

// proven tells the mirror up to when it has been told of everything that happened, the hints that it has not been given yet left out: that
// confirms the list if there is nothing to ask. It is called before those hints are given.
func (m *mirror) proven(at time.Time) {
	if m.phase == phaseLive && at.After(m.whole.asOf) && m.atRest() {
		m.whole.asOf = at
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
	if !errors.Is(m.err, session.ErrReplyTooLarge) { // that, the next server would say too
		m.retryEvery, m.retryAt = 0, time.Time{}
	}
	m.checkEvery = 0
	m.planCheck(now)
	if st.Session != m.session {
		m.session, m.sync = st.Session, true
		m.allDirty()
	}
}

// atRest reports that nothing is to be asked and, but for a look at rest, nothing is being asked.
func (m *mirror) atRest() bool { return !m.passing && !m.needList && !m.owed && len(m.dirty) == 0 }

func (m *mirror) allDirty() {
	for name := range m.children {
		m.dirty[name] = struct{}{}
	}
}

// hinted tells the mirror what may have changed. An instance that may be gone is like one that may have changed: the list tells, which is
// hinted at too, and if it is not, reading the instance finds out.
func (m *mirror) hinted(h session.Hints, now time.Time) {
	for name := range h.Children {
		if m.known(name) {
			m.dirty[name] = struct{}{}
		}
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
		return m.begin(job{kind: jobRead, names: names}, now), time.Time{}
	case m.needList:
		m.needList = false
		return m.begin(job{kind: jobList, sync: m.sync, rearm: m.rearm}, now), time.Time{}
	case m.phase == phaseLive && !now.Before(m.checkAt):
		m.planCheck(now)
		return m.begin(job{kind: jobCheck, names: m.sample()}, now), time.Time{}
	case m.phase == phaseLive:
		return job{}, m.checkAt
	}
	return job{}, time.Time{}
}

func (m *mirror) begin(j job, now time.Time) job {
	m.busy, m.passing = true, j.kind != jobCheck
	j.session, j.link, j.asked = m.session, m.link, now
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
	m.busy, m.passing, m.owed, m.needList = false, false, false, true
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
	limit := lastRetry
	if errors.Is(err, session.ErrReplyTooLarge) {
		limit = lastCostly
	}
	m.retryEvery = min(max(2*m.retryEvery, firstRetry), limit)
	m.retryAt = now.Add(jittered(m.retryEvery))
}
