package health

import "sync/atomic"

const slots = 8

// Counter counts what happened in the last span of time, to an eighth of it. Its methods may be called at once from anywhere; a count that comes in the
// moment in which a slot is begun anew may get lost.
type Counter struct {
	slots [slots]atomic.Uint64 // number of the eighth<<32 | count
}

// Add counts one.
func (c *Counter) Add(now, span int64) {
	n := uint64(now*slots/span) + 1
	s := &c.slots[n%slots]
	for {
		w := s.Load()
		is := w + 1
		if w>>32 != n {
			is = n<<32 | 1
		}
		if s.CompareAndSwap(w, is) {
			return
		}
	}
}

// Sum is how much was counted in the span that ends now, of which the present eighth has just begun.
func (c *Counter) Sum(now, span int64) (sum uint64) {
	n := uint64(now*slots/span) + 1
	for i := range c.slots {
		if w := c.slots[i].Load(); w>>32+slots > n {
			sum += w & (1<<32 - 1)
		}
	}
	return sum
}

// Take takes back one that was counted, if it can be found.
func (c *Counter) Take(now, span int64) {
	n := uint64(now*slots/span) + 1
	s := &c.slots[n%slots]
	if w := s.Load(); w>>32 == n && w&(1<<32-1) > 0 {
		s.CompareAndSwap(w, w-1)
	}
}

// Reset forgets all counts.
func (c *Counter) Reset() {
	for i := range c.slots {
		if c.slots[i].Load() != 0 { // a store costs ten times as much
			c.slots[i].Store(0)
		}
	}
}
