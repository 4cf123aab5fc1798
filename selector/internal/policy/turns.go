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
	mu   sync.Mutex
	heap []turn
	now  float64 // the turn taken last
	list int     // grows with each Reset
}

// turn is when a member is next: one stride, the inverse of its weight, after its last turn.
type turn struct {
	at, stride float64
	load       *health.Load // who it is, from one Reset to the next
	member     int32
}

func (t turn) before(u turn) bool { return t.at < u.at || t.at == u.at && t.member < u.member }

// Next returns the index of the member whose turn it is among those that take says. It passes over at most tries others, which lose their turns; -1 then, and
// when list is not what the last Reset returned.
func (q *Turns) Next(list, tries int, take func(member int) bool) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	if list != q.list {
		return -1
	}
	for ; tries > 0 && len(q.heap) > 0; tries-- {
		t := q.heap[0]
		q.now = t.at
		t.at += t.stride
		q.sink(0, t)
		if take(int(t.member)) {
			return int(t.member)
		}
	}
	return -1
}

// sink puts t in the place of the i-th turn, or below.
func (q *Turns) sink(i int, t turn) {
	for {
		least := 2*i + 1
		if least >= len(q.heap) {
			break
		}
		if r := least + 1; r < len(q.heap) && q.heap[r].before(q.heap[least]) {
			least = r
		}
		if !q.heap[least].before(t) {
			break
		}
		q.heap[i] = q.heap[least]
		i = least
	}
	q.heap[i] = t
}

// Reset changes the members and weights. A member that stays keeps its place: as far from its turn as it was, in strides. A newcomer gets a place at
// random, so that neither the newcomers nor the clients of one service act in step.
func (q *Turns) Reset(members []Member) (list int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	left := make(map[*health.Load]float64, len(q.heap)) // strides to the next turn
	for _, t := range q.heap {
		left[t.load] = (t.at - q.now) / t.stride
	}
	q.now, q.heap = 0, make([]turn, len(members))
	for i, m := range members {
		t := turn{stride: 1 / float64(m.Weight), load: m.Load, member: int32(i)}
		if strides, ok := left[m.Load]; ok {
			t.at = min(strides, 1) * t.stride
		} else {
			t.at = rand.Float64() * t.stride
		}
		q.heap[i] = t
	}
	for i := len(q.heap)/2 - 1; i >= 0; i-- {
		q.sink(i, q.heap[i])
	}
	q.list++
	return q.list
}
