package selector

import (
	"context"
	"math"
	"math/rand/v2"
	"time"
)

// call is what a server is chosen for.
type call struct {
	ctx                        context.Context //nolint:containedctx // it lives as long as the call of Select
	servicePath, serviceMethod string
	args                       any
}

// next returns a server for a call, one that h has not had if there is one; nil when there is none at all.
func (s *Selector) next(h *holder, c call) *server {
	t := s.table.Load()
	var srv *server
	switch {
	case len(t.usable.balls) == 0:
		srv = s.resort(t, h)
	case s.config.policy == ConsistentHash: // a server is tried with its own keys
		srv = s.hashed(t, h, s.callHash(c))
	default:
		if srv = s.trial(t, h); srv == nil {
			srv = s.drawn(t, h)
		}
	}
	if srv != nil {
		srv.picks.Add(1)
	}
	return srv
}

// trial returns a server that is to be tried, if there is one and none is being tried; one that has no call under way rather.
func (s *Selector) trial(t *table, h *holder) *server {
	if len(t.trials) == 0 || s.trying.Load() != nil {
		return nil
	}
	from := rand.IntN(len(t.trials))
	var srv *server
	for i := range min(len(t.trials), trialDraws) {
		other := t.trials[(from+i)%len(t.trials)]
		if other.State() != Trial || had(h, other) {
			continue
		}
		idle := other.inFlight.Load() == 0
		if srv == nil || idle {
			srv = other
		}
		if idle {
			break
		}
	}
	if srv != nil && s.seize(srv) {
		return srv
	}
	return nil
}

func had(h *holder, srv *server) bool { return h != nil && h.had(srv.key) }

// drawn returns a usable server, more seldom one that starts slowly. There must be a usable one.
func (s *Selector) drawn(t *table, h *holder) *server {
	srv := s.draw(t)
	if t.ramping {
		now := s.now()
		for range redraws {
			if srv.share(now, s.config.ramp) > rand.Float64() {
				break
			}
			srv = s.draw(t)
		}
	}
	if had(h, srv) {
		return t.elsewhere(h, srv)
	}
	return srv
}

// elsewhere returns another usable server than the one that was chosen, for a call that had its chance there: the next attempt of a Failover, or
// the backup of a Failbackup. It is the same when there is no other.
func (t *table) elsewhere(h *holder, srv *server) *server {
	from := t.usable.draw(rand.Uint64())
	for i := range min(len(t.usable.balls), chances+1) {
		if other := t.usable.balls[(from+i)%len(t.usable.balls)].server; !had(h, other) {
			return other
		}
	}
	return srv
}

const (
	// redraws is how often a draw is repeated that met a server which starts slowly.
	redraws = 8
	// trialDraws is how many servers on trial are looked at for one without a call.
	trialDraws = 8
	// chances is how many servers a holder says that it had, at most.
	chances = 2
	// outOfTurn is how many servers that cannot be used lose their turn in one pick.
	outOfTurn = 64
	// outOfRing is how many points of the ring are passed over in one pick.
	outOfRing = 8 * pointsEach
)

// draw returns a usable server. There must be one.
func (s *Selector) draw(t *table) *server {
	switch s.config.policy {
	case WeightedRoundRobin:
		if srv := s.turns.next(outOfTurn, t.takes); srv != nil {
			return srv
		}
	case Locality:
		return near(t.tiers, rand.Float64(), rand.Uint64(), rand.Uint64(), rand.Uint64(), s.coarse.Load()).server
	case P2C:
		return lessLoaded(t.usable, rand.Uint64(), rand.Uint64(), s.coarse.Load()).server
	default:
	}
	return t.usable.balls[t.usable.draw(rand.Uint64())].server
}

// hashed returns the server that the hash of a call's key belongs to: the first on the ring that can be used and is not full. There must be one.
func (s *Selector) hashed(t *table, h *holder, hash uint64) *server {
	now := int64(0)
	if t.ramping {
		now = s.now()
	}
	all := s.inFlight.Load()
	var full *server // the first that is, in case all are
	m, ok := t.pool.ring.walk(hash, outOfRing, func(i int) bool {
		m := &t.pool.members[i]
		srv := m.server
		switch {
		case had(h, srv):
			return false
		case t.takes(srv):
		case srv.State() == Trial && s.seize(srv):
			return true
		default:
			return false
		}
		if n := srv.inFlight.Load(); n >= leastBound && n >= t.bound(m, all, s.config.bound) {
			if full == nil {
				full = srv
			}
			return false
		}
		// While it starts slowly it has some of its keys, and more and more.
		return now == 0 || srv.share(now, s.config.ramp)*math.MaxUint32 >= float64(mix(hash^srv.hash)>>32)
	})
	switch {
	case ok:
		return t.pool.members[m].server
	case full != nil:
		return full
	}
	return t.usable.balls[t.usable.draw(mix(hash))].server
}

// resort returns a server when none is usable. All picks go to one until its outcome is known: a dial stalls everybody.
func (s *Selector) resort(t *table, h *holder) *server {
	if len(t.last) == 0 {
		return nil
	}
	if srv := s.tried(t); srv != nil && !had(h, srv) {
		return srv
	}
	from := rand.IntN(len(t.last))
	srv := t.last[from]
	for i := range min(len(t.last), chances+1) {
		if other := t.last[(from+i)%len(t.last)]; !had(h, other) {
			srv = other
			break
		}
	}
	if !s.seize(srv) {
		if other := s.tried(t); other != nil && !had(h, other) { // somebody was faster
			return other
		}
	}
	return srv
}

// tried returns the server that is being tried; nil when there is none, or it has left the list.
func (s *Selector) tried(t *table) *server {
	srv := s.trying.Load()
	if srv != nil && t.byKey[srv.key] != srv {
		s.release(srv)
		return nil
	}
	return srv
}

// lease is for how long a call that tries a server keeps others from trying one: most have ended by then, or never will.
const lease = 2 * time.Second

// seize makes srv the one that is being tried, if there is none.
func (s *Selector) seize(srv *server) bool {
	if s.trying.Load() != nil {
		return false
	}
	srv.lease.Store(s.now() + int64(lease)) // first, for the loop looks at it once srv is being tried
	if !s.trying.CompareAndSwap(nil, srv) {
		return false
	}
	s.poke()
	return true
}

// release lets another server be tried, if srv was the one.
func (s *Selector) release(srv *server) {
	if s.trying.Load() == srv {
		s.trying.CompareAndSwap(srv, nil)
	}
}
