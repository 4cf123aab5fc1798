package serverplugin

import "time"

const (
	firstRetry = 200 * time.Millisecond
	lastRetry  = 5 * time.Second
	checkEvery = 15 * time.Minute // at least: see node.spread
	peekEvery  = time.Minute      // the same for a node that may not be read: no watch tells of it
)

// node is all that is known, wanted and decided about one znode, under which a service is registered. It changes in step alone.
type node struct {
	wanted bool
	data   string // what it is to say
	claim  claim
	rival  int64 // claimUnsure: czxid of the node that it was made against, 0 for none

	// What stands there, as far as is known.
	standing standing
	owner    int64
	czxid    int64 // of the transaction that created it
	version  int32
	said     string // its data
	heard    bool   // said is known
	followed bool   // its next change will be noticed: by a watch, or by the next check where there can be none

	doing     action // under way: its answer is awaited
	disturbed bool   // a watch has told of something since that began
	connected bool
	touched   bool // something may have been written

	failures int       // in a row
	retryAt  time.Time // no action before
	checkAt  time.Time // of what is followed
	spread   float64   // this node's own share of every jitter, 0 to 1
	rearm    bool      // its watch has not told of a change: set it again

	phase Phase
}

// claim is the right to take the address from whoever has it. Register gives it; it is used up when the node is ours, or somebody newer's.
type claim uint8

const (
	claimNone   claim = iota
	claimOpen         // not used yet
	claimUnsure       // used, or not: the answer was lost
)

// standing is what stands at a path.
type standing uint8

const (
	unknown standing = iota
	absent
	ours       // of the session that is
	formerly   // of an earlier session of this process's
	persistent // of no session
	foreign    // of a session that this process never had
)

// Phase says how far a service's registration is.
type Phase uint8

const (
	// Pending is a service that is to be registered and is not, as far as is known.
	Pending Phase = iota
	// Registered is a service whose node exists and belongs to this process's session.
	Registered
	// Yielded is a service whose address was lost to a newer process. It is registered again when that one's node is gone.
	Yielded
	// Unregistering is a service whose node is to be removed.
	Unregistering
)

// String is the phase in lower case.
func (p Phase) String() string {
	return [...]string{"pending", "registered", "yielded", "unregistering"}[p]
}

// eventKind says what has happened.
type eventKind uint8

const (
	woke         eventKind = iota // time has passed
	wanted                        // with data, and claim when Register said so
	unwanted                      //
	connected                     // fresh: in a session that is new
	disconnected                  //
	hinted                        // a watch told that something has changed

	// The answers to an action. outdated: it was begun in a session that is over.
	found      // to a look
	wrote      // done
	conflicted // not done: something else stood there than was thought
	refused    // not done: ZooKeeper will not, now
	unsent     // not done: there was no connection
	lost       // done or not: the connection ended
)

type event struct {
	kind     eventKind
	data     string // wanted, found
	claim    bool
	fresh    bool
	outdated bool

	// What was found.
	standing standing
	owner    int64
	czxid    int64
	version  int32
	readable bool
}

type actionKind uint8

const (
	nothing  actionKind = iota
	look                // read the node, and leave a watch
	create              // with data, where nothing stands
	takeOver            // replace what stands there, if it has that version, by a node of ours
	set                 // say data, if it has that version
	remove              // delete, if it has that version
	forget              // the node is of no concern any more
)

// action is what is to be done next.
type action struct {
	kind    actionKind
	data    string
	version int32
	rival   int64 // takeOver: czxid of what is replaced, 0 for nothing
	rearm   bool  // forget the watch that should be there
	check   bool  // only to see whether a watch was missed
}

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
	if n.doing = a; a.rearm {
		n.rearm = false
	}
	return n, a
}

func (n *node) learn(e event, now time.Time) {
	switch e.kind {
	case woke:
	case wanted:
		if !n.wanted {
			n.wanted, n.phase = true, Pending
		}
		if n.data = e.data; e.claim {
			n.claim = claimOpen
			n.distrust() // what is there now counts
		}
	case unwanted:
		n.wanted, n.claim, n.phase = false, claimNone, Unregistering
		n.retryAt = time.Time{}
	case connected:
		if n.connected = true; e.fresh {
			n.distrust()
			n.failures, n.retryAt = 0, time.Time{}
			n.turn(Pending)
		}
	case disconnected:
		n.connected = false
	case hinted:
		if n.disturbed = n.doing.kind != nothing; !n.disturbed {
			n.distrust()
		}
	default:
		n.answered(e, now)
	}
}

func (n *node) distrust() { n.standing, n.followed = unknown, false }

func (n *node) turn(p Phase) {
	if n.wanted {
		n.phase = p
	}
}

func (n *node) answered(e event, now time.Time) {
	did, disturbed, was := n.doing, n.disturbed, *n
	n.doing, n.disturbed = action{}, false
	n.distrust()
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
		n.turn(Registered)
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
