package serverplugin

import (
	"time"

	"github.com/holdfast-go/holdfast/internal/words"
)

// node is all that is known, wanted and decided about one znode, under which a service is registered. It changes in step alone.
type node struct {
	wanted  bool
	data    string // what it is to say
	claim   claim
	rival   int64 // claimUnsure: czxid of the node that it was made against, 0 for none
	renewed bool  // it was given once more while something was under way

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

var phaseNames = []string{"pending", "registered", "yielded", "unregistering"}

// String is the phase in lower case.
func (p Phase) String() string { return words.Name(phaseNames, "phase", p) }

// MarshalText returns the phase in lower case.
func (p Phase) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText sets the phase that text names. An unknown name is an error.
func (p *Phase) UnmarshalText(text []byte) error { return words.Parse(phaseNames, "phase", text, p) }

// eventKind says what has happened.
type eventKind uint8

const (
	woke         eventKind = iota // time has passed
	wanted                        // with data, and claim when Register said so
	unwanted                      //
	connected                     // fresh: in a session that is new
	disconnected                  // fresh: after a session that is new, and was not told of
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
