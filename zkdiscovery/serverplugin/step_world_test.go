package serverplugin

import (
	"slices"
	"testing"
	"time"
)

// world is one address in a ZooKeeper, and processes that compete for it, each with step as its only mind. Whatever can go wrong between a
// process and ZooKeeper goes wrong when a script says so.
type world struct {
	t       *testing.T
	now     time.Time
	zxid    int64
	node    *modelNode
	alive   []int64 // sessions
	procs   []*process
	verbose bool   // logs what happens
	again   func() // plays it again, verbosely

	moment upTo // how often the node was replaced, was not there, and was written to
}

type modelNode struct {
	owner   int64
	version int32
	data    string
	czxid   int64
	mzxid   int64
	watches []*process // connected ones that are told of the next change
}

func newWorld(t *testing.T, processes int) *world {
	t.Helper()
	w := &world{t: t, now: time.Unix(0, 0)}
	for i := range processes {
		w.procs = append(w.procs, &process{w: w, name: string(rune('A' + i))})
	}
	return w
}

func (w *world) logf(format string, args ...any) {
	if w.verbose {
		w.t.Logf(format, args...)
	}
}

func (w *world) fail(format string, args ...any) {
	w.t.Helper()
	if !w.verbose {
		w.again()
	}
	w.t.Fatalf(format, args...)
}

// change puts a node in the place of the one that is there, nil for none, and tells those who watch it.
func (w *world) change(n *modelNode) {
	was := w.node
	w.node = n
	w.zxid++
	if n == nil {
		w.moment.gaps++
	} else {
		if n.mzxid = w.zxid; n.czxid == 0 {
			n.czxid = w.zxid
		} else {
			w.moment.sets++
		}
	}
	if was != nil {
		for _, p := range was.watches {
			p.inbox = append(p.inbox, message{event: event{kind: hinted}, zxid: w.zxid})
		}
	}
}

func (w *world) expire(session int64) {
	if !slices.Contains(w.alive, session) {
		return
	}
	w.logf("session %d expires", session)
	w.alive = slices.DeleteFunc(w.alive, func(s int64) bool { return s == session })
	for _, p := range w.procs {
		if p.session == session {
			p.disconnect(true)
		}
	}
	if w.node != nil && w.node.owner == session {
		w.change(nil)
	}
}

// settle ends every fault and asserts what is promised of the end.
func (w *world) settle() {
	w.logf("the faults end")
	for _, session := range slices.Clone(w.alive) {
		if !slices.ContainsFunc(w.procs, func(p *process) bool { return p.session == session && !p.dead }) {
			w.expire(session)
		}
	}
	for _, p := range w.procs {
		p.connect()
	}
	began := w.zxid
	for range 5 { // hours, with whatever was to be tried again then
		for turn, quiet := 0, false; !quiet; turn++ {
			quiet = true
			for _, p := range w.procs {
				p.execute()
				p.receive()
				quiet = quiet && p.request == nil && len(p.inbox) == 0
			}
			if turn > 100 {
				w.fail("no end of it")
			}
		}
		w.now = w.now.Add(time.Hour)
		for _, p := range w.procs {
			p.feed(event{kind: woke})
		}
	}
	if writes := w.zxid - began; writes > 30 {
		w.fail("%d writes in the end: they fight", writes)
	}
	w.assertEnd()
}

func (w *world) assertEnd() {
	var owner *process
	wanting := 0
	for _, p := range w.procs {
		owns := w.node != nil && slices.Contains(p.mine, w.node.owner)
		if p.wants {
			wanting++
		}
		switch {
		case owns && !p.wants:
			w.fail("%s owns the node and does not want it", p.name)
		case owns && w.node.owner != p.session:
			w.fail("%s owns the node with a session that is over", p.name)
		case owns:
			owner = p
		case p.wants && w.node != nil && w.node.czxid <= p.claimed:
			w.fail("%s has claimed the node at zxid %d, and another has it since %d", p.name, p.claimed, w.node.czxid)
		case p.wants && p.node.phase != Yielded:
			w.fail("%s does not own the node, and says it is %s", p.name, p.node.phase)
		case !p.wants && p.node != nil:
			w.fail("%s does not forget", p.name)
		}
	}
	switch {
	case wanting > 0 && owner == nil:
		w.fail("%d want the node, and nobody has it: %+v", wanting, w.node)
	case owner != nil && w.node.data != owner.data:
		w.fail("the node says %q, %s wants %q", w.node.data, owner.name, owner.data)
	case owner != nil && owner.node.phase != Registered:
		w.fail("%s has the node, and says it is %s", owner.name, owner.node.phase)
	}
}
