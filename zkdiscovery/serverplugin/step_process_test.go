package serverplugin

import "slices"

// process is one that may register. What ZooKeeper has sent it and it has not received yet is in inbox, in order.
type process struct {
	w       *world
	name    string
	dead    bool
	node    *node // nil: forgotten, or never wanted
	wants   bool
	data    string
	orders  int64
	claims  int   // Registers
	claimed int64 // zxid at the last one
	robbed  int   // takeovers of somebody else's node
	session int64
	mine    []int64
	conn    bool
	seen    int64 // zxid of the newest message received
	knows   upTo  // what the newest answer told of
	watch   bool  // counts on one
	inbox   []message
	request *request // under way, or answered by a message in inbox
}

type request struct {
	action
	session  int64
	executed bool
	watch    bool // leaves one
	knows    upTo
}

// upTo is a moment in a node's history.
type upTo struct{ takeovers, gaps, sets int }

type message struct {
	event event // hinted, or an answer
	zxid  int64
	tells upTo
	word  param // of the operator's that a look has seen
}

func (p *process) feed(e event) {
	if p.node == nil || p.dead {
		return
	}
	n, a := step(*p.node, e, p.w.now)
	p.node = &n
	p.w.logf("  %s: event %d: %s, %s", p.name, e.kind, a, n.phase)
	switch a.kind {
	case nothing, rest:
		return
	case forget:
		p.node = nil
		return
	default:
	}
	if p.request != nil {
		p.w.fail("%s begins %s during %s", p.name, a, p.request.action)
	}
	if a.rearm {
		p.watch = false
	}
	p.request = &request{action: a, session: p.session, watch: a.kind == look && !a.glance && !p.watch, knows: p.knows}
}

func (p *process) register(data string) {
	if p.dead {
		return
	}
	p.w.logf("%s registers %s", p.name, data)
	p.wants, p.data = true, data
	p.claims++
	p.claimed = p.w.zxid
	if p.node == nil {
		p.node = &node{spread: 0.5, connected: p.conn, session: p.session, wish: wish{keys: []string{"state", "weight"}}}
	}
	p.tell()
}

// tell has the node know what is wanted.
func (p *process) tell() {
	p.orders++
	p.feed(event{kind: ordered, extra: new(extra), order: order{
		no: p.orders, claim: int64(p.claims), wanted: p.wants, metadata: p.data,
	}})
}

func (p *process) update(data string) {
	if p.wants && !p.dead {
		p.w.logf("%s says %s", p.name, data)
		p.data = data
		p.tell()
	}
}

func (p *process) unregister() {
	if p.wants && !p.dead {
		p.w.logf("%s unregisters", p.name)
		p.wants = false
		p.tell()
	}
}

// kill ends the process; its session lives on for a while.
func (p *process) kill() {
	p.w.logf("%s is killed", p.name)
	p.disconnect(true)
	p.dead, p.wants, p.node, p.request, p.inbox = true, false, nil, nil, nil
}

// restart makes a new process of a dead one.
func (p *process) restart() {
	if p.dead {
		p.w.logf("%s is started", p.name)
		*p = process{w: p.w, name: p.name}
	}
}

// answer sends the process an answer that ZooKeeper knows nothing of.
func (p *process) answer(k eventKind) {
	if p.request != nil {
		p.inbox = append(p.inbox, message{event: event{kind: k}})
	}
}

// connect takes the session up again, or begins a new one.
func (p *process) connect() {
	w := p.w
	if p.conn || p.dead {
		return
	}
	p.conn = true
	fresh := !slices.Contains(w.alive, p.session)
	if fresh {
		w.zxid++
		p.session = 100 + w.zxid
		w.alive, p.mine = append(w.alive, p.session), append(p.mine, p.session)
		p.watch = false
		if p.request != nil && !p.request.executed {
			p.request.executed = true // never, now
			p.answer(lost)
		}
	} else if p.watch { // SetWatches
		if w.node == nil || w.node.mzxid > p.seen {
			p.inbox = append(p.inbox, message{event: event{kind: hinted}, zxid: w.zxid})
		} else {
			w.node.watches = append(w.node.watches, p)
		}
	}
	w.logf("%s connects in session %d", p.name, p.session)
	p.feed(event{kind: connected, session: p.session})
}

// disconnect cuts the connection. What was under way to the process is lost; a write that was not sent yet goes out on the session's next one.
func (p *process) disconnect(sent bool) {
	if !p.conn {
		return
	}
	p.w.logf("%s is cut off, sent=%v", p.name, sent)
	p.conn, p.inbox = false, nil
	if n := p.w.node; n != nil {
		n.watches = slices.DeleteFunc(n.watches, func(o *process) bool { return o == p })
	}
	if r := p.request; r != nil && (sent || r.executed || r.kind == look) {
		r.executed = true
		p.answer(lost)
	}
	p.feed(event{kind: disconnected, session: p.session})
}

// receive takes one message.
func (p *process) receive() {
	if len(p.inbox) == 0 || p.dead {
		return
	}
	m := p.inbox[0]
	p.inbox = p.inbox[1:]
	p.seen = max(p.seen, m.zxid)
	e := m.event
	if e.kind == hinted {
		p.watch = false
		p.feed(e)
		return
	}
	if e.kind == found || e.kind == wrote && p.request.kind != set {
		p.knows = m.tells
	}
	if f := &e.found; e.kind == found && f.standing != absent {
		p.watch = p.watch || p.request.watch && p.request.session == p.session
		switch {
		case f.owner == 0:
			f.standing = leftBehind
		case f.owner == p.session:
			f.standing = ours
		case slices.Contains(p.mine, f.owner):
			f.standing = formerly
		default:
			f.standing = foreign
		}
	}
	current := p.request.session == p.session
	p.request = nil
	p.feed(e)
	if k := m.word.key; k != "" && current && e.found.owner == p.session && p.node != nil && !slices.Equal(p.node.wish.words.of(k), []string{m.word.value}) {
		p.w.fail("%s has not heeded %v: %v", p.name, m.word, p.node.wish.words)
	}
	if p.node != nil && p.node.seen.followed && !p.watch {
		p.w.fail("%s thinks that the node is watched", p.name)
	}
}

// execute has ZooKeeper do what the process has asked for.
func (p *process) execute() {
	w, r := p.w, p.request
	if r == nil || r.executed || !p.conn || p.dead {
		return
	}
	r.executed = true
	n := w.node
	w.logf("%s: %s is executed on %+v", p.name, r.action, n)
	e, word := event{kind: wrote}, param{}
	switch {
	case r.kind == look && n == nil:
		e = event{kind: found, found: sight{standing: absent}}
	case r.kind == look:
		e = event{kind: found, found: sight{owner: n.owner, czxid: n.czxid, mzxid: n.mzxid, version: n.version, data: n.data, readable: true}}
		word = n.word
		if r.watch {
			n.watches = append(n.watches, p)
		}
	case r.kind == create && n != nil, r.kind != create && n == nil, r.kind != create && n.version != r.version:
		e.kind = conflicted
	default:
		p.mayDo(r, n)
		p.write(r)
	}
	p.inbox = append(p.inbox, message{e, w.zxid, w.moment, word})
}

func (p *process) write(r *request) {
	w := p.w
	switch r.kind {
	case create:
		w.change(&modelNode{owner: p.session, data: r.data})
	case takeOver:
		w.moment.takeovers++
		w.change(&modelNode{owner: p.session, data: r.data, version: versionAfterTakeOver(r.version)})
	case set:
		w.change(&modelNode{owner: w.node.owner, czxid: w.node.czxid, data: r.data, version: r.version + 1})
	case remove:
		w.change(nil)
	default:
	}
}

// mayDo asserts what is promised of every single write. It hurts nobody who has not come after a moment without a node, or after somebody wrote
// by hand: versions say no more than that.
func (p *process) mayDo(r *request, n *modelNode) {
	w := p.w
	if r.kind != remove && r.data == "" {
		w.fail("%s: empty metadata", p.name)
	}
	if n == nil || slices.Contains(p.mine, n.owner) {
		return
	}
	switch {
	case r.kind == takeOver && n.owner == 0:
	case r.kind == takeOver && r.rival == n.czxid:
		if p.robbed++; p.robbed > p.claims {
			w.fail("%s takes over for the %d. time with %d claims", p.name, p.robbed, p.claims)
		}
	case w.moment.gaps == r.knows.gaps && w.moment.sets == r.knows.sets && w.moment.takeovers-r.knows.takeovers < 4:
		w.fail("%s: %s hurts the owner %d", p.name, r.action, n.owner)
	}
}
