// Command server is an rpcx server that registers in ZooKeeper, to copy from. Start some of them, each at an address of its own, and example/client.
//
//	go run ./example/server -zk 127.0.0.1:2181 -addr 127.0.0.1:8972
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"net"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/smallnest/rpcx/server"

	"github.com/holdfast-go/holdfast/zkdiscovery/serverplugin"
)

// Question and Greeting are the service's argument and reply. They travel by the names of their fields.
type (
	Question struct{ Name string }
	Greeting struct{ Text string }
)

// Greeter is the service.
type Greeter struct{ addr string }

// Greet has the form of every rpcx method. Its error reaches the caller as a text, and is no reason to try another server.
func (g *Greeter) Greet(_ context.Context, q *Question, reply *Greeting) error {
	if q.Name == "" {
		return errors.New("whom shall I greet?")
	}
	reply.Text = fmt.Sprintf("Hello, %s, from %s", q.Name, g.addr)
	return nil
}

func main() {
	zk := flag.String("zk", "127.0.0.1:2181", "ZooKeeper at `host:port,...`; the last may carry a chroot, host:port/path")
	addr := flag.String("addr", "127.0.0.1:8972", "listen on `host:port`, where clients can reach it")
	base := flag.String("base", "/rpcx", "ZooKeeper `path` that the services are below")
	flag.Parse()
	if err := run(strings.Split(*zk, ","), *addr, *base); err != nil {
		log.Fatal(err)
	}
}

func run(zk []string, addr, base string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()

	// Listen first: an address that is taken is an error at once, and the port may be 0.
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	s := server.NewServer()
	s.DisableHTTPGateway, s.DisableJSONRPC = true, true // unless somebody calls it by these

	// The plugin makes an ephemeral znode for every service. ZooKeeper removes it when this process's session ends: a session timeout after the
	// process was killed. The plugin makes it again in every new session. While ZooKeeper is away this server starts all the same: clients that
	// know it from their cache file call it.
	p := serverplugin.NewZooKeeperRegisterPlugin(
		serverplugin.WithZKServiceAddress("tcp@"+ln.Addr().String()), // as clients reach it
		serverplugin.WithZKServersAddress(zk),
		serverplugin.WithZKBasePath(base),
		serverplugin.WithServer(s), // not before it listens: clients call as soon as they find it
		serverplugin.WithLogger(slog.Default()),
	)
	if err := p.Start(); err != nil {
		return err // a mistake in the options
	}
	defer func() { _ = p.Stop() }() // for the ways out that come before Shutdown
	s.Plugins.Add(p)
	// The metadata is a URL query: weight, group, state=inactive, or what you like.
	if err := s.RegisterName("Greeter", &Greeter{ln.Addr().String()}, "weight=1"); err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- s.ServeListener("tcp", ln) }()
	log.Printf("serving at %s", ln.Addr()) // a readiness probe asks p.Ready(), which stays true when ZooKeeper goes away

	select {
	case err := <-served: // the listener is broken
		return err
	case <-ctx.Done():
	}
	stop() // a second ^C ends the process at once

	// Leave without a failed call: out of the lists first, then some seconds for the clients to notice, then the calls that are under way end.
	limit, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return p.Shutdown(limit, s)
}
