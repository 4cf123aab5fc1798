package policy

import (
	"cmp"
	"math"
	"slices"
)

// Tier is the members that are equally near.
type Tier struct {
	Urn           // of those that can be used
	Tried []int32 // those that one call at a time tries, by index
	upTo  float64 // the tier is for random numbers from [0, 1) below this, and not below that of the tier before
}

// Tiers is what can be called now, the nearest first. It never changes.
type Tiers []Tier

// Use is what a member may be used for.
type Use uint8

const (
	Out Use = iota // for nothing
	Any            // for any call
	Try            // for one call at a time
)

const (
	// place is how far apart members may be, in kilometres, and still count as equally far.
	place = 50
	// overprovision says how many of a tier's members may be out of use before others get its calls: two of seven (Envoy's overprovisioning factor).
	overprovision = 1.4
	// farther is how many times the load of a member in the next tier a near one's must be for it to get the call.
	farther = 4
	// crowd is how many calls in flight double a member's load here. Far away costs time for each call, crowded only when there are many.
	crowd = 32
)

// SetTiers sets each member's tier by its distance in kilometres, of which those within 50 are one place. Less than 0 is nearer than any place.
func SetTiers(members []Member, far []float64) {
	var edges []float64 // the nearest of each tier
	for _, d := range slices.Sorted(slices.Values(far)) {
		if n := len(edges); n == 0 || edges[n-1] < 0 && d >= 0 || d-edges[n-1] > place {
			edges = append(edges, d)
		}
	}
	for i, d := range far {
		n, exact := slices.BinarySearch(edges, d)
		if !exact {
			n--
		}
		members[i].Tier = n
	}
}

// NewTiers spreads calls over the tiers as Envoy does over its priorities: the first takes what its usable weight allows, the next what is left. A tier
// without a usable member is left out; its members on trial are tried by the calls that go farther because of that.
func NewTiers(members []Member, use func(member int) Use) Tiers {
	last := 0
	for i := range members {
		last = max(last, members[i].Tier)
	}
	tiers := make(Tiers, last+1)
	all, able := make([]float64, last+1), make([]float64, last+1) // weights of each tier
	for i, m := range members {
		all[m.Tier] += float64(m.Weight)
		switch t := &tiers[m.Tier]; use(i) {
		case Any:
			if t.Balls == nil && last == 0 {
				t.Balls = make([]Ball, 0, len(members))
			}
			able[m.Tier] += float64(m.Weight)
			t.Balls = append(t.Balls, Ball{m.Load, m.Weight, int32(i)})
		case Try:
			t.Tried = append(t.Tried, int32(i))
		case Out:
		}
	}
	health := 0.0
	for i := range tiers {
		if all[i] > 0 {
			health += min(1, overprovision*able[i]/all[i])
		}
	}
	health = min(1, health)
	used, taken := tiers[:0], 0.0
	var tried []int32
	for i, t := range tiers {
		if tried = append(tried, t.Tried...); len(t.Balls) == 0 {
			continue
		}
		taken = min(1, taken+min(1, overprovision*able[i]/all[i])/health)
		used = append(used, Tier{Urn: NewUrn(t.Balls), Tried: tried, upTo: taken})
		tried = nil
	}
	if n := len(used); n > 0 {
		used[n-1].upTo = math.Inf(1) // whatever rounding left
	}
	return used
}

// At returns the tier for a random number from [0, 1). There must be a tier.
func (t Tiers) At(r float64) int {
	i := 0
	for t[i].upTo <= r {
		i++
	}
	return i
}

// Spills says whether a call is better served by a member of the next tier than by a near one. A far member of which nothing is known is as fast as
// the one that was measured last, and as fast as the near one when none was.
func Spills(near, far *Ball, measured float32, now int64) bool {
	here, there := near.Load.Latency(now), far.Load.Last()
	if there == 0 {
		there = cmp.Or(measured, here)
	}
	return here*near.crowding() > farther*there*far.crowding()
}

func (b *Ball) crowding() float32 { return 1 + float32(b.Load.InFlight.Load())/(crowd*b.Weight) }
