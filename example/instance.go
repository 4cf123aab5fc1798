package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/smallnest/rpcx/server"

	"github.com/holdfast-go/holdfast/zkdiscovery/serverplugin"
)

// servicePath names the service of the drill.
const servicePath = "Greeter"

// Question and Greeting are what the service takes and gives.
type (
	Question struct{ Name string }
	Greeting struct{ Text, Server string }
)

// Greeter is the service.
type Greeter struct{ server string }

// Greet is its only method.
func (g *Greeter) Greet(_ context.Context, q *Question, reply *Greeting) error { //nolint:unparam // rpcx wants an error
	reply.Text, reply.Server = "Hello, "+q.Name, g.server
	return nil
}

// instance is one real rpcx server on a free port, registered in ZooKeeper.
type instance struct {
	name     string
	key      string // in the list, network@address
	metadata string // a URL query
	rpc      *server.Server
	plugin   *serverplugin.ZooKeeperRegisterPlugin
	serves   sync.WaitGroup
}

// startInstance returns when clients can find and call the server.
func startInstance(ctx context.Context, name string, z zookeeper) (*instance, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	i := &instance{name: name, key: "tcp@" + ln.Addr().String(), metadata: metadata(name, 1), rpc: server.NewServer()}
	i.plugin = serverplugin.NewZooKeeperRegisterPlugin(
		serverplugin.WithZKServiceAddress(i.key),
		serverplugin.WithZKServersAddress(z.servers()),
		serverplugin.WithZKBasePath(z.base()),
		serverplugin.WithSessionTimeout(sessionTimeout),
		serverplugin.WithLogger(silence),
		serverplugin.WithServer(i.rpc))
	i.rpc.DisableHTTPGateway, i.rpc.DisableJSONRPC = true, true
	i.rpc.Plugins.Add(i.plugin)
	i.serves.Go(func() { _ = i.rpc.ServeListener("tcp", ln) }) // returns when kill has closed ln, with that for an error
	<-i.rpc.Started

	limit, cancel := context.WithTimeout(ctx, awaitLimit)
	defer cancel()
	err = i.rpc.RegisterName(servicePath, &Greeter{server: name}, i.metadata)
	if err == nil {
		err = i.plugin.WaitRegistered(limit)
	}
	if err != nil {
		i.kill()
		return nil, fmt.Errorf("server %s: %w", name, err)
	}
	return i, nil
}

// weigh changes the server's weight.
func (i *instance) weigh(weight int) error {
	i.metadata = metadata(i.name, weight)
	return i.plugin.Register(servicePath, nil, i.metadata)
}

// kill ends the server at once, as a crash does: its port is closed, its connections are cut. Its session ends too, or, while ZooKeeper is
// away, is left to expire.
func (i *instance) kill() {
	_ = i.rpc.Close() // the listener's error, of which there is none that matters
	i.serves.Wait()
	_ = i.plugin.Stop() // never fails
}

// metadata says how much of the calls a server is to have, which rpcx's weighted selector reads, and its name, which the drill does.
func metadata(name string, weight int) string { return fmt.Sprintf("name=%s&weight=%d", name, weight) }

// describe is a list in a few letters: the servers' names, and the weights that are not 1.
func describe(servers map[string]string) string {
	if len(servers) == 0 {
		return "empty"
	}
	var names []string
	for key, metadata := range servers {
		q, err := url.ParseQuery(metadata)
		if err != nil || q.Get("name") == "" {
			names = append(names, key) // none of ours
			continue
		}
		name := q.Get("name")
		if w := q.Get("weight"); w != "1" {
			name += "×" + w
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}
