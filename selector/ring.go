package selector

import (
	"math/bits"
	"slices"
)

// ring is consistent hashing (D. Karger et al., 1997): each server has points on a circle, and a key belongs to the server of the first point at
// or after its own. The points depend on the server's key and weight only, so every process has the same ring, and a server that comes or goes
// moves the keys of its own points and no others. It never changes.
type ring struct {
	members []member
	counts  []uint32 // of each member's points
	points  []uint64 // position<<32 | index of the member, ascending
	start   []uint32 // of each equal part of the circle, the first point in it or after
	shift   uint     // from a position to its part
}

const (
	// pointsEach is how many points a server of the median weight has: shares differ by 1/√64, an eighth, from what the weight says.
	pointsEach = 64
	// maxPoints bounds how many points there are for each server on average, when a few weights are far above the median.
	maxPoints = 4 * pointsEach
	// index is the part of a point that is no position.
	index = 1<<32 - 1
)

// newRing returns the ring of members; what it has in common with old, if not nil, is taken from there.
func newRing(members []member, old *ring) *ring {
	counts, total := pointCounts(members)
	r := &ring{members: members, counts: counts, shift: uint(33 - max(1, bits.Len64(total)-1))}
	if total == 0 {
		return r
	}
	if old == nil || !r.merge(old, total) {
		r.build(total)
	}
	return r
}

// pointCounts scales the weights so that the median has pointsEach points, which lets equal weights have the same points however many servers
// there are. When the median changes, more keys move than those of the server that changed.
func pointCounts(members []member) (counts []uint32, total uint64) {
	if len(members) == 0 {
		return nil, 0
	}
	counts = make([]uint32, len(members))
	for i, m := range members {
		counts[i] = m.weight
	}
	slices.Sort(counts)
	scale := pointsEach / float64(counts[(len(counts)-1)/2])
	for {
		total = 0
		for i, m := range members {
			counts[i] = uint32(max(1, float64(m.weight)*scale+0.5))
			total += uint64(counts[i])
		}
		if total <= uint64(maxPoints*len(members)) {
			return counts, total
		}
		scale /= 2
	}
}

// build makes the points. Their positions are evenly spread, so putting each into its part of the circle sorts them, but for the few of one part.
func (r *ring) build(total uint64) {
	r.points = make([]uint64, total)
	r.start = make([]uint32, r.parts()+1)
	for i, m := range r.members {
		for k := range uint64(r.counts[i]) {
			r.start[r.part(point(m.server, k))]++
		}
	}
	var sum uint32
	for i, n := range r.start {
		sum += n
		r.start[i] = sum // where the part ends; each point put there moves it to where it begins
	}
	for i, m := range r.members {
		for k := range uint64(r.counts[i]) {
			p := point(m.server, k)
			at := &r.start[r.part(p)]
			*at--
			r.points[*at] = p | uint64(i)
		}
	}
	for i := 1; i < len(r.points); i++ {
		if r.points[i] < r.points[i-1] {
			r.settle(i)
		}
	}
}

// settle moves the i-th point to its place among those before it, which is near.
func (r *ring) settle(i int) {
	p := r.points[i]
	for ; i > 0 && p < r.points[i-1]; i-- {
		r.points[i] = r.points[i-1]
	}
	r.points[i] = p
}

// merge takes the points of another ring's members that are here too, and makes the rest. It declines when that is much.
func (r *ring) merge(old *ring, total uint64) bool {
	const gone = 1 << 32
	was := make(map[*server]int, len(old.members))
	for i, m := range old.members {
		was[m.server] = i
	}
	is := make([]uint64, len(old.members)) // the index here of each member there
	for i := range is {
		is[i] = gone
	}
	var strangers []int
	more := uint64(0)
	for i, m := range r.members {
		if j, ok := was[m.server]; ok && old.counts[j] == r.counts[i] {
			is[j] = uint64(i)
		} else {
			strangers = append(strangers, i)
			more += uint64(r.counts[i])
		}
	}
	if more > total/4 {
		return false
	}
	added := make([]uint64, 0, more)
	for _, i := range strangers {
		for k := range uint64(r.counts[i]) {
			added = append(added, point(r.members[i].server, k)|uint64(i))
		}
	}
	slices.Sort(added)
	points, n, sorted := make([]uint64, total), 0, true
	for _, p := range old.points {
		i := is[p&index]
		if i == gone {
			continue
		}
		p = p&^index | i
		for len(added) > 0 && added[0] < p {
			points[n], added = added[0], added[1:]
			n++
		}
		sorted = sorted && (n == 0 || points[n-1] < p)
		points[n] = p
		n++
	}
	copy(points[n:], added)
	r.points = points
	for i := 0; !sorted && i < len(points); i++ {
		r.settle(i) // members have another order than they had, which matters to points of one position
	}
	r.start = make([]uint32, r.parts()+1)
	next := 0
	for i, p := range points {
		for part := r.part(p); next <= part; next++ {
			r.start[next] = uint32(i)
		}
	}
	for ; next < len(r.start); next++ {
		r.start[next] = uint32(len(points))
	}
	return true
}

func (r *ring) parts() int { return 1 << (32 - r.shift) }

func (r *ring) part(p uint64) int { return int(p >> 32 >> r.shift) }

// point is the position<<32 of a server's k-th point.
func point(srv *server, k uint64) uint64 { return mix(srv.hash+(k+1)*golden) &^ index }

// first returns the index of the point that a hash belongs to.
func (r *ring) first(hash uint64) int {
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
