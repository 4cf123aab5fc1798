package harness

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"testing"

	"github.com/go-zookeeper/zk"
	"github.com/smallnest/rpcx/server"
)

// Args are those of rpcx's own examples.
type Args struct{ A, B int }

// Reply is the answer to Args.
type Reply struct {
	C      int
	Server string // the key of the server that has answered
}

// Arith is the service of rpcx's own examples. It says who answers.
type Arith struct{ Key string }

// Mul is its method.
func (a Arith) Mul(_ context.Context, args *Args, reply *Reply) error {
	reply.C, reply.Server = args.A*args.B, a.Key
	return nil
}

// Metadata is what such a server registers, with something for each of rpcx's select modes.
const Metadata = "weight=2&latitude=48.1&longitude=11.6"

// Backend is a real rpcx server on loopback. It serves Arith as the services Arith and Other.
type Backend struct {
	Key string // tcp@127.0.0.1:port

	tb      testing.TB
	server  *server.Server
	ln      net.Listener
	serving sync.WaitGroup
	once    sync.Once
	session *zk.Conn // nil while it has none
}

// StartBackend serves until the test ends or Stop is called.
func StartBackend(tb testing.TB) *Backend {
	tb.Helper()
	return startBackend(tb, func(ln net.Listener) net.Listener { return ln })
}

// StartTLSBackend is StartBackend for clients that speak TLS.
func StartTLSBackend(tb testing.TB, config *tls.Config) *Backend {
	tb.Helper()
	return startBackend(tb, func(ln net.Listener) net.Listener { return tls.NewListener(ln, config) })
}

func startBackend(tb testing.TB, listen func(net.Listener) net.Listener) *Backend {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	Must(tb, err)
	b := &Backend{Key: "tcp@" + ln.Addr().String(), tb: tb, server: server.NewServer(), ln: listen(ln)}
	for _, service := range []string{"Arith", "Other"} {
		Must(tb, b.server.RegisterName(service, Arith{b.Key}, ""))
	}
	b.serving.Go(func() { _ = b.server.ServeListener("tcp", b.ln) }) // it ends with an error when it is closed
	tb.Cleanup(b.Stop)
	return b
}

// Register makes the server's node at the service's path, in a new session of the server's own.
func (b *Backend) Register(zooKeepers []string, service string) {
	b.tb.Helper()
	b.session = connect(b.tb, zooKeepers, nil)
	for i := 1; i < len(service); i++ {
		if service[i] == '/' {
			_, _ = b.session.Create(service[:i], nil, 0, zk.WorldACL(zk.PermAll)) // another has made it
		}
	}
	_, _ = b.session.Create(service, nil, 0, zk.WorldACL(zk.PermAll))
	if _, err := b.session.Create(service+"/"+b.Key, nil, zk.FlagEphemeral, zk.WorldACL(zk.PermAll)); err != nil {
		b.tb.Errorf("register %s: %v", b.Key, err) // not fatal: several register at once, on goroutines of their own
	}
}

// EndSession ends the session, and with it the node. Where ZooKeeper is away, the session dies later.
func (b *Backend) EndSession() {
	if b.session != nil {
		b.session.Close()
		b.session = nil
	}
}

// Stop ends the server and its session. Its address refuses connections afterwards. It may be called twice.
func (b *Backend) Stop() {
	b.once.Do(func() {
		_ = b.server.Close()
		_ = b.ln.Close()
		b.serving.Wait()
	})
	b.EndSession()
}
