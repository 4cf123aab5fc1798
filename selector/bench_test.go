package selector

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
	"unsafe"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/selector/internal/health"
)

// fleet is n servers, each with the metadata that data returns.
func fleet(n int, data func(i int) string) map[string]string {
	servers := make(map[string]string, n)
	for i := range n {
		servers[nth(i)] = data(i)
	}
	return servers
}

func nth(i int) string { return fmt.Sprintf("tcp@127.%d.%d.%d:8972", 1+i>>16, i>>8&255, i&255) }

func unweighted(int) string { return "" }

// oneToTen are weights whose sum rpcx's ring can bear.
func oneToTen(i int) string { return fmt.Sprintf("weight=%d&zone=%c", 1+i%10, 'a'+rune(i%3)) }

var sizes = []int{10, 100, 1000, 10_000}

// rpcxSelector returns one of rpcx's own selectors, which are made by NewXClient only, as it is: without the lock that Select is called under.
func rpcxSelector(tb testing.TB, mode client.SelectMode, servers map[string]string) client.Selector {
	tb.Helper()
	pairs := make([]*client.KVPair, 0, len(servers))
	for k, v := range servers {
		pairs = append(pairs, &client.KVPair{Key: k, Value: v})
	}
	d, err := client.NewMultipleServersDiscovery(pairs)
	if err != nil {
		tb.Fatal(err)
	}
	xc := client.NewXClient("Arith", client.Failfast, mode, d, client.DefaultOption)
	tb.Cleanup(func() { _ = xc.Close() })
	f := reflect.ValueOf(xc).Elem().FieldByName("selector")
	return *(*client.Selector)(unsafe.Pointer(f.UnsafeAddr()))
}

// settled returns a Selector of servers that are all up and have been called.
func settled(tb testing.TB, servers map[string]string, opts ...Option) *Selector {
	tb.Helper()
	s := mustNew(tb, append(opts, WithProbing(Probing{Probe: func(context.Context, string, string) error { return nil }, Parallel: 1000}))...)
	s.UpdateServer(servers)
	for until := time.Now().Add(patience); s.main.table.Load().counts.in[health.Up] < len(servers); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			tb.Fatalf("%d of %d servers up", s.main.table.Load().counts.in[health.Up], len(servers))
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for key := range servers {
		s.observe(s.main, key, health.Answered, time.Millisecond+time.Duration(r.IntN(1e6)))
	}
	return s
}

func BenchmarkSelect(b *testing.B) {
	zone := WithZone("a")
	for _, n := range sizes {
		for _, c := range []struct {
			name string
			data func(int) string
			opts []Option
			mode client.SelectMode
		}{
			{name: "holdfast/P2C", data: unweighted},
			{name: "holdfast/P2C-weighted", data: oneToTen},
			{name: "holdfast/WeightedRoundRobin-equal", data: unweighted, opts: []Option{WithPolicy(WeightedRoundRobin)}},
			{name: "holdfast/WeightedRoundRobin-1to10", data: oneToTen, opts: []Option{WithPolicy(WeightedRoundRobin)}},
			{name: "holdfast/WeightedRoundRobin-1to1000", data: func(i int) string { return fmt.Sprintf("weight=%d", 1+(i*7919)%1000) }, opts: []Option{WithPolicy(WeightedRoundRobin)}},
			{name: "holdfast/ConsistentHash", data: unweighted, opts: []Option{WithPolicy(ConsistentHash)}},
			{name: "holdfast/Locality", data: oneToTen, opts: []Option{WithPolicy(Locality), zone}},
			{name: "holdfast/Random", data: unweighted, opts: []Option{WithPolicy(Random)}},
			{name: "holdfast/P2C-subset20", data: unweighted, opts: []Option{WithSubset(20)}},
			{name: "rpcx/RandomSelect", data: unweighted, mode: client.RandomSelect},
			{name: "rpcx/RoundRobin", data: unweighted, mode: client.RoundRobin},
			{name: "rpcx/WeightedRoundRobin-1to10", data: oneToTen, mode: client.WeightedRoundRobin},
			{name: "rpcx/ConsistentHash", data: unweighted, mode: client.ConsistentHash},
		} {
			b.Run(fmt.Sprintf("%s/servers=%d", c.name, n), func(b *testing.B) {
				var s client.Selector
				if c.name[0] == 'r' {
					s = rpcxSelector(b, c.mode, fleet(n, c.data))
				} else {
					s = settledIn(b, fleet(n, c.data), c.opts...)
				}
				ctx := b.Context()
				var args any = &struct{ A, B int }{3, 4}
				b.ReportAllocs()
				for b.Loop() {
					if s.Select(ctx, "Arith", "Mul", args) == "" {
						b.Fatal("no server")
					}
				}
			})
		}
	}
}

// settledIn is settled, for a subset too.
func settledIn(tb testing.TB, servers map[string]string, opts ...Option) *Selector {
	c, err := newConfig(opts)
	if err != nil {
		tb.Fatal(err)
	}
	if c.subset == 0 {
		return settled(tb, servers, opts...)
	}
	s := mustNew(tb, append(opts, WithoutProbing())...)
	s.UpdateServer(servers)
	for key := range servers {
		s.observe(s.main, key, health.Answered, time.Millisecond)
	}
	return s
}

// BenchmarkPick is a choice that somebody reports on, and the report.
func BenchmarkPick(b *testing.B) {
	for _, p := range []Policy{P2C, WeightedRoundRobin, ConsistentHash} {
		for _, n := range sizes {
			b.Run(fmt.Sprintf("%v/servers=%d", p, n), func(b *testing.B) {
				s := settled(b, fleet(n, unweighted), WithPolicy(p))
				ctx := b.Context()
				b.ReportAllocs()
				for b.Loop() {
					_, p := s.choose(ctx, "key")
					p.done(health.Answered, time.Millisecond)
				}
			})
		}
	}
}

// BenchmarkUpdateServer changes one server of a list, which has all others examined, and another time all of them.
func BenchmarkUpdateServer(b *testing.B) {
	for _, p := range []Policy{P2C, WeightedRoundRobin, ConsistentHash, Locality, Random} {
		for _, change := range []string{"one", "all"} {
			b.Run(fmt.Sprintf("holdfast/%v/%s", p, change), func(b *testing.B) {
				opts := []Option{WithPolicy(p), WithoutProbing()}
				if p == Locality {
					opts = append(opts, WithZone("a"))
				}
				benchmarkUpdate(b, mustNew(b, opts...), change)
			})
		}
	}
	for _, m := range []client.SelectMode{client.RandomSelect, client.RoundRobin, client.WeightedRoundRobin, client.ConsistentHash} {
		for _, change := range []string{"one", "all"} {
			b.Run(fmt.Sprintf("rpcx/%v/%s", m, change), func(b *testing.B) {
				benchmarkUpdate(b, rpcxSelector(b, m, fleet(1000, oneToTen)), change)
			})
		}
	}
}

func benchmarkUpdate(b *testing.B, s client.Selector, change string) {
	lists := []map[string]string{fleet(1000, oneToTen), fleet(1000, oneToTen)}
	switch change {
	case "one":
		delete(lists[1], nth(500))
		lists[1][nth(1000)] = oneToTen(0)
	case "all":
		lists[1] = fleet(2000, oneToTen)
		for i := range 1000 {
			delete(lists[1], nth(i))
		}
	}
	s.UpdateServer(lists[0])
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		s.UpdateServer(lists[i%2])
	}
}
