package selector

import (
	"math"
	"math/rand/v2"

	"github.com/holdfast-go/holdfast/selector/internal/policy"
)

const (
	// redraws is how often a draw that met a slowly starting server is repeated.
	redraws = 8
	// looks is how many servers on trial are looked at for one that may be tried.
	looks = 8
	// chances is how many of the servers that a call had before are left out of its next pick, at most.
	chances = 2
	// outOfTurn is how many unusable servers one pick passes over, at most.
	outOfTurn = 64
	// oversight: after so many picks one server is looked at that may have lost every comparison.
	oversight = 8
	// dialled is for how long all calls go to one server of which nothing is known: a dial may take as long.
	dialled = 2000
	// farEvery is how often a server that is too far to be called is measured.
	farEvery = 5000
)

// next returns a pick for a call, of a server that h has not had if there is one; the zero pick when there is none at all. What is chosen does not
// count as in flight yet.
func (s *Selector) next(r *roster, h *holder, c call) pick {
	t := r.table.Load()
	ch := t.plain
	if t.tagged != nil || s.config.onlyTagged {
		if tag := tagOf(c.ctx); tag != "" {
			if tagged := t.tagged[tag]; tagged != nil {
				ch = tagged
			} else if s.config.onlyTagged {
				return pick{}
			}
		}
	}
	if len(ch.Tiers) == 0 {
		return s.resort(t, ch, h)
	}
	for _, srv := range ch.first {
		if p := s.try(srv, h); p.server != nil {
			return p
		}
	}
	if s.config.policy == ConsistentHash { // a server is tried with its own keys
		return s.hashed(t, ch, h, s.callHash(c))
	}
	tier := 0
	if len(ch.Tiers) > 1 {
		tier = ch.At(rand.Float64())
	}
	if tried := ch.Tiers[tier].Tried; len(tried) > 0 {
		from := rand.IntN(len(tried))
		for i := range min(len(tried), looks) {
			if p := s.try(ch.servers[tried[(from+i)%len(tried)]], h); p.server != nil {
				return p
			}
		}
	}
	srv := s.draw(r, t, ch, tier)
	if t.ramped > 0 { // who starts slowly is chosen more seldom
		now := s.now()
		for range redraws {
			if srv.share(now, s.config.ramp) > rand.Float64() {
				break
			}
			srv = s.draw(r, t, ch, tier)
		}
	}
	if h.had(srv.key) {
		srv = ch.elsewhere(h, srv, tier)
	}
	return s.pickOf(srv)
}

func (s *Selector) pickOf(srv *server) pick {
	return pick{selector: s, server: srv, epoch: srv.epoch.Load(), chosen: s.recent()}
}

// try returns a pick of a server on trial, if it is its time and it is not being tried. At most one call at a time dials a server that no probe has found.
func (s *Selector) try(srv *server, h *holder) pick {
	if srv.State() != Trial || h.had(srv.key) {
		return pick{}
	}
	now := s.now()
	gate := int64(0)
	if !srv.is(found) {
		if gate = s.gate.Take(now); gate == 0 {
			return pick{}
		}
	}
	token := srv.permit.Take(now)
	if token == 0 {
		s.gate.Later(gate, 0) // nobody has used it
		return pick{}
	}
	p := s.pickOf(srv)
	p.permit, p.gate = token, gate
	return p
}

// draw returns a usable server of a tier.
func (s *Selector) draw(r *roster, t *table, ch *choice, tier int) *server {
	u := &ch.Tiers[tier].Urn
	if s.config.policy == WeightedRoundRobin {
		if m := ch.turns.Next(outOfTurn, func(m int) bool { return t.use(ch.servers[m]) == policy.Any }); m >= 0 {
			return ch.servers[m]
		}
		return ch.servers[u.Balls[u.Draw(rand.Uint64())].Member]
	}
	now := s.recent()
	// A server that has lost every comparison for long is called once, to learn whether it is well.
	if turn := r.turn.Add(1); turn%oversight == 0 {
		if i := u.Overlooked(turn/oversight, now); i >= 0 {
			return ch.servers[u.Balls[i].Member]
		}
	}
	i := 0
	if s.config.policy == Random {
		i = u.Draw(rand.Uint64())
	} else {
		i = u.LessLoaded(rand.Uint64(), rand.Uint64(), now)
	}
	if tier+1 < len(ch.Tiers) {
		next := &ch.Tiers[tier+1].Urn
		b := &next.Balls[next.Draw(rand.Uint64())]
		if policy.Spills(&u.Balls[i], b, r.far.load.Load().Last(), now) {
			return ch.servers[b.Member]
		}
		if token := r.far.permit.Take(now); token != 0 {
			r.far.permit.Later(token, now+farEvery)
			r.far.load.Store(b.Load)
			return ch.servers[b.Member]
		}
	}
	return ch.servers[u.Balls[i].Member]
}

// elsewhere returns another usable server than the one that was chosen, for a call that had its chance there: the next attempt of a Failover, or
// the backup of a Failbackup. It is one of the same tier if it can be, else of the nearest, and the same one when there is no other.
func (ch *choice) elsewhere(h *holder, srv *server, tier int) *server {
	for i := range len(ch.Tiers) + 1 {
		u := &ch.Tiers[tier].Urn
		if i > 0 {
			u = &ch.Tiers[i-1].Urn
		}
		if other := h.other(len(u.Balls), u.Draw(rand.Uint64()), func(i int) *server { return ch.servers[u.Balls[i].Member] }); other != nil {
			return other
		}
	}
	return srv
}

// other returns the first of n servers that the call has not had, from one of them on; nil if there is none.
func (h *holder) other(n, from int, of func(i int) *server) *server {
	for i := range min(n, chances+1) {
		if other := of((from + i) % n); !h.had(other.key) {
			return other
		}
	}
	return nil
}

// hashed returns a pick of the server that the hash of a call's key belongs to: the first on the ring that can be used and is not full.
func (s *Selector) hashed(t *table, ch *choice, h *holder, hash uint64) pick {
	now := int64(0)
	if t.ramped > 0 {
		now = s.now()
	}
	all := s.inFlight.Load()
	var trial pick
	full := -1 // the first that is, in case all are
	m := ch.ring.Walk(hash, policy.WalkFar, func(i int) bool {
		srv := ch.servers[i]
		if h.had(srv.key) {
			return false
		}
		switch t.use(srv) {
		case policy.Any:
		case policy.Try:
			trial = s.try(srv, h)
			return trial.server != nil
		default:
			return false
		}
		if n := srv.load.InFlight.Load(); n >= leastBound && n >= ch.bound(&ch.members[i], all, s.config.bound) {
			if full < 0 {
				full = i
			}
			return false
		}
		// While it starts slowly it has some of its keys, and more and more.
		return now == 0 || srv.share(now, s.config.ramp)*math.MaxUint32 >= float64(policy.Mix(hash^srv.hash)>>32)
	})
	switch {
	case trial.server != nil:
		return trial
	case m >= 0:
	case full >= 0:
		m = full
	default:
		u := &ch.Tiers[0].Urn
		srv := ch.servers[u.Balls[u.Draw(policy.Mix(hash))].Member]
		if h.had(srv.key) {
			srv = ch.elsewhere(h, srv, 0)
		}
		return s.pickOf(srv)
	}
	return s.pickOf(ch.servers[m])
}

// resort is the one server that all calls go to while no server can be used. One, because a dial stalls every call. It ends with an outcome, or in time.
type resort struct {
	server *server
	ends   uint32 // of the server when it began
	until  int64
}

// resort returns a pick when no server can be used.
func (s *Selector) resort(t *table, ch *choice, h *holder) pick {
	if len(ch.last) == 0 {
		return pick{}
	}
	now := s.now()
	is := ch.lane.only.Load()
	if is == nil || now >= is.until || is.ends != is.server.ends.Load() || t.byKey[is.server.key] != is.server || h.had(is.server.key) {
		srv := h.other(len(ch.last), rand.IntN(len(ch.last)), func(i int) *server { return ch.last[i] })
		if srv == nil {
			srv = ch.last[0]
		}
		next := &resort{srv, srv.ends.Load(), now + dialled}
		if ch.lane.only.CompareAndSwap(is, next) {
			is = next
		} else {
			is = ch.lane.only.Load() // somebody was faster
		}
	}
	return s.pickOf(is.server)
}
