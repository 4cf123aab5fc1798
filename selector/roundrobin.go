package selector

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"sync"
)

// roundRobin takes servers in turn, each as often as its weight says and evenly spread: smooth weighted round robin, as earliest deadline first
// (Envoy's EDF scheduler; the stride scheduling of C. Waldspurger, 1995). Among W picks, W being the sum of the weights, a server of weight w
// has w, one more or one less.
//
// A server's next turn is one stride, the inverse of its weight, after the last one. Servers of one weight keep their order for ever, so they
// stand in a circle of which only the head is looked at; a heap orders the circles. So a turn costs the logarithm of how many different weights
// there are, whatever they are and however many servers.
type roundRobin struct {
	mu    sync.Mutex
	heads []head // a heap by at
	now   uint64 // the turn taken last
}

// head is a circle and when its next turn is.
type head struct {
	at     uint64
	circle *circle
}

// circle is the servers of one weight in the order of their turns.
type circle struct {
	stride uint64
	next   int // of turns
	turns  []turn
}

// turn is when a server is next. Turns wrap around; two of them are less than half of their range apart.
type turn struct {
	at     uint64
	server *server
}

func before(a, b uint64) bool { return int64(a-b) < 0 }
func compare(a, b uint64) int { return cmp.Compare(int64(a-b), 0) }

// whole is the stride of weight 1.
const whole = 1 << 44

// next returns the server whose turn it is among those that take says. It passes over at most tries others, which lose their turns; nil then.
func (q *roundRobin) next(tries int, take func(*server) bool) *server {
	q.mu.Lock()
	defer q.mu.Unlock()
	for ; tries > 0 && len(q.heads) > 0; tries-- {
		c := q.heads[0].circle
		t := &c.turns[c.next]
		srv := t.server
		q.now = t.at
		t.at += c.stride
		if c.next++; c.next == len(c.turns) {
			c.next = 0
		}
		sink(q.heads, head{c.turns[c.next].at, c})
		if take(srv) {
			return srv
		}
	}
	return nil
}

// sink replaces the first of a heap.
func sink(heap []head, h head) {
	i := 0
	for {
		least := 2*i + 1
		if least >= len(heap) {
			break
		}
		if r := least + 1; r < len(heap) && before(heap[r].at, heap[least].at) {
			least = r
		}
		if !before(heap[least].at, h.at) {
			break
		}
		heap[i] = heap[least]
		i = least
	}
	heap[i] = h
}

// reset changes the servers and weights. Who stays keeps its place: as far from its turn as it was, in strides. A newcomer gets a place of its own
// at random, so that neither it nor the clients of one service act in step.
func (q *roundRobin) reset(members []member) {
	q.mu.Lock()
	defer q.mu.Unlock()
	type place struct{ left, stride uint64 }
	old := make(map[*server]place, len(members))
	for _, h := range q.heads {
		for _, t := range h.circle.turns {
			old[t.server] = place{t.at - q.now, h.circle.stride}
		}
	}
	byWeight := make(map[uint32]*circle)
	q.heads = q.heads[:0]
	for _, m := range members {
		c := byWeight[m.weight]
		if c == nil {
			c = &circle{stride: whole / uint64(m.weight)}
			byWeight[m.weight] = c
			q.heads = append(q.heads, head{circle: c})
		}
		left := rand.Uint64N(c.stride)
		if p, ok := old[m.server]; ok {
			if left = p.left; p.stride != c.stride {
				left = min(uint64(float64(p.left)/float64(p.stride)*float64(c.stride)), c.stride-1)
			}
		}
		c.turns = append(c.turns, turn{q.now + left, m.server})
	}
	for i := range q.heads {
		h := &q.heads[i]
		slices.SortStableFunc(h.circle.turns, func(a, b turn) int { return compare(a.at, b.at) })
		h.at = h.circle.turns[0].at
	}
	slices.SortStableFunc(q.heads, func(a, b head) int { return compare(a.at, b.at) })
}
