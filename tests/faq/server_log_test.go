package faq

import (
	"context"
	"errors"
	"time"

	"github.com/smallnest/rpcx/server"

	"github.com/holdfast-go/holdfast/tests/harness"
	"github.com/holdfast-go/holdfast/zkdiscovery/serverplugin"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// registered is plugin's, in a bubble.
func registered(t *harness.World, zk *zktest.Server, opts ...serverplugin.ZooKeeperOpt) *serverplugin.ZooKeeperRegisterPlugin {
	t.Helper()
	p := plugin(t.T, t.Servers()[0], append([]serverplugin.ZooKeeperOpt{serverplugin.WithDialer(zk.Dial), serverplugin.WithLogger(t.Logbook.Logger())}, opts...)...)
	harness.Pass(time.Minute)
	return p
}

const nodeOfArith = "/rpcx/Arith/tcp@127.0.0.1:8972"

// serverScenes are those of registrations.
var serverScenes = map[string]scene{
	"a server that comes and leaves": {
		[]string{"INFO registered", "INFO unregistered"},
		func(t *harness.World, zk *zktest.Server) {
			p := registered(t, zk)
			harness.Must(t, p.Unregister("Arith"))
			harness.Pass(time.Minute)
		},
	},
	"two processes with one address": {
		[]string{"INFO address taken over from another session", "WARN address lost to a newer process, waiting until that one's node is gone"},
		func(t *harness.World, zk *zktest.Server) {
			registered(t, zk)
			registered(t, zk)
		},
	},
	"a node that somebody deletes": {
		[]string{"WARN nodes were deleted or overwritten by somebody else, restoring them"},
		func(t *harness.World, zk *zktest.Server) {
			registered(t, zk)
			t.Remove(nodeOfArith)
			harness.Pass(time.Minute)
		},
	},
	"an operator's word": {
		[]string{
			"WARN an operator has written into the node: his word counts",
			"WARN an operator has taken his word back",
			"INFO the program has ended an operator's word",
		},
		func(t *harness.World, zk *zktest.Server) {
			p := registered(t, zk)
			harness.Must(t, p.Register("Arith", nil, "weight=3"))
			harness.Pass(time.Minute)
			for _, data := range []string{"weight=9", "weight=3", "weight=8"} {
				t.Set(nodeOfArith, data)
				harness.Pass(time.Minute)
			}
			harness.Must(t, p.ClearOperator("Arith"))
			harness.Pass(time.Minute)
		},
	},
	"a server's start during an outage": {
		[]string{"WARN services are not registered: no ZooKeeper server can be used, trying on"},
		func(t *harness.World, zk *zktest.Server) {
			t.Stop()
			registered(t, zk)
		},
	},
	"a chroot that does not exist": {
		[]string{"WARN ZooKeeper refuses what a registration needs, trying on"},
		func(t *harness.World, zk *zktest.Server) {
			registered(t, zk, serverplugin.WithZKServersAddress([]string{t.Servers()[0] + "/chroot"}))
		},
	},
	"an outage that outlasts a server's session": {
		[]string{"WARN ZooKeeper has not been heard of for a session timeout: the registrations may be gone"},
		func(t *harness.World, zk *zktest.Server) {
			registered(t, zk)
			t.Stop()
			harness.Pass(time.Minute)
		},
	},
	"a program that is ready for a minute": {
		[]string{
			"WARN the program is not ready: its services are registered when it is",
			"INFO the program is ready",
			"WARN the program is not ready any more: its services say state=inactive",
		},
		func(t *harness.World, zk *zktest.Server) {
			began := time.Now()
			registered(t, zk, serverplugin.WithReadyAlways(func(context.Context) error {
				if minutes := int(time.Since(began).Minutes()); minutes != 1 {
					return errors.New("still loading")
				}
				return nil
			}))
			harness.Pass(2 * time.Minute)
		},
	},
	"an address without a host": {
		[]string{"WARN the service address names no host: every client will look for it on its own machine"},
		func(t *harness.World, zk *zktest.Server) {
			registered(t, zk, serverplugin.WithZKServiceAddress("tcp@:8972"))
		},
	},
	"an HTTP server that does not listen": {
		[]string{"WARN the server's own address does not answer this process, registering all the same"},
		func(t *harness.World, zk *zktest.Server) {
			registered(t, zk, serverplugin.WithZKServiceAddress("http@"+nobody(t.T)), serverplugin.WithServer(server.NewServer()))
		},
	},
	"metadata that are no query": {
		[]string{"WARN metadata is not a URL query: rpcx ignores state and group in it, and metrics are not added"},
		func(t *harness.World, zk *zktest.Server) {
			harness.Must(t, registered(t, zk).Register("JSON", nil, `{"a":"b;c"}`))
			harness.Pass(time.Minute)
		},
	},
}
