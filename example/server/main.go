// Command server is an rpcx server that is found through ZooKeeper, to copy from. Start some, on addresses of their own, and example/client.
//
//	go run ./example/server -zk 127.0.0.1:2181 -addr 127.0.0.1:8972
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/smallnest/rpcx/server"

	"github.com/holdfast-go/holdfast/example/internal/register"
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
	addr := flag.String("addr", "127.0.0.1:8972", "listen on `host:port`, which must be what clients can reach")
	base := flag.String("base", "/rpcx", "ZooKeeper `path` that the services are below")
	flag.Parse()
	if err := run(strings.Split(*zk, ","), *addr, *base); err != nil {
		log.Fatal(err)
	}
}

func run(zk []string, addr, base string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()

	// Listen before you register: clients call as soon as they find you. The port may be 0 this way, too.
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	addr = ln.Addr().String()
	s := server.NewServer()
	if err := s.RegisterName("Greeter", &Greeter{addr}, ""); err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- s.ServeListener("tcp", ln) }()

	// The znode is ephemeral: it lives as long as this process's session. If the process is killed, ZooKeeper takes it away after the session
	// timeout, and nobody has to tidy up; a persistent one would send clients here for ever. It must therefore be made again in every new
	// session, which Register sees to. Until ZooKeeper answers, Register waits, and the server serves those who know it from their file.
	r, err := register.Register(ctx, register.Config{
		Servers: zk, BasePath: base, ServicePath: "Greeter", Address: "tcp@" + addr,
		Metadata:       "weight=1", // a URL query: weight, group, state=inactive, or what you like
		SessionTimeout: 10 * time.Second,
	})
	if err != nil {
		_ = s.Close()
		return err
	}
	log.Printf("serving at %s, registered below %s", addr, base)
	select {
	case err := <-served: // the listener is broken
		r.Close()
		return err
	case <-ctx.Done():
	}

	// Leave in this order: out of the list; a moment for the clients to hear of it; then finish the calls that are under way.
	stop() // a second ^C ends the process at once
	r.Close()
	time.Sleep(time.Second)
	limit, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return s.Shutdown(limit)
}
