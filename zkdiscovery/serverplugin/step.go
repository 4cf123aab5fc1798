package serverplugin

import "time"

const (
	firstRetry = 200 * time.Millisecond
	lastRetry  = 5 * time.Second
	checkEvery = 15 * time.Minute // at least: see node.spread
	peekEvery  = time.Minute      // the same for a node that may not be read: no watch tells of it
)

// versionAfterTakeOver is that of a node which replaces one of version v. A node that was just created has version 0, so it is written to until
// the two differ: a write that the old owner still has under way names its own node's version, and fails at the new one and at the next two.
func versionAfterTakeOver(v int32) int32 { return (v + 1) & 3 }

// step is the whole decision: it takes what has happened, and says what is known then and what is to be done about it. It does no I/O, reads
// no clock and starts nothing. The action is taken as begun: no other follows until one of the answers has come.
//
//	seen            wanted                            not wanted
//	unknown         look                              look, if anything may have been written
//	absent          create                            rest
//	ours            look, if no watch is on it;       remove
//	                set, if it says something else,
//	                or an operator wants an answer
//	an earlier      take over                         remove
//	session's
//	left behind     take over                         rest
//	foreign         take over with a claim,           rest
//	                otherwise yield
//
// Nothing is done while an action is under way, without a connection, and for a while after a failure. To rest is to be looked at once more after
// each reconnect while the session lives.
func step(n node, e event, now time.Time) (node, action) {
	n.learn(e, now)
	a := n.next(now)
	switch a.kind {
	case nothing, rest, forget:
		return n, a
	case create, takeOver:
		n.touched = n.session
	default:
	}
	n.doing.begin(a, &n)
	return n, a
}

func (d *doing) begin(a action, n *node) {
	d.action, d.session, d.claim, d.hints = a, n.session, n.wish.order.claim, n.seen.hints
}

func (n *node) learn(e event, now time.Time) {
	switch e.kind {
	case woke:
	case ordered:
		n.ordered(e)
	case connected, disconnected:
		fresh := e.session != n.session
		n.connected, n.session = e.kind == connected, e.session
		if fresh {
			n.seen.distrust()
			n.seen.own = own{}
			n.doing.failures, n.doing.retryAt = 0, time.Time{}
			n.turn(Pending)
		} else if n.connected {
			// ZooKeeper tells what has changed since the last connection, by comparing with the zxid that was seen there. One that was
			// restored from a backup in between counts on from a higher one, and the nodes in it look unchanged.
			n.seen.checkAt = now
			if !n.wish.order.wanted {
				n.seen.distrust()
			}
		}
	case hinted:
		n.seen.hints++
		if n.doing.kind == nothing {
			n.seen.distrust()
		}
	default:
		n.answered(e, now)
	}
}

// ordered takes what the program wants now.
func (n *node) ordered(e event) {
	was := n.wish.order
	n.wish.order, n.wish.extra = e.order, e.extra
	for key, no := range e.order.cleared {
		if no > was.no {
			n.wish.words = n.wish.words.without(key)
		}
	}
	n.wish.compose()
	switch {
	case !e.order.wanted:
		n.phase, n.once, n.doing.retryAt = Unregistering, false, time.Time{}
	case e.order.claim != was.claim:
		n.open()
	}
}

// open makes a claim: against what is there now, whatever was known before.
func (n *node) open() {
	n.wish.claim, n.phase = claimOpen, Pending
	n.seen.distrust()
}

func (n *node) turn(p Phase) {
	if n.wish.order.wanted {
		n.phase = p
		n.once = n.once || p == Registered
	}
}

// answered takes the answer to what is under way.
func (n *node) answered(e event, now time.Time) {
	did, was := n.doing, n.seen
	outdated, disturbed := did.session != n.session, did.hints != n.seen.hints
	n.doing = doing{failures: did.failures, retryAt: did.retryAt}
	n.seen.distrust()
	if n.wish.order.wanted && did.claim != n.wish.order.claim {
		defer n.open() // the answer is older than the claim
	}
	switch e.kind {
	case found:
		if outdated {
			return
		}
		n.found(e.found, now)
		s := &n.seen
		s.rearm = did.check && !disturbed && (s.standing != was.standing || s.czxid != was.czxid || s.version != was.version)
		s.followed = s.standing != absent && !did.glance && !disturbed && !s.rearm
	case wrote:
		if did.kind == create || did.kind == takeOver {
			n.wish.claim = claimNone
		}
		if !outdated {
			n.wrote(did.action)
		}
	case lost:
		if n.wish.claim == claimOpen && (did.kind == create || did.kind == takeOver) {
			n.wish.claim, n.wish.rival, n.wish.in = claimUnsure, did.rival, did.session
		}
		if !outdated {
			n.mayHaveWritten(did.action)
		}
		n.failed(now, 2)
	case conflicted:
		n.failed(now, 2)
	case refused:
		n.failed(now, 1)
	default:
	}
}

// found takes what stands there.
func (n *node) found(f sight, now time.Time) {
	w, s := &n.wish, &n.seen
	s.standing, s.owner, s.czxid = f.standing, f.owner, f.czxid
	n.compare(f)
	if f.readable {
		s.said, s.heard = f.data, true
	} else if f.version != s.version {
		s.heard = false
	}
	s.version = f.version
	if s.standing == ours && f.readable {
		before, was := s.own.texts, w.words
		if s.own.sees(f) {
			w.heed(f, before)
			s.byHand = s.byHand || w.words != nil || was != nil
		}
	}
	s.checkAt = now.Add(n.jittered(checkEvery))
	if !f.readable {
		s.checkAt = now.Add(n.jittered(peekEvery))
	}
	if w.claim == claimUnsure {
		// Where the same still stands, the claim was not executed. Nor was it where nothing stood and somebody has created a node since: ours
		// would be there, as long as the session lives, and who takes it over gives another version. Otherwise a newer process may have come after it.
		if w.claim = claimNone; s.czxid == w.rival || w.rival == 0 && w.in == n.session && s.version == 0 {
			w.claim = claimOpen
		}
	}
	switch s.standing {
	case ours:
		w.claim = claimNone
		if s.heard && s.said == w.data {
			n.turn(Registered) // otherwise it stays what it is until that is mended
		}
	case foreign:
		if n.turn(Yielded); w.claim == claimOpen {
			n.turn(Pending)
		}
	default:
		n.turn(Pending)
	}
}

// compare tells a successor's node from one that stood there before ours did, and that a backup has brought back.
func (n *node) compare(f sight) {
	switch born := (birth{f.czxid, f.ctime}); {
	case f.standing == ours:
		n.newest = born
	case f.standing == foreign && born.before(n.newest):
		n.seen.standing = leftBehind
	case f.standing == foreign:
		n.newest = birth{} // it is his
	}
}

// wrote notes what stands there after an action of ours. It is to be looked at: only that leaves a watch.
func (n *node) wrote(did action) {
	s := &n.seen
	switch did.kind {
	case remove:
		s.standing = absent
		return
	case create:
		s.version = 0
	case takeOver:
		s.version = versionAfterTakeOver(did.version)
	case set:
		s.version = did.version + 1
	default:
	}
	s.standing, s.said, s.heard, s.byHand = ours, did.data, true, false
	s.own.texts, s.own.version = []string{did.data}, s.version
	if did.kind != set {
		s.own.czxid = 0
	}
	n.turn(Registered)
}

// mayHaveWritten notes what may stand there after an action whose answer was lost.
func (n *node) mayHaveWritten(did action) {
	o := &n.seen.own
	switch did.kind {
	case create:
		o.czxid, o.version = 0, 0
	case takeOver:
		o.czxid, o.version = 0, versionAfterTakeOver(did.version)
	case set:
	default:
		return
	}
	o.mayHave(did.data)
}

// failed counts, and spaces the attempts from the tolerated one on.
func (n *node) failed(now time.Time, tolerated int) {
	d := &n.doing
	if d.failures++; d.failures < tolerated {
		return
	}
	pause := lastRetry
	if shift := d.failures - tolerated; shift < 5 {
		pause = min(firstRetry<<shift, lastRetry)
	}
	d.retryAt = now.Add(pause/2 + time.Duration(n.spread*float64(pause/2)))
}

// jittered is d and up to a fifth more.
func (n *node) jittered(d time.Duration) time.Duration {
	return d + time.Duration(n.spread*float64(d/5))
}

// next says what is to be done now.
func (n *node) next(now time.Time) action {
	w, s := &n.wish, &n.seen
	if n.doing.kind != nothing {
		return action{}
	}
	if !w.order.wanted {
		switch gone := s.standing == absent || s.standing == foreign || s.standing == leftBehind; {
		case n.touched == 0, gone && n.touched != n.session:
			return action{kind: forget}
		case gone:
			return action{kind: rest} // a backup that is restored may bring it back, as long as the session lives
		}
	}
	switch {
	case !n.connected || now.Before(n.doing.retryAt):
		return action{}
	case s.standing == unknown:
		return action{kind: look, glance: n.touched != n.session, rearm: s.rearm}
	case !w.order.wanted:
		return action{kind: remove, version: s.version}
	}
	switch s.standing {
	case absent:
		return action{kind: create, data: w.data}
	case foreign:
		if w.claim != claimOpen {
			break
		}
		fallthrough
	case formerly, leftBehind:
		return action{kind: takeOver, data: w.data, version: s.version, rival: s.czxid}
	default:
		if s.followed && (!s.heard || s.said != w.data || s.byHand) {
			return action{kind: set, data: w.data, version: s.version}
		}
	}
	switch {
	case !s.followed:
		return action{kind: look, rearm: s.rearm}
	case !now.Before(s.checkAt):
		return action{kind: look, check: true}
	}
	n.doing.failures = 0
	return action{}
}

// wake is when to come back if nothing happens before; zero: not at all.
func (n *node) wake() time.Time {
	switch retry, check := n.doing.retryAt, n.seen.checkAt; {
	case n.doing.kind != nothing || !n.connected:
		return time.Time{}
	case n.seen.standing != unknown && n.seen.followed && check.After(retry):
		return check
	default:
		return retry
	}
}
