package drive

import (
	"sync"
	"time"
)

// trialGap is the time between two trials of all that share a Gate.
const trialGap = 10 * time.Second

// Gate keeps many services from finding out all at once whether their probes reach anybody. Its zero value is ready. It may be used from anywhere.
type Gate struct {
	mu sync.Mutex
	at time.Time // of the newest trial
}

// may reports whether one service may try now.
func (g *Gate) may(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now.Before(g.at.Add(trialGap)) {
		return false
	}
	g.at = now
	return true
}
