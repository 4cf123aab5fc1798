package edges

import (
	"sync"
	"time"
)

// Crowd keeps many who meet the same thing at once from telling of it each: hundreds of services of one connection that is lost. Its zero value is
// ready, and its method may be called at once from anywhere.
type Crowd struct {
	mu  sync.Mutex
	met map[string]meeting
}

// meeting is how many have met something since.
type meeting struct {
	since time.Time
	n     int
}

// Meet counts one who meets something, of which there are few kinds, and reports whether it is to be told, and whether it is the first that is not. What
// is met SettledAfter its first is another occasion.
func (c *Crowd) Meet(what string, now time.Time) (tell, overflow bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.met == nil {
		c.met = make(map[string]meeting)
	}
	m := c.met[what]
	if now.Sub(m.since) >= SettledAfter {
		m = meeting{since: now}
	}
	m.n++
	c.met[what] = m
	return m.n <= Limit, m.n == Limit+1
}
