package selector

import (
	"sync"
	"time"
)

// dialFailed tells of a dial that failed, where there is no pick to report it.
func (s *Selector) dialFailed(key string, _ error) { s.observe(key, dialFailed, 0) }

// observe tells of an outcome of the server of key, where there is no pick to report it. Keys that are not listed are ignored.
func (s *Selector) observe(key string, o outcome, latency time.Duration) {
	if srv := s.table.Load().byKey[key]; srv != nil {
		s.feed(srv, srv.epoch.Load(), o, latency)
	}
}

// feed lets a server answer for the outcome of an attempt that began in that epoch of it. A success of a server that is up takes no lock.
func (s *Selector) feed(srv *server, epoch uint32, o outcome, latency time.Duration) {
	// It is not being tried any more, unless it was this call only that gave up.
	if srv.epoch.Load() == epoch && (o != cancelled || srv.inFlight.Load() == 0) {
		defer s.release(srv)
	}
	now := s.now()
	ms := uint32(now / int64(time.Millisecond))
	if s.coarse.Load() != ms {
		s.coarse.Store(ms)
	}
	srv.outcomes[o].Add(1)
	switch o {
	case succeeded:
		if latency > 0 {
			srv.latency.add(latency, ms)
		}
		if srv.alert.Load() {
			s.judge(srv, epoch, callSucceeded)
		}
	case serviceError:
		if latency > 0 {
			srv.latency.hold(latency, ms)
		}
		if srv.alert.Load() {
			s.judge(srv, epoch, callSucceeded)
		}
	case transportFailed, timedOut:
		srv.latency.fail(latency, ms)
		s.judge(srv, epoch, callFailed)
	case dialFailed:
		s.judge(srv, epoch, dialRefused)
	case cancelled:
	}
}

// judge applies what a call learned, unless the server has changed since the call began.
func (s *Selector) judge(srv *server, epoch uint32, k kind) {
	if srv.epoch.Load() != epoch {
		return
	}
	live := s.live()
	s.mu.Lock()
	defer s.mu.Unlock()
	if srv.epoch.Load() != epoch || s.closed {
		return
	}
	now := s.now()
	s.apply(srv, event{
		kind: k, now: now, roll: s.roll(),
		mayEject: s.table.Load().counts.mayEject(s.config.ejection.Share, live),
	})
	if s.changed {
		s.publish(now)
	}
	if k == callFailed && !s.sweep.on {
		s.sweep.wanted = true
		s.poke()
	}
}

// liveness is whether the list is live, asked for once a second at most: the answer may cost a copy of the list.
type liveness struct {
	mu    sync.Mutex
	until int64
	live  bool
}

const livenessHolds = int64(time.Second)

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
