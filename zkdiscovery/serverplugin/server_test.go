package serverplugin

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rcrowley/go-metrics"
	"github.com/smallnest/rpcx/client"
	"github.com/smallnest/rpcx/server"

	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

type (
	Args  struct{ A, B int }
	Reply struct{ C int }
	Arith int
)

func (*Arith) Mul(_ context.Context, args *Args, reply *Reply) error {
	reply.C = args.A * args.B
	return nil
}

// onLoopback is a plugin outside of a bubble, with an in-process ZooKeeper.
func onLoopback(t *testing.T, address string, opts ...ZooKeeperOpt) (*ZooKeeperRegisterPlugin, *zktest.Server) {
	t.Helper()
	zk := zktest.NewServer()
	t.Cleanup(zk.Close)
	p := NewZooKeeperRegisterPlugin(append([]ZooKeeperOpt{
		WithZKServiceAddress(address), WithZKServersAddress([]string{"zk:2181"}), WithZKBasePath("rpcx"), WithDialer(zk.Dial),
	}, opts...)...)
	t.Cleanup(func() { _ = p.Stop() })
	return p, zk
}

// serving runs a server beside the test, and closes the channel when it has ended, with whatever error.
func serving(serve func() error) chan struct{} {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = serve()
	}()
	return ended
}

// addresses is how many freeAddress has given.
var addresses atomic.Int64

// freeAddress is one that nobody takes before a server listens there: neither a connection to 127.0.0.1, which begins at a free port of that, nor the next
// that asks for an address, since each has a host of its own.
func freeAddress(t *testing.T) string {
	t.Helper()
	n := addresses.Add(1)
	ln, err := net.Listen("tcp", fmt.Sprintf("127.0.%d.%d:0", 1+n/250, 1+n%250))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// TestWithServerRegistersWhenItListens has a service registered before its server listens, as rpcx does it.
func TestWithServerRegistersWhenItListens(t *testing.T) {
	for network, serve := range map[string]func(*server.Server, net.Listener) error{
		"tcp":  func(s *server.Server, ln net.Listener) error { return s.ServeListener("tcp", ln) },
		"unix": func(s *server.Server, ln net.Listener) error { return s.ServeListener("unix", ln) },
		"http": func(s *server.Server, ln net.Listener) error { return s.ServeListener("http", ln) },
		"ws":   func(*server.Server, net.Listener) error { return nil }, // rpcx takes no listener for it, and cannot be closed without a race
	} {
		t.Run(network, func(t *testing.T) {
			transport, addr := "tcp", freeAddress(t)
			if network == "unix" {
				transport, addr = "unix", filepath.Join(t.TempDir(), "s")
			}
			s := server.NewServer()
			p, zk := onLoopback(t, network+"@"+addr, WithServer(s))
			if err := p.Start(); err != nil {
				t.Fatal(err)
			}
			s.Plugins.Add(p)
			if err := s.RegisterName("Arith", new(Arith), "weight=3"); err != nil {
				t.Fatal(err)
			}
			for len(zk.Sessions()) == 0 {
				time.Sleep(time.Millisecond)
			}
			never, cancel := context.WithTimeout(t.Context(), 4*probeEvery)
			defer cancel()
			if err := p.WaitRegistered(never); err == nil || zk.Stats().Requests[zktest.OpCreate] > 0 {
				t.Fatal("registered before the server listens")
			}
			ln, err := net.Listen(transport, addr)
			if err != nil {
				t.Fatal(err)
			}
			served := serving(func() error { return serve(s, ln) })
			if err := p.WaitRegistered(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := p.Stop(); err != nil {
				t.Error(err)
			}
			_ = ln.Close()
			<-served
		})
	}
}

func TestWithServerWaitsAsLongAsItTakes(t *testing.T) {
	inBubble(t, func(b bubble) {
		s := server.NewServer()
		p := b.plugin(WithServer(s))
		b.register(p, "Arith", "weight=3")
		pass(24 * time.Hour)
		if n := b.zk.Stats(); n.Requests[zktest.OpGetData]+n.Requests[zktest.OpCreate] > 0 || p.Registered() {
			b.Errorf("before the server listens: %v", n.Requests)
		}
		b.zk.ExpireAll()
		pass(time.Second)
		close(s.Started) // as rpcx does it
		pass(0)
		b.mustOwn(p, "weight=3")
	})
}

// TestClientsReachAServerOfEveryNetwork has a client find and call what was registered: the address that it sees is the one that was given.
func TestClientsReachAServerOfEveryNetwork(t *testing.T) {
	for _, network := range []string{"tcp", "unix", "http"} {
		t.Run(network, func(t *testing.T) {
			transport, addr := "tcp", freeAddress(t)
			if network == "unix" {
				transport, addr = "unix", filepath.Join(t.TempDir(), "a%2Fb") // looks as if it was escaped
			}
			ln, err := net.Listen(transport, addr)
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			s := server.NewServer()
			s.DisableHTTPGateway, s.DisableJSONRPC = true, true // they would be served over unix, too
			p, zk := onLoopback(t, network+"@"+addr, WithServer(s))
			s.Plugins.Add(p)
			if err := s.RegisterName("Arith", new(Arith), "weight=3"); err != nil {
				t.Fatal(err)
			}
			served := serving(func() error { return s.ServeListener(network, ln) })
			if err := p.WaitRegistered(t.Context()); err != nil {
				t.Fatal(err)
			}
			d, err := zkdiscovery.New("rpcx", "Arith", []string{"zk:2181"}, zkdiscovery.WithDialer(zk.Dial), zkdiscovery.WithoutCache())
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			if got := d.GetServices(); len(got) != 1 || got[0].Key != network+"@"+addr || got[0].Value != "weight=3" {
				t.Errorf("%+v", got)
			}
			xc := client.NewXClient("Arith", client.Failfast, client.RandomSelect, d, client.DefaultOption)
			var reply Reply
			if err := xc.Call(t.Context(), "Mul", &Args{6, 7}, &reply); err != nil || reply.C != 42 {
				t.Errorf("6 × 7 = %d, %v", reply.C, err)
			}
			_ = xc.Close()
			if network == "http" { // rpcx writes down its listener beside Serve: its Shutdown would race with that
				_ = ln.Close()
				<-served
				return
			}
			if err := p.Shutdown(t.Context(), s); err != nil {
				t.Error(err)
			}
			<-served
		})
	}
}

func TestWithServerDoesNotWaitForEverOverHTTP(t *testing.T) {
	p, _ := onLoopback(t, "http@"+freeAddress(t), WithServer(server.NewServer())) // behind a proxy, say: its address is not reached from here
	if err := p.Register("Arith", nil, ""); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if err := p.WaitRegistered(t.Context()); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took < 2*time.Second {
		t.Errorf("registered after %v, want 3 s", took)
	}
}

func TestStopAndUnregisterWhileTheServerDoesNotListen(t *testing.T) {
	for _, network := range []string{"tcp", "http"} {
		p, zk := onLoopback(t, network+"@"+freeAddress(t), WithServer(server.NewServer()))
		for _, name := range []string{"Arith", "Echo"} {
			if err := p.Register(name, nil, ""); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Unregister("Echo"); err != nil {
			t.Error(err)
		}
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
		if n := zk.Stats().Requests[zktest.OpCreate]; n > 0 {
			t.Errorf("%d creates", n)
		}
	}
}

// TestZookeeperRegistry is rpcx-zookeeper's own test, of a server that has changed its import line: nothing in it but ZooKeeper's address was
// changed, and the errors that it let pass are told.
func TestZookeeperRegistry(t *testing.T) {
	e := zktest.StartEnsemble(t, 1)
	addr := freeAddress(t)
	s := server.NewServer()
	r := NewZooKeeperRegisterPlugin(
		WithZKServiceAddress("tcp@"+addr),
		WithZKServersAddress(e.Servers()),
		WithZKBasePath("rpcx_test"),
		WithZKMetrics(metrics.NewRegistry()),
		WithZkUpdateInterval(time.Minute))
	err := r.Start()
	if err != nil {
		t.Fatal(err)
	}
	s.Plugins.Add(r)

	if err := s.RegisterName("Arith", new(Arith), ""); err != nil {
		t.Fatal(err)
	}
	served := serving(func() error { return s.Serve("tcp", addr) })
	defer func() {
		<-s.Started // rpcx's Serve outlives a Close that comes before it
		_ = s.Close()
		<-served
	}()

	if len(r.Services) != 1 {
		t.Fatal("failed to register services in zookeeper")
	}

	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
}
