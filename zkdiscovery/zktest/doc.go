// Package zktest is a ZooKeeper for tests and demonstrations, in three parts: Server, a ZooKeeper in this process that fails on command;
// Ensemble, real ZooKeeper processes; and Proxy, a network between a client and either that misbehaves on command.
//
// # What holds
//
// For a Server:
//
//   - It speaks ZooKeeper's wire protocol, so that the client under test is the real one, unmodified.
//   - To the requests it knows it answers as a real server of version 3.8 does, or of the one that WithVersion names: codes, stats, zxids, sequence numbers, notifications and
//     their order. This is tested by sending both the same random requests and comparing what comes back, and with ZooKeeper's own shell.
//   - A notification reaches a client before any reply that reflects the change, or a later one.
//   - A request is done whole or not at all, and what a client sends on one connection is done in its order.
//   - It works on a TCP address and, through Dial, over net.Pipe inside a testing/synctest bubble, where hours of heartbeats take
//     milliseconds. It uses no clock but package time's, and waits for nothing that a bubble does not know.
//   - No client can block another, make the server panic, or make it keep memory without end.
//   - After Stop, DropConnections, Wipe and Rollback have returned, every connection of before is gone. After Close has, every
//     goroutine too.
//
// For an Ensemble and a Proxy: after Close, or a test's end, their processes, goroutines and files are gone.
//
// # Requests
//
// Connecting, with a new session or a former one; ping; create in all forms but those with a time to live, which a real server refuses as
// well unless it is told not to; delete, exists, getData, setData, getChildren in both forms, getACL, setACL, sync, check, multi, auth
// (digest and ip), setWatches, addWatch, removeWatches, multiRead, close. ACLs are enforced.
//
// Others are answered as a server of an older version answers what it does not know: Unimplemented, and the connection is closed. There
// are no quotas, no reconfiguration, no SASL, no four-letter words, and one server, not a quorum.
//
// # Faults
//
//	Stop, Start             the process dies, and comes back with what it had stored
//	DropConnections         every connection is cut
//	Refuse                  no new connections
//	Silence                 the wire is cut and nobody notices: half-open connections
//	Delay                   a longer way
//	ExpireSession, …All     sessions end as if their clients had not been heard of
//	Wipe                    another, empty ensemble in its place
//	Checkpoint, Rollback    the ensemble is restored from an old backup
//	ForgetWatches           no watch fires any more
//	FailNext                the next requests of a kind fail
//	CutBefore, CutAfter     the next requests of a kind cut their connections: outcome unknown
//
// They may be combined, and those that are switched on stay on until they are switched off, also through Stop and Start. They take effect
// when the call returns: what has not reached a client by then obeys. Only what Delay is holding back keeps the time it was given.
//
// # Where it differs from a real server
//
//   - A session expires when its timeout has passed, to the nanosecond. A real server rounds up to its next tick.
//   - What belonged to a session is deleted in the order of its paths. A real server follows a hash table.
//   - A client that may not read a node is not told of its changes, as with 3.8.4, 3.9.2 and the packages of distributions that have
//     the same fix; older servers tell (CVE-2024-23944).
//   - A check outside of a multi is answered when it succeeds. A real 3.8 loses the reply.
//   - Of other versions it has what a client of the read side sees (see Version). It has 3.8's ways where they differ in which mistake of
//     a request is told first, in whether a request that cannot be read takes up a zxid, and in the results of a multi's create2.
//   - A setACL holds for the request right behind it. With a real 3.8, a request that follows closely may still be judged by the ACL before.
//
// # Goroutines
//
// A Server has one for its clock, one for its listener, and two for each connection, a reader and a writer. What clients ask for is done by the
// readers under one lock, which no input or output is ever waited for under; each writer takes from a queue of its own.
package zktest
