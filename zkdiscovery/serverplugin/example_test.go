package serverplugin_test

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/smallnest/rpcx/server"

	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/serverplugin"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// Greeter is a service.
type Greeter struct{}

// Greet is its method.
func (Greeter) Greet(_ context.Context, name, reply *string) error {
	*reply = "Hello, " + *name
	return nil
}

// A server from its start to its end.
func ExampleZooKeeperRegisterPlugin() {
	zk := zktest.NewServer()
	defer zk.Close()
	if err := zk.Listen("127.0.0.1:0"); err != nil {
		fmt.Println(err)
		return
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}

	s := server.NewServer()
	p := serverplugin.NewZooKeeperRegisterPlugin(
		serverplugin.WithZKServiceAddress("tcp@"+ln.Addr().String()),
		serverplugin.WithZKServersAddress([]string{zk.Addr()}),
		serverplugin.WithZKBasePath("/rpcx"),
		serverplugin.WithServer(s),                      // register when it listens
		serverplugin.WithDrainWait(10*time.Millisecond), // 2 s where clients are further away
		serverplugin.WithSessionTimeout(10*time.Second)) // how long a killed server stays listed
	if err := p.Start(); err != nil {
		fmt.Println(err) // a mistake in the options
		return
	}
	s.Plugins.Add(p)
	if err := s.RegisterName("Greeter", Greeter{}, "weight=3"); err != nil {
		fmt.Println(err)
		return
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = s.ServeListener("tcp", ln) // ends with Shutdown
	}()

	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := p.WaitRegistered(ctx); err != nil { // a readiness probe asks p.Ready()
		fmt.Println(err)
		return
	}
	d, err := zkdiscovery.New("/rpcx", "Greeter", []string{zk.Addr()}, zkdiscovery.WithoutCache())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.Close()
	fmt.Println("clients find", d.GetServices()[0].Value)

	if err := p.Shutdown(ctx, s); err != nil { // in the place of s.Shutdown
		fmt.Println(err)
	}
	<-served
	left, err := zk.Children("/rpcx/Greeter")
	fmt.Println("clients find", len(left), "servers,", err)
	// Output:
	// clients find weight=3
	// clients find 0 servers, <nil>
}

// With credentials, others may read the nodes and only their owner may write: clients need no credentials then.
func ExampleWithZkACL() {
	zks := zktest.NewServer()
	defer zks.Close()
	if err := zks.Listen("127.0.0.1:0"); err != nil {
		fmt.Println(err)
		return
	}
	p := serverplugin.NewZooKeeperRegisterPlugin(
		serverplugin.WithZKServiceAddress("tcp@127.0.0.1:8972"),
		serverplugin.WithZKServersAddress([]string{zks.Addr()}),
		serverplugin.WithZKBasePath("/rpcx"),
		serverplugin.WithAuth("digest", []byte("registrar:secret")),
		serverplugin.WithZkACL(append(zk.DigestACL(zk.PermAll, "registrar", "secret"), zk.WorldACL(zk.PermRead)...)))
	if err := p.Start(); err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = p.Stop() }()
	if err := p.Register("Greeter", nil, "weight=3"); err != nil { // rpcx's server calls it
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := p.WaitRegistered(ctx); err != nil {
		fmt.Println(err)
		return
	}

	d, err := zkdiscovery.New("/rpcx", "Greeter", []string{zks.Addr()}, zkdiscovery.WithoutCache())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.Close()
	fmt.Println("a client without credentials finds", d.GetServices()[0].Value)

	stranger, _, err := zk.Connect([]string{zks.Addr()}, 10*time.Second, zk.WithLogInfo(false))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stranger.Close()
	_, err = stranger.Set("/rpcx/Greeter/tcp@127.0.0.1:8972", nil, -1)
	fmt.Println("a stranger who writes hears:", err)
	// Output:
	// a client without credentials finds weight=3
	// a stranger who writes hears: zk: not authenticated
}
