package policy

import (
	"math/bits"
	"slices"
)

// Ring is consistent hashing (D. Karger et al., 1997): each member has points on a circle, and a key belongs to the member of the first point at or after
// its own. The points depend on the member's hash and weight only, so every process has the same ring, and a member that comes or goes moves the keys
// of its own points and no others. It never changes.
type Ring struct {
	points []uint64 // position<<32 | index of the member, ascending
	start  []uint32 // of each equal part of the circle, the first point in it or after
	shift  uint     // from a point to its part
}

const (
	// pointsEach is how many points a member of the median weight has: shares differ by 1/√32, a sixth, from what the weight says.
	pointsEach = 32
	// maxPoints bounds how many points there are for each member on average, when a few weights are far above the median.
	maxPoints = 4 * pointsEach
	// index is the part of a point that is no position.
	index = 1<<32 - 1
	// WalkFar is how many points to pass over at most to find a member that can be used.
	WalkFar = 8 * pointsEach
)

// NewRing returns the ring of members.
func NewRing(members []Member) *Ring {
	counts, total := pointCounts(members)
	parts := max(2, bits.Len64(total)-1) // the power of two
	r := &Ring{points: make([]uint64, total), start: make([]uint32, 1<<parts+1), shift: uint(64 - parts)}
	points, start := r.points, r.start // no detour for each point
	// The points are evenly spread. So putting each into its part of the circle sorts them, but for the few of one part.
	for i := range members {
		for k := range counts[i] {
			start[r.part(members[i].point(k))]++
		}
	}
	var sum uint32
	for i, n := range start {
		sum += n
		start[i] = sum // where the part ends; each point put there moves it to where it begins
	}
	for i := range members {
		for k := range counts[i] {
			p := members[i].point(k)
			at := &start[r.part(p)]
			*at--
			points[*at] = p | uint64(i)
		}
	}
	for i, p := range points {
		for ; i > 0 && p < points[i-1]; i-- {
			points[i] = points[i-1]
		}
		points[i] = p
	}
	return r
}

// point is the position<<32 of a member's k-th point.
func (m *Member) point(k uint32) uint64 { return Mix(m.Hash+uint64(k+1)*golden) &^ index }

// pointCounts gives the median weight pointsEach points, which lets equal weights have the same points however many members there are. When the
// median changes, more keys move than those of the member that changed.
func pointCounts(members []Member) (counts []uint32, total uint64) {
	if len(members) == 0 {
		return nil, 0
	}
	weights := make([]float32, len(members))
	for i, m := range members {
		weights[i] = m.Weight
	}
	slices.Sort(weights)
	counts = make([]uint32, len(members))
	for scale := pointsEach / float64(weights[(len(weights)-1)/2]); ; scale /= 2 {
		total = 0
		for i, m := range members {
			counts[i] = uint32(max(1, float64(m.Weight)*scale+0.5001)) // a little more, since a weight is rounded
			total += uint64(counts[i])
		}
		if total <= uint64(maxPoints*len(members)) {
			return counts, total
		}
	}
}

func (r *Ring) part(p uint64) int { return int(p >> r.shift) }

// first returns the index of the point that a hash belongs to.
func (r *Ring) first(hash uint64) int {
	position := hash >> 32
	i := int(r.start[r.part(hash)])
	for i < len(r.points) && r.points[i]>>32 < position {
		i++
	}
	if i == len(r.points) {
		return 0
	}
	return i
}

// Walk returns the member of the first point, from that of hash on, that take says, and -1 when it said none of limit points.
func (r *Ring) Walk(hash uint64, limit int, take func(member int) bool) int {
	if len(r.points) == 0 {
		return -1
	}
	i := r.first(hash)
	for range min(limit, len(r.points)) {
		if m := int(uint32(r.points[i])); take(m) {
			return m
		}
		if i++; i == len(r.points) {
			i = 0
		}
	}
	return -1
}
