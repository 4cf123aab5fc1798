// Package session is one ZooKeeper session that can be relied on: the only code of the library that touches go-zookeeper's Conn.
//
// # What holds
//
//   - It connects for ever: every server in turn, names resolved at every attempt, rounds spaced by jittered, growing backoff of at most
//     [MaxBackoff]. Resolving, dialling, TLS and handshake have a limit each, which doubles with every round that fails, up to the session
//     timeout: what is slow is connected late. The last known addresses serve while a name cannot be resolved.
//   - Credentials are the first thing that a new connection sends, so that no request ever runs without them.
//   - A request ends with its context, or when nothing has been answered for a session timeout while it waits: bytes that arrive are a sign of
//     life. What is under way is bounded per connection, and shared fairly. A request that is made in one session never runs in a
//     later one, a read not even on a later connection. Outcomes are unknown only for writes whose error is [ErrLost].
//   - Events reach subscribers as hints which never block and never call ZooKeeper. After a reconnect within the session the server
//     repeats what was missed; after a new session every watch is gone, and [State.Session] has grown.
//   - One watch at most is outstanding per znode and kind, whoever asks.
//   - A connection that cannot recover (its session expired, the ensemble restored to an older state, a transport without deadlines that
//     fell silent) is discarded for a new one, without anybody's help.
//   - After [Session.Close], no socket, goroutine or live session is left, unless no server could be told: then the session dies by its
//     timeout. Close takes about a second at most, and uses it: where the connection has just broken, it ends the session over another one.
//
// Less formally: callers see a state that says whether ZooKeeper can be asked, and hints that say what to ask again.
//
// # How it is built
//
// A [Session] opens one line after another. A line is one zk.Conn and, by construction, one ZooKeeper session: when that session is over, so
// is the line, and with it whatever was still queued in it. Within a line, go-zookeeper reconnects through the line's dialler, which hands it
// links. A link is the transport: it reads along at the frame level, because what go-zookeeper v1.0.4 lacks can be put right there: it bounds
// the handshake, sends the credentials, learns the negotiated timeout, dates the answered pings, puts the right zxid into the watches that
// are set again, and refuses replies over the size limit.
//
// Reads do not go through go-zookeeper. An exchange is some of one kind: the link writes their frames between go-zookeeper's own, many at once,
// takes their answers out of the stream, and decodes them where they are read. go-zookeeper has the handshake, the pings, the events and the writes.
//
// # Goroutines
//
// One owner (run) per Session, go-zookeeper's three per line, and those of requests that are under way. Close waits for all of them.
package session
