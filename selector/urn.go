package selector

import "math/bits"

// ball is one server in an urn.
type ball struct {
	server *server
	weight float32 // 1 is the mean of the pool
}

// urn is what is drawn from: each server as often as its weight says, in constant time whatever the weights, by the alias method (A. J. Walker
// 1977, built as M. D. Vose did in 1991). It never changes.
type urn struct {
	balls []ball
	cells []cell // nil when all weights are equal
}

// cell keeps the draw with probability keep/2³², and gives it to another ball otherwise.
type cell struct{ keep, other uint32 }

// newUrn takes balls over.
func newUrn(balls []ball) urn {
	u := urn{balls: balls}
	var total float64
	equal := true
	for _, b := range balls {
		total += float64(b.weight)
		equal = equal && b.weight == balls[0].weight
	}
	if equal {
		return u
	}
	n := len(balls)
	u.cells = make([]cell, n)
	scaled := make([]float64, n)
	order := make([]uint32, n) // those below the mean from the left, those above it from the right
	small, large := 0, n
	for i, b := range balls {
		scaled[i] = float64(b.weight) * float64(n) / total
		if scaled[i] < 1 {
			order[small] = uint32(i)
			small++
		} else {
			large--
			order[large] = uint32(i)
		}
	}
	for i := range u.cells {
		u.cells[i] = cell{^uint32(0), uint32(i)} // unless given something below, itself
	}
	// Each small one is filled up by the large one at hand; a large one that has given so much becomes small, and takes its place in the order.
	for next := 0; next < small && large < n; next++ {
		s, l := order[next], order[large]
		u.cells[s] = cell{uint32(scaled[s] * (1 << 32)), l}
		scaled[l] -= 1 - scaled[s]
		if scaled[l] < 1 {
			order[small] = l
			small, large = small+1, large+1
		}
	}
	return u
}

// draw returns the index of a ball for 64 random bits.
func (u urn) draw(r uint64) int {
	i, _ := bits.Mul32(uint32(r>>32), uint32(len(u.balls)))
	if u.cells != nil {
		if c := u.cells[i]; uint32(r) >= c.keep {
			return int(c.other)
		}
	}
	return int(i)
}

// drawTwo returns two different ones, if there are two, of which the first is drawn as draw does.
func (u urn) drawTwo(r1, r2 uint64) (int, int) {
	i, n := u.draw(r1), len(u.balls)
	if n == 1 {
		return i, i
	}
	if u.cells == nil {
		j, _ := bits.Mul32(uint32(r2>>32), uint32(n-1))
		if int(j) >= i {
			j++
		}
		return i, int(j)
	}
	j := u.draw(r2)
	if j == i {
		if j = u.draw(r2*golden + r1); j == i {
			j = (i + 1) % n
		}
	}
	return i, j
}

// golden is 2⁶⁴ divided by the golden ratio, odd.
const golden = 0x9e3779b97f4a7c15

// mix is the finalizer of SplitMix64 (G. Steele, D. Lea, C. Flood 2014): each bit of x changes half of the result's.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
