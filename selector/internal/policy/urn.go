package policy

import (
	"math/bits"

	"github.com/holdfast-go/holdfast/selector/internal/health"
)

// Ball is one member in an urn.
type Ball struct {
	Load   *health.Load
	Weight float32 // 1 is the mean
	Member int32   // its index
}

// Urn is what is drawn from: each member as often as its weight says, in constant time whatever the weights, by the alias method (A. J. Walker 1977,
// built as M. D. Vose did in 1991). It never changes.
type Urn struct {
	Balls []Ball
	cells []cell // nil when all weights are equal
}

// cell keeps the draw with probability keep/2³², and gives it to another ball otherwise.
type cell struct{ keep, other uint32 }

// NewUrn takes balls over.
func NewUrn(balls []Ball) Urn {
	u := Urn{Balls: balls}
	var total float64
	equal := true
	for _, b := range balls {
		total += float64(b.Weight)
		equal = equal && b.Weight == balls[0].Weight
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
		scaled[i] = float64(b.Weight) * float64(n) / total
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

// Draw returns the index of a ball for 64 random bits. The urn must not be empty, here and below.
func (u *Urn) Draw(r uint64) int {
	i, _ := bits.Mul32(uint32(r>>32), uint32(len(u.Balls)))
	if u.cells != nil {
		if c := u.cells[i]; uint32(r) >= c.keep {
			return int(c.other)
		}
	}
	return int(i)
}

// drawTwo returns two different ones, if there are two, of which the first is drawn as Draw does.
func (u *Urn) drawTwo(r1, r2 uint64) (int, int) {
	i, n := u.Draw(r1), len(u.Balls)
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
	j := u.Draw(r2)
	if j == i {
		if j = u.Draw(r2*golden + r1); j == i {
			j = (i + 1) % n
		}
	}
	return i, j
}

// LessLoaded returns the less loaded of two balls drawn at random (M. Mitzenmacher, The Power of Two Choices, 1996), by latency and calls in flight. Loads
// within an eighth are equal, so that noise does not send everything to one of them; then the first drawn is taken, which keeps to the weights.
func (u *Urn) LessLoaded(r1, r2 uint64, now int64) int {
	i, j := u.drawTwo(r1, r2)
	a, b := &u.Balls[i], &u.Balls[j]
	ca, cb := a.Load.Cost(now), b.Load.Cost(now)
	switch { // one of which nothing is known is worth a try; if that teaches nothing, it counts as much as the other
	case ca == cb && ca == 0:
		ca, cb = 1, 1
	case ca == 0:
		if a.Load.Idle(now, a.Weight) {
			return i
		}
		ca = cb
	case cb == 0:
		if b.Load.Idle(now, b.Weight) {
			return j
		}
		cb = ca
	}
	if cb*b.waiting() < ca*a.waiting()*7/8 {
		return j
	}
	return i
}

func (b *Ball) waiting() float32 { return 1 + float32(b.Load.InFlight.Load())/b.Weight }

// Overlooked returns the ball whose turn to be looked at it is, if it had no call for too long (see health.Load.Idle), and -1 otherwise. turn counts.
func (u *Urn) Overlooked(turn uint64, now int64) int {
	i := int(turn % uint64(len(u.Balls)))
	if b := &u.Balls[i]; b.Load.Idle(now, b.Weight) {
		return i
	}
	return -1
}

// golden is 2⁶⁴ divided by the golden ratio, odd.
const golden = 0x9e3779b97f4a7c15

// Mix is the finalizer of SplitMix64 (G. Steele, D. Lea, C. Flood 2014): each bit of x changes half of the result's.
func Mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
