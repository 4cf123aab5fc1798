package zktest

import (
	"sync"
	"time"
)

// outbox is what waits to be written to one connection, in order. To put never blocks; a connection whose client does not read holds
// up its own reader (see room), and only that. What a client can make the server queue without asking is bounded by its watches.
type outbox struct {
	mu     sync.Mutex
	queue  []outFrame
	bytes  int  // in queue
	held   int  // of requests that wait for the end of a silence; they count against room too
	frozen bool // during a silence: nothing leaves, not even the end of the connection
	ending bool // close the connection once queue is empty
	closed bool

	wake chan struct{} // room for one: poked when the writer has something to do
	free chan struct{} // room for one: poked when bytes or held has shrunk
}

type outFrame struct {
	due time.Time // zero: at once
	b   []byte
}

// outboxRoom bounds what a connection may leave unread or unprocessed before its requests are no longer read.
const outboxRoom = 4 << 20

func newOutbox(frozen bool) *outbox {
	return &outbox{frozen: frozen, wake: make(chan struct{}, 1), free: make(chan struct{}, 1)}
}

func poke(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

func (o *outbox) put(b []byte, delay time.Duration) {
	f := outFrame{b: b}
	if delay > 0 {
		f.due = time.Now().Add(delay)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || o.ending {
		return
	}
	o.queue = append(o.queue, f)
	o.bytes += len(b)
	poke(o.wake)
}

// outboxPiece is about as much as is written at once: small frames are joined, in a buffer of the writer's, and large ones go as they are.
const outboxPiece = 64 << 10

// next takes what is due and is to be written now, in buf if that serves. Without anything it says how long until there is (0: until wake),
// and whether the connection has come to its end.
func (o *outbox) next(buf []byte) (due []byte, wait time.Duration, end bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	due = buf[:0]
	if o.closed {
		return due, 0, true
	}
	if o.frozen {
		return due, 0, false
	}
	n := 0
	for ; n < len(o.queue) && len(due) < outboxPiece; n++ {
		f := &o.queue[n]
		if !f.due.IsZero() {
			if wait = time.Until(f.due); wait > 0 {
				break
			}
		}
		if len(due) == 0 && len(f.b) >= outboxPiece {
			due = f.b
		} else {
			due = append(due, f.b...)
		}
		o.bytes -= len(f.b)
		f.b = nil
	}
	if o.queue = o.queue[n:]; len(o.queue) == 0 {
		o.queue = nil
		end = o.ending && n == 0
	}
	if n > 0 {
		poke(o.free)
	}
	return due, wait, end
}

// end lets the connection be closed once everything put so far has been written; nothing can be put any more.
func (o *outbox) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ending = true
	poke(o.wake)
}

// close ends the connection at once.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed, o.queue = true, nil
	poke(o.wake)
	poke(o.free)
}

func (o *outbox) freeze(on bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.frozen = on
	poke(o.wake)
}

// heldCost is what keeping a frame for later takes, so that even empty ones have an end.
func heldCost(frame []byte) int { return len(frame) + 32 }

// hold counts n bytes (or, below zero, gives them back) of requests that are kept for later.
func (o *outbox) hold(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.held += n
	if n < 0 {
		poke(o.free)
	}
}

// room blocks until the connection may ask for more. It reports false when the connection is closed.
func (o *outbox) room() bool {
	for {
		o.mu.Lock()
		ok, closed := o.bytes+o.held <= outboxRoom, o.closed
		o.mu.Unlock()
		switch {
		case closed:
			return false
		case ok:
			return true
		}
		<-o.free
	}
}
