package selector

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ringOf returns the ring of servers with those weights; a weight of 0 leaves one out.
func ringOf(old *ring, weights ...uint32) *ring {
	var members []member
	for i, w := range weights {
		if w > 0 {
			members = append(members, member{server: numbered(i), weight: w})
		}
	}
	return newRing(members, old)
}

// numbered returns the same server for the same number.
func numbered(i int) *server { return numberedServers[i] }

var numberedServers = func() []*server {
	all := make([]*server, 1100)
	for i := range all {
		s := Selector{config: &config{}}
		all[i] = s.join(nth(i), true, 1)
	}
	return all
}()

func weights(n int, of func(i int) uint32) []uint32 {
	all := make([]uint32, n)
	for i := range all {
		all[i] = of(i)
	}
	return all
}

func same(w uint32) func(int) uint32 { return func(int) uint32 { return w } }

func (r *ring) owner(hash uint64) string {
	return r.members[r.points[r.first(hash)]&index].server.key
}

func TestARingIsSortedAndFindsTheFirstPoint(t *testing.T) {
	for _, n := range []int{1, 2, 3, 10, 1000} {
		r := ringOf(nil, weights(n, func(i int) uint32 { return uint32(1 + i%10) })...)
		if !slices.IsSorted(r.points) {
			t.Fatalf("%d servers: not sorted", n)
		}
		for i := range uint64(10_000) {
			hash := mix(i)
			want, _ := slices.BinarySearch(r.points, hash&^index)
			if want == len(r.points) {
				want = 0
			}
			if got := r.first(hash); got != want {
				t.Fatalf("%d servers: the first point of %x is %d, not %d", n, hash, got, want)
			}
		}
	}
	if r := ringOf(nil); len(r.points) != 0 {
		t.Error("a ring of nobody has points")
	}
}

// A ring that grew from another must not differ from one that is new, or processes with different pasts would choose different servers.
func TestARingHasNoHistory(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 5))
	var old *ring
	w := make([]uint32, 200)
	for range 100 {
		for range 1 + rnd.IntN(5) {
			w[rnd.IntN(len(w))] = []uint32{0, 0, 1, 1, 1, 1, 1, 2, 100}[rnd.IntN(9)]
		}
		if rnd.IntN(20) == 0 {
			rnd.Shuffle(len(w), func(i, j int) { w[i], w[j] = w[j], w[i] })
		}
		grown, made := ringOf(old, w...), ringOf(nil, w...)
		if !slices.Equal(grown.points, made.points) || !slices.Equal(grown.start, made.start) {
			t.Fatal("differs from a new one")
		}
		old = grown
	}
}

// Two servers at the same position belong in the order of the list, also when that has changed.
func TestPointsOfOnePositionHaveNoHistory(t *testing.T) {
	a, b := member{server: &server{key: "a", hash: 7}, weight: 1}, member{server: &server{key: "b", hash: 7}, weight: 1}
	old := newRing([]member{a, b}, nil)
	if grown, made := newRing([]member{b, a}, old), newRing([]member{b, a}, nil); !slices.Equal(grown.points, made.points) {
		t.Error("differs from a new one")
	}
}

func TestTheRingHasPointsByWeight(t *testing.T) {
	for _, c := range []struct {
		name    string
		weights []uint32
		want    []uint32
	}{
		{"equal weights, whatever they are", []uint32{7, 7, 7}, []uint32{64, 64, 64}},
		{"the median has 64", []uint32{1, 2, 4}, []uint32{32, 64, 128}},
		{"the least has one", []uint32{1, 500, 500, 500}, []uint32{1, 64, 64, 64}},
		{"few heavy ones are kept within bounds", []uint32{1, 1, 1, 1000}, []uint32{1, 1, 1, 1000}},
	} {
		if got := ringOf(nil, c.weights...).counts; !slices.Equal(got, c.want) {
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
		large, small := ringOf(nil, all...), ringOf(nil, without...)
		gone, moved := numbered(n/2).key, 0
		for i := range uint64(keys) {
			a, b := large.owner(mix(i)), small.owner(mix(i))
			if a != b {
				moved++
				if a != gone {
					t.Fatalf("%d servers: a key of %s moved to %s when %s came or went", n, a, b, gone)
				}
			}
		}
		// The share is 1/n, give or take four of the deviations that 64 points have.
		if share := float64(moved) / keys; math.Abs(share*float64(n)-1) > 4./8+4*math.Sqrt(float64(n)/keys) {
			t.Errorf("%d servers: %.2f of a server's share moved", n, share*float64(n))
		}
	}
}

func TestTheRingIsEven(t *testing.T) {
	const n, keys = 100, 1_000_000
	r := ringOf(nil, weights(n, func(i int) uint32 { return uint32(1 + i%2) })...)
	got := make(map[string]float64)
	for i := range uint64(keys) {
		got[r.owner(mix(i))]++
	}
	var squares float64
	for i := range n {
		want := float64(1+i%2) / (1.5 * n) * keys
		squares += math.Pow(got[numbered(i).key]/want-1, 2)
	}
	if deviation := math.Sqrt(squares / n); deviation > 0.2 {
		t.Errorf("shares deviate by %.3f from the weights", deviation)
	}
}

// The points themselves are tested against the arcs that they own: keys must fall on them by chance.
func TestKeysFallOnTheRingAtRandom(t *testing.T) {
	const n, keys = 50, 200_000
	r := ringOf(nil, weights(n, same(1))...)
	arcs := make([]float64, n)
	before := r.points[len(r.points)-1]>>32 - 1<<32
	for _, p := range r.points {
		arcs[p&index] += float64(p>>32 - before)
		before = p >> 32
	}
	got, want := make([]int, n), make([]float64, n)
	for i := range keys {
		hash := argsHash("Arith", "Mul", fmt.Sprint("user-", i))
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

// beHasher is the environment variable that makes the test binary print where keys belong, and nothing else.
const beHasher = "HOLDFAST_TEST_HASHER"

type order struct {
	Customer string
	Lines    []int
	Note     *string
}

func keysBelongTo() string {
	s, err := New(WithPolicy(ConsistentHash), WithoutProbing())
	if err != nil {
		return err.Error()
	}
	defer s.Close()
	s.UpdateServer(fleet(3, oneToTen))
	s.UpdateServer(fleet(50, oneToTen))
	var b strings.Builder
	for i := range 200 {
		for _, args := range []any{i, fmt.Sprint(i), []byte{byte(i)}, &order{Customer: fmt.Sprint(i), Lines: []int{i, 2}}, map[string]int{"a": i, "b": 2}} {
			b.WriteString(s.ring().owner(s.callHash(call{context.Background(), "Orders", "Place", args})))
		}
	}
	return b.String()
}

func (s *Selector) ring() *ring { return s.table.Load().pool.ring }

func TestAKeyHasTheSameServerInEveryProcess(t *testing.T) {
	want := keysBelongTo()
	for range 20 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), beHasher+"=1", "GORACE=atexit_sleep_ms=0")
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(out)); diff != "" {
			t.Fatalf("in another process: -here +there\n%s", diff)
		}
	}
}
