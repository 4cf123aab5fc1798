package session

import (
	"fmt"
	"sync"
)

// theirs is what go-zookeeper has asked over a link and what was not answered yet. go-zookeeper says nothing when it gets an answer that nobody waits for,
// and ends the process over an answer to a transaction that ends in the middle of a header. Both end the link instead.
type theirs struct {
	mu    sync.Mutex
	asked map[int32]int32 // the opcode, by xid
}

func (a *theirs) ask(xid, op int32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.asked == nil {
		a.asked = make(map[int32]int32)
	}
	a.asked[xid] = op
}

// answered is the opcode of the request that is answered now.
func (a *theirs) answered(xid int32) (op int32, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	op, ok := a.asked[xid]
	if !ok {
		return 0, fmt.Errorf("%w: an answer to request %d, which nobody has made", errForeign, xid)
	}
	delete(a.asked, xid)
	return op, nil
}

// answeredTheirs looks at the answer to a request of go-zookeeper's.
func (k *link) answeredTheirs(xid int32, size int, code int32) error {
	op, err := k.theirs.answered(xid)
	switch {
	case err != nil:
		return err
	case op == opClose:
		k.line.ended.Store(true)
	case op == opMulti && code == 0:
		frame, err := k.whole(4 + size)
		if err != nil {
			return err
		}
		if err := checkTransaction(frame[4+replyHeader:]); err != nil {
			return err
		}
		k.in.held = frame
	}
	return nil
}

// checkTransaction says what is wrong with the body of an answer to a transaction (org.apache.zookeeper.MultiResponse).
func checkTransaction(b []byte) error {
	for {
		if len(b) < multiHeaderSize {
			return cut("a part of a transaction", b)
		}
		op, done, size := i32(b), b[4] != 0, 0
		b = b[multiHeaderSize:]
		switch {
		case done:
			return nil
		case op == -1: // it failed, with a code
			size = 4
		case op == opSetData:
			size = statSize
		case op == opCreate && len(b) < 4:
			return cut("a path in a transaction", b)
		case op == opCreate:
			if size = int(i32(b)); size < 0 {
				return cut("a path in a transaction", b)
			}
			size += 4
		case op != opDelete && op != opCheck:
			return fmt.Errorf("%w: a transaction with an answer to request %d", errForeign, op)
		}
		if size > len(b) {
			return cut("an answer in a transaction", b)
		}
		b = b[size:]
	}
}

// Kinds of events (org.apache.zookeeper.Watcher.Event.EventType): none, those of one node, and those that tell that a watch was removed.
const (
	eventNone    = -1
	eventCreated = 1
	eventLast    = 7
)

// checkEvent says what is wrong with the event that comes next (WatcherEvent: kind 4, state 4, path).
func (k *link) checkEvent(size int) error {
	const header = replyHeader + 4 + 4 + 4
	if size < header {
		return fmt.Errorf("%w: an event of %d bytes", errForeign, size-replyHeader)
	}
	frame, err := k.peek(4 + header)
	if err != nil {
		return err
	}
	body := frame[4+replyHeader:]
	if kind := i32(body); kind != eventNone && (kind < eventCreated || kind > eventLast) {
		return fmt.Errorf("%w: an event of kind %d", errForeign, kind)
	}
	if n := i32(body[8:]); int(n) != size-header {
		return fmt.Errorf("%w: an event whose path has %d bytes, in %d", errForeign, n, size-header)
	}
	return nil
}
