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
//     and carries the right metadata: those registered, with the operator's layer. So it is after an expiry, after somebody deleted or overwrote
//     it, after ZooKeeper was away at the start. It is never persistent and never seen with empty metadata instead of its own.
//   - R2. Register claims the address: whatever node stands there, an earlier session's, a killed predecessor's, a persistent one, is replaced at
//     once and atomically. Losing it to a newer process is final until that one's node is gone: the loser yields and says so. A claim is made
//     once per Register, so that two live processes never take the address from each other in turns.
//   - R3. Unregister and Stop remove only what this process owns, within a bounded time also when ZooKeeper is away. What could not be removed
//     then is removed when ZooKeeper is back, or dies with the session.
//   - R4. Drain makes clients stop choosing this server before it stops listening: state=inactive, wait, unregister, wait again (clients that do
//     not watch metadata see the second only). It does not reach clients with rpcx's Option.Sticky.
//
// Less formally: say what is to be registered, whenever you like; it is so as soon as it can be, and Registered tells. Whoever operates the server
// has the last word on whether it is called, and how often.
//
// # The operator
//
// Somebody who writes state=inactive into a server's node, by ZooKeeper's shell or rpcx-ui, takes it out: clients stop choosing it, as in Drain's first
// half. So it is with a weight. The write is a word, and all words together are the layer over what is registered: see [WithOperator], which also names
// other keys. The word holds until it is taken back, for this process: one that is started again is in again. Everything else that somebody writes is
// restored.
//
// # Alerts and readiness
//
// [ZooKeeperRegisterPlugin.Registered] is for alerts: it is false when ZooKeeper may have let the registration go. [ZooKeeperRegisterPlugin.Ready] is
// for a readiness probe: it stays true when ZooKeeper goes away.
//
// # What it costs
//
// At rest a plugin costs ZooKeeper its pings, one watch per service, and one request per service in 15 to 18 minutes, which looks whether a
// watch was missed; after a reconnect it looks at once, also at what was unregistered in this session: a backup that is restored may bring it back.
// A node that it may not read has no watch, and is looked at every minute. All services share one connection.
//
// # How it is built
//
// A znode under which a service is registered is a node, which is three values:
//
//   - the wish: what the program wants (its newest order), with the operator's layer and what stands in every node;
//   - what was seen: whose node stands there, what it says, whether a watch is on it, and what this process itself has written into it;
//   - what is under way: one action, with the numbers of what was true when it began. Where a number has changed, the answer is older than that.
//
// The function step decides, without I/O or clock, what to do about it. A fuzzer lets several processes with step as their only mind compete for one
// address, while an operator writes and backups are restored. The registrar's loop owns the nodes. The plugin's methods put orders into one mailbox;
// the loop takes them, feeds the nodes with what happens, starts the actions that they ask for, at most one per node and 128 at once, and makes
// one report of it all, which never changes.
//
// What step decides:
//
//	seen            wanted                            not wanted
//	unknown         look                              look, if anything may have been written
//	absent          create                            rest
//	ours            look, if no watch is on it;       remove
//	                set, if it says something else,
//	                or an operator wants an answer
//	an earlier      take over                         remove
//	session's
//	persistent      take over                         rest
//	foreign         take over with a claim,           rest
//	                otherwise yield
//
// Nothing is done while an action is under way, without a connection, and for a while after a failure. To rest is to be looked at once more after
// each reconnect while the session lives. Ten situations (TestTenSituations):
//
//  1. somebody has deleted the node                            it is created, with the layer
//  2. an operator has written a key of his                     it is a word; a write answers
//  3. somebody has written something else                      it is restored
//  4. an older state of the node stands there, from a backup   it is nobody's word, and restored
//  5. a newer process has the address                          it yields
//  6. the same, and the program has registered again           it takes over
//  7. the session is a new one                                 nothing that is known counts: it looks
//  8. the connection is back, in the session                   it looks, since a backup looks unchanged to a watch
//  9. the program has registered while a look was under way    the answer is older than that: it looks once more
//  10. a backup has brought an unregistered node back           it is removed
//
// The order of two processes at one address rests on versions: an action on a node names the version that it was decided for, and a takeover
// gives the new node another version than the old one had, so that whatever the old owner still has under way fails. ZooKeeper has no better
// condition (none on the owner): a write that was under way while the node was deleted and made again may still hit, and its victim restores
// its node at once.
//
// # Goroutines
//
// The registrar's loop, its actions under way, one that waits for the server to listen, one that asks whether the program is ready, and the session's.
// Stop waits for all of them, but for a call of the program's that does not honour its context. What go-metrics starts for the meters of a Registry
// is that Registry's.
package serverplugin
