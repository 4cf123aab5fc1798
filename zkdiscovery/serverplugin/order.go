package serverplugin

import (
	"maps"
	"sync"
	"time"
)

// order is what the program wants of one service. It never changes: another one takes its place in the mailbox.
type order struct {
	no       int64  // of this change
	claim    int64  // of the newest Register
	name     string // as a person reads it
	path     string // of the service
	wanted   bool
	metadata string
	cleared  map[string]int64 // the keys of which an operator's words were to end, and the numbers of the changes that said so
	since    time.Time        // when it was registered, or unregistered
}

// mailbox is all that the program wants: its methods write it, the loop takes what has changed.
type mailbox struct {
	poke chan<- struct{} // one token: there is something to take

	mu      sync.Mutex       // guards what follows; nothing blocks or calls out under it
	no      int64            // of the newest change of anything in here
	claim   int64            // of the newest Register of any service
	fresh   int64            // of the newest Register of a service that was not wanted
	wanted  int              // services
	orders  map[string]order // by the service's path; one that is not wanted stays until the loop has seen to it
	changed map[string]bool  // what the loop has not taken yet
	state   state
}

// state is what the program wants, and is, as a whole.
type state struct {
	draining  bool  // everything says state=inactive
	listening bool  // the server is
	ready     bool  // the program was, once
	why       error // why it is not now; nil when it is
}

// mayRegister reports whether there is a server that clients could call.
func (st *state) mayRegister() bool { return st.listening && st.ready }

// letter is what the loop takes.
type letter struct {
	no     int64 // of the newest change in it
	orders []order
	state  state
}

func newMailbox(poke chan<- struct{}) *mailbox {
	return &mailbox{poke: poke, orders: make(map[string]order), changed: make(map[string]bool)}
}

// post has the loop look. The caller holds mu, and has changed something under a new number.
func (m *mailbox) post() {
	select {
	case m.poke <- struct{}{}:
	default: // one is there already
	}
}

// put replaces the order of a service and returns the new one. The caller holds mu.
func (m *mailbox) put(o order) order {
	m.no++
	if o.no = m.no; o.claim == claimNow {
		o.claim, m.claim = m.no, m.no
	}
	if was := m.orders[o.path].wanted; was != o.wanted {
		if m.wanted++; was {
			m.wanted -= 2
		}
	}
	m.orders[o.path], m.changed[o.path] = o, true
	m.post()
	return o
}

// claimNow stands for the number that put gives.
const claimNow = -1

// register wants a service, and reports whether it was not wanted before. One more function of a service that is wanted already is nothing to
// ZooKeeper, unless it brings other metadata.
func (m *mailbox) register(name, path, metadata string, function bool) (fresh bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	was := m.orders[path]
	if function && was.wanted && (metadata == "" || metadata == was.metadata) {
		return false
	}
	o := m.put(order{claim: claimNow, name: name, path: path, wanted: true, metadata: metadata, cleared: was.cleared, since: time.Now()})
	if !was.wanted {
		m.fresh = o.no
	}
	return !was.wanted
}

// amend changes the order of a service, and reports whether there is one: the service is registered.
func (m *mailbox) amend(path string, f func(o *order, no int64)) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.orders[path]
	if o.wanted {
		f(&o, m.no+1)
		m.put(o)
	}
	return o.wanted
}

// unregister wants a service no more, and returns the order that says so. ok is false where there is nothing to wait for.
func (m *mailbox) unregister(path string) (o order, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if o, ok = m.orders[path]; o.wanted {
		o.wanted, o.since = false, time.Now()
		o = m.put(o)
	}
	return o, ok
}

// change changes the state, and returns its number.
func (m *mailbox) change(f func(*state)) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(&m.state)
	m.no++
	m.post()
	return m.no
}

func (m *mailbox) is() state {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state
}

// take returns what has changed since the last one.
func (m *mailbox) take() letter {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := letter{no: m.no, state: m.state}
	for path := range m.changed {
		l.orders = append(l.orders, m.orders[path])
	}
	clear(m.changed)
	return l
}

// done lets an order go that the loop has seen to, unless another one has taken its place.
func (m *mailbox) done(o order) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.orders[o.path].no == o.no {
		delete(m.orders, o.path)
	}
}

// clear lets everything go.
func (m *mailbox) clear() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.orders)
	clear(m.changed)
	m.wanted = 0
}

// all returns every order, by the service's path.
func (m *mailbox) all() map[string]order {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.orders)
}
