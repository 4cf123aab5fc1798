package zktest

import (
	"cmp"
	"slices"
	"time"
)

// containerInterval is how often a real server looks for containers that are to go.
const containerInterval = time.Minute

// clock expires sessions and sweeps containers until the Server is closed. It sleeps without a timer while nothing can become due.
func (s *Server) clock() {
	timer := time.NewTimer(containerInterval)
	defer timer.Stop()
	for {
		timer.Stop()
		s.mu.Lock()
		next := s.tick(time.Now())
		s.mu.Unlock()
		if !next.IsZero() {
			timer.Reset(time.Until(next))
		}
		select {
		case <-timer.C:
		case <-s.clockWake:
		case <-s.quit:
			return
		}
	}
}

// tick does what is due and returns when the next thing will be, the zero time if nothing. The caller holds s.mu.
//
// A session that is heard of moves its own deadline and wakes nobody: the clock may find nothing due when it wakes, and sleeps again.
func (s *Server) tick(now time.Time) (next time.Time) {
	if s.stopped {
		return time.Time{}
	}
	wait := func(until time.Time) {
		if next.IsZero() || until.Before(next) {
			next = until
		}
	}
	var due []*session
	for _, ss := range s.state.sessions {
		if now.Before(ss.deadline) {
			wait(ss.deadline)
		} else {
			due = append(due, ss)
		}
	}
	slices.SortFunc(due, func(a, b *session) int { return cmp.Or(a.deadline.Compare(b.deadline), cmp.Compare(a.id, b.id)) })
	for _, ss := range due {
		s.expire(ss)
	}
	if len(s.state.tree.containers) == 0 {
		s.sweepAt = time.Time{}
		return next
	}
	switch {
	case s.sweepAt.IsZero():
		s.sweepAt = now.Add(containerInterval)
	case !now.Before(s.sweepAt):
		s.sweepAt = now.Add(containerInterval)
		s.notify(s.state.tree.sweepContainers())
	}
	wait(s.sweepAt)
	return next
}
