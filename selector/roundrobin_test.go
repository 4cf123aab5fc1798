package selector

import (
	"math"
	"slices"
	"testing"
)

func takeAll(*server) bool { return true }

func members(weights ...uint32) []member {
	all := make([]member, len(weights))
	for i, w := range weights {
		all[i] = member{server: numbered(i), weight: w, relative: 1}
	}
	return all
}

func TestRoundRobinIsExactAndSmooth(t *testing.T) {
	for _, weights := range [][]uint32{{1}, {1, 1, 1}, {5, 1, 1}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, {1, 1000}, {3, 3, 3, 7, 7, 500}} {
		var q roundRobin
		q.reset(members(weights...))
		var sum uint32
		for _, w := range weights {
			sum += w
		}
		var order []int
		for range 4 * sum {
			order = append(order, slices.Index(numberedServers, q.next(1, takeAll)))
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
	var q roundRobin
	all := members(slices.Repeat([]uint32{1}, 100)...)
	q.reset(all)
	var first []*server
	for range 100 {
		first = append(first, q.next(1, takeAll))
	}
	// With a list each pick, a scheduler that begins anew would pick some again and again.
	got := make(map[*server]int)
	for i := range 300 {
		switch i % 3 {
		case 0:
			q.reset(all[:99])
		case 1:
			q.reset(all)
		case 2:
			changed := slices.Clone(all)
			changed[i%99].weight = 2
			q.reset(changed)
			q.reset(all)
		}
		got[q.next(1, takeAll)]++
	}
	for _, srv := range first {
		if n := got[srv]; srv != numbered(99) && (n < 2 || n > 4) {
			t.Errorf("%s was picked %d times in three rounds", srv.key, n)
		}
	}
}

func TestNewcomersOfRoundRobinAreNotPickedInARow(t *testing.T) {
	var q roundRobin
	q.reset(members(slices.Repeat([]uint32{1}, 500)...))
	for range 700 {
		q.next(1, takeAll)
	}
	q.reset(members(slices.Repeat([]uint32{1}, 1000)...))
	fresh := 0
	for range 200 {
		if slices.Index(numberedServers, q.next(1, takeAll)) >= 500 {
			fresh++
		}
	}
	if fresh < 60 || fresh > 140 {
		t.Errorf("%d of 200 picks are of the new half", fresh)
	}
}

func TestRoundRobinPassesOverWhoCannotBeUsed(t *testing.T) {
	var q roundRobin
	q.reset(members(1, 1, 1, 1))
	for range 100 {
		if srv := q.next(8, func(s *server) bool { return s == numbered(2) }); srv != numbered(2) {
			t.Fatal(srv)
		}
	}
	if srv := q.next(8, func(*server) bool { return false }); srv != nil {
		t.Error(srv.key)
	}
	q.reset(nil)
	if srv := q.next(8, takeAll); srv != nil {
		t.Error(srv.key)
	}
}
