package selector

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/selector/internal/health"
	"github.com/holdfast-go/holdfast/tests/bubbles"
)

// FuzzSelector lets lists, metadata, calls, outcomes, probes and time come in any order. There is always a listed server when there is one. Nothing is left
// in flight. A server on trial is tried by one call at a time. And whatever has happened, each server that answers is used again, and has calls as
// often as the doc promises.
func FuzzSelector(f *testing.F) {
	for p := range 5 {
		f.Add(uint64(p), byte(p), "weight=5&zone=a", []byte("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x10\x20\x30\x40\x50\x60\x70\x80\x90"))
		f.Add(uint64(p+7), byte(p+8), "weight=0", []byte{1, 2, 2, 2, 2, 2, 2, 2, 9, 3, 3, 3, 3, 3, 3, 3, 1, 2, 4})
		f.Add(uint64(p+20), byte(p), "tag=canary", []byte{80, 26, 22, 7, 29, 22, 7, 30, 95, 2, 5, 7, 61, 69, 7, 15, 23})
	}
	f.Add(uint64(20), byte(0), "tag=green", []byte(" 2020222222220220"))
	f.Add(uint64(1), byte(2), "weight=99999999999&latitude=NaN&longitude=nan&state=inactive;", []byte{1, 1, 1, 2})
	f.Fuzz(func(t *testing.T, seed uint64, how byte, metadata string, ops []byte) {
		if len(ops) > 200 {
			ops = ops[:200]
		}
		bubbles.Test(t, func(t *testing.T) { fuzzSelector(t, seed, how, metadata, ops) })
	})
}

func fuzzSelector(t *testing.T, seed uint64, how byte, metadata string, ops []byte) {
	r := rand.New(rand.NewPCG(seed, 2))
	s := mustNew(t, fuzzed(how, r)...)
	listed := make(map[string]string)
	var open []pick
	end := func(i int) {
		open[i].done(health.Outcome(r.IntN(health.Outcomes)), time.Duration(r.Int64N(1e10)))
		open[i] = open[len(open)-1]
		open = open[:len(open)-1]
	}
	call := func() {
		ctx := t.Context()
		if r.IntN(4) == 0 {
			ctx = WithTag(ctx, "canary")
		}
		key, p := s.choose(ctx, r.IntN(10))
		if _, ok := listed[key]; ok == (len(listed) == 0) {
			t.Fatalf("%q of %v", key, listed)
		}
		if key == "" {
			return
		}
		if p.permit != 0 {
			for _, other := range open {
				if other.permit != 0 && other.server == p.server && other.epoch == p.epoch && p.permit-other.permit < 10_000 {
					t.Fatalf("two calls try %s", key)
				}
			}
		}
		open = append(open, p)
	}
	for _, op := range ops {
		switch op % 8 {
		case 0, 1: // a list
			listed = make(map[string]string)
			for range r.IntN(1 + int(op)/4) {
				listed[nth(r.IntN(40))] = []string{
					"", metadata, fmt.Sprintf("weight=%d&zone=%c", r.Uint64()>>(1+r.IntN(63)), 'a'+r.IntN(3)),
					fmt.Sprintf("tag=canary&started=%d", time.Now().Unix()-r.Int64N(100)+10),
				}[r.IntN(4)]
			}
			s.UpdateServer(listed)
		case 2, 3, 4: // calls
			for range 1 + int(op)/8 {
				call()
			}
		case 5: // outcomes
			for range min(len(open), 1+int(op)/8) {
				end(r.IntN(len(open)))
			}
		case 6: // news of one server
			for range 1 + int(op)/16 {
				s.observe(s.main, nth(int(op)%40), health.Outcome(r.IntN(health.Outcomes)), time.Duration(r.Int64N(1e9)))
			}
		case 7:
			pass(time.Duration(r.Int64N(int64(op) * 1e9)))
		}
		st := s.Status()
		if len(st.Servers) != len(listed) {
			t.Fatalf("%d of %d servers in the status", len(st.Servers), len(listed))
		}
		if c := s.main.table.Load().counts; c.in[health.Fresh]+c.in[health.Up]+c.in[health.Aside]+c.in[health.Ejected]+c.in[health.Trial] != c.all {
			t.Fatalf("%+v", c)
		}
	}
	for len(open) > 0 {
		end(len(open) - 1)
	}
	s.mu.Lock()
	for key, srv := range s.servers {
		if n := srv.load.InFlight.Load(); n != 0 {
			t.Errorf("%d in flight at %s", n, key)
		}
	}
	s.mu.Unlock()
	if n := s.inFlight.Load(); n != 0 {
		t.Errorf("%d in flight", n)
	}
	wantAllBack(t, s, how, r)
	_ = s.Close()
	synctest.Wait()
}

// wantAllBack lets a world that is well again go on. It wants all servers back when the longest ejection is over, and then each to have calls: in a second
// and eight calls for each server.
func wantAllBack(t *testing.T, s *Selector, how byte, r *rand.Rand) {
	t.Helper()
	ctxs := []context.Context{t.Context()}
	for _, g := range s.main.table.Load().pool.groups { // nobody else calls those with a tag
		ctxs = append(ctxs, WithTag(t.Context(), g.tag))
	}
	for range 360 {
		for i := range 40 {
			if key, p := s.choose(ctxs[i%len(ctxs)], r.Uint64()); key != "" {
				p.done(health.Answered, time.Millisecond)
			}
		}
		pass(time.Second)
	}
	if c := s.main.table.Load().counts; c.in[health.Ejected]+c.in[health.Aside] > 0 {
		t.Errorf("after six quiet minutes %+v", c)
	}
	if p := s.config.policy; p != P2C && p != WeightedRoundRobin && p != Random {
		return // keys and distances decide
	}
	table := s.main.table.Load()
	lightest := float32(1)
	for _, g := range table.pool.groups {
		for _, m := range g.members {
			lightest = min(lightest, m.Weight)
		}
	}
	if lightest < 0.5 {
		return // weights decide
	}
	before := make(map[*server]uint64)
	for _, srv := range table.pool.servers {
		before[srv] = srv.picks.Load()
	}
	for range 3000 { // in three seconds, eight calls for each and two seconds
		for _, ctx := range ctxs {
			if key, p := s.choose(ctx, r.Uint64()); key != "" {
				p.done(health.Answered, time.Millisecond)
			}
		}
		pass(time.Millisecond)
	}
	for srv, was := range before {
		if srv.picks.Load() == was && srv.State() == Up {
			t.Errorf("%s had no call in three seconds of %d", srv.key, how)
		}
	}
}

// fuzzed returns options: a policy, with or without probes, subset and slow start.
func fuzzed(how byte, r *rand.Rand) []Option {
	p := Policy(how % 5)
	opts := []Option{WithPolicy(p)}
	if p == Locality {
		opts = append(opts, WithZone("a"), WithPosition(1, 2))
	}
	if how&8 != 0 {
		opts = append(opts, WithoutProbing())
	} else {
		var mu sync.Mutex
		r := rand.New(rand.NewPCG(uint64(how), 3)) // its own: probes run beside the test
		opts = append(opts, WithProbing(Probing{Probe: func(ctx context.Context, _, _ string) error {
			mu.Lock()
			defer mu.Unlock()
			switch r.IntN(8) {
			case 0:
				return context.Canceled
			case 1:
				panic("probe")
			}
			return nil
		}}))
	}
	if how&16 != 0 {
		opts = append(opts, WithSubset(1+r.IntN(10)), WithClientID("fuzz"))
	}
	if how&32 != 0 {
		opts = append(opts, WithSlowStart(time.Minute))
	}
	if how&64 != 0 {
		opts = append(opts, WithLive(func() bool { return false }))
	}
	return opts
}

// Everything at once from everywhere, for the race detector.
func TestASelectorIsForManyGoroutines(t *testing.T) {
	for p := range Policy(5) {
		opts := []Option{WithPolicy(p), WithSlowStart(10 * time.Millisecond), WithProbing(Probing{Probe: func(context.Context, string, string) error { return nil }})}
		if p == Locality {
			opts = append(opts, WithZone("a"))
		}
		s := mustNew(t, opts...)
		s.UpdateServer(fleet(20, oneToTen))
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(uint64(g), 1))
				for i := range 1500 {
					key, p := s.choose(t.Context(), i)
					if key == "" {
						t.Error("no server")
						return
					}
					s.Select(t.Context(), "Arith", "Mul", i)
					p.done(health.Outcome(r.IntN(health.Outcomes)), time.Duration(r.IntN(1e6)))
					if i%100 == 0 {
						s.UpdateServer(fleet(10+r.IntN(20), oneToTen))
						s.Status()
					}
				}
			})
		}
		wg.Wait()
		for _, srv := range s.Status().Servers {
			if srv.InFlight != 0 {
				t.Errorf("%v: %d in flight at %s", p, srv.InFlight, srv.Key)
			}
		}
	}
}

func TestSelectAllocatesNothing(t *testing.T) {
	for p := range Policy(5) {
		inBubble(t, 100, func(t *testing.T, s *Selector, _ *world) {
			var args any = "user-17"
			ctx := t.Context()
			if n := testing.AllocsPerRun(1000, func() { s.Select(ctx, "Arith", "Mul", args) }); n != 0 {
				t.Errorf("%v: %v allocations", p, n)
			}
		}, append([]Option{WithPolicy(p)}, map[Policy][]Option{Locality: {WithZone("a")}}[p]...)...)
	}
}
