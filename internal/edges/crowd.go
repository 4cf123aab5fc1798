package edges

import "sync"

// Crowd keeps many who meet the same thing at once from telling of it each: hundreds of services of one connection that is lost. Its zero value is
// ready, and its method may be called at once from anywhere.
type Crowd struct {
	mu    sync.Mutex
	event any
	n     int
}

// Meet counts one who meets an event, any comparable value, and reports whether it is to be told, and whether it is the first that is not. Those count
// who meet the same event without another in between.
func (c *Crowd) Meet(event any) (tell, overflow bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.event != event {
		c.event, c.n = event, 0
	}
	c.n++
	return c.n <= Limit, c.n == Limit+1
}
