package mirror

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/znode"
)

// model is a ZooKeeper, as far as one service path goes, and the session of one client of it: an ensemble's history, the server that the
// client is connected to, which may lag behind, one-shot watches, and the wire, on which notifications and replies arrive in order and as
// late as the test likes. It does no I/O. Every step of it is a method, so that a fuzzer can interleave them at will.
type model struct {
	now time.Time

	history []state     // of the ensemble; the last one is the leader's
	undone  []state     // what a backup has undone
	passed  []time.Time // when the client's server had what history has, by index; zero: not yet

	st       session.State
	at       int   // in history, of the client's server
	seen     int64 // the newest zxid that the client has been told
	watching watchSet
	placed   watchSet // what the client takes for outstanding
	wire     []func() // notifications and replies on their way
	hints    session.Hints

	lasting bool // the servers to come have lasting watches …
	single  bool // … and no batches
	filter  bool // nobody is told of what may not be read, where a lasting watch tells
	paths   bool // lasting watches tell their own path

	told     int       // so many times a child was told to have been created or deleted
	job      *modelJob // under way, or its answer not taken yet
	requests int
}

// state is the service path after one transaction.
type state struct {
	zxid         int64
	clock        int64 // apart from that of other ensembles
	exists       bool
	czxid, ctime int64
	mzxid        int64
	pzxid        int64
	cversion     int32
	nodes        map[string]modelNode
	events       []modelEvent // what the transaction tells those who watch
}

type modelNode struct {
	value        string
	czxid, mzxid int64
	denied       bool
}

// modelEvent is one trigger; name is "" for the service path itself.
type modelEvent struct {
	kind eventKind
	name string
}

type eventKind int

const (
	created eventKind = iota
	deleted
	dataChanged
	childrenChanged
)

// watchSet is the watches of one session.
type watchSet struct {
	child, exist bool
	data         map[string]bool
	lasting      bool // over this connection
}

func newModel() *model {
	m := &model{now: time.Unix(1_700_000_000, 0), history: []state{{nodes: map[string]modelNode{}}}, passed: []time.Time{{}}}
	m.forgetWatches()
	return m
}

func (m *model) forgetWatches() {
	m.watching, m.placed = watchSet{data: map[string]bool{}}, watchSet{data: map[string]bool{}}
}

func (m *model) leader() *state { return &m.history[len(m.history)-1] }

// txn performs one transaction.
func (m *model) txn(f func(*state)) {
	s := *m.leader()
	s.nodes, s.events = maps.Clone(s.nodes), nil
	s.zxid++
	f(&s)
	m.history = append(m.history, s)
	m.passed = append(m.passed, time.Time{})
}

func (s *state) tell(kind eventKind, name string) {
	s.events = append(s.events, modelEvent{kind, name})
}

func (s *state) create(name, value string) {
	if !s.exists {
		s.exists, s.czxid, s.ctime, s.mzxid, s.pzxid, s.cversion = true, s.zxid, s.clock+s.zxid, s.zxid, s.zxid, 0
		s.tell(created, "")
	}
	if _, ok := s.nodes[name]; ok || name == "" {
		return
	}
	s.nodes[name] = modelNode{value: value, czxid: s.zxid, mzxid: s.zxid}
	s.pzxid = s.zxid
	s.cversion++
	s.tell(created, name)
	s.tell(childrenChanged, "")
}

// setPath changes the data of the service path itself.
func (s *state) setPath() {
	if s.exists {
		s.mzxid = s.zxid
		s.tell(dataChanged, "")
	}
}

func (s *state) remove(name string) {
	if _, ok := s.nodes[name]; !ok {
		return
	}
	delete(s.nodes, name)
	s.pzxid = s.zxid
	s.cversion++
	s.tell(deleted, name)
	s.tell(childrenChanged, "")
}

func (s *state) set(name, value string) {
	if n, ok := s.nodes[name]; ok {
		n.value, n.mzxid = value, s.zxid
		s.nodes[name] = n
		s.tell(dataChanged, name)
	}
}

// deny is a change of the ACL: it is told to nobody.
func (s *state) deny(name string, denied bool) {
	if n, ok := s.nodes[name]; ok {
		n.denied = denied
		s.nodes[name] = n
	}
}

func (s *state) removePath() {
	for _, name := range slices.Sorted(maps.Keys(s.nodes)) {
		s.remove(name)
	}
	if s.exists {
		*s = state{zxid: s.zxid, clock: s.clock, nodes: s.nodes, events: s.events}
		s.tell(deleted, "")
	}
}

func (s *state) stat() session.Stat {
	return session.Stat{Czxid: s.czxid, Ctime: s.ctime, Mzxid: s.mzxid, Pzxid: s.pzxid, Cversion: s.cversion}
}

// newest is the zxid that a client's list of this state has.
func (s *state) newest() int64 {
	z := s.pzxid
	for name, n := range s.nodes {
		if _, ok := znode.InstanceKey(name); ok {
			z = max(z, n.mzxid)
		}
	}
	return z
}

func (s *state) lineage() string {
	if !s.exists {
		return ""
	}
	return LineageOf(s.stat())
}

// rollback puts the ensemble back to what it was, as a restored backup does: clients that have seen more are turned away, so that their
// sessions end.
func (m *model) rollback(to int) {
	m.undone = append(m.undone, m.history[to+1:]...)
	m.history, m.passed = m.history[:to+1], m.passed[:to+1]
	m.expire()
}

// restore puts the ensemble back to what it was, as a restored backup does in which the client's session is. A new epoch begins, whose zxids
// are above all that there were. So no client is turned away, and of nodes that are older than what a client has seen nobody tells.
func (m *model) restore(to int) {
	top := m.leader().zxid
	for _, s := range m.undone {
		top = max(top, s.zxid)
	}
	m.undone = append(m.undone, m.history[to+1:]...)
	m.history, m.passed = m.history[:to+1], m.passed[:to+1]
	m.cut(session.ErrLost)
	m.txn(func(s *state) { s.zxid = top + 1 })
}

// wipe begins a new history.
func (m *model) wipe() {
	m.undone = append(m.undone, m.history...)
	m.history, m.passed = []state{{nodes: map[string]modelNode{}, clock: m.leader().clock + 1_000_000}}, []time.Time{{}}
	m.expire()
}

// cut ends the connection: what was on its way is lost. The client may come back.
func (m *model) cut(why error) {
	m.st.Connected = false
	m.wire = nil
	if m.job != nil && !m.job.done {
		m.job.finish(why)
	}
}

// expire ends the connection and the session.
func (m *model) expire() {
	m.cut(session.ErrLost)
	m.forgetWatches()
	m.seen = -1
}

// connect makes a connection to a server which lags behind by so much, if it is not behind what the client has seen: then the server would
// turn it away.
func (m *model) connect(lag int) {
	if m.st.Connected {
		return
	}
	m.at = max(0, len(m.history)-1-lag)
	fresh := m.seen < 0 || m.st.Session == 0
	for !fresh && m.history[m.at].zxid < m.seen {
		m.at++
	}
	m.st.Connected = true
	m.st.Link++
	m.st.Heard = m.now
	m.st.Extension.Lasting = m.lasting
	if m.lasting { // a session that knows the server brings no watches
		m.forgetWatches()
		m.st.Forgotten++
	}
	clear(m.passed[m.at+1:]) // another server may have been further
	m.pass()
	if fresh {
		m.st.Session++
		m.seen = 0
		m.forgetWatches()
		return
	}
	m.setWatches(m.seen)
}

// setWatches is what the server does with the watches that a client brings with it: it tells at once what has changed since.
func (m *model) setWatches(since int64) {
	s := &m.history[m.at]
	m.watching, m.placed.lasting = watchSet{child: m.placed.child, exist: m.placed.exist, data: maps.Clone(m.placed.data)}, false
	if m.watching.child && !s.exists {
		m.fire(modelEvent{deleted, ""})
	} else if m.watching.child && s.pzxid > since {
		m.fire(modelEvent{childrenChanged, ""})
	}
	if m.watching.exist && s.exists {
		m.fire(modelEvent{created, ""})
	}
	for _, name := range slices.Sorted(maps.Keys(m.placed.data)) {
		if n, ok := s.nodes[name]; !ok {
			m.fire(modelEvent{deleted, name})
		} else if n.mzxid > since {
			m.fire(modelEvent{dataChanged, name})
		}
	}
}

// advance lets the client's server take one more transaction from the leader.
func (m *model) advance() bool {
	if !m.st.Connected || m.at == len(m.history)-1 {
		return false
	}
	m.at++
	m.pass()
	for _, ev := range m.history[m.at].events {
		m.fire(ev)
	}
	return true
}

func (m *model) pass() {
	for i := range m.passed[:m.at+1] {
		if m.passed[i].IsZero() {
			m.passed[i] = m.now
		}
	}
}

// fire sends a notification if somebody watches, and forgets the watch on both sides in time.
func (m *model) fire(ev modelEvent) {
	w, p := &m.watching, &m.placed
	if w.lasting {
		m.fireLasting(ev)
	}
	switch {
	case ev.name != "" && ev.kind == created, ev.name == "" && ev.kind == dataChanged:
	case ev.name != "":
		if w.data[ev.name] {
			delete(w.data, ev.name)
			m.send(func() {
				delete(p.data, ev.name)
				m.hint()
				if m.hints.Children == nil {
					m.hints.Children = make(map[string]session.Change)
				}
				if m.hints.Children[ev.name] = session.Changed; ev.kind == deleted {
					m.hints.Children[ev.name] = session.Gone
				}
			})
		}
	case ev.kind == created:
		if w.exist {
			w.exist = false
			m.send(func() { m.hint(); p.exist, m.hints.List = false, true })
		}
	case w.child:
		w.child = false
		m.send(func() { m.hint(); p.child, m.hints.List, m.hints.Names = false, true, true })
	}
}

// fireLasting sends the notification of a lasting watch.
func (m *model) fireLasting(ev modelEvent) {
	before := m.history[max(m.at-1, 0)].nodes[ev.name].denied
	if ev.kind == childrenChanged || m.filter && ev.name != "" && (m.history[m.at].nodes[ev.name].denied || ev.kind == deleted && before) {
		return
	}
	m.send(func() {
		m.hint()
		switch {
		case ev.name == "" || m.paths:
			m.hints.List = true
		case m.hints.Children == nil:
			m.hints.Children = make(map[string]session.Change)
			fallthrough
		default:
			if m.hints.Children[ev.name] = session.Changed; ev.kind == deleted {
				m.hints.Children[ev.name] = session.Gone
			}
			if ev.kind != dataChanged {
				m.told++
				m.hints.Members = m.told
			}
		}
	})
}

// distrust does without lasting watches from now on, over the connection that is up.
func (m *model) distrust() {
	if m.st.Connected {
		m.st.Link++
		m.st.Extension.Lasting = false
		if m.job != nil && !m.job.done {
			m.job.finish(session.ErrLost)
		}
	}
}

func (m *model) send(f func()) { m.wire = append(m.wire, f) }

// deliver lets the client receive the next message.
func (m *model) deliver() bool {
	if len(m.wire) == 0 {
		return false
	}
	next := m.wire[0]
	m.wire = m.wire[1:]
	next()
	return true
}

// ping asks for a sign of life.
func (m *model) ping() {
	if asked := m.now; m.st.Connected {
		m.send(func() { m.st.Heard = asked })
	}
}

// loseWatches is a fault that ZooKeeper should not have: watches that never fire, while the client counts on them.
func (m *model) loseWatches() { m.watching = watchSet{data: map[string]bool{}} }

// hint leaves hints, as session.Subscription does.
func (m *model) hint() {
	if !m.hints.Any() {
		m.hints.Since = m.st.Heard
	}
}

func (m *model) takeHints() session.Hints {
	h := m.hints
	m.hints = session.Hints{}
	return h
}

func (m *model) String() string {
	return fmt.Sprintf("at %d of %d, connected %v, session %d, link %d, wire %d", m.at, len(m.history)-1, m.st.Connected, m.st.Session,
		m.st.Link, len(m.wire))
}

// rewrite makes one transaction of all that was written after the first.
func (m *model) rewrite(zxid int64, f func(*state)) {
	m.undone = append(m.undone, m.history[2:]...)
	m.history, m.passed = m.history[:2], m.passed[:2]
	m.txn(func(s *state) { s.zxid = zxid; f(s) })
}
