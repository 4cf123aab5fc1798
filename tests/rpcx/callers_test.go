package rpcx

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/smallnest/rpcx/client"
	"github.com/smallnest/rpcx/protocol"

	"github.com/holdfast-go/holdfast/tests/harness"
)

// modes are rpcx's own select modes, but WeightedICMP, which has a test of its own.
var modes = []client.SelectMode{
	client.RandomSelect, client.RoundRobin, client.WeightedRoundRobin, client.ConsistentHash, client.Closest, client.SelectByUser,
}

// caller is something that calls, in any of rpcx's ways.
type caller struct {
	name string
	call func(ctx context.Context, args *harness.Args, reply *harness.Reply) error
}

// callers are one of everything: an XClient and a OneClient in each mode, the pools, and those that hear from their servers. d is the
// service's discovery, template one to clone.
//
// A nearest server is asked for after the client was made, without a lock, while the client's own goroutine may be taking the first list:
// rpcx's data race. There is none to take while nothing is known; where something is, leave Closest out.
func callers(w *harness.World, name string, d, template client.ServiceDiscovery, modes []client.SelectMode) (all []caller) {
	option := client.DefaultOption
	option.ConnectTimeout = time.Second
	messages := make(chan *protocol.Message)
	x := func(name string, xc client.XClient, mode client.SelectMode) client.XClient {
		switch mode {
		case client.Closest:
			xc.ConfigGeoSelector(48, 11)
		case client.SelectByUser:
			xc.SetSelector(&turns{})
		default:
		}
		all = append(all, caller{name, func(ctx context.Context, args *harness.Args, reply *harness.Reply) error {
			return xc.Call(ctx, "Mul", args, reply)
		}})
		w.Cleanup(func() { _ = xc.Close() }) // of connections that have ended before it makes an error
		return xc
	}
	one := func(name string, oc *client.OneClient, mode client.SelectMode) {
		switch mode {
		case client.Closest:
			oc.ConfigGeoSelector(48, 11)
		case client.SelectByUser:
			oc.SetSelector("Arith", &turns{})
		default:
		}
		all = append(all, caller{name, func(ctx context.Context, args *harness.Args, reply *harness.Reply) error {
			return oc.Call(ctx, "Arith", "Mul", args, reply)
		}})
		w.Cleanup(func() { _ = oc.Close() })
	}
	for _, mode := range modes {
		x(fmt.Sprintf("%s: XClient, %v", name, mode), client.NewXClient("Arith", client.Failfast, mode, d, option), mode)
		one(fmt.Sprintf("%s: OneClient, %v", name, mode), client.NewOneClient(client.Failfast, mode, template, option), mode)
	}
	x(name+": bidirectional XClient", client.NewBidirectionalXClient("Arith", client.Failfast, client.RoundRobin, d, option, messages), client.RoundRobin)
	one(name+": bidirectional OneClient", client.NewBidirectionalOneClient(client.Failfast, client.RoundRobin, template, option, messages), client.RoundRobin)

	xs := client.NewXClientPool(3, "Arith", client.Failfast, client.RoundRobin, d, option)
	ones := client.NewOneClientPool(3, client.Failfast, client.RoundRobin, template, option)
	w.Cleanup(xs.Close)
	w.Cleanup(ones.Close)
	return append(all,
		caller{name + ": XClientPool", func(ctx context.Context, args *harness.Args, reply *harness.Reply) error {
			return xs.Get().Call(ctx, "Mul", args, reply)
		}},
		caller{name + ": OneClientPool", func(ctx context.Context, args *harness.Args, reply *harness.Reply) error {
			return ones.Get().Call(ctx, "Arith", "Mul", args, reply)
		}})
}

// turns is a user's selector.
type turns struct {
	mu   sync.Mutex
	keys []string
	next int
}

func (s *turns) UpdateServer(servers map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = slices.Sorted(maps.Keys(servers))
}

func (s *turns) Select(context.Context, string, string, any) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.keys) == 0 {
		return ""
	}
	s.next++
	return s.keys[s.next%len(s.keys)]
}

// reach waits until every caller is answered by all of the backends, and by nobody else, and never fails.
func reach(w *harness.World, all []caller, backends ...*harness.Backend) {
	w.Helper()
	want := make(map[string]bool)
	for _, b := range backends {
		want[b.Key] = true
	}
	for _, c := range all {
		var last error
		w.Eventually(fmt.Sprintf("%s reaches %d servers", c.name, len(want)), func() bool {
			got, err := c.round(w, 20*len(want))
			if last = err; last == nil && !maps.Equal(got, want) {
				last = fmt.Errorf("answered by %v", got)
			}
			return last == nil
		})
	}
}

// nobody waits until every caller knows that there is no server.
func nobody(w *harness.World, all []caller) {
	w.Helper()
	for _, c := range all {
		w.Eventually(c.name+" has no server", func() bool {
			_, err := c.round(w, 1)
			return errors.Is(err, client.ErrXClientNoServer)
		})
	}
}

// round makes some calls and returns who has answered.
func (c *caller) round(w *harness.World, calls int) (map[string]bool, error) {
	w.Helper()
	got := make(map[string]bool)
	for range calls {
		ctx, cancel := context.WithTimeout(w.Context(), 5*time.Second)
		args, reply := &harness.Args{A: rand.IntN(1000), B: rand.IntN(1000)}, &harness.Reply{}
		err := c.call(ctx, args, reply)
		cancel()
		if err != nil {
			return nil, err
		}
		if reply.C != args.A*args.B {
			w.Errorf("%s: %d * %d is %d?", c.name, args.A, args.B, reply.C)
		}
		got[reply.Server] = true
	}
	return got, nil
}
