package policy

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/holdfast-go/holdfast/selector/internal/health"
)

// ringed is a ring and whose it is; a weight of 0 leaves one out.
type ringed struct {
	*Ring
	ids []int
}

func ringOf(weights ...uint32) ringed {
	var r ringed
	var raw []uint32
	for i, w := range weights {
		if w > 0 {
			r.ids, raw = append(r.ids, i), append(raw, w)
		}
	}
	members := make([]Member, len(raw))
	for i, w := range Weights(raw) {
		members[i] = Member{Hash: xxhash.Sum64String(fmt.Sprint("server-", r.ids[i])), Weight: w}
	}
	r.Ring = NewRing(members)
	return r
}

func (r ringed) owner(hash uint64) int { return r.ids[r.points[r.first(hash)]&index] }

func weights(n int, of func(i int) uint32) []uint32 {
	all := make([]uint32, n)
	for i := range all {
		all[i] = of(i)
	}
	return all
}

func same(w uint32) func(int) uint32 { return func(int) uint32 { return w } }

func TestARingIsSortedAndFindsTheFirstPoint(t *testing.T) {
	for _, n := range []int{1, 2, 3, 10, 1000} {
		r := ringOf(weights(n, func(i int) uint32 { return uint32(1 + i%10) })...)
		if !slices.IsSorted(r.points) {
			t.Fatalf("%d servers: not sorted", n)
		}
		for i := range uint64(10_000) {
			hash := Mix(i)
			want, _ := slices.BinarySearch(r.points, hash&^index)
			if want == len(r.points) {
				want = 0
			}
			if got := r.first(hash); got != want {
				t.Fatalf("%d servers: the first point of %x is %d, not %d", n, hash, got, want)
			}
		}
	}
	if r := ringOf(); len(r.points) != 0 {
		t.Error("a ring of nobody has points")
	}
}

func TestTheRingHasPointsByWeight(t *testing.T) {
	for _, c := range []struct {
		name    string
		weights []uint32
		want    []uint32
	}{
		{"equal weights, whatever they are", []uint32{7, 7, 7}, []uint32{32, 32, 32}},
		{"the median has 32", []uint32{1, 2, 4}, []uint32{16, 32, 64}},
		{"the least has one", []uint32{1, 500, 500, 500}, []uint32{1, 32, 32, 32}},
		{"few heavy ones are kept within bounds", []uint32{1, 1, 1, 1000}, []uint32{1, 1, 1, 500}},
	} {
		members := make([]Member, len(c.weights))
		for i, w := range Weights(c.weights) {
			members[i].Weight = w
		}
		if got, _ := pointCounts(members); !slices.Equal(got, c.want) {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestAChangeMovesOnlyTheKeysOfItsServer(t *testing.T) {
	const keys = 100_000
	for _, n := range []int{3, 10, 100, 1000} {
		all := weights(n, same(1))
		without := slices.Clone(all)
		without[n/2] = 0
		large, small := ringOf(all...), ringOf(without...)
		gone, moved := n/2, 0
		for i := range uint64(keys) {
			a, b := large.owner(Mix(i)), small.owner(Mix(i))
			if a != b {
				moved++
				if a != gone {
					t.Fatalf("%d servers: a key of %d moved to %d when %d came or went", n, a, b, gone)
				}
			}
		}
		// The share is 1/n, give or take four of the deviations that 32 points have.
		if share := float64(moved) / keys; math.Abs(share*float64(n)-1) > 4./5.65+4*math.Sqrt(float64(n)/keys) {
			t.Errorf("%d servers: %.2f of a server's share moved", n, share*float64(n))
		}
	}
}

func TestTheRingIsEven(t *testing.T) {
	const n, keys = 100, 1_000_000
	r := ringOf(weights(n, func(i int) uint32 { return uint32(1 + i%2) })...)
	got := make(map[int]float64)
	for i := range uint64(keys) {
		got[r.owner(Mix(i))]++
	}
	var squares float64
	for i := range n {
		want := float64(1+i%2) / (1.5 * n) * keys
		off := got[i]/want - 1
		squares += off * off
	}
	if deviation := math.Sqrt(squares / n); deviation > 0.2 {
		t.Errorf("shares deviate by %.3f from the weights", deviation)
	}
}

// The points themselves are tested against the arcs that they own: keys must fall on them by chance.
func TestKeysFallOnTheRingAtRandom(t *testing.T) {
	const n, keys = 50, 200_000
	r := ringOf(weights(n, same(1))...)
	arcs := make([]float64, n)
	before := r.points[len(r.points)-1]>>32 - 1<<32
	for _, p := range r.points {
		arcs[p&index] += float64(p>>32 - before)
		before = p >> 32
	}
	got, want := make([]int, n), make([]float64, n)
	for i := range keys {
		hash := xxhash.Sum64String(fmt.Sprint("/Arith/Mul/user-", i))
		got[r.points[r.first(hash)]&index]++
	}
	for i, arc := range arcs {
		want[i] = arc / (1 << 32) * keys
	}
	wantFit(t, got, want)
}

// wantFit fails when counts deviate from what is expected more than chance would let them once in a million times: Pearson's chi-squared test with
// the Wilson-Hilferty approximation.
func wantFit(tb testing.TB, got []int, want []float64) {
	tb.Helper()
	var chi float64
	for i := range got {
		if want[i] < 5 {
			tb.Fatalf("%v of the %d-th are expected: too few to test", want[i], i)
		}
		chi += (float64(got[i]) - want[i]) * (float64(got[i]) - want[i]) / want[i]
	}
	k := float64(len(got) - 1)
	z := (math.Cbrt(chi/k) - (1 - 2/(9*k))) / math.Sqrt(2/(9*k))
	if z > 4.75 {
		tb.Errorf("chi-squared %.1f with %v degrees of freedom: not by chance\n got %v\nwant %.0f", chi, k, got, want)
	}
}

func TestWeightsAreTamed(t *testing.T) {
	for _, c := range []struct {
		name string
		was  []uint32
		want []float32 // relative to the first
	}{
		{"what is within a thousand stays", []uint32{1, 1000, 10}, []float32{1, 1000, 10}},
		{"one that is far above the others is brought to a thousand", []uint32{1, 2, 10_000_000}, []float32{1, 2, 1000}},
		{"one that is far below them, too", []uint32{1, 500_000, 1_000_000}, []float32{1, 500, 1000}},
		{"large ones keep their ratios", []uint32{1_000_000_000, 2_000_000_000}, []float32{1, 2}},
		{"none means all alike", []uint32{0, 0}, []float32{1, 1}},
		{"nobody", nil, nil},
	} {
		got, sum := Weights(c.was), float32(0)
		for i, w := range got {
			if sum += w; math.Abs(float64(w/got[0]/c.want[i]-1)) > 1e-4 {
				t.Errorf("%s: %v, want %v", c.name, got, c.want)
			}
		}
		if len(got) != len(c.want) || math.Abs(float64(sum)-float64(len(got))) > 1e-3 {
			t.Errorf("%s: the mean of %v is not 1", c.name, got)
		}
	}
}

// newLoads returns loads of their own, for tests that load them.
func newLoads(n int) []*health.Load {
	all := make([]*health.Load, n)
	for i := range all {
		all[i] = &health.Load{}
	}
	return all
}
