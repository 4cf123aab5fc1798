package serverplugin

import "time"

// node is one znode under which a service is registered. It is three values: the wish, what was seen, and what is under way. It changes in step
// alone.
type node struct {
	wish  wish
	seen  seen
	doing doing

	session   int64 // State.Session of the newest connection
	connected bool
	touched   int64   // the newest session in which something may have been written; 0: none
	spread    float64 // this node's own share of every jitter, 0 to 1
	phase     Phase
	once      bool  // it was Registered, since it is wanted
	newest    birth // of the last node that was ours; zero: there was none, or a successor's has been seen since
}

// wish is what the node is to be.
type wish struct {
	order order    // the program's newest
	extra *extra   // what stands in every node beside its metadata
	words *layer   // an operator's, over the metadata …
	keys  []string // … of which he may say something
	like  string   // what he wrote last
	data  string   // what the node is to say: made of all of it
	claim claim
	rival int64 // claimUnsure: czxid of the node that it was made against, 0 for none …
	in    int64 // … and the session in which it was
}

// claim is the right to take the address from its owner. Register gives it. It is used up when the node is ours, or a newer process's.
type claim uint8

const (
	claimNone   claim = iota
	claimOpen         // not used yet
	claimUnsure       // used, or not: the answer was lost
)

// seen is what stands there, as far as is known.
type seen struct {
	standing standing
	owner    int64
	czxid    int64
	version  int32
	said     string // its data
	heard    bool   // said is known
	own      own
	byHand   bool // somebody else has written it, and an operator's words are in force: a write of ours is to tell him

	followed bool      // its next change will be noticed: by a watch, or by the next check where there can be none
	hints    int       // of watches, so far
	rearm    bool      // its watch has not told of a change: set it again
	checkAt  time.Time // of what is followed
}

// standing is what stands at a path.
type standing uint8

const (
	unknown standing = iota
	absent
	ours       // of the session that is
	formerly   // of an earlier session of this process's
	leftBehind // of no session, or of one that had the address before this process
	foreign    // of a session that this process never had
)

// birth is when a node was made.
type birth struct {
	czxid int64
	ctime time.Time // by ZooKeeper's clock
}

// before is true by both counts: where ZooKeeper is made anew its zxids begin again, and its clock does not.
func (b birth) before(o birth) bool { return b.czxid < o.czxid && !b.ctime.After(o.ctime) }

// doing is the action under way, whose answer is awaited, and what was true when it began. Where that has changed since, the answer is older
// than what is known.
type doing struct {
	action
	session int64 // node.session
	claim   int64 // order.claim
	hints   int   // seen.hints

	failures int       // in a row
	retryAt  time.Time // no action before
}

// distrust keeps what stands there for the comparison with the next look, and believes none of it.
func (s *seen) distrust() { s.standing, s.followed = unknown, false }
