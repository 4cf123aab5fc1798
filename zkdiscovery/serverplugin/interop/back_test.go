package interop

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery"
	ours "github.com/holdfast-go/holdfast/zkdiscovery/serverplugin"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
	theirclient "github.com/rpcxio/rpcx-zookeeper/client"
	theirs "github.com/rpcxio/rpcx-zookeeper/serverplugin"
	"github.com/smallnest/rpcx/client"
	"github.com/smallnest/rpcx/server"
)

// mixed are the tests of docs/migration.md's table of mixed fleets.
var mixed = map[string][]string{
	"old server, new client":                          {"TestOldAndNewServersServeOldAndNewClients", "TestTheGuardKeepsOldServers", "TestTheWayBack"},
	"new server, old client":                          {"TestOldAndNewServersServeOldAndNewClients", "TestANewServerLeavesAnOldClientWithoutAFailedCall"},
	"new server where an old one was":                 {"TestANewServerReplacesAnOldOneAtItsAddress"},
	"old server that lives on at a new one's address": {"TestANewServerReplacesAnOldOneAtItsAddress", "TestAnOldServersMetricsAreOverruled"},
	"old client, new server on a Unix socket":         {"TestAUnixSocketDoesNotNest"},
}

func TestEveryLineAboutMixedFleetsHasATest(t *testing.T) {
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	lines := differences(t, "Mixed fleets")
	for _, line := range lines {
		if len(mixed[line]) == 0 {
			t.Errorf("nobody checks %q", line)
		}
	}
	for line, tests := range mixed {
		if !slices.Contains(lines, line) {
			t.Errorf("the page does not have %q", line)
		}
		for _, test := range tests {
			if !regexp.MustCompile(`(?m)^func ` + test + `\(`).MatchString(all.String()) {
				t.Errorf("%s: there is no %s", line, test)
			}
		}
	}
}

// An old server is not back when its session has expired. The guard asks it, and keeps it: no call fails.
func TestTheGuardKeepsOldServers(t *testing.T) {
	zk := zktest.Start(t)
	servers := []string{zk.Addr()}
	var addresses []string
	for range 3 {
		addresses = append(addresses, listening(t, func(a string) any { return theirPlugin(t, servers, "/base", a, time.Hour) }, "weight=1"))
	}
	slices.Sort(addresses)
	d := ourClient(t, zk, "Arith")
	var count atomic.Int64
	stop := calling(d, &count)
	zk.ExpireAll()
	soon(t, "all are held", func() bool { return d.Status().Held == 3 })
	was := count.Load()
	soon(t, "200 more calls", func() bool { return count.Load() > was+200 })
	if failures := stop(); len(failures) > 0 {
		t.Errorf("%d calls failed: %v", len(failures), failures[0])
	}
	wantKeys(t, "ours", d.GetServices(), addresses...)
}

// Old clients learn that a server leaves when it is unregistered, 2 s before it is down.
func TestANewServerLeavesAnOldClientWithoutAFailedCall(t *testing.T) {
	t.Parallel()
	servers := zktest.StartEnsemble(t, 1).Servers()
	var leaving *ours.ZooKeeperRegisterPlugin
	listening(t, func(a string) any { return ourPlugin(t, servers, "/leave", a) }, "weight=1")
	s, address := server.NewServer(), "tcp@"+freeAddress(t)
	leaving = ourPlugin(t, servers, "/leave", address, ours.WithDrainWait(2*time.Second), ours.WithServer(s))
	s.Plugins.Add(leaving)
	if err := s.RegisterName("Arith", new(Arith), "weight=1"); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.Serve("tcp", strings.TrimPrefix(address, "tcp@")) }() // it ends by the shutdown, which is its error
	if err := leaving.WaitRegistered(t.Context()); err != nil {
		t.Fatal(err)
	}
	var d *theirclient.ZookeeperDiscovery
	soon(t, "both are registered", func() bool {
		var err error
		d, err = theirclient.NewZookeeperDiscovery("leave", "Arith", servers, nil)
		return err == nil && len(d.GetServices()) == 2
	})
	var count atomic.Int64
	stop := calling(d, &count)
	soon(t, "200 calls", func() bool { return count.Load() > 200 })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := leaving.Shutdown(ctx, s); err != nil {
		t.Error(err)
	}
	<-ended
	was := count.Load()
	soon(t, "200 more calls", func() bool { return count.Load() > was+200 })
	if failures := stop(); len(failures) > 0 {
		t.Errorf("%d calls failed: %v", len(failures), failures[0])
	}
}

// The way back, step by step: a fleet of new servers and clients, with an operator's word and a cache file, becomes an old one.
func TestTheWayBack(t *testing.T) {
	t.Parallel()
	servers := zktest.StartEnsemble(t, 1).Servers()
	address := freeAddress(t)
	key, path := "tcp@"+address, "/back/Arith/tcp@"+address

	newServer := ourPlugin(t, servers, "/back", key)
	if err := errors.Join(newServer.Register("Arith", nil, "weight=3"), newServer.WaitRegistered(t.Context())); err != nil {
		t.Fatal(err)
	}
	cache := t.TempDir()
	d, err := zkdiscovery.New("back", "Arith", servers, zkdiscovery.WithCacheDir(cache))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := newUI(t, servers).deactivate(path); err != nil {
		t.Fatal(err)
	}
	soon(t, "the client sees the operator's word", func() bool { return slices.Equal(values(d.GetServices()), []string{"state=inactive&weight=3"}) })

	// Step 2: the new process ends, then the old one starts at the same address.
	if err := newServer.Stop(); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := server.NewServer()
	s.Plugins.Add(theirs.NewZooKeeperRegisterPlugin(theirs.WithZKServiceAddress(key), theirs.WithZKServersAddress(servers), theirs.WithZKBasePath("/back"),
		theirs.WithZkUpdateInterval(time.Minute)))
	if err := s.RegisterName("Arith", new(Arith), "weight=1"); err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() { defer close(served); _ = s.ServeListener("tcp", ln) }()
	<-s.Started
	defer func() { _ = s.Close(); <-served }()
	if data, owner := look(t, servers, path); data != "weight=1" || owner == 0 {
		t.Errorf("the old server's node says %q and is owned by %#x: an operator's word is overwritten", data, owner)
	}

	// Step 3: a new client that is still there sees it. Steps 1 and 4: so does an old one, whatever is in the cache directory.
	soon(t, "the new client sees the old server", func() bool { return slices.Equal(values(d.GetServices()), []string{"weight=1"}) })
	old, err := theirclient.NewZookeeperDiscovery("back", "Arith", servers, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, discovery := range map[string]client.ServiceDiscovery{"theirs": old, "ours": d} {
		wantKeys(t, name, discovery.GetServices(), key)
		xc := client.NewXClient("Arith", client.Failtry, client.RandomSelect, discovery, client.DefaultOption)
		var reply Reply
		if err := xc.Call(t.Context(), "Mul", &Args{6, 7}, &reply); err != nil || reply.C != 42 {
			t.Errorf("%s: %d, %v", name, reply.C, err)
		}
		_ = xc.Close()
	}
}
