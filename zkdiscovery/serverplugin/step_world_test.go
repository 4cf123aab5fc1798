package serverplugin

import (
	"fmt"
	"net/url"
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

	backup   *backup
	restored int64 // zxid of the newest restoration
	said     int   // words of the operator
}

// backup is what is restored when somebody restores one.
type backup struct {
	node  *modelNode
	alive []int64
}

type modelNode struct {
	owner   int64
	version int32
	data    string
	czxid   int64
	mzxid   int64
	isOld   bool       // from a backup, and only the operator has written since
	word    param      // of the operator's, which is the newest write
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

// operate has the operator write, with what he read before: a word on a key, or none, which ends it.
func (w *world) operate(key string) {
	n := w.node
	if n == nil {
		return
	}
	w.said++
	v, err := url.ParseQuery(n.data)
	if err != nil {
		v = url.Values{}
	}
	word := param{}
	switch key {
	case "weight":
		word = param{key, fmt.Sprint("o", w.said)}
		v.Set(key, word.value)
	case "state":
		if v.Get(key) != "inactive" {
			word = param{key, "inactive"}
		}
		v.Set(key, "inactive")
	case "active":
		v.Set("state", "active")
	case "none":
		v.Del("weight")
	}
	if n.isOld {
		word = param{} // what he says over a backup may be taken for a part of that
	}
	w.logf("the operator writes %v", v)
	w.change(&modelNode{owner: n.owner, czxid: n.czxid, version: n.version + 1, data: v.Encode(), word: word, isOld: n.isOld})
}

// keep makes a backup, and restore puts it in the place of everything. Sessions that it knows have their whole time to come back.
func (w *world) keep() {
	w.logf("a backup is made")
	w.backup = &backup{alive: slices.Clone(w.alive)}
	if w.node != nil {
		n := *w.node
		n.watches = nil
		w.backup.node = &n
	}
}

func (w *world) restore() {
	if w.backup == nil {
		return
	}
	w.logf("the backup is restored")
	for _, p := range w.procs {
		p.disconnect(true)
		p.robbed = 0 // that may be undone, and his claim with it
	}
	w.zxid += 1000 // a new epoch
	w.restored = w.zxid
	w.moment.gaps++
	w.alive, w.node = slices.Clone(w.backup.alive), nil
	if n := w.backup.node; n != nil {
		again := *n
		again.isOld, again.word = true, param{}
		w.node = &again
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

// heal ends every fault, and the operator has a last word on everything.
func (w *world) heal() {
	w.settle()
	for _, say := range []string{"weight", "state", "active", "none"} {
		if w.node == nil || w.node.owner == 0 {
			return
		}
		w.operate(say)
		w.settle()
		i := slices.IndexFunc(w.procs, func(p *process) bool { return w.node != nil && p.session == w.node.owner })
		if i < 0 {
			w.fail("the owner is gone: %+v", w.node)
		}
		p, key, want := w.procs[i], "state", []string(nil)
		switch say {
		case "weight":
			key, want = "weight", []string{fmt.Sprint("o", w.said)}
		case "state":
			want = []string{"inactive"}
		case "none":
			key = "weight"
		}
		if got := p.node.wish.words.of(key); !slices.Equal(got, want) {
			w.fail("the operator has said %s, and %s heeds %q on %s, want %q", say, p.name, got, key, want)
		}
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
		case p.wants && w.node != nil && w.node.czxid <= p.claimed && p.claimed > w.restored:
			w.fail("%s has claimed the node at zxid %d, and another has it since %d", p.name, p.claimed, w.node.czxid)
		case p.wants && p.node.phase != Yielded:
			w.fail("%s does not own the node, and says it is %s", p.name, p.node.phase)
		case !p.wants && p.node != nil && (p.node.touched != p.session || p.node.seen.standing == unknown):
			w.fail("%s does not forget", p.name)
		}
	}
	switch {
	case wanting > 0 && owner == nil:
		w.fail("%d want the node, and nobody has it: %+v", wanting, w.node)
	case owner != nil && !sameQuery(w.node.data, compose(owner.data, new(extra), owner.node.wish.words)):
		w.fail("the node says %q, %s wants %q with %v", w.node.data, owner.name, owner.data, owner.node.wish.words)
	case owner != nil && owner.node.wish.words == nil && w.node.data != owner.data:
		w.fail("the node says %q, %s wants %q", w.node.data, owner.name, owner.data)
	case owner != nil && owner.node.phase != Registered:
		w.fail("%s has the node, and says it is %s", owner.name, owner.node.phase)
	}
}
