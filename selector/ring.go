package selector

import (
	"math/bits"
	"slices"
)

// ring is consistent hashing (D. Karger et al., 1997): each server has points on a circle, and a key belongs to the server of the first point at
// or after its own. The points depend on the server's key and weight only, so every process has the same ring, and a server that comes or goes
// moves the keys of its own points and no others. It never changes.
type ring struct {
	points []uint64 // position<<32 | index of the member, ascending
	start  []uint32 // of each equal part of the circle, the first point in it or after
	shift  uint     // from a position to its part
}

const (
	// pointsEach is how many points a server of the median weight has: shares differ by 1/√64, an eighth, from what the weight says.
	pointsEach = 64
	// maxPoints bounds how many points there are for each server on average, when a few weights are far above the median.
	maxPoints = 4 * pointsEach
)

// newRing scales the weights so that the median has pointsEach points, which lets equal weights have the same points however many servers there
// are. When the median changes, more keys move than those of the server that changed.
func newRing(members []member) *ring {
	if len(members) == 0 {
		return &ring{}
	}
	counts := make([]uint32, len(members))
	for i, m := range members {
		counts[i] = m.weight
	}
	slices.Sort(counts)
	scale := pointsEach / float64(counts[(len(counts)-1)/2])
	count := func() (total uint64) {
		for i, m := range members {
			counts[i] = uint32(max(1, float64(m.weight)*scale+0.5))
			total += uint64(counts[i])
		}
		return total
	}
	total := count()
	for total > uint64(maxPoints*len(members)) {
		scale /= 2
		total = count()
	}

	// The positions are evenly spread, so putting each into its part of the circle sorts them, but for the few of one part.
	r := &ring{shift: uint(33 - max(1, bits.Len64(total)-1)), points: make([]uint64, total)}
	r.start = make([]uint32, 1<<(32-r.shift)+1)
	for i, m := range members {
		for k := range uint64(counts[i]) {
			r.start[point(m.server, k)>>32>>r.shift]++
		}
	}
	var sum uint32
	for i, n := range r.start {
		sum += n
		r.start[i] = sum // where the part ends; each point put there moves it to where it begins
	}
	for i, m := range members {
		for k := range uint64(counts[i]) {
			p := point(m.server, k)
			at := &r.start[p>>32>>r.shift]
			*at--
			r.points[*at] = p | uint64(i)
		}
	}
	for i := 1; i < len(r.points); i++ {
		p, j := r.points[i], i
		for ; j > 0 && p < r.points[j-1]; j-- {
			r.points[j] = r.points[j-1]
		}
		r.points[j] = p
	}
	return r
}

// point is the position<<32 of a server's k-th point.
func point(srv *server, k uint64) uint64 { return mix(srv.hash+(k+1)*golden) &^ (1<<32 - 1) }

// first returns the index of the point that a hash belongs to.
func (r *ring) first(hash uint64) int {
	position := hash >> 32
	i := int(r.start[position>>r.shift])
	for i < len(r.points) && r.points[i]>>32 < position {
		i++
	}
	if i == len(r.points) {
		return 0
	}
	return i
}

// walk returns the member of the first point, from that of hash on, that take says, and false when it said none of limit points.
func (r *ring) walk(hash uint64, limit int, take func(member int) bool) (int, bool) {
	i := r.first(hash)
	for range min(limit, len(r.points)) {
		if m := int(uint32(r.points[i])); take(m) {
			return m, true
		}
		if i++; i == len(r.points) {
			i = 0
		}
	}
	return 0, false
}
