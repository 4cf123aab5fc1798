package selector

import (
	"math/rand/v2"
	"time"

	"github.com/holdfast-go/holdfast/selector/internal/health"
)

// pick is one server chosen for one attempt. From count on it is in flight there, until done. Copies are one pick: call done on one of them.
// The zero pick is that of an empty list; its done does nothing.
type pick struct {
	selector *Selector
	server   *server
	epoch    uint32 // of the server
	chosen   int64  // when, or when its request went out
	permit   int64  // of the server, if this is the call that tries it; 0: it is not
	gate     int64  // the same for the Selector's gate

	undialled uint64 // dials that had failed there when it was chosen
}

// count makes the pick one that somebody will report on.
func (p *pick) count() {
	p.undialled = p.server.outcomes[health.Undialled].Load()
	p.server.picks.Add(1)
	p.server.recent.Add(p.chosen, lately)
	p.server.load.Chosen(p.chosen)
	p.server.load.InFlight.Add(1)
	if p.selector.config.policy == ConsistentHash {
		p.selector.inFlight.Add(1)
	}
}

// open says that done was not called yet.
func (p *pick) open() bool { return p.server != nil }

// begin says that the request goes out now: what comes of it is told of the server as it is now, which a dial may have changed.
func (p *pick) begin(now int64) {
	if p.open() {
		p.epoch, p.chosen = p.server.epoch.Load(), now
	}
}

// done reports how the attempt ended and how long it took (zero: not known). The first call counts, later ones on the same pick do nothing. It
// does not block, and must not be called from two goroutines at once.
func (p *pick) done(o health.Outcome, took time.Duration) {
	if !p.open() {
		return
	}
	srv, s := p.server, p.selector
	p.server = nil
	srv.load.InFlight.Add(-1)
	if s.config.policy == ConsistentHash {
		s.inFlight.Add(-1)
	}
	s.feed(srv, p.epoch, p.chosen, o, took)
	if p.permit != 0 {
		srv.permit.Return(p.permit, s.now()) // if there was a verdict, it is free already
	}
	s.gate.Later(p.gate, 0)
}

// unreported is what becomes of a pick of which nothing will be heard.
func (p *pick) unreported() {
	p.server.recent.Add(p.chosen, lately)
	if p.server.picks.Add(1)%oversight == 0 {
		p.selector.setRecent(p.selector.now()) // which reports would do
	}
	p.server.load.Chosen(p.chosen)
	if p.server.State() == Trial {
		p.selector.judge(p.server, p.epoch, health.NobodyReports)
	}
	p.selector.gate.Later(p.gate, 0)
}

// observe tells of an outcome of the server of key, where there is no pick to report it. Keys that are not listed are ignored.
func (s *Selector) observe(r *roster, key string, o health.Outcome, took time.Duration) {
	if srv := r.table.Load().byKey[key]; srv != nil {
		s.feed(srv, srv.epoch.Load(), s.now(), o, took)
	}
}

// feed lets a server answer for the outcome of an attempt, for which it was chosen at a time and in an epoch: what began before its state changed says
// nothing about what is now. A success of a server that is up takes no lock.
func (s *Selector) feed(srv *server, epoch uint32, chosen int64, o health.Outcome, took time.Duration) {
	now := s.now()
	s.setRecent(now)
	srv.outcomes[o].Add(1)
	if o.Failed() || !o.Alive() && srv.load.InFlight.Load() == 0 {
		srv.ends.Add(1)
	}
	current := srv.epoch.Load() == epoch
	first := current && o.Failed() && srv.load.Fail(chosen, now)
	// How often it fails and how quick it is are true whatever has become of it since.
	switch o {
	case health.Late, health.Broken:
		if o == health.Late || first { // a connection that breaks is one failure, however many calls were on it
			srv.bad.Add(now, lately/2)
		}
		if last := s.failed.Swap(now); last == 0 || last < now-lately/2 {
			s.loop.poke()
		}
	case health.Answered, health.Refused:
		srv.good.Add(now, lately/2)
	default:
	}
	switch {
	case took == 0: // not known
	case o == health.Answered:
		srv.load.Took(int64(took), now)
	case o == health.Refused, current && (o == health.GivenUp || o == health.Late):
		srv.load.TookAtLeast(int64(took), now)
	}
	if current && (o.Failed() || srv.is(alert) && (o.Alive() || o == health.Written)) {
		s.judge(srv, epoch, o)
	}
}

// judge applies what a call learned, unless the server has changed since the call began.
func (s *Selector) judge(srv *server, epoch uint32, k health.Kind) {
	if srv.epoch.Load() != epoch {
		return
	}
	live := true
	if k == health.Late || k == health.Broken {
		live = s.live()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if srv.epoch.Load() != epoch || s.closed {
		return
	}
	now := s.now()
	s.apply(srv, health.Event{Kind: k, Now: now, Roll: rand.Float64(), MayEject: s.mayEject(srv, live)})
	switch {
	case !s.changed:
	case k == health.ConnectionEnded && now == s.published: // thousands of connections may end at once
		s.loop.poke()
	default:
		s.publish(now)
	}
}

// mayEject says whether every list that the server is in allows one more ejection, beside those since its table was made: never more than Share of all
// may fail, and half as many be ejected while the list is not live. Those that are tried again after a failure count, and may be ejected. s.mu must be held.
func (s *Selector) mayEject(srv *server, live bool) bool {
	for _, r := range s.rosters {
		if r.byKey[srv.key] != srv {
			continue
		}
		c, more := r.table.Load().counts, r.ejected
		if !srv.known.health.Tried() {
			more++
		}
		limit := s.config.ejection.Share * float64(c.all)
		if float64(c.out+more) > limit || !live && float64(c.in[health.Ejected]+c.tried+more) > limit/2 {
			return false
		}
	}
	return true
}
