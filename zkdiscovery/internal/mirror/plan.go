package mirror

import (
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

const (
	firstCheck = 20 * time.Second // the net under the watches: a check at rest, at intervals doubling from this
	lastCheck  = 15 * time.Minute // to this
	firstRetry = time.Second      // after an answer that is of no use, doubling from this
	lastRetry  = 5 * time.Second  // to this
	lastCostly = time.Minute      // or to this, where an answer over the size limit has cost the connection
	checkSize  = 8                // instances whose data a check reads again
	maxTorn    = 3                // after so many answers in a row that contradict each other the next comes after a pause, and is shown if it takes nobody away
)

// Kind is something to ask ZooKeeper.
type Kind uint8

// The kinds of jobs.
const (
	None  Kind = iota
	List       // the children, after a sync where Job.Sync is set
	Read       // the data of Job.Names
	Check      // whether anything was missed: the path's stat, and the data of Job.Names
)

// String is the operation for an OpError.
func (k Kind) String() string {
	return [...]string{"do nothing with", "list", "read instances of", "check"}[k]
}

// Job is something to ask ZooKeeper. Its owner gives the answer to Listed, Missing, Read or Checked, or says Lost or Refused.
type Job struct {
	Kind  Kind
	Names []string // of instances
	Sync  bool
	Rearm bool // set all watches of the path again
	Path  bool // of a Read or a Check: the path itself is read in the same request. Of a Read, its node comes last. No watch is left
	Watch bool // of a List: a watch on the children is left although there is a lasting one
	Asked time.Time
	Told  int // the owner's to fill in, where the connection has lasting watches: session.Subscription.Told when the answer came

	session, link int64  // of the connection over which it is asked
	doubts        int64  // plan.doubts when it was
	look          string // the instance of Names that is read for the look
	accused       bool   // plan.accused when it was
	lasting       bool   // that connection has lasting watches
	told          int    // Mirror.told when it was begun
}

// plan is what is to be asked, and when.
type plan struct {
	running Kind                // the job under way
	list    bool                // a list is to be asked for
	dirty   map[string]struct{} // instances of the last list that are to be read again
	sync    bool                // the next list follows a sync: the first one of a session, and the first one after a doubt
	doubts  int64               // so many times somebody has doubted …
	settled int64               // … of which so many are answered
	rearm   bool                // watches were found missing: set all of them again

	// Over a connection that has lasting watches:
	hinted  map[string]struct{} // dirty when the list under way was asked for: it says whether they are still there
	path    bool                // the path is to be read
	accused bool                // … because of an event that came while nothing was known to have changed
	odd     bool                // children that are no instances may have come or gone
	behind  int                 // reads since the Whole after which children were still to be read
	names   bool                // lists are to leave a watch on the children, too
	suspect bool                // a change was found of which nobody has told

	torn       int // answers in a row that contradict each other
	checkAt    time.Time
	checkEvery time.Duration
	retryAt    time.Time
	retryEvery time.Duration
}

// connected begins a new connection: with a list.
func (p *plan) connected(last error, now time.Time) {
	p.list, p.torn, p.suspect = true, 0, false      // the new server is not to blame for the last one
	if !errors.Is(last, session.ErrReplyTooLarge) { // that, the next server would say too: the pause after it goes on
		p.retryEvery, p.retryAt = 0, time.Time{}
	}
	p.checkEvery = 0
	p.nextCheck(now)
}

// nextCheck plans the next check, later and later. The jitter of a fifth keeps clients that started together apart.
func (p *plan) nextCheck(now time.Time) {
	p.checkEvery = min(max(2*p.checkEvery, firstCheck), lastCheck)
	p.checkAt = now.Add(jittered(p.checkEvery))
}

// checkSoon plans an early check, because where one thing changes, another may be missed. An earlier check stands.
func (p *plan) checkSoon(now time.Time) {
	if soon := now.Add(firstCheck); soon.Before(p.checkAt) {
		p.checkEvery = 0
		p.nextCheck(now)
	}
}

// pause puts off the next job, longer and longer.
func (p *plan) pause(from time.Time, limit time.Duration) {
	p.retryEvery = min(max(2*p.retryEvery, firstRetry), limit)
	p.retryAt = from.Add(jittered(p.retryEvery))
}

// contradicted notes an answer that contradicts the one before it, as happens where instances come and go. If that does not end, ZooKeeper
// is not asked again at once: a server whose answers never agree would be asked without end.
func (p *plan) contradicted(asked time.Time) {
	if p.torn++; p.torn > maxTorn {
		p.pause(asked, lastRetry)
	}
}

// agreed notes a pass whose answers agree.
func (p *plan) agreed() { p.torn, p.retryEvery, p.retryAt = 0, 0, time.Time{} }

// jittered is d, give or take a tenth.
func jittered(d time.Duration) time.Duration { return d*9/10 + rand.N(d/5) }

// Todo returns the next job, and when to ask again if nothing happens before. Its Kind is None while a job is under way or nothing is to be
// done. The job is taken as begun.
func (m *Mirror) Todo(now time.Time) (Job, time.Time) {
	switch p := &m.plan; {
	case p.running != None || !m.connected:
		return Job{}, time.Time{}
	case now.Before(p.retryAt):
		return Job{}, p.retryAt
	case m.pass.open || !p.list && (len(p.dirty) > 0 || p.path):
		j := Job{Kind: Read, Path: m.lasting && !m.pass.open, accused: p.accused}
		if j.Path {
			p.path, p.accused = false, false
		}
		j.Names = m.toRead()
		return m.begin(j, now), time.Time{}
	case p.list:
		p.list, p.path, p.accused, p.odd = false, false, false, false
		if m.lasting {
			p.hinted, p.dirty = p.dirty, make(map[string]struct{})
		}
		return m.begin(Job{Kind: List, Sync: p.sync, Rearm: p.rearm, Watch: p.names && m.lasting}, now), time.Time{}
	case m.Phase() != Live:
		return Job{}, time.Time{}
	case now.Before(p.checkAt):
		return Job{}, p.checkAt
	case p.odd && m.lasting: // only a list tells
		p.nextCheck(now)
		p.list = true
		return m.Todo(now)
	default:
		p.nextCheck(now)
		return m.begin(Job{Kind: Check, Names: m.sample(), Path: m.lasting}, now), time.Time{}
	}
}

func (m *Mirror) begin(j Job, now time.Time) Job {
	m.plan.running = j.Kind
	j.session, j.link, j.doubts, j.look, j.Asked = m.session, m.link, m.plan.doubts, m.look.name, now
	j.lasting, j.told = m.lasting, m.told
	return j
}

// toRead takes the names of the instances that are to be read: what the pass owes, or what was hinted at since.
func (m *Mirror) toRead() []string {
	names := make([]string, 0, len(m.pass.fresh)+len(m.plan.dirty))
	for name := range m.pass.fresh {
		names = append(names, name)
		delete(m.plan.dirty, name)
	}
	for name := range m.plan.dirty {
		if m.pass.open && m.children[name] == nil {
			continue // a list and its reads come first
		}
		names = append(names, name)
		delete(m.plan.dirty, name)
	}
	if i := slices.Index(names, m.look.name); i >= 0 { // last, so that a connection that breaks early has answered something new
		names[i], names[len(names)-1] = names[len(names)-1], names[i]
	}
	return names
}

// sample is a few instances for a check: some that may not be read, of which no watch tells, and some others. They are different ones each
// time, for which the order of a map is random enough.
func (m *Mirror) sample() []string {
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

// ended ends a job that was answered. It reports whether the answer came over the connection of which the mirror was told last.
func (m *Mirror) ended(j Job) bool {
	m.plan.running = None
	return j.link == m.link
}

// Lost tells the mirror that a job ended without an answer, because the connection did: what it asked is still to be asked.
func (m *Mirror) Lost(j Job) {
	m.ended(j)
	m.stillOwed(j, j.Names)
	m.hintedStay()
	m.drop()
}

// stillOwed has instances of a job read again, if the last list had them. Those that were never read need no mark: the next list finds them
// again. The next look chooses anew.
func (m *Mirror) stillOwed(j Job, names []string) {
	for _, name := range names {
		if m.children[name] != nil && name != j.look {
			m.plan.dirty[name] = struct{}{}
		}
	}
}

// Refused tells the mirror that ZooKeeper answered a job, but not with what was asked for. The list stays, is not live any more, and the job
// is tried again later and later.
func (m *Mirror) Refused(j Job, err error, now time.Time) {
	m.Lost(j)
	m.err, m.liveOn = err, 0
	limit := lastRetry
	if errors.Is(err, session.ErrReplyTooLarge) {
		limit = lastCostly
	}
	m.plan.pause(now, limit)
}
