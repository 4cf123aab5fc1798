package session

import (
	"context"
	"errors"
	"time"

	"github.com/go-zookeeper/zk"
)

// firstAgain is how long List waits before it asks again for the children of a node that was just made.
const firstAgain = 10 * time.Millisecond

// Stat is what ZooKeeper keeps of a znode, as go-zookeeper has it.
type Stat = zk.Stat

// Listing is a znode's children, in no order.
type Listing struct {
	Names []string // all of one piece of memory: who keeps one keeps all, unless it is cloned
	Stat  Stat     // the parent's
	Told  int      // ListOptions.For's when the answer came: what Stat.Cversion counts, as far as it was told
}

// Node is a child as it was read. Err is nil, ErrNoNode (it is gone) or ErrNoAuth (it may not be read: Data is nil).
type Node struct {
	Name string
	Data []byte
	Stat Stat
	Err  error
}

// List returns the children of path, or ErrNoNode, or ErrNoAuth. It leaves a watch on them if none is outstanding; if path is missing, one
// that waits for it.
//
// Where the server has lasting watches (State.Extension), that is what it leaves instead: one, on path, whether it exists or not, which tells of
// the children's data, too.
func (s *Session) List(ctx context.Context, path string) (Listing, error) {
	return s.ListWith(ctx, path, ListOptions{})
}

// SyncedList is List by what the leader knew when it was asked, also on a server that was behind: a sync goes ahead, in the same write.
func (s *Session) SyncedList(ctx context.Context, path string) (Listing, error) {
	return s.ListWith(ctx, path, ListOptions{Sync: true})
}

// ListOptions says what else ListWith does.
type ListOptions struct {
	For   *Subscription // whose Told is noted with the answer; may be nil
	Sync  bool          // as SyncedList
	Names bool          // beside a lasting watch, one on the children is left: a lasting one does not tell of children that may not be read
}

// ListWith is List with options. It asks for the children, and where there are none, for the node. One that was made in between has the children asked for again: later and
// later, since a server may go on to contradict itself.
func (s *Session) ListWith(ctx context.Context, path string, opts ListOptions) (Listing, error) {
	for wait := firstAgain; ; wait = min(2*wait, MaxBackoff) {
		var ls Listing
		k, limit, err := s.serving()
		if err != nil {
			return Listing{}, err
		}
		lasting, ahead := k.window.wantsLasting(s.cfg.Chroot + path)
		if opts.Sync {
			ahead = append(ahead, opSync)
		}
		x := &exchange{op: opChildren2, ahead: ahead, n: 1 + len(ahead), path: s.only(path), watch: !lasting || opts.Names}
		x.take = func(i int, refusal error, body []byte) error {
			switch op := x.opOf(i); {
			case op == opAddWatch && refusal != nil:
				return because(errNoLasting, notOfANode("addWatch", refusal))
			case op == opSync:
				return notOfANode("sync", refusal)
			case refusal != nil || op != opChildren2:
				return refusal
			}
			var err error
			if ls, err = decodeListing(body); opts.For != nil {
				ls.Told = opts.For.Told()
			}
			return err
		}
		err = s.exchangeOn(ctx, k, limit, x)
		switch {
		case err == nil:
			return ls, nil
		case errors.Is(err, errNoLasting): // which it had an hour ago
			s.without(k)
			return Listing{}, because(ErrLost, err)
		case lasting && errors.Is(err, ErrNoNode): // its creation is told, too
			return Listing{}, ErrNoNode
		case !errors.Is(err, ErrNoNode):
			return Listing{}, err
		}
		st, err := s.exists(ctx, path, true)
		switch {
		case err != nil:
			return Listing{}, err
		case st == nil:
			return Listing{}, ErrNoNode
		}
		if err := s.rest(ctx, wait); err != nil {
			return Listing{}, err
		}
	}
}

// rest waits, at most until ctx or the Session ends.
func (s *Session) rest(ctx context.Context, d time.Duration) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	err := sleep(ctx, d)
	if s.ctx.Err() != nil {
		return ErrClosed
	}
	return err
}

// Read returns the named children of parent, in the order of names, with the requests pipelined; it leaves a watch on the data of each that
// has none outstanding, unless watch is false. With an error, the nodes are those that were answered before: of the first names, perhaps none.
// Their watches are in place, unless the session is over.
func (s *Session) Read(ctx context.Context, parent string, names []string, watch bool) ([]Node, error) {
	return s.read(ctx, parent, names, nil, watch)
}

// ReadWithin is Read of the named children, and then of parent itself, whose Node comes last and has no name. It leaves no watch. On a server with
// batches all that fits into one is of one moment. told is sub's when the last answer came: what the parent's Cversion counts, as far as it was told.
func (s *Session) ReadWithin(ctx context.Context, parent string, names []string, sub *Subscription) (nodes []Node, told int, err error) {
	nodes, err = s.read(ctx, parent, names, func() { told = sub.Told() }, false)
	return nodes, told, err
}

// read is Read, or ReadWithin, which is told when the parent was read.
func (s *Session) read(ctx context.Context, parent string, names []string, within func(), watch bool) ([]Node, error) {
	n := len(names)
	if within != nil {
		n++
	}
	nodes := make([]Node, n)
	above := s.cfg.Chroot + parent
	path := func(i int) string {
		if i == len(names) {
			return above
		}
		return above + "/" + names[i]
	}
	answered, err := s.readAll(ctx, n, path, watch, func(i int, refusal error, body []byte) (err error) {
		n := &nodes[i]
		if *n = (Node{}); i < len(names) {
			n.Name = names[i]
		} else {
			within()
		}
		switch {
		case refusal == nil:
			n.Data, n.Stat, err = decodeData(body)
			return err
		case isAny(refusal, ErrNoNode, ErrNoAuth):
			n.Err = refusal
			return nil
		}
		return refusal
	})
	return nodes[:answered], err
}

// readAll reads n nodes, each of which take is told of: see exchange. It asks again for what was in a batch whose answer was too long, and returns how
// many were answered: the first ones.
func (s *Session) readAll(
	ctx context.Context, n int, path func(i int) string, watch bool, take func(i int, refusal error, body []byte) error,
) (answered int, err error) {
	for begin := 0; ; begin = answered {
		x := &exchange{
			op: opGetData, n: n - begin, watch: watch, path: func(i int) string { return path(begin + i) },
			take: func(i int, refusal error, body []byte) error { return take(begin+i, refusal, body) },
		}
		err := s.exchange(ctx, x)
		if answered += x.answered; !errors.Is(err, errHalved) {
			return answered, err
		}
	}
}

// Stat returns what ZooKeeper keeps of path, nil when it does not exist. It leaves no watch.
func (s *Session) Stat(ctx context.Context, path string) (*Stat, error) {
	return s.exists(ctx, path, false)
}

// exists is Stat which may leave a watch for the creation of path.
func (s *Session) exists(ctx context.Context, path string, watch bool) (*Stat, error) {
	var st *Stat
	err := s.exchange(ctx, &exchange{op: opExists, n: 1, path: s.only(path), watch: watch, take: func(_ int, refusal error, body []byte) error {
		if refusal != nil {
			return refusal
		}
		found, err := decodeStat(body)
		st = &found
		return err
	}})
	switch {
	case errors.Is(err, ErrNoNode):
		return nil, nil //nolint:nilnil // documented: it does not exist
	case err != nil:
		return nil, err
	}
	return st, nil
}

// only is the path of an exchange about a single one.
func (s *Session) only(path string) func(int) string {
	return func(int) string { return s.cfg.Chroot + path }
}
