// Package serverplugin registers the services of an rpcx server in ZooKeeper and keeps them registered.
//
// It is used like rpcx-zookeeper's package of the same name, and a server changes over by its import line:
//
//	s := server.NewServer()
//	p := serverplugin.NewZooKeeperRegisterPlugin(
//		serverplugin.WithZKServiceAddress("tcp@127.0.0.1:8972"),
//		serverplugin.WithZKServersAddress([]string{"zk1:2181", "zk2:2181", "zk3:2181"}),
//		serverplugin.WithZKBasePath("com/example/rpcx"),
//		serverplugin.WithServer(s), // new: register when s listens
//	)
//	if err := p.Start(); err != nil { … } // a mistake in the options; ZooKeeper may be away
//	s.Plugins.Add(p)
//	s.RegisterName("Arith", new(Arith), "weight=3")
//	go s.Serve("tcp", ":8972")
//	<-stop
//	p.Shutdown(ctx, s) // drain, then shut the server down, then end the plugin
//
// A service's node is /<base>/<service>/<network>@<address>, its data the metadata. An address with a slash, a unix socket's, is escaped:
// unix@/run/a.sock is unix@%2Frun%2Fa.sock there. zkdiscovery's clients find the server under its real address; rpcx-zookeeper's see the escaped
// one, which they cannot dial (nor could they what rpcx-zookeeper's own server makes of it).
//
// # What holds
//
//   - R1. While the process is up, ZooKeeper reachable and the address not lost to a successor, the node exists, belongs to the current session
//     and carries the right metadata: after an expiry, after somebody deleted or overwrote it, after ZooKeeper was away at the start. It is
//     never persistent and never seen with empty metadata instead of its own.
//   - R2. Register claims the address: whatever node stands there, an earlier session's, a killed predecessor's, a persistent one, is replaced at
//     once and atomically. Losing it to a newer process is final until that one's node is gone: the loser yields and says so. A claim is made
//     once per Register, so that two live processes never take the address from each other in turns.
//   - R3. Unregister and Stop remove only what this process owns, within a bounded time also when ZooKeeper is away. What could not be removed
//     then is removed when ZooKeeper is back, or dies with the session.
//   - R4. Drain makes clients stop choosing this server before it stops listening: state=inactive, wait, unregister, wait again (clients that do
//     not watch metadata see the second only). It does not reach clients with rpcx's Option.Sticky.
//
// Less formally: say what is to be registered, whenever you like; it is so as soon as it can be, and Registered tells.
//
// At rest a plugin costs ZooKeeper its pings, one watch per service, and one request per service in 15 to 18 minutes, which looks whether a
// watch was missed; after a reconnect it looks at once. A node that it may not read has no watch, and is looked at every minute. All services
// share one connection. An operator who writes into a node by hand, state=inactive for instance, is overruled at once; Register with other
// metadata, or Drain, is the way.
//
// # How it is built
//
// What is known and wanted of a znode is a node; step decides, without I/O or clock, what to do about it, and a fuzzer lets several processes
// with step as their only mind compete for one address. The registrar owns the nodes. Its loop feeds them with what happens (Register, hints of
// watches, connections, answers) and starts the actions that they ask for, at most one per node and 128 at once.
//
// The order of two processes at one address rests on versions: an action on a node names the version that it was decided for, and a takeover
// gives the new node another version than the old one had, so that whatever the old owner still has under way fails. ZooKeeper has no better
// condition (none on the owner): a write that was under way while the node was deleted and made again may still hit, and its victim restores
// its node at once.
//
// # Goroutines
//
// The registrar's loop, its actions under way, one that waits for the server to listen, and the session's. Stop waits for all of them. What
// go-metrics starts for the meters of a Registry is that Registry's.
package serverplugin
