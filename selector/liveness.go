package selector

import (
	"sync/atomic"
	"time"
)

// liveness is whether the list is live, asked for once a second at most: the answer may cost a copy of the list.
type liveness struct {
	live  atomic.Bool
	until atomic.Int64
}

const livenessHolds = int64(time.Second / time.Millisecond)

func (s *Selector) live() bool {
	if now := s.now(); now >= s.liveness.until.Load() {
		return s.askLive(now)
	}
	return s.liveness.live.Load()
}

// askLive calls the user's function, so no lock may be held. One that panics says no.
func (s *Selector) askLive(now int64) (live bool) {
	defer func() {
		live = recover() == nil && live
		s.liveness.live.Store(live)
		s.liveness.until.Store(now + livenessHolds)
	}()
	return s.config.live()
}
