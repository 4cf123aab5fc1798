package serverplugin

import "time"

// eventKind says what has happened.
type eventKind uint8

const (
	woke         eventKind = iota // time has passed
	ordered                       // the program wants something else
	connected                     // in the session of that number
	disconnected                  // the same
	hinted                        // a watch told that something has changed

	// The answers to an action.
	found      // to a look
	wrote      // done
	conflicted // not done: something else stood there than was thought
	refused    // not done: ZooKeeper will not, now
	unsent     // not done: there was no connection
	lost       // done or not: the connection ended
)

type event struct {
	kind    eventKind
	order   order  // ordered
	extra   *extra // ordered
	session int64  // connected, disconnected: State.Session
	found   sight  // found
}

// sight is what a look has found.
type sight struct {
	standing standing
	owner    int64
	czxid    int64 // of the transaction that created it
	mzxid    int64 // of the newest that wrote it
	ctime    time.Time
	mtime    time.Time
	version  int32
	data     string
	readable bool // data is the node's
}

type actionKind uint8

const (
	nothing  actionKind = iota
	look                // read the node, and leave a watch
	create              // with data, where nothing stands
	takeOver            // replace what stands there, if it has that version, by a node of ours
	set                 // say data, if it has that version
	remove              // delete, if it has that version
	rest                // the node is not ours any more: nothing to do, but after a reconnect
	forget              // the node is of no concern any more
)

// action is what is to be done next.
type action struct {
	kind    actionKind
	data    string
	version int32
	rival   int64 // takeOver: czxid of what is replaced
	glance  bool  // leave no watch: something will probably be written, and looked at after that
	rearm   bool  // forget the watch that should be there
	check   bool  // only to see whether a watch was missed
}
