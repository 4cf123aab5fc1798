package selector

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/internal/probe"
	"github.com/holdfast-go/holdfast/selector/internal/health"
)

// loop is the one goroutine of a Selector, which does what must not be done by callers.
type loop struct {
	ctx    context.Context //nolint:containedctx // of the goroutine and of its probes
	cancel context.CancelFunc
	wake   chan struct{} // holds one when there is something to do; never closed
	wg     sync.WaitGroup

	// Guarded by Selector.mu.
	started  bool
	sweeping int64    // when the servers were compared last, or that began; 0: never
	probes   int      // running
	news     []func() // to tell
}

// poke makes the loop take a turn.
func (l *loop) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// idle is how long the loop sleeps when nothing is due, and nap the least, so that what is due about the same time is done at once, in milliseconds.
const (
	idle       = 3_600_000
	nap        = 10
	sweepEvery = 1000
)

func (s *Selector) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-s.loop.ctx.Done():
			return
		case <-s.loop.wake:
		case <-timer.C:
		}
		timer.Reset(time.Duration(s.turn()) * time.Millisecond)
	}
}

// turn does what is due and returns for how many milliseconds nothing else is.
func (s *Selector) turn() int64 {
	live := s.live()
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return idle
	}
	now := s.now()
	due := now + idle
	soon := func(at int64) {
		if at > 0 {
			due = min(due, at)
		}
	}
	soon(s.sweep(now, live))
	ask := s.due(now, soon)
	for _, r := range s.rosters {
		if ends := r.table.Load().ramped; ends > now {
			soon(ends)
		} else if ends > 0 {
			s.changed = true
		}
	}
	if s.changed {
		s.publish(now)
		due = now // there may be more to do now
	}
	news := s.loop.news
	s.loop.news = nil
	s.mu.Unlock()

	for _, begin := range ask {
		begin()
	}
	for _, tell := range news {
		s.call(tell)
	}
	return max(nap, due-s.now())
}

// answered believes what a probe found that began in an epoch of a server, unless something happened meanwhile. The loop publishes it.
func (s *Selector) answered(srv *server, epoch uint32, found probe.Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loop.probes--
	srv.known.probing = false
	kind := health.ProbeUnable // or this side could not ask: a call may find out
	switch found {
	case probe.Alive:
		kind, s.reached = health.ProbeAnswered, true
	case probe.Silent:
		kind = health.ProbeSilent
	case probe.Unaskable, probe.CouldNotAsk:
	}
	if srv.epoch.Load() == epoch && !s.closed {
		s.apply(srv, health.Event{Kind: kind, Now: s.now(), Roll: rand.Float64(), Doubtful: s.answeredCalls && !s.reached})
	}
	s.loop.poke()
}

// due returns what probes the servers that are to be probed now, and tells when others will be. s.mu must be held.
func (s *Selector) due(now int64, soon func(int64)) (ask []func()) {
	for _, r := range s.rosters {
		t := r.table.Load()
		if t.counts.asked == 0 {
			continue
		}
		for _, srv := range t.pool.servers {
			switch h := &srv.known.health; {
			case !h.Asked() || srv.known.probing:
			case now < h.Until:
				soon(h.Until)
			case s.prober == nil:
				s.apply(srv, health.Event{Kind: health.ProbeUnable, Now: now})
			case s.loop.probes < s.config.probing.Parallel:
				srv.known.probing = true
				s.loop.probes++
				epoch, first := srv.epoch.Load(), h.State == health.Fresh // first: it is not known to have answered
				ask = append(ask, func() {
					s.prober.Ask(s.loop.ctx, srv.key, first, func(o probe.Outcome) { s.answered(srv, epoch, o.Answer) })
				})
			}
		}
	}
	return ask
}

// sweep looks for servers with a low success rate, while calls have failed lately, and returns when it will again; 0 for never. s.mu must be held.
func (s *Selector) sweep(now int64, live bool) int64 {
	last := s.failed.Load()
	if last == 0 || now > last+lately/2 {
		return 0
	}
	if s.loop.sweeping == 0 || now > s.loop.sweeping+lately/2 { // how well it went before the failures says nothing
		for _, srv := range s.servers {
			srv.good.Reset()
		}
		s.loop.sweeping = now
	}
	if now < s.loop.sweeping+sweepEvery {
		return s.loop.sweeping + sweepEvery
	}
	s.loop.sweeping = now
	for _, r := range s.rosters {
		servers := r.table.Load().pool.servers
		tallies := make([]health.Tally, len(servers))
		for i, srv := range servers {
			if srv.known.health.Serves() { // failed dials are another matter
				tallies[i] = health.Tally{Good: srv.good.Sum(now, lately/2), Bad: srv.bad.Sum(now, lately/2)}
			}
		}
		for _, i := range health.Outliers(tallies) {
			s.apply(servers[i], health.Event{Kind: health.RateLow, Now: now, Roll: rand.Float64(), MayEject: s.mayEject(servers[i], live)})
		}
	}
	return now + sweepEvery
}

// apply lets a server's health take an event, and notes what changed. s.mu must be held; whoever calls publishes.
func (s *Selector) apply(srv *server, e health.Event) {
	was := srv.known.health
	s.answeredCalls = s.answeredCalls || e.Kind.Alive()
	is := was.Step(e, &s.config.rules)
	srv.known.health = is
	srv.mark()
	if is.State == health.Ejected && was.State != health.Ejected { // what it did counts once
		srv.good.Reset()
		srv.bad.Reset()
		for _, r := range s.rosters {
			if r.byKey[srv.key] == srv {
				r.ejected++
			}
		}
	}
	if e.Kind == health.ProbeAnswered && was.Why == health.ConnectionBroke && was.State == health.Fresh && srv.load.InFlight.Load() == 0 {
		srv.load.ForgetLatency() // none of its connections is in use, and another process may have answered
	}
	if is.State != was.State {
		s.changed = true
	}
	if is.State != was.State || is.Until != was.Until && is.State != health.Fresh {
		c := Change{Key: srv.key, From: State(was.State), To: State(is.State), Reason: Reason(is.Why), Until: s.time(is.Until)}
		s.tellChange(c, was.Certain() && is.Certain() && was.Serves() != is.Serves())
	}
}
