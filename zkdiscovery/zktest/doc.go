// Package zktest is a ZooKeeper for tests and demonstrations. It needs no installation, and fails on command:
//
//	func TestMyClient(t *testing.T) {
//		zk := zktest.Start(t) // listens on a free port, and is closed when the test is over
//		zk.Put("/rpcx/Arith/tcp@127.0.0.1:8972", nil)
//		d, err := zkdiscovery.New("/rpcx", "Arith", []string{zk.Addr()}, zkdiscovery.WithCacheDir(t.TempDir()))
//		…
//		zk.Stop() // ZooKeeper dies
//	}
//
// It has three parts. [Server] is a ZooKeeper in this process. [Ensemble] is one or three real ZooKeeper processes ([StartEnsemble]). [Proxy] is a
// network between a client and either that misbehaves on command. In a testing/synctest bubble use [NewServer] and [Server.Dial]: there hours of
// heartbeats take milliseconds.
//
// # What holds
//
//   - A Server speaks ZooKeeper's wire protocol: the client under test is the real one, unmodified.
//   - To the requests that it knows it answers as a real server of version 3.8 does, or of the one that WithVersion names. Random requests that
//     are sent to both show it.
//   - A request is done whole or not at all. A notification is ahead of every reply that reflects its change.
//   - After Close, or the end of the test, connections, goroutines, processes and files are gone.
//
// # What it does not have
//
// Reconfiguration, four-letter words, the admin server, getEphemerals, getAllChildrenNumber, whoAmI, nodes with a time to live, quotas, SASL, TLS, and a
// quorum: a Server is alone. A request that it does not know ends the connection, as with a server of an older version. [Server] lists the
// requests that it knows, and where it differs from a real one.
package zktest
