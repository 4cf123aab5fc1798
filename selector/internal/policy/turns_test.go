package policy

import (
	"math"
	"slices"
	"testing"

	"github.com/holdfast-go/holdfast/selector/internal/health"
)

func takeAll(int) bool { return true }

func members(weights ...uint32) []Member {
	all := make([]Member, len(weights))
	for i, w := range Weights(weights) {
		all[i] = Member{Load: &health.Load{}, Weight: w}
	}
	return all
}

func TestRoundRobinIsExactAndSmooth(t *testing.T) {
	for _, weights := range [][]uint32{{1}, {1, 1, 1}, {5, 1, 1}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, {1, 1000}, {3, 3, 3, 7, 7, 500}} {
		q := new(Turns).With(members(weights...))
		var sum uint32
		for _, w := range weights {
			sum += w
		}
		var order []int
		for range 4 * sum {
			order = append(order, q.Next(1, takeAll))
		}
		for i, w := range weights {
			// Among any W picks are w, one more or one less.
			n := 0
			for j, who := range order {
				if who == i {
					n++
				}
				if j >= int(sum) && order[j-int(sum)] == i {
					n--
				}
				if j >= int(sum) && math.Abs(float64(n)-float64(w)) > 1 {
					t.Fatalf("%v: %d of %d picks of one with weight %d", weights, n, sum, w)
				}
			}
			// No two of its picks are much nearer or farther than W/w.
			last, gap := -1, float64(sum)/float64(w)
			for j, who := range order {
				if who != i {
					continue
				}
				if d := float64(j - last); last >= 0 && (d > 2*gap+float64(len(weights)) || d < math.Floor(gap/2)-float64(len(weights))) {
					t.Errorf("%v: picks of one with weight %d are %v apart, on average %.1f", weights, w, d, gap)
				}
				last = j
			}
		}
	}
}

func TestRoundRobinKeepsItsPlaceWhenTheListChanges(t *testing.T) {
	all := members(slices.Repeat([]uint32{1}, 100)...)
	q := new(Turns).With(all)
	var first []int
	for range 100 {
		first = append(first, q.Next(1, takeAll))
	}
	// With a list each pick, a scheduler that begins anew would pick some again and again.
	got := make(map[int]int)
	for i := range 300 {
		switch i % 3 {
		case 0:
			q = q.With(all[:99])
		case 1:
			q = q.With(all)
		case 2:
			changed := slices.Clone(all)
			changed[i%99].Weight = 2
			q = q.With(changed)
			q = q.With(all)
		}
		got[q.Next(1, takeAll)]++
	}
	for _, srv := range first {
		if n := got[srv]; srv != 99 && (n < 2 || n > 4) {
			t.Errorf("%d was picked %d times in three rounds", srv, n)
		}
	}
}

func TestNewcomersOfRoundRobinAreNotPickedInARow(t *testing.T) {
	all := members(slices.Repeat([]uint32{1}, 1000)...)
	q := new(Turns).With(all[:500])
	for range 700 {
		q.Next(1, takeAll)
	}
	q = q.With(all)
	fresh := 0
	for range 200 {
		if q.Next(1, takeAll) >= 500 {
			fresh++
		}
	}
	if fresh < 60 || fresh > 140 {
		t.Errorf("%d of 200 picks are of the new half", fresh)
	}
}

func TestRoundRobinPassesOverWhoCannotBeUsed(t *testing.T) {
	q := new(Turns).With(members(1, 1, 1, 1))
	for range 100 {
		if srv := q.Next(8, func(m int) bool { return m == 2 }); srv != 2 {
			t.Fatal(srv)
		}
	}
	if srv := q.Next(8, func(int) bool { return false }); srv != -1 {
		t.Error(srv)
	}
	q = q.With(nil)
	if srv := q.Next(8, takeAll); srv != -1 {
		t.Error(srv)
	}
}
