package belief

import "container/heap"

// queue orders holds by when they are to be probed.
type queue []*hold

func (q *queue) push(h *hold) { heap.Push((*byDue)(q), h) }

func (q *queue) pop() *hold { return heap.Pop((*byDue)(q)).(*hold) }

func (q *queue) remove(h *hold) {
	if h.index >= 0 {
		heap.Remove((*byDue)(q), h.index)
	}
}

// byDue is a queue as container/heap wants it.
type byDue []*hold

func (q byDue) Len() int           { return len(q) }
func (q byDue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q byDue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

func (q *byDue) Push(x any) {
	h := x.(*hold)
	h.index = len(*q)
	*q = append(*q, h)
}

func (q *byDue) Pop() any {
	last := len(*q) - 1
	h := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	h.index = -1
	return h
}
