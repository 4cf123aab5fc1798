package policy

import (
	"math/rand/v2"
	"testing"

	"github.com/holdfast-go/holdfast/selector/internal/health"
)

func TestP2CWithEqualLoadsKeepsToTheWeights(t *testing.T) {
	const draws = 200_000
	r := rand.New(rand.NewPCG(3, 3))
	all := newLoads(10)
	var bs []Ball
	want, got := make([]float64, 10), make([]int, 10)
	for i, srv := range all {
		bs = append(bs, Ball{srv, float32(1 + i%3), int32(i)})
		want[i] = draws * float64(1+i%3) / 19
		srv.Took(1e6+r.Int64N(50_000), 1) // noise of 5 %
	}
	u := NewUrn(bs)
	for range draws {
		got[u.LessLoaded(r.Uint64(), r.Uint64(), 1)]++
	}
	wantFit(t, got, want)
}

func TestP2CPrefersTheLessLoaded(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	all := newLoads(4)
	for _, srv := range all {
		srv.Took(1e6, 1)
	}
	all[0].Took(1e8, 1)       // slow
	all[1].InFlight.Store(50) // busy
	u := NewUrn([]Ball{{all[0], 1, 0}, {all[1], 1, 1}, {all[2], 1, 2}, {all[3], 1, 3}})
	got := make(map[int]int)
	for range 10_000 {
		got[u.LessLoaded(r.Uint64(), r.Uint64(), 1)]++
	}
	// Each is met beside one of the others; the two that are loaded win against each other only.
	if got[0]+got[1] > 10_000/5 || got[2] < 3500 || got[3] < 3500 {
		t.Errorf("%v", got)
	}
}

// A server of which nothing is known is worth a try. If that teaches nothing, as when only one-way calls go there, it has its share and no more.
func TestAServerThatTeachesNothingIsNotPreferred(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	known, unknown := &health.Load{}, &health.Load{}
	u := NewUrn([]Ball{{known, 1, 0}, {unknown, 1, 1}})
	picks := func(now int64) (n int) {
		for range 1000 {
			n += u.LessLoaded(r.Uint64(), r.Uint64(), now)
		}
		return n
	}
	known.Took(1e6, 2000)
	if n := picks(2000); n != 1000 {
		t.Errorf("of 1,000 calls %d went to one that was never tried", n)
	}
	unknown.Chosen(2000)
	if n := picks(2001); n < 400 || n > 600 {
		t.Errorf("of 1,000 calls %d went to one that has been tried in vain", n)
	}
	unknown.InFlight.Add(1)
	if n := picks(2001); n != 0 {
		t.Errorf("of 1,000 calls %d went to one that is being tried", n)
	}
}

func TestAnOverlookedServerIsFound(t *testing.T) {
	slow, light := &health.Load{}, &health.Load{}
	u := NewUrn([]Ball{{slow, 1, 0}, {light, 0.1, 1}})
	slow.Chosen(1)
	light.Chosen(1)
	for _, c := range []struct {
		turn uint64
		now  int64
		want int
	}{{0, 1000, -1}, {0, 1001, 0}, {1, 1001, -1}, {1, 10_001, 1}} {
		if got := u.Overlooked(c.turn, c.now); got != c.want {
			t.Errorf("turn %d at %d: %d, want %d", c.turn, c.now, got, c.want)
		}
	}
	slow.Took(2e8, 1) // ten times its last answer is two seconds
	if got := []int{u.Overlooked(0, 2000), u.Overlooked(0, 2001)}; got[0] != -1 || got[1] != 0 {
		t.Errorf("one that is slow: %d", got)
	}
	slow.InFlight.Add(1)
	if got := u.Overlooked(0, 5000); got != -1 {
		t.Error("one that has a call is overlooked")
	}
}

// Servers of which each can do one call at a time: the longest queue shows how good a choice is (M. Mitzenmacher: log log n, not log n).
func TestP2CKeepsQueuesShort(t *testing.T) {
	const n, calls = 1000, 1000
	r := rand.New(rand.NewPCG(9, 9))
	longest := func(pick func(u Urn) int) (most int64) {
		var bs []Ball
		for _, srv := range newLoads(n) {
			srv.Took(1e6, 1)
			bs = append(bs, Ball{srv, 1, int32(len(bs))})
		}
		u := NewUrn(bs)
		for range calls {
			bs[pick(u)].Load.InFlight.Add(1)
		}
		for _, b := range bs {
			most = max(most, b.Load.InFlight.Load())
		}
		return most
	}
	two := longest(func(u Urn) int { return u.LessLoaded(r.Uint64(), r.Uint64(), 1) })
	one := longest(func(u Urn) int { return u.Draw(r.Uint64()) })
	if two > 3 || one < 4 {
		t.Errorf("the longest queue is %d with two choices, %d with one", two, one)
	}
}
