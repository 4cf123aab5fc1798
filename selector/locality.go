package selector

import (
	"cmp"
	"math"
	"slices"
)

// tier is the servers that are equally near, those of them that can be used.
type tier struct {
	urn
	upTo float64 // the tier is for random numbers from [0, 1) below this, and not below that of the tier before
}

const (
	// place is how far apart servers may be, in kilometres, and still count as equally far.
	place = 50
	// overprovision says how many of a tier's servers may be out of use before others get its calls: two of seven (Envoy's overprovisioning factor).
	overprovision = 1.4
	// farther is how many times the load of a server in the next tier a near one's must be for it to get the call.
	farther = 4
	// crowd is how many calls in flight double a server's load here. Far away costs time for each call, crowded only when there are many.
	crowd = 32
)

// distances sets each member's tier: 0 for the same zone, then by distance, those who do not say where they are last.
func distances(members []member, zone string, here position) {
	far := make([]float64, len(members))
	for i, m := range members {
		if far[i] = m.server.traits.position.kilometres(here); zone != "" && m.server.traits.zone == zone {
			far[i] = -1
		}
	}
	sorted := slices.Clone(far)
	slices.Sort(sorted)
	var edges []float64 // the nearest of each tier
	for _, d := range sorted {
		if n := len(edges); n == 0 || edges[n-1] < 0 && d >= 0 || d-edges[n-1] > place {
			edges = append(edges, d)
		}
	}
	for i := range members {
		n, exact := slices.BinarySearchFunc(edges, far[i], func(edge, d float64) int { return cmp.Compare(edge, d) })
		if !exact {
			n--
		}
		members[i].tier = n
	}
}

// newTiers spreads calls over the tiers as Envoy does over its priorities: the first takes what its usable weight allows, the next what is left.
// usable says which members are; tiers without any are left out.
func newTiers(members []member, usable func(*server) bool) []tier {
	var tiers []tier
	var all, able []float64 // weights of each tier
	for _, m := range members {
		for len(tiers) <= m.tier {
			tiers, all, able = append(tiers, tier{}), append(all, 0), append(able, 0)
		}
		all[m.tier] += float64(m.weight)
		if usable(m.server) {
			able[m.tier] += float64(m.weight)
			tiers[m.tier].balls = append(tiers[m.tier].balls, ball{m.server, m.relative})
		}
	}
	var health float64
	for i := range tiers {
		health += min(1, overprovision*able[i]/all[i])
	}
	health = min(1, health)
	used, taken := tiers[:0], 0.0
	for i, t := range tiers {
		if len(t.balls) == 0 {
			continue
		}
		taken = min(1, taken+min(1, overprovision*able[i]/all[i])/health)
		used = append(used, tier{newUrn(t.balls), taken})
	}
	if n := len(used); n > 0 {
		used[n-1].upTo = math.Inf(1) // whatever rounding left
	}
	return used
}

// near returns the less loaded of two in the tier that r falls to, or one of the next tier if that is far less loaded. There must be a tier.
func near(tiers []tier, r float64, r1, r2, r3 uint64, ms uint32) *ball {
	i := 0
	for tiers[i].upTo <= r {
		i++
	}
	a := lessLoaded(tiers[i].urn, r1, r2, ms)
	if i+1 == len(tiers) {
		return a
	}
	u := tiers[i+1].urn
	b := &u.balls[u.draw(r3)]
	here, there := a.server.latency.at(ms), b.server.latency.at(ms)
	if there == 0 { // nothing known: as fast as the near one
		there = here
	}
	if here*a.crowding() > farther*there*b.crowding() {
		return b
	}
	return a
}

func (b *ball) crowding() float32 { return 1 + float32(b.server.inFlight.Load())/(crowd*b.weight) }
