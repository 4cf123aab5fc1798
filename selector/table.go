package selector

import (
	"math"
	"time"
)

// table is what Select chooses from. It never changes once it is published; a change of the list or of a server's state makes another.
type table struct {
	byKey   map[string]*server // listed
	pool    *pool
	usable  urn       // those that any call may go to
	weight  float64   // of them together, relative to the mean of the pool
	tiers   []tier    // the same, for Locality
	trials  []*server // those that one call at a time tries
	last    []*server // when none is usable: whom to try
	counts  counts
	panic   bool // too many fail: the evidence is bad
	ramping bool // a usable one starts slowly
}

// counts is how many members of the pool are in a state, and how many are failing.
type counts struct{ all, fresh, up, aside, ejected, trial, failing int }

// mayEject says whether one more may be ejected: never more than share of all may fail, and half as many be ejected while the list is not live.
func (c counts) mayEject(share float64, live bool) bool {
	limit := share * float64(c.all)
	return float64(c.failing+1) <= limit && (live || float64(c.ejected+1) <= limit/2)
}

func newTable(p *pool, byKey map[string]*server, c *config, now int64) *table {
	t := &table{byKey: byKey, pool: p}
	for _, m := range p.members {
		t.counts.all++
		if m.server.health.failing() {
			t.counts.failing++
		}
		switch m.server.health.state {
		case Fresh:
			t.counts.fresh++
		case Up:
			t.counts.up++
		case Aside:
			t.counts.aside++
		case Ejected:
			t.counts.ejected++
		case Trial:
			t.counts.trial++
			t.trials = append(t.trials, m.server)
		default:
		}
	}
	t.panic = float64(t.counts.failing) > c.ejection.Share*float64(t.counts.all)
	if c.policy == Locality {
		t.tiers = newTiers(p.members, t.takes)
	}
	balls := make([]ball, 0, t.counts.up+t.counts.ejected)
	for _, m := range p.members {
		if t.takes(m.server) {
			balls = append(balls, ball{m.server, m.relative})
			t.weight += float64(m.relative)
			t.ramping = t.ramping || m.server.share(now, c.ramp) < 1
		}
	}
	t.usable = newUrn(balls)
	if len(balls) == 0 {
		t.last = t.resorts()
	}
	return t
}

// takes says whether any call may go to a server.
func (t *table) takes(srv *server) bool {
	s := srv.State()
	return s == Up || t.panic && s == Ejected
}

// leastBound is how many calls in flight never fill a server, so that a few calls with one key stay together.
const leastBound = 8

// bound is how many calls may be in flight at a usable member: factor times its share of all that are (consistent hashing with bounded loads,
// V. Mirrokni, M. Thorup, M. Zadimoghaddam 2018).
func (t *table) bound(m *member, inFlight int64, factor float64) int64 {
	return max(leastBound, int64(math.Ceil(factor*float64(inFlight+1)*float64(m.relative)/t.weight)))
}

// resorts returns those to be tried when none is usable: those that answered a probe, else those of which nothing is known, else all.
func (t *table) resorts() []*server {
	if len(t.trials) > 0 {
		return t.trials
	}
	var fresh, all []*server
	for _, m := range t.pool.members {
		if all = append(all, m.server); m.server.health.state == Fresh {
			fresh = append(fresh, m.server)
		}
	}
	if len(fresh) > 0 {
		return fresh
	}
	return all
}

// rampEnds returns when the last slow start of a usable server is over, 0 when there is none.
func (t *table) rampEnds(ramp time.Duration) (end int64) {
	if t.ramping {
		for _, b := range t.usable.balls {
			if began := b.server.ramp.Load(); began > 0 {
				end = max(end, began+int64(ramp))
			}
		}
	}
	return end
}
