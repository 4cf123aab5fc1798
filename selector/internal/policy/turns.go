package policy

import (
	"math/rand/v2"
	"sync"

	"github.com/holdfast-go/holdfast/selector/internal/health"
)

// Turns takes members in turn, each as often as its weight says and evenly spread: smooth weighted round robin, as earliest deadline first (Envoy's
// EDF scheduler; the stride scheduling of C. Waldspurger, 1995). Among W picks, W being the sum of the weights, a member of weight w has w, one more or
// one less. A heap orders the members by their next turn. The zero Turns is empty. Its methods may be called at once from anywhere.
type Turns struct {
	members []Member
	mu      sync.Mutex
	heap    []turn  // each before its two children, those of i from 2i+1 on
	now     float64 // the turn taken last
}

// turn is when a member is next: one stride, the inverse of its weight, after its last turn.
type turn struct {
	at     float64
	stride float32
	member int32
}

// With returns the turns of members. A member that has a turn in q keeps its place: as far from its turn as it was, in strides. A newcomer gets a place at
// random, so that neither the newcomers nor the clients of one service act in step.
func (q *Turns) With(members []Member) *Turns {
	left := make(map[*health.Load]float64, len(q.heap)) // strides to the next turn
	q.mu.Lock()
	for _, t := range q.heap {
		left[q.members[t.member].Load] = (t.at - q.now) / float64(t.stride)
	}
	q.mu.Unlock()
	next := &Turns{members: members, heap: make([]turn, len(members))}
	for i, m := range members {
		strides, ok := left[m.Load]
		if !ok {
			strides = rand.Float64()
		}
		stride := 1 / m.Weight
		next.heap[i] = turn{min(strides, 1) * float64(stride), stride, int32(i)}
	}
	for i := len(next.heap)/2 - 1; i >= 0; i-- {
		next.sink(i, next.heap[i])
	}
	return next
}

// Next returns the index of the member whose turn it is among those that take says. It passes over at most tries others, which lose their turns; -1 then.
func (q *Turns) Next(tries int, take func(member int) bool) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	for ; tries > 0 && len(q.heap) > 0; tries-- {
		t := q.heap[0]
		q.now = t.at
		t.at += float64(t.stride)
		taken := take(int(t.member)) // first: what it reads is fetched while the turn sinks
		q.sink(0, t)
		if taken {
			return int(t.member)
		}
	}
	return -1
}

// sink puts t in the place of the i-th turn, or below.
func (q *Turns) sink(i int, t turn) {
	heap := q.heap
	for 2*i+1 < len(heap) {
		least := 2*i + 1
		if least+1 < len(heap) && heap[least+1].at < heap[least].at {
			least++
		}
		if t.at <= heap[least].at {
			break
		}
		heap[i] = heap[least]
		i = least
	}
	heap[i] = t
}
