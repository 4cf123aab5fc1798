package selector

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/holdfast-go/holdfast/selector/internal/health"
	"github.com/holdfast-go/holdfast/selector/internal/policy"
)

// table is what Select chooses from. It never changes once it is published; a change of the list or of a server's state makes another.
type table struct {
	byKey  map[string]*server // listed
	pool   *pool
	plain  *choice            // for calls without a tag
	tagged map[string]*choice // by tag; nil where no server has one
	counts counts
	panic  bool  // too many fail: ejections are ignored
	closed bool  // the Selector is: all are used
	ramped int64 // when the last slow start of a usable one is over; 0: none starts slowly
}

// choice is what calls of one tag may choose from.
type choice struct {
	*group
	lane         *lane
	policy.Tiers           // of the group's servers; empty when none can be used
	weight       float64   // of those that can be used
	first        []*server // of the tag asked for, to be tried before the others, when none of that tag can be used
	last         []*server // the servers to try when none can be used at all
}

// counts is how many members of a pool are in a state, and of how many more is true.
type counts struct {
	all, failing int
	tried        int // on trial after a failure, also if a probe has found them
	out          int // failing or tried
	asked        int // to be asked in the background
	in           [health.States]int
}

func newTable(r *roster, c *config, now int64, closed bool) *table {
	t := &table{byKey: r.byKey, pool: r.pool, closed: closed, counts: counts{all: len(r.pool.servers)}}
	for _, srv := range r.pool.servers {
		h, n := &srv.known.health, &t.counts
		n.in[h.State]++
		if h.Failing() {
			n.failing++
		}
		if h.Tried() {
			n.tried++
		}
		if h.Failing() || h.Tried() {
			n.out++
		}
		if h.Asked() {
			n.asked++
		}
	}
	t.panic = float64(t.counts.failing) > c.ejection.Share*float64(t.counts.all)
	choices := make([]*choice, len(r.pool.groups))
	for i, g := range r.pool.groups {
		ch := &choice{group: g, lane: r.lane(g.tag), Tiers: policy.NewTiers(g.members, func(m int) policy.Use { return t.use(g.servers[m]) })}
		choices[i] = ch
		for _, tier := range ch.Tiers {
			for _, b := range tier.Balls {
				ch.weight += float64(b.Weight)
				if srv := g.servers[b.Member]; srv.share(now, c.ramp) < 1 {
					t.ramped = max(t.ramped, srv.ramp.Load()+c.ramp)
				}
			}
		}
	}
	t.plain = t.resolve(r, choices, "", false)
	if len(choices) > 1 || len(choices) == 1 && choices[0].tag != "" {
		t.tagged = make(map[string]*choice, len(choices))
		for _, ch := range choices {
			t.tagged[ch.tag] = t.resolve(r, choices, ch.tag, c.onlyTagged && ch.tag != "")
		}
	}
	return t
}

// resolve returns what calls with a tag choose from: that tag's servers, or those without a tag when none of that can be used, or any.
func (t *table) resolve(r *roster, choices []*choice, tag string, strict bool) *choice {
	var own, other *choice
	for _, ch := range choices { // the empty tag is the first
		if ch.tag == tag {
			own = ch
		}
		if other == nil && len(ch.Tiers) > 0 && !strict {
			other = ch
		}
	}
	switch {
	case own != nil && len(own.Tiers) > 0:
		return own
	case other == nil: // nobody can be used
		servers, lane := t.pool.servers, r.lane("")
		if own != nil {
			servers = own.servers
		}
		if strict {
			lane = r.lane(tag)
		}
		return &choice{group: &group{}, lane: lane, last: resorts(servers)}
	}
	is := *other
	if own != nil {
		for _, srv := range own.servers {
			if t.use(srv) == policy.Try {
				is.first = append(is.first, srv)
			}
		}
	}
	return &is
}

// use says what calls may use a server for.
func (t *table) use(srv *server) policy.Use {
	switch s := srv.State(); {
	case s == Up || t.panic && s == Ejected || t.closed:
		return policy.Any
	case s == Trial:
		return policy.Try
	}
	return policy.Out
}

// leastBound is how many calls in flight never fill a server, so that a few calls with one key stay together.
const leastBound = 8

// bound is how many calls may be in flight at a usable member: factor times its share of all that are (consistent hashing with bounded loads,
// V. Mirrokni, M. Thorup, M. Zadimoghaddam 2018).
func (ch *choice) bound(m *policy.Member, inFlight int64, factor float64) int64 {
	return max(leastBound, int64(math.Ceil(factor*float64(inFlight+1)*float64(m.Weight)/ch.weight)))
}

// resorts returns those to be tried when none is usable: those that answered a probe, else those of which nothing is known, else all; of the nearest.
func resorts(servers []*server) []*server {
	for _, state := range [...]State{Trial, Fresh} {
		those := slices.DeleteFunc(slices.Clone(servers), func(srv *server) bool { return srv.State() != state })
		if len(those) > 0 {
			return nearest(those)
		}
	}
	return nearest(servers)
}

// nearest returns those that are as near as the nearest; all where nobody asks for distances, which are 0 then.
func nearest(servers []*server) []*server {
	least := math.Inf(1)
	for _, srv := range servers {
		least = min(least, srv.known.far)
	}
	return slices.DeleteFunc(slices.Clone(servers), func(srv *server) bool { return srv.known.far > least })
}

// publish makes tables of the lists and their servers' states. s.mu must be held.
func (s *Selector) publish(now int64) {
	s.changed, s.published = false, now
	for _, r := range s.rosters {
		was := r.table.Load()
		r.newPool(s.config)
		t := newTable(r, s.config, now, s.closed)
		if was.counts.in[health.Up] == 0 && t.counts.in[health.Up] > 0 && t.counts.in[health.Aside] > 0 {
			// When the first one answers after none did, it was not the servers: those put aside are asked again soon.
			for _, srv := range t.pool.servers {
				srv.known.health = srv.known.health.Soon(now, rand.Float64(), &s.config.rules)
			}
		}
		r.table.Store(t)
		r.ejected = 0
		if t.panic != was.panic {
			s.tellPanic(t.panic, t.counts)
		}
	}
}
