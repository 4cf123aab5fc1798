package probe

import (
	"container/list"
	"math"
	"sync"
	"time"
)

const (
	atOnce       = 64               // probes of a process
	maxHung      = 64               // probes of a process that ignored their context and have not come back
	recountAfter = time.Second      // from one count of the descriptors to the next
	lookSoon     = time.Millisecond // from the moment a queue begins to wait for the process to its first look
	lookLate     = 64 * lookSoon    // between two looks, at most
)

// process is the budget that all queues share.
var process = budget{free: freeDescriptors}

// budget says who may probe now. Its mutex also guards what the queues know of their asks.
type budget struct {
	free func() int // file descriptors

	mu      sync.Mutex
	slots   int                // granted to queues, used or not yet
	hung    int                // probes left behind
	line    [classes]list.List // of *Queue: those that want a slot
	most    int                // slots that may be granted, as it was at counted
	counted time.Time
}

// class orders asks.
type class uint8

const (
	neverAsked class = iota // these go first
	askedBefore
	classes = iota
)

// deal grants free slots to queues in turn. b.mu must be held.
func (b *budget) deal() {
	for q := b.first(); q != nil && b.slots < b.limit(); q = b.first() {
		b.slots++
		q.granted++
		b.leave(q)
		b.enter(q) // behind the others
	}
}

// first is the queue whose turn it is; nil when none waits.
func (b *budget) first() *Queue {
	for c := range b.line {
		if e := b.line[c].Front(); e != nil {
			return e.Value.(*Queue)
		}
	}
	return nil
}

// enter has a queue stand in the line where it belongs, if it wants a slot. One that stands there already keeps its place.
func (b *budget) enter(q *Queue) {
	if q.wants() <= 0 {
		b.leave(q)
		return
	}
	c := askedBefore
	if q.waiting[neverAsked].len() > q.granted {
		c = neverAsked
	}
	if q.place != nil && q.class != c {
		b.leave(q)
	}
	if q.place == nil {
		q.place, q.class = b.line[c].PushBack(q), c
	}
}

func (b *budget) leave(q *Queue) {
	if q.place != nil {
		b.line[q.class].Remove(q.place)
		q.place = nil
	}
}

// limit is how many slots may be granted now. The descriptors that the probes of now have count as free.
func (b *budget) limit() int {
	now := time.Now()
	if since := now.Sub(b.counted); b.most == 0 || since >= recountAfter || since < 0 { // a bubble's clock is another one
		b.counted = now
		b.most = max(1, min(atOnce, (min(b.free(), math.MaxInt32)+b.slots)/4))
	}
	return b.most
}
