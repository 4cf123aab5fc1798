package edges

import "sync"

// Crowd keeps many who meet the same thing at once from telling of it each: hundreds of services of one connection that is lost. Its zero value is
// ready, and its method may be called at once from anywhere.
type Crowd struct {
	mu  sync.Mutex
	met map[string]meeting
}

// meeting is how many have met the newest occasion of something.
type meeting struct {
	occasion int64
	n        int
}

// Meet counts one who meets something, on an occasion of it, and reports whether it is to be told, and whether it is the first that is not. What can be
// met are few things; only the newest occasion of each is remembered.
func (c *Crowd) Meet(what string, occasion int64) (tell, overflow bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.met == nil {
		c.met = make(map[string]meeting)
	}
	m := c.met[what]
	if m.occasion != occasion {
		m = meeting{occasion: occasion}
	}
	m.n++
	c.met[what] = m
	return m.n <= Limit, m.n == Limit+1
}
