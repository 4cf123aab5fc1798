package selector

import (
	"sync"
	"time"
)

// liveness is whether the list is live, asked for once a second at most: the answer may cost a copy of the list.
type liveness struct {
	mu    sync.Mutex
	until int64
	live  bool
}

const livenessHolds = int64(time.Second / time.Millisecond)

func (s *Selector) live() bool {
	l := &s.liveness
	now := s.now()
	l.mu.Lock()
	if now < l.until {
		defer l.mu.Unlock()
		return l.live
	}
	l.mu.Unlock()
	return l.ask(s.config.live, now)
}

// ask calls the user's function outside every lock. One that panics says no.
func (l *liveness) ask(f func() bool, now int64) (live bool) {
	if f == nil {
		return true
	}
	live = func() (live bool) {
		defer func() {
			if recover() != nil {
				live = false
			}
		}()
		return f()
	}()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.live, l.until = live, now+livenessHolds
	return live
}
