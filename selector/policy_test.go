package selector

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func balls(weights ...float32) []ball {
	all := make([]ball, len(weights))
	for i, w := range weights {
		all[i] = ball{numbered(i), w}
	}
	return all
}

func TestDrawsKeepToTheWeights(t *testing.T) {
	const draws = 300_000
	for name, weights := range map[string][]float32{
		"equal":           {1, 1, 1, 1, 1, 1, 1},
		"one to seven":    {1, 2, 3, 4, 5, 6, 7},
		"one in hundreds": {1, 1, 500, 1, 1, 499, 1},
		"alone":           {3},
		"two":             {1, 9},
	} {
		r := rand.New(rand.NewPCG(7, 7))
		u := newUrn(balls(weights...))
		single, first := make([]int, len(weights)), make([]int, len(weights))
		for range draws {
			single[u.draw(r.Uint64())]++
			i, j := u.drawTwo(r.Uint64(), r.Uint64())
			first[i]++
			if i == j && len(weights) > 1 {
				t.Fatalf("%s: %d twice", name, i)
			}
		}
		want := make([]float64, len(weights))
		var sum float32
		for _, w := range weights {
			sum += w
		}
		for i, w := range weights {
			want[i] = draws * float64(w/sum)
		}
		wantFit(t, single, want)
		wantFit(t, first, want)
	}
}

// newServers returns servers of their own, for tests that load them.
func newServers(n int) []*server {
	all := make([]*server, n)
	for i := range all {
		all[i] = &server{key: nth(i)}
	}
	return all
}

func TestP2CWithEqualLoadsKeepsToTheWeights(t *testing.T) {
	const draws = 200_000
	r := rand.New(rand.NewPCG(3, 3))
	all := newServers(10)
	var bs []ball
	want, got, index := make([]float64, 10), make([]int, 10), make(map[*server]int)
	for i, srv := range all {
		bs = append(bs, ball{srv, float32(1 + i%3)})
		want[i] = draws * float64(1+i%3) / 19
		index[srv] = i
		srv.latency.add(time.Millisecond+time.Duration(r.IntN(50_000)), 1) // noise of 5 %
	}
	u := newUrn(bs)
	for range draws {
		got[index[lessLoaded(u, r.Uint64(), r.Uint64(), 1).server]]++
	}
	wantFit(t, got, want)
}

func TestP2CPrefersTheLessLoaded(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	all := newServers(4)
	for _, srv := range all {
		srv.latency.add(time.Millisecond, 1)
	}
	all[0].latency.add(100*time.Millisecond, 1) // slow
	all[1].inFlight.Store(50)                   // busy
	u := newUrn([]ball{{all[0], 1}, {all[1], 1}, {all[2], 1}, {all[3], 1}})
	got := make(map[string]int)
	for range 10_000 {
		got[lessLoaded(u, r.Uint64(), r.Uint64(), 1).server.key]++
	}
	// Each is met beside one of the others; the two that are loaded win against each other only.
	if got[nth(0)]+got[nth(1)] > 10_000/5 || got[nth(2)] < 3500 || got[nth(3)] < 3500 {
		t.Errorf("%v", got)
	}
	idle := all[2]
	idle.latency = latency{}
	if b := (&ball{idle, 1}); b.load(1) != 0 {
		t.Error("one that has not answered yet is not worth a try")
	}
	idle.inFlight.Add(1)
	if b, other := (&ball{idle, 1}), (&ball{all[0], 1}); b.load(1) < other.load(1) {
		t.Error("one that has not answered yet is tried twice at once")
	}
}

// Servers of which each can do one call at a time: the longest queue shows how good a choice is (M. Mitzenmacher: log log n, not log n).
func TestP2CKeepsQueuesShort(t *testing.T) {
	const n, calls = 1000, 1000
	r := rand.New(rand.NewPCG(9, 9))
	longest := func(pick func(u urn) *ball) (most int64) {
		var bs []ball
		for _, srv := range newServers(n) {
			srv.latency.add(time.Millisecond, 1)
			bs = append(bs, ball{srv, 1})
		}
		u := newUrn(bs)
		for range calls {
			pick(u).server.inFlight.Add(1)
		}
		for _, b := range bs {
			most = max(most, b.server.inFlight.Load())
		}
		return most
	}
	two := longest(func(u urn) *ball { return lessLoaded(u, r.Uint64(), r.Uint64(), 1) })
	one := longest(func(u urn) *ball { return &u.balls[u.draw(r.Uint64())] })
	if two > 3 || one < 4 {
		t.Errorf("the longest queue is %d with two choices, %d with one", two, one)
	}
}

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

func TestEveryPolicyKeepsToTheWeights(t *testing.T) {
	const n, calls = 12, 30_000
	for _, p := range []Policy{P2C, WeightedRoundRobin, Random, Locality} {
		inBubble(t, n, func(t *testing.T, s *Selector, _ *world) {
			s.UpdateServer(fleet(n, func(i int) string { return fmt.Sprintf("zone=a&weight=%d", i%4) }))
			got, want := make([]int, n), make([]float64, n)
			index := make(map[string]int)
			for i := range n {
				index[nth(i)] = i
			}
			for range calls {
				got[index[s.Select(t.Context(), "Arith", "Mul", nil)]]++
			}
			var g []int
			var w []float64
			for i := range n {
				if want[i] = float64(calls*(i%4)) / 18; want[i] == 0 {
					if got[i] > 0 {
						t.Errorf("%v: one that is drained was picked %d times", p, got[i])
					}
					continue
				}
				g, w = append(g, got[i]), append(w, want[i])
			}
			wantFit(t, g, w)
		}, append([]Option{WithPolicy(p)}, map[Policy][]Option{Locality: {WithZone("a")}}[p]...)...)
	}
}

func TestWhenAllAreDrainedAllAreUsed(t *testing.T) {
	for _, p := range []Policy{P2C, WeightedRoundRobin, ConsistentHash, Random} {
		inBubble(t, 4, func(t *testing.T, s *Selector, _ *world) {
			s.UpdateServer(fleet(4, func(i int) string { return []string{"weight=0", "state=inactive"}[i%2] }))
			got := make(map[string]bool)
			for i := range 1000 {
				got[s.Select(t.Context(), "Arith", "Mul", i)] = true
			}
			if len(got) != 4 {
				t.Errorf("%v: %v", p, got)
			}
			s.UpdateServer(fleet(4, func(i int) string { return fmt.Sprintf("weight=%d", i/3) }))
			if key := s.Select(t.Context(), "Arith", "Mul", nil); key != nth(3) {
				t.Errorf("%v: %s, which is drained", p, key)
			}
		}, WithPolicy(p))
	}
}

func TestBoundedLoads(t *testing.T) {
	inBubble(t, 10, func(t *testing.T, s *Selector, _ *world) {
		// A few calls with one key stay together.
		home, p := s.choose(t.Context(), "one key")
		picks := []pick{p}
		for range leastBound - 1 {
			k, p := s.choose(t.Context(), "one key")
			if picks = append(picks, p); k != home {
				t.Fatalf("a call of %d in flight went to %s, not %s", len(picks), k, home)
			}
		}
		for len(picks) < 1000 {
			_, p := s.choose(t.Context(), "one key")
			picks = append(picks, p)
		}
		for _, srv := range s.Status().Servers {
			if srv.InFlight > 126 {
				t.Errorf("%s has %d of 1,000 calls in flight, more than a quarter above the mean", srv.Key, srv.InFlight)
			}
		}
		for i := range picks {
			picks[i].done(succeeded, time.Millisecond)
		}
		if k, _ := s.choose(t.Context(), "one key"); k != home {
			t.Errorf("back at rest, %s and not %s", k, home)
		}
	}, WithPolicy(ConsistentHash))
}

func TestAFailedServersKeysGoToOthersAndComeBack(t *testing.T) {
	inBubble(t, 10, func(t *testing.T, s *Selector, _ *world) {
		where := func() (all []string) {
			for i := range 2000 {
				k, p := s.choose(t.Context(), i)
				p.done(succeeded, time.Millisecond)
				all = append(all, k)
			}
			return all
		}
		before := where()
		fail(t, s, nth(4), dialFailed, 1)
		for i, k := range where() {
			if before[i] != k && before[i] != nth(4) || k == nth(4) {
				t.Fatalf("a key of %s moved to %s", before[i], k)
			}
		}
		pass(2 * time.Second)
		where() // tries it with a key of its own
		if !slices.Equal(where(), before) {
			t.Error("keys did not come back")
		}
	}, WithPolicy(ConsistentHash))
}

func TestTheKeyFunctionDecides(t *testing.T) {
	inBubble(t, 50, func(t *testing.T, s *Selector, _ *world) {
		a := s.Select(t.Context(), "Arith", "Mul", 1)
		for i := range 100 {
			if k := s.Select(t.Context(), "Arith", fmt.Sprint("M", i), 1); k != a {
				t.Fatalf("%s, not %s", k, a)
			}
		}
		if k := s.Select(t.Context(), "Arith", "Mul", "panic"); k == "" {
			t.Error("no server when the function panics")
		}
	}, WithPolicy(ConsistentHash), WithKey(keyOfArgs))
}
