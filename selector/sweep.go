package selector

import (
	"math"
	"slices"
	"time"
)

// sweep looks for servers with a low success rate. It begins with a failure, and ends when a window passes without one. Selector.mu
// guards it.
type sweep struct {
	wanted bool // there was a failure
	on     bool
	began  int64 // of the window
	next   int64
}

const (
	window     = 30 * time.Second // over which outcomes are counted
	sweepEvery = time.Second
)

// swept looks for outliers when it is time to, and returns when it will be again; 0 for never. s.mu must be held.
func (s *Selector) swept(now int64, live bool) int64 {
	w := &s.sweep
	members := s.table.Load().pool.members
	begin := func() {
		for _, m := range members {
			m.server.before = m.server.tally()
		}
		w.began, w.next, w.wanted, w.on = now, now+int64(sweepEvery), false, true
	}
	if !w.on {
		if !w.wanted {
			return 0
		}
		begin()
		return w.next
	}
	if now < w.next {
		return w.next
	}
	w.next = now + int64(sweepEvery)
	tallies := make([]tally, 0, len(members))
	of := make([]*server, 0, len(members))
	failures := uint64(0)
	for _, m := range members {
		t := m.server.tally().since(m.server.before)
		failures += t.bad
		if m.server.health.state == Up && t.all() >= volume {
			tallies, of = append(tallies, t), append(of, m.server)
		}
	}
	c := s.table.Load().counts
	for _, i := range outliers(tallies) {
		was := of[i].health.state
		s.apply(of[i], event{kind: rateLow, now: now, roll: s.roll(), mayEject: c.mayEject(s.config.ejection.Share, live)})
		if of[i].health.state != was {
			c.ejected, c.failing = c.ejected+1, c.failing+1
			of[i].before = of[i].tally()
		}
	}
	if now >= w.began+int64(window) {
		if failures == 0 {
			w.on = false
			return 0
		}
		begin()
	}
	return w.next
}

// tally is how many calls of a server ended well and badly.
type tally struct{ good, bad uint64 }

func (t tally) since(before tally) tally { return tally{t.good - before.good, t.bad - before.bad} }

func (t tally) all() uint64   { return t.good + t.bad }
func (t tally) rate() float64 { return float64(t.bad) / float64(t.all()) }

const (
	volume   = 20  // calls that a server must have had to be compared
	company  = 3   // servers that there must be to compare
	sigmas   = 4.0 // by which a server must be worse than the others: looked at every second, chance would find three soon
	farBelow = 0.1 // and the share of its calls
)

// outliers returns the tallies that are far worse than the median, the worst first. Each has at least volume calls. The deviation is that of a
// binomial share: how far a server that is like the median would stray by chance (the test of one proportion; Envoy's success-rate ejection
// compares with the servers' own deviation instead, which two bad ones among eight raise so far that neither is found).
func outliers(tallies []tally) []int {
	if len(tallies) < company {
		return nil
	}
	rates := make([]float64, len(tallies))
	for i, t := range tallies {
		rates[i] = t.rate()
	}
	slices.Sort(rates)
	median := rates[(len(rates)-1)/2]
	var found []int
	for i, t := range tallies {
		n := float64(t.all())
		usual := (median*n + 1) / (n + 2) // so that a median of 0 has a deviation
		if excess := t.rate() - median; excess > farBelow && excess > sigmas*math.Sqrt(usual*(1-usual)/n) {
			found = append(found, i)
		}
	}
	slices.SortStableFunc(found, func(a, b int) int {
		if tallies[a].rate() > tallies[b].rate() {
			return -1
		}
		return 1
	})
	return found
}
