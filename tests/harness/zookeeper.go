package harness

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// ZooKeeper is a ZooKeeper and the network on the way to it. Changes are made behind the clients' backs: they work whatever the network does to
// the clients. Whatever goes wrong with a change ends the test.
type ZooKeeper interface {
	Servers() []string
	Options() []zkdiscovery.Option // with which a client gets there

	Put(path, data string) // with its parents
	Set(path, data string)
	Remove(paths ...string)                 // in one transaction
	Create(paths ...string)                 // in one transaction, with data "n=1"
	Takeover(path, data string)             // deletes and creates the node in one transaction
	Children(path string) map[string]string // names and data
	As(f func(*zk.Conn))                    // calls f as a client with a connection of its own

	Stop() // refused, as if the servers had died
	Start()
	Die() // the servers' processes are killed
	Rise()
	Wipe()       // a new, empty ensemble at the old addresses
	Cut(on bool) // every packet is dropped, connections stay
	Expire()     // all sessions, and all that clients had in them

	Wait() // a little
	Patience() time.Duration
}

// InProcess is the in-process server in a bubble.
type InProcess struct {
	t      *testing.T
	server *zktest.Server
	away   bool
}

// Servers has a name, which nobody resolves.
func (z *InProcess) Servers() []string { return []string{"zk:2181"} }

// Options leave inotify out: a goroutine that waits for it would stop the bubble's clock.
func (z *InProcess) Options() []zkdiscovery.Option {
	return []zkdiscovery.Option{zkdiscovery.WithDialer(z.server.Dial), zkdiscovery.WithCachePolling()}
}

// Away says whether clients are kept from the server. While they are, changes are made past the wire, node by node: nobody can read between them.
func (z *InProcess) Away(on bool) { z.away = on }

// Put creates or overwrites a node.
func (z *InProcess) Put(path, data string) { Must(z.t, z.server.Put(path, []byte(data))) }

// Set overwrites a node.
func (z *InProcess) Set(path, data string) { Must(z.t, z.server.Set(path, []byte(data))) }

// Remove deletes nodes.
func (z *InProcess) Remove(paths ...string) {
	if !z.away {
		z.As(func(c *zk.Conn) { transact(z.t, c, deletions(paths)) })
		return
	}
	for _, p := range paths {
		Must(z.t, z.server.Delete(p))
	}
}

// Create makes nodes.
func (z *InProcess) Create(paths ...string) {
	if !z.away {
		z.As(func(c *zk.Conn) { transact(z.t, c, creations(paths)) })
		return
	}
	for _, p := range paths {
		Must(z.t, z.server.Create(p, []byte("n=1")))
	}
}

// Takeover replaces a node.
func (z *InProcess) Takeover(path, data string) {
	if !z.away {
		z.As(func(c *zk.Conn) { transact(z.t, c, takeover(path, data)) })
		return
	}
	Must(z.t, z.server.Delete(path))
	Must(z.t, z.server.Create(path, []byte(data)))
}

// Children are the nodes below a path.
func (z *InProcess) Children(path string) map[string]string {
	m := make(map[string]string)
	for p, n := range z.server.Tree() {
		if name, ok := strings.CutPrefix(p, path+"/"); ok && !strings.Contains(name, "/") {
			m[name] = string(n.Data)
		}
	}
	return m
}

// As calls f as a client.
func (z *InProcess) As(f func(*zk.Conn)) {
	z.t.Helper()
	c := connect(z.t, []string{"127.0.0.1:2181"}, func(_, addr string, _ time.Duration) (net.Conn, error) {
		return z.server.Dial(context.Background(), "tcp", addr)
	})
	defer c.Close()
	f(c)
}

// Stop makes the server refuse.
func (z *InProcess) Stop() { z.away = true; z.server.Stop() }

// Start ends Stop.
func (z *InProcess) Start() { z.away = false; Must(z.t, z.server.Start()) }

// Die is Stop: there is no process to kill.
func (z *InProcess) Die() { z.Stop() }

// Rise is Start.
func (z *InProcess) Rise() { z.Start() }

// Wipe empties the server.
func (z *InProcess) Wipe() { z.server.Wipe() }

// Cut drops what is sent, in both directions.
func (z *InProcess) Cut(on bool) { z.away = on; z.server.Silence(on) }

// Expire ends all sessions.
func (z *InProcess) Expire() { z.server.ExpireAll() }

// Wait waits a little.
func (z *InProcess) Wait() { Pass(5 * time.Millisecond) }

// Patience is how long to wait for what must come.
func (z *InProcess) Patience() time.Duration { return time.Minute }

// overTCP is the in-process server as a server on the network.
type overTCP struct{ InProcess }

func (z *overTCP) Servers() []string { return []string{z.server.Addr()} }

func (z *overTCP) Options() []zkdiscovery.Option {
	return []zkdiscovery.Option{zkdiscovery.WithSessionTimeout(RealSession)}
}

func (z *overTCP) Wait()                   { time.Sleep(2 * time.Millisecond) }
func (z *overTCP) Patience() time.Duration { return 20 * time.Second }
