// Package serverplugin registers the services of an rpcx server in ZooKeeper and keeps them registered. A server that uses rpcx-zookeeper's package of
// the same name changes over by its import line:
//
//	p := serverplugin.NewZooKeeperRegisterPlugin(
//		serverplugin.WithZKServiceAddress("tcp@127.0.0.1:8972"),
//		serverplugin.WithZKServersAddress([]string{"zk1:2181", "zk2:2181"}),
//		serverplugin.WithZKBasePath("com/example/rpcx"),
//		serverplugin.WithServer(s), // register when s listens
//	)
//	if err := p.Start(); err != nil { … } // a mistake in the options; ZooKeeper may be away
//	s.Plugins.Add(p)
//	s.RegisterName("Arith", new(Arith), "weight=3")
//	go s.Serve("tcp", ":8972")
//	<-stop
//	p.Shutdown(ctx, s) // drain, shut the server down, end the plugin
//
// Ask [ZooKeeperRegisterPlugin.Registered] for alerts: it is false when ZooKeeper may have let the registration go. Ask
// [ZooKeeperRegisterPlugin.Ready] in a readiness probe: it stays true when ZooKeeper goes away. An operator who writes state=inactive into a server's node
// takes it out: see [WithOperator].
//
// # What holds
//
//   - R1. While ZooKeeper can be reached, the node exists, is this session's and has the right metadata, unless a newer process has the address.
//   - R2. Register claims the address: a node of an earlier owner is replaced at once. When a newer process has taken the address, this one waits
//     until that process's node is gone.
//   - R3. Unregister and Stop remove only what this process owns, in a bounded time. What could not be removed then goes when ZooKeeper is
//     back, or with the session.
//   - R4. Drain makes clients stop choosing this server before it stops listening.
package serverplugin
