package holdfast_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"
	"github.com/smallnest/rpcx/protocol"
	"github.com/smallnest/rpcx/server"

	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// Args and Reply are those of rpcx's own examples; they are exported because rpcx wants it.
type (
	Args  struct{ A, B int }
	Reply struct {
		C      int
		Server string // who has answered
	}
)

// answering is the service: it says who answers.
type answering struct{ key string }

// Mul is the method.
func (a *answering) Mul(_ context.Context, args *Args, reply *Reply) error {
	reply.C, reply.Server = args.A*args.B, a.key
	return nil
}

// backend is a real rpcx server.
type backend struct {
	key  string // tcp@127.0.0.1:port
	srv  *server.Server
	done chan struct{}
}

// startBackend serves until the test ends or stop is called.
func startBackend(t *testing.T) *backend {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	b := &backend{key: "tcp@" + ln.Addr().String(), srv: server.NewServer(), done: make(chan struct{})}
	for _, service := range []string{"Arith", "Other"} {
		must(t, b.srv.RegisterName(service, &answering{b.key}, ""))
	}
	go func() {
		defer close(b.done)
		_ = b.srv.ServeListener("tcp", ln) // ends with stop
	}()
	t.Cleanup(b.stop)
	return b
}

func (b *backend) stop() {
	_ = b.srv.Close() // the second time, of what is closed already
	<-b.done
}

// overTCP is the in-process server as a server on the network.
type overTCP struct{ inProcess }

func (z *overTCP) servers() []string { return []string{z.server.Addr()} }

func (z *overTCP) options() []zkdiscovery.Option {
	return []zkdiscovery.Option{zkdiscovery.WithSessionTimeout(2 * time.Second)}
}

func (z *overTCP) wait()                   { time.Sleep(2 * time.Millisecond) }
func (z *overTCP) patience() time.Duration { return 20 * time.Second }

// onTheNetwork plays a scenario on the in-process server, outside a bubble.
func onTheNetwork(t *testing.T, scenario func(*world)) {
	t.Helper()
	zk := zktest.NewServer(zktest.WithTick(100 * time.Millisecond))
	t.Cleanup(zk.Close)
	must(t, zk.Listen("127.0.0.1:0"))
	scenario(&world{T: t, zooKeeper: &overTCP{inProcess{t: t, server: zk}}, base: "/rpcx", log: newLogbook(t), dir: t.TempDir()})
}

// modes are rpcx's own select modes, but WeightedICMP, which has a test of its own.
var modes = []client.SelectMode{
	client.RandomSelect, client.RoundRobin, client.WeightedRoundRobin, client.ConsistentHash, client.Closest, client.SelectByUser,
}

// caller is something that calls, in any of rpcx's ways.
type caller struct {
	name string
	call func(ctx context.Context, args *Args, reply *Reply) error
}

// callers are one of everything: an XClient and a OneClient in each mode, the pools, and those that hear from their servers. d is the
// service's discovery, template one to clone.
//
// A nearest server is asked for after the client was made, without a lock, while the client's own goroutine may be taking the first list:
// rpcx's data race. There is none to take while nothing is known; where something is, leave Closest out.
func callers(w *world, name string, d, template client.ServiceDiscovery, modes []client.SelectMode) (all []caller) {
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
		all = append(all, caller{name, func(ctx context.Context, args *Args, reply *Reply) error { return xc.Call(ctx, "Mul", args, reply) }})
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
		all = append(all, caller{name, func(ctx context.Context, args *Args, reply *Reply) error {
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
		caller{name + ": XClientPool", func(ctx context.Context, args *Args, reply *Reply) error {
			return xs.Get().Call(ctx, "Mul", args, reply)
		}},
		caller{name + ": OneClientPool", func(ctx context.Context, args *Args, reply *Reply) error {
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
func (w *world) reach(all []caller, backends ...*backend) {
	w.Helper()
	want := make(map[string]bool)
	for _, b := range backends {
		want[b.key] = true
	}
	for _, c := range all {
		var last error
		w.eventually(fmt.Sprintf("%s reaches %d servers", c.name, len(want)), func() bool {
			got, err := c.round(w, 20*len(want))
			if last = err; last == nil && !maps.Equal(got, want) {
				last = fmt.Errorf("answered by %v", got)
			}
			return last == nil
		})
	}
}

// nobody waits until every caller knows that there is no server.
func (w *world) nobody(all []caller) {
	w.Helper()
	for _, c := range all {
		w.eventually(c.name+" has no server", func() bool {
			_, err := c.round(w, 1)
			return errors.Is(err, client.ErrXClientNoServer)
		})
	}
}

// round makes some calls and returns who has answered.
func (c *caller) round(w *world, calls int) (map[string]bool, error) {
	w.Helper()
	got := make(map[string]bool)
	for range calls {
		ctx, cancel := context.WithTimeout(w.Context(), 5*time.Second)
		args, reply := &Args{rand.IntN(1000), rand.IntN(1000)}, &Reply{}
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
