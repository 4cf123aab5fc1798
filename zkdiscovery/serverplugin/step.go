package serverplugin

import "time"

const (
	firstRetry = 200 * time.Millisecond
	lastRetry  = 5 * time.Second
	checkEvery = 15 * time.Minute // at least: see node.spread
	peekEvery  = time.Minute      // the same for a node that may not be read: no watch tells of it
)

// versionAfterTakeOver is that of a node which replaces one of version v. A node that was just created has version 0, so it is written to until
// the two differ: whatever the old owner still has under way for its own node's version does nothing to the new one then, nor to the next two.
func versionAfterTakeOver(v int32) int32 { return (v + 1) & 3 }

// step is the whole decision: it takes what has happened, and says what is known then and what is to be done about it. It does no I/O, reads
// no clock and starts nothing. The action is taken as begun: no other follows until one of the answers has come.
func step(n node, e event, now time.Time) (node, action) {
	n.learn(e, now)
	a := n.next(now)
	switch a.kind {
	case nothing, forget:
		return n, a
	case create, takeOver:
		n.touched = true
	default:
	}
	n.doing = a
	return n, a
}

func (n *node) learn(e event, now time.Time) {
	switch e.kind {
	case woke:
	case wanted:
		if n.wanted, n.data = true, e.data; e.claim {
			n.open()
			n.renewed = n.doing.kind != nothing
		}
	case unwanted:
		n.wanted, n.renewed, n.phase = false, false, Unregistering
		n.retryAt = time.Time{}
	case connected, disconnected:
		if n.connected = e.kind == connected; e.fresh {
			n.distrust()
			n.failures, n.retryAt = 0, time.Time{}
			n.turn(Pending)
		} else if n.connected {
			// ZooKeeper tells what has changed since the last connection, by comparing with the zxid that was seen there. One that was
			// restored from a backup in between counts on from a higher one, and the nodes in it look unchanged.
			n.checkAt = now
		}
	case hinted:
		if n.disturbed = n.doing.kind != nothing; !n.disturbed {
			n.distrust()
		}
	default:
		n.answered(e, now)
	}
}

// open makes a claim: against what is there now, whatever was known before.
func (n *node) open() {
	n.claim, n.phase = claimOpen, Pending
	n.distrust()
}

func (n *node) distrust() { n.standing, n.followed = unknown, false }

func (n *node) turn(p Phase) {
	if n.wanted {
		n.phase = p
	}
}

func (n *node) answered(e event, now time.Time) {
	did, disturbed, was := n.doing, n.disturbed, *n
	n.doing, n.disturbed, n.renewed = action{}, false, false
	n.distrust()
	if was.renewed {
		defer n.open() // the answer is older than the claim
	}
	switch e.kind {
	case found:
		if e.outdated {
			return
		}
		n.found(e, now)
		n.followed = n.standing != absent && !disturbed
		n.rearm = did.check && !disturbed && (n.standing != was.standing || n.czxid != was.czxid || n.version != was.version)
		n.followed = n.followed && !n.rearm
	case wrote:
		if did.kind == create || did.kind == takeOver {
			n.claim = claimNone
		}
		if !e.outdated {
			n.wrote(did)
		}
	case lost:
		if n.claim == claimOpen && (did.kind == create || did.kind == takeOver) {
			n.claim, n.rival = claimUnsure, did.rival
		}
		n.failed(now, 2)
	case conflicted:
		n.failed(now, 2)
	case refused:
		n.failed(now, 1)
	default:
	}
}

func (n *node) found(e event, now time.Time) {
	n.standing, n.owner, n.czxid = e.standing, e.owner, e.czxid
	if e.readable {
		n.said, n.heard = e.data, true
	} else if e.version != n.version {
		n.heard = false
	}
	n.version = e.version
	n.checkAt = now.Add(n.jittered(checkEvery))
	if !e.readable {
		n.checkAt = now.Add(n.jittered(peekEvery))
	}
	if n.claim == claimUnsure {
		// Where the same still stands, the claim was not executed. Otherwise it was, or whoever is there came after it.
		if n.claim = claimNone; n.czxid == n.rival {
			n.claim = claimOpen
		}
	}
	switch n.standing {
	case ours:
		n.claim = claimNone
		if n.heard && n.said == n.data {
			n.turn(Registered) // otherwise it stays what it is until that is mended
		}
	case foreign:
		if n.turn(Yielded); n.claim == claimOpen {
			n.turn(Pending)
		}
	default:
		n.turn(Pending)
	}
}

// wrote notes what stands there after an action of ours. It is to be looked at: only that leaves a watch.
func (n *node) wrote(did action) {
	switch did.kind {
	case remove:
		n.standing = absent
		return
	case create:
		n.version = 0
	case takeOver:
		n.version = versionAfterTakeOver(did.version)
	case set:
		n.version = did.version + 1
	default:
	}
	n.standing, n.said, n.heard = ours, did.data, true
	n.turn(Registered)
}

// failed counts, and spaces the attempts from the tolerated one on.
func (n *node) failed(now time.Time, tolerated int) {
	if n.failures++; n.failures < tolerated {
		return
	}
	d := lastRetry
	if shift := n.failures - tolerated; shift < 5 {
		d = min(firstRetry<<shift, lastRetry)
	}
	n.retryAt = now.Add(d/2 + time.Duration(n.spread*float64(d/2)))
}

// jittered is d and up to a fifth more.
func (n *node) jittered(d time.Duration) time.Duration {
	return d + time.Duration(n.spread*float64(d/5))
}

// next says what is to be done now.
func (n *node) next(now time.Time) action {
	if n.doing.kind != nothing {
		return action{}
	}
	if !n.wanted {
		switch n.standing {
		case absent, foreign, persistent:
			return action{kind: forget}
		default:
			if !n.touched {
				return action{kind: forget}
			}
		}
	}
	switch {
	case !n.connected || now.Before(n.retryAt):
		return action{}
	case n.standing == unknown:
		return action{kind: look, rearm: n.rearm}
	case !n.wanted:
		return action{kind: remove, version: n.version}
	}
	switch n.standing {
	case absent:
		return action{kind: create, data: n.data}
	case formerly, persistent:
		return action{kind: takeOver, data: n.data, version: n.version}
	case foreign:
		if n.claim == claimOpen {
			return action{kind: takeOver, data: n.data, version: n.version, rival: n.czxid}
		}
	default:
		if n.followed && (!n.heard || n.said != n.data) {
			return action{kind: set, data: n.data, version: n.version}
		}
	}
	switch {
	case !n.followed:
		return action{kind: look, rearm: n.rearm}
	case !now.Before(n.checkAt):
		return action{kind: look, check: true}
	}
	n.failures = 0
	return action{}
}

// wake is when to come back if nothing happens before; zero: not at all.
func (n *node) wake() time.Time {
	switch {
	case n.doing.kind != nothing || !n.connected:
		return time.Time{}
	case n.standing != unknown && n.followed && n.checkAt.After(n.retryAt):
		return n.checkAt
	}
	return n.retryAt
}
