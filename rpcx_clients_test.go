package holdfast_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/rpcxio/libkv/store"
	"github.com/smallnest/rpcx/client"
	"github.com/smallnest/rpcx/server"

	zkclient "github.com/holdfast-go/holdfast/zkdiscovery" // was github.com/rpcxio/rpcx-zookeeper/client
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// multiplier is the service of rpcx's own examples.
type multiplier struct{}

// Mul multiplies.
func (multiplier) Mul(_ context.Context, args *[2]int, reply *int) error {
	*reply = args[0] * args[1]
	return nil
}

// arithServer is a real rpcx server, registered at zk.
func arithServer(t *testing.T, zk *zktest.Server) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := server.NewServer()
	if err := s.RegisterName("Arith", multiplier{}, ""); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1) // the serving goroutine sends once
	go func() { served <- s.ServeListener("tcp", ln) }()
	t.Cleanup(func() {
		_ = s.Close()
		_ = ln.Close()
		t.Log(<-served)
	})
	if err := zk.Put("/rpcx/Arith/tcp@"+ln.Addr().String(), []byte("weight=1&latitude=1&longitude=1")); err != nil {
		t.Fatal(err)
	}
}

func mul(t *testing.T, what string, call func(context.Context, *[2]int, *int) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var product int
	if err := call(ctx, &[2]int{6, 7}, &product); err != nil || product != 42 {
		t.Errorf("%s: 6 × 7 = %d, %v", what, product, err)
	}
}

type firstOne struct{ key string }

func (f *firstOne) Select(context.Context, string, string, any) string { return f.key }

func (f *firstOne) UpdateServer(servers map[string]string) {
	f.key = ""
	for key := range servers {
		f.key = max(f.key, key)
	}
}

// selectModes are rpcx's, but for WeightedICMP, which pings every server through a raw socket and panics where it may not (rpcx v1.9.4,
// ping_utils.go).
var selectModes = map[string]client.SelectMode{
	"random": client.RandomSelect, "round robin": client.RoundRobin, "weighted": client.WeightedRoundRobin, "hash": client.ConsistentHash,
	"closest": client.Closest, "by user": client.SelectByUser,
}

// eachClient calls through every kind of rpcx's clients, in every select mode, on d and on a template for OneClient.
func eachClient(t *testing.T, what string, d, template client.ServiceDiscovery) {
	t.Helper()
	for name, mode := range selectModes {
		x := client.NewXClient("Arith", client.Failover, mode, d, client.DefaultOption)
		one := client.NewOneClient(client.Failover, mode, template, client.DefaultOption)
		switch mode {
		case client.Closest:
			x.ConfigGeoSelector(1, 1)
		case client.SelectByUser:
			x.SetSelector(&firstOne{})
			one.SetSelector("Arith", &firstOne{})
		default:
		}
		mul(t, what+", XClient, "+name, func(ctx context.Context, a *[2]int, r *int) error { return x.Call(ctx, "Mul", a, r) })
		if mode != client.Closest { // for which OneClient needs a selector per service before it knows any
			mul(t, what+", OneClient, "+name, func(ctx context.Context, a *[2]int, r *int) error { return one.Call(ctx, "Arith", "Mul", a, r) })
		}
		_ = x.Close() // rpcx reports a connection that was dead already
		_ = one.Close()
	}
	pool := client.NewXClientPool(2, "Arith", client.Failover, client.RandomSelect, d, client.DefaultOption)
	mul(t, what+", XClientPool", func(ctx context.Context, a *[2]int, r *int) error { return pool.Get().Call(ctx, "Mul", a, r) })
	pool.Close()
	ones := client.NewOneClientPool(2, client.Failover, client.RandomSelect, template, client.DefaultOption)
	mul(t, what+", OneClientPool", func(ctx context.Context, a *[2]int, r *int) error { return ones.Get().Call(ctx, "Arith", "Mul", a, r) })
	ones.Close()
	both := client.NewBidirectionalXClient("Arith", client.Failover, client.RandomSelect, d, client.DefaultOption, nil)
	mul(t, what+", BidirectionalXClient", func(ctx context.Context, a *[2]int, r *int) error { return both.Call(ctx, "Mul", a, r) })
	_ = both.Close()
}

func TestEveryClientOfRPCXsThroughAnOutage(t *testing.T) {
	zk := zktest.NewServer()
	defer zk.Close()
	if err := zk.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	both := func() (d, template *zkclient.Discovery) {
		t.Helper()
		opts := []zkclient.Option{zkclient.WithCacheDir(dir), zkclient.WithSessionTimeout(4 * time.Second)}
		d, err := zkclient.New("/rpcx", "Arith", []string{zk.Addr()}, opts...)
		if err != nil {
			t.Fatal(err)
		}
		if template, err = zkclient.NewTemplate("/rpcx", []string{zk.Addr()}, opts...); err != nil {
			t.Fatal(err)
		}
		return d, template
	}
	d, template := both()
	defer d.Close()
	defer template.Close()
	if got := d.Snapshot(); got.Source != zkclient.Live || len(got.Servers) != 0 {
		t.Errorf("nobody is registered, and the list is %v", got)
	}
	x := client.NewXClient("Arith", client.Failfast, client.RandomSelect, d, client.DefaultOption)
	if err := x.Call(t.Context(), "Mul", &[2]int{6, 7}, new(int)); err == nil {
		t.Error("a call succeeded with nobody registered")
	}
	_ = x.Close()

	arithServer(t, zk)
	arithServer(t, zk)
	wait(t, "the servers in the list", func() bool { return len(d.GetServices()) == 2 })
	eachClient(t, "registered later", d, template)

	zk.Stop()
	wait(t, "the connection to be gone", func() bool { return d.Snapshot().Source == zkclient.Stale })
	eachClient(t, "ZooKeeper killed", d, template)

	d2, template2 := both()
	defer d2.Close()
	defer template2.Close()
	if got := d2.Snapshot().Source; got != zkclient.File {
		t.Errorf("a start without ZooKeeper has its list from %v", got)
	}
	eachClient(t, "started without ZooKeeper, from the file", d2, template2)

	if err := zk.Start(); err != nil {
		t.Fatal(err)
	}
	for _, d := range []*zkclient.Discovery{d, d2, template, template2} {
		if err := d.WaitLive(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	eachClient(t, "ZooKeeper restarted", d, template)
	eachClient(t, "ZooKeeper restarted, seen from the file", d2, template2)

	zk.Wipe()
	wait(t, "the new ensemble", func() bool { s := d.Snapshot(); return s.Source == zkclient.Live && len(s.Held) == 2 })
	eachClient(t, "ZooKeeper wiped, the servers held", d, template)
}

func TestAStartWithoutZooKeeperAndFileFailsOrIsLazy(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close() // nobody listens there
	servers := []string{ln.Addr().String()}
	quick := zkclient.WithStartTimeout(300 * time.Millisecond)
	if d, err := zkclient.New("/rpcx", "Arith", servers, zkclient.WithCacheDir(t.TempDir()), quick); err == nil {
		d.Close()
		t.Error("New succeeded with nothing to go by")
	}
	d, err := zkclient.New("/rpcx", "Arith", servers, zkclient.WithCacheDir(t.TempDir()), quick, zkclient.WithLazyStart())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	x := client.NewXClient("Arith", client.Failfast, client.RandomSelect, d, client.DefaultOption)
	defer x.Close()
	if err := x.Call(t.Context(), "Mul", &[2]int{6, 7}, new(int)); err == nil {
		t.Error("a call succeeded without a server")
	}
}

// The program of rpcx-zookeeper's own client example, its import line changed.
func TestAProgramForRPCXZooKeeperRunsWithItsImportLineChanged(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	zk := zktest.NewServer()
	defer zk.Close()
	if err := zk.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	arithServer(t, zk)
	zkAddr, basePath := zk.Addr(), "rpcx"

	for _, options := range []*store.Config{nil, {ConnectionTimeout: 4 * time.Second}} {
		d, err := zkclient.NewZookeeperDiscovery(basePath, "Arith", []string{zkAddr}, options)
		if err != nil {
			t.Fatal(err)
		}
		d.RetriesAfterWatchFailed = 3
		xclient := client.NewXClient("Arith", client.Failtry, client.RandomSelect, d, client.DefaultOption)
		mul(t, fmt.Sprintf("options %v", options), func(ctx context.Context, a *[2]int, r *int) error { return xclient.Call(ctx, "Mul", a, r) })
		_ = xclient.Close()
		d.Close()
	}
	template, err := zkclient.NewZookeeperDiscoveryTemplate(basePath, []string{zkAddr}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer template.Close()
	one := client.NewOneClient(client.Failtry, client.RandomSelect, template, client.DefaultOption)
	defer one.Close()
	mul(t, "template", func(ctx context.Context, a *[2]int, r *int) error { return one.Call(ctx, "Arith", "Mul", a, r) })
}

// wait returns when ok does, and fails after a time that nothing takes.
func wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited a minute for %s", what)
		}
	}
}
