package selector

import (
	"math/rand/v2"
	"testing"
	"time"
)

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
