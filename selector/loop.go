package selector

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/holdfast-go/holdfast/internal/probe"
)

// answer is what a probe found.
type answer struct {
	server *server
	epoch  uint32 // of the server when the probe began
	first  bool   // it was not asked before
	found  probe.Answer
}

func (s *Selector) roll() float64 { return rand.Float64() }

// poke makes the loop take a turn.
func (s *Selector) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// idle is how long the loop sleeps when nothing is due, and nap the least, so that what is due about the same time is done at once.
const (
	idle = time.Hour
	nap  = 10 * time.Millisecond
)

// run is the loop: it does what is due, and what must not be done by callers.
func (s *Selector) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-s.wake:
		case <-timer.C:
		}
		timer.Reset(s.turn())
	}
}

// turn does what is due and returns how long nothing else is.
func (s *Selector) turn() time.Duration {
	live := s.live()
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return idle
	}
	now := s.now()
	due := now + int64(idle)
	soon := func(at int64) {
		if at > 0 {
			due = min(due, at)
		}
	}
	for _, a := range s.answers {
		s.take(a, now)
	}
	s.answers = s.answers[:0]
	soon(s.lapse(now))
	soon(s.swept(now, live))
	ask := s.due(now, soon)
	t := s.table.Load()
	if ends := t.rampEnds(s.config.ramp); ends > now {
		soon(ends)
	} else if t.ramping {
		s.changed = true
	}
	if s.changed {
		s.publish(now)
		due = now // there may be more to do now
	}
	news := s.news
	s.news = nil
	s.mu.Unlock()

	for _, a := range ask {
		s.prober.Ask(s.ctx, a.server.key, a.first, func(o probe.Outcome) { s.answered(a, o.Answer) })
	}
	for _, tell := range news {
		s.call(tell)
	}
	return max(nap, time.Duration(due-s.now()))
}

// answered hands the loop what a probe found.
func (s *Selector) answered(a answer, found probe.Answer) {
	a.found = found
	s.mu.Lock()
	s.probes--
	a.server.probing = false
	s.answers = append(s.answers, a)
	s.mu.Unlock()
	s.poke()
}

// take believes what a probe found. s.mu must be held.
func (s *Selector) take(a answer, now int64) {
	if a.server.epoch.Load() != a.epoch {
		return // something happened meanwhile
	}
	e := event{kind: probeUnable, now: now, roll: s.roll(), doubtful: s.table.Load().panic || s.contradicted && !s.reached}
	switch a.found {
	case probe.Alive:
		e.kind, s.reached = probeAnswered, true
	case probe.Silent:
		e.kind = probeSilent
	case probe.Unaskable, probe.CouldNotAsk: // a call may find out
	}
	s.apply(a.server, e)
}

// due returns the servers that are to be probed now, and tells when others will be. s.mu must be held.
func (s *Selector) due(now int64, soon func(int64)) (ask []answer) {
	t := s.table.Load()
	if t.counts.fresh+t.counts.aside+t.counts.ejected == 0 {
		return nil
	}
	for _, m := range t.pool.members {
		srv := m.server
		switch srv.health.state {
		case Fresh:
		case Aside, Ejected:
			if now < srv.health.until {
				soon(srv.health.until)
				continue
			}
		default:
			continue
		}
		switch {
		case srv.probing:
		case s.prober == nil:
			s.apply(srv, event{kind: probeUnable, now: now})
		case s.probes < s.config.probing.Parallel:
			srv.probing = true
			s.probes++
			ask = append(ask, answer{server: srv, epoch: srv.epoch.Load(), first: srv.health.state == Fresh})
		}
	}
	return ask
}

// lapse ends a trial whose call takes long, and returns when the one that goes on will end. If nobody is to report on it, nobody reports on any: such
// trials tell nothing, and all servers on trial are used. s.mu must be held.
func (s *Selector) lapse(now int64) int64 {
	srv := s.trying.Load()
	if srv == nil {
		return 0
	}
	if end := srv.lease.Load(); now < end {
		return end
	}
	if srv.inFlight.Load() == 0 {
		for _, other := range s.table.Load().trials {
			if other.health.state == Trial {
				s.apply(other, event{kind: callSucceeded, now: now})
			}
		}
	}
	s.release(srv)
	return 0
}

// apply lets a server's health take an event, and notes what changed. s.mu must be held; whoever calls publishes.
func (s *Selector) apply(srv *server, e event) {
	was := srv.health
	if was.probe == silent && e.kind == callSucceeded {
		s.contradicted = true
	}
	srv.health = was.step(e, &s.config.ejection)
	srv.mark()
	is := srv.health
	if is.state == Up && was.state != Up && srv.ramp.Load() < 0 {
		srv.ramp.Store(e.now)
	}
	if is.state != was.state {
		s.changed = true
	}
	if is.state != was.state || is.until != was.until {
		s.tellChange(Change{Key: srv.key, From: was.state, To: is.state, Reason: is.why, Until: s.time(is.until)})
	}
}

// time is a moment of the clock as others know it; the zero time for 0.
func (s *Selector) time(at int64) time.Time {
	if at == 0 {
		return time.Time{}
	}
	return s.began.Add(time.Duration(at))
}

// tell has the loop call f outside every lock. s.mu must be held.
func (s *Selector) tell(f func()) {
	if !s.closed {
		s.news = append(s.news, f)
		s.poke()
	}
}

func (s *Selector) tellChange(c Change) {
	s.tell(func() {
		level := slog.LevelDebug
		if c.From != c.To && (c.From == Up || c.To == Up && c.From != Fresh) {
			level = slog.LevelInfo
		}
		attrs := []slog.Attr{slog.String("server", c.Key), slog.String("from", c.From.String()), slog.String("to", c.To.String())}
		if c.Reason != NoReason {
			attrs = append(attrs, slog.String("reason", c.Reason.String()))
		}
		if !c.Until.IsZero() {
			attrs = append(attrs, slog.Time("until", c.Until))
		}
		s.config.log.LogAttrs(s.ctx, level, "server changed", attrs...)
		if s.config.observer.Changed != nil {
			s.config.observer.Changed(c)
		}
	})
}

func (s *Selector) tellPanic(on bool, c counts) {
	s.tell(func() {
		if on {
			s.config.log.Warn("too many servers fail, so ejections are ignored", slog.String("failing", c.String()))
		} else {
			s.config.log.Info("ejections count again", slog.String("failing", c.String()))
		}
		if s.config.observer.Panic != nil {
			s.config.observer.Panic(on)
		}
	})
}

// call runs what may run the user's code. It may panic for every change: the logger's limiter counts that.
func (s *Selector) call(f func()) {
	defer func() {
		if r := recover(); r != nil {
			s.config.log.Error("a hook panicked", slog.String("panic", fmt.Sprint(r)))
		}
	}()
	f()
}
