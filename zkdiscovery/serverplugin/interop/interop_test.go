package interop

import (
	"context"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	ours "github.com/holdfast-go/holdfast/zkdiscovery/serverplugin"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
	theirclient "github.com/rpcxio/rpcx-zookeeper/client"
	theirs "github.com/rpcxio/rpcx-zookeeper/serverplugin"
	"github.com/smallnest/rpcx/client"
	"github.com/smallnest/rpcx/server"
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

// listening serves an Arith at a free address, which it returns, with the plugin that it is given for it.
func listening(t *testing.T, plugin func(address string) any, metadata string, more ...any) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := server.NewServer()
	address := "tcp@" + ln.Addr().String()
	s.Plugins.Add(plugin(address))
	for _, m := range more {
		if m != nil {
			s.Plugins.Add(m)
		}
	}
	if err := s.RegisterName("Arith", new(Arith), metadata); err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = s.ServeListener("tcp", ln) // ends with the listener
	}()
	<-s.Started
	t.Cleanup(func() {
		_ = s.Close()
		<-served
	})
	return address
}

func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.1.1:0") // which no connection to 127.0.0.1 takes
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func ourPlugin(t *testing.T, zk []string, base, address string, opts ...ours.ZooKeeperOpt) *ours.ZooKeeperRegisterPlugin {
	t.Helper()
	p := ours.NewZooKeeperRegisterPlugin(append([]ours.ZooKeeperOpt{
		ours.WithZKServiceAddress(address), ours.WithZKServersAddress(zk),
		ours.WithZKBasePath(base), ours.WithDrainWait(0),
	}, opts...)...)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop() })
	return p
}

func theirPlugin(t *testing.T, zk []string, base, address string, every time.Duration) *theirs.ZooKeeperRegisterPlugin {
	t.Helper()
	p := theirs.NewZooKeeperRegisterPlugin(theirs.WithZKServiceAddress(address), theirs.WithZKServersAddress(zk), theirs.WithZKBasePath(base),
		theirs.WithZkUpdateInterval(every))
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

func soon(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("still not: ", what)
		}
	}
}

func keys(pairs []*client.KVPair) []string {
	var ks []string
	for _, p := range pairs {
		ks = append(ks, p.Key)
	}
	slices.Sort(ks)
	return ks
}

func TestOldAndNewServersServeOldAndNewClients(t *testing.T) {
	servers := zktest.StartEnsemble(t, 1).Servers()
	var ourServer *ours.ZooKeeperRegisterPlugin
	addresses := []string{
		listening(t, func(a string) any { ourServer = ourPlugin(t, servers, "/mixed", a); return ourServer }, "weight=3"),
		listening(t, func(a string) any { return theirPlugin(t, servers, "/mixed", a, time.Minute) }, "weight=4"),
	}
	slices.Sort(addresses)
	if err := ourServer.WaitRegistered(t.Context()); err != nil {
		t.Fatal(err)
	}
	old, err := theirclient.NewZookeeperDiscovery("mixed", "Arith", servers, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	now, err := zkdiscovery.New("mixed", "Arith", servers, zkdiscovery.WithoutCache())
	if err != nil {
		t.Fatal(err)
	}
	defer now.Close()
	for name, d := range map[string]client.ServiceDiscovery{"rpcx-zookeeper's client": old, "zkdiscovery": now} {
		if got := keys(d.GetServices()); !slices.Equal(got, addresses) {
			t.Errorf("%s sees %q, want %q", name, got, addresses)
		}
		xc := client.NewXClient("Arith", client.Failfast, client.RoundRobin, d, client.DefaultOption)
		for range 10 {
			var reply Reply
			if err := xc.Call(t.Context(), "Mul", &Args{6, 7}, &reply); err != nil || reply.C != 42 {
				t.Errorf("%s: %d, %v", name, reply.C, err)
			}
		}
	}
	// Both see a server of ours go.
	if err := ourServer.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	for name, d := range map[string]client.ServiceDiscovery{"rpcx-zookeeper's client": old, "zkdiscovery": now} {
		soon(t, name+" sees one server", func() bool { return len(d.GetServices()) == 1 })
	}
}

// look reads a node as it is.
func look(t *testing.T, servers []string, path string) (data string, owner int64) {
	t.Helper()
	conn, events, err := zk.Connect(servers, 10*time.Second, zk.WithLogInfo(false))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		conn.Close()
		for range events { // its goroutines are gone when this is closed
		}
	}()
	b, st, err := conn.Get(path)
	if err != nil {
		return fmt.Sprint(err), 0
	}
	return string(b), st.EphemeralOwner
}

func TestANewServerReplacesAnOldOneAtItsAddress(t *testing.T) {
	servers := zktest.StartEnsemble(t, 1).Servers()
	const address = "tcp@127.0.0.1:8972"
	for name, every := range map[string]time.Duration{"persistent": 0, "ephemeral": time.Minute} {
		t.Run(name, func(t *testing.T) {
			path := "/" + name + "/Arith/" + address
			old := theirPlugin(t, servers, name, address, every)
			if err := old.Register("Arith", nil, "weight=1"); err != nil {
				t.Fatal(err)
			}
			if _, owner := look(t, servers, path); (owner == 0) != (every == 0) {
				t.Fatalf("owner %#x", owner)
			}
			p := ourPlugin(t, servers, name, address)
			if err := p.Register("Arith", nil, "weight=2"); err != nil {
				t.Fatal(err)
			}
			soon(t, "ours", func() bool {
				data, owner := look(t, servers, path)
				return data == "weight=2" && owner != 0 && owner == p.Status().SessionID
			})
			// The old one's end deletes whatever is there: it is back at once.
			if err := old.Unregister("Arith"); err != nil {
				t.Fatal(err)
			}
			soon(t, "restored", func() bool {
				data, owner := look(t, servers, path)
				return data == "weight=2" && owner == p.Status().SessionID && p.Registered()
			})
		})
	}
}

// An old server that lives on at our address writes its metrics into our node at every interval: it is overruled.
func TestAnOldServersMetricsAreOverruled(t *testing.T) {
	servers := zktest.StartEnsemble(t, 1).Servers()
	const address = "tcp@127.0.0.1:8972"
	old := theirs.NewZooKeeperRegisterPlugin(theirs.WithZKServiceAddress(address), theirs.WithZKServersAddress(servers),
		theirs.WithZKBasePath("base"), theirs.WithZkUpdateInterval(200*time.Millisecond))
	if err := old.Register("Arith", nil, "weight=1"); err != nil { // before Start: its ticker would race with it
		t.Fatal(err)
	}
	if err := old.Start(); err != nil {
		t.Fatal(err)
	}
	p := ourPlugin(t, servers, "base", address)
	if err := p.Register("Arith", nil, "zone=a%20b"); err != nil { // which it writes as zone=a+b
		t.Fatal(err)
	}
	if err := p.WaitRegistered(t.Context()); err != nil {
		t.Fatal(err)
	}
	writes := p.Status().Writes
	soon(t, "some intervals later", func() bool { return p.Status().Writes > writes+3 })
	soon(t, "ours", func() bool {
		data, owner := look(t, servers, "/base/Arith/"+address)
		return data == "zone=a%20b" && owner == p.Status().SessionID
	})
}

// What rpcx-zookeeper's client sees of a unix socket is one server, with an address that it cannot dial; of rpcx-zookeeper's own server it sees
// one called unix@.
func TestAUnixSocketDoesNotNest(t *testing.T) {
	servers := zktest.StartEnsemble(t, 1).Servers()
	p := ourPlugin(t, servers, "base", "unix@/run/a.sock")
	if err := p.Register("Arith", nil, "weight=1"); err != nil {
		t.Fatal(err)
	}
	if err := p.WaitRegistered(t.Context()); err != nil {
		t.Fatal(err)
	}
	old, err := theirclient.NewZookeeperDiscovery("base", "Arith", servers, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if got := keys(old.GetServices()); !slices.Equal(got, []string{"unix@%2Frun%2Fa.sock"}) {
		t.Errorf("rpcx-zookeeper's client sees %q", got)
	}
}
