package zktest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Server is a ZooKeeper in this process. All methods may be called at once from anywhere.
//
// What holds:
//
//   - It speaks ZooKeeper's wire protocol, so that the client under test is the real one, unmodified.
//   - To the requests it knows it answers as a real server of version 3.8 does, or of the one that WithVersion names: codes, stats, zxids, sequence
//     numbers, notifications and their order. This is tested by sending both the same random requests, and with ZooKeeper's own shell.
//   - A notification reaches a client before any reply that reflects the change, or a later one.
//   - A request is done whole or not at all, and what a client sends on one connection is done in its order.
//   - It works on a TCP address and, through Dial, over net.Pipe inside a testing/synctest bubble, where hours of heartbeats take
//     milliseconds. It uses no clock but package time's, and waits for nothing that a bubble does not know.
//   - No client can block another, make the server panic, or make it keep memory without end.
//   - After Stop, DropConnections, Wipe and Rollback have returned, every connection of before is gone. After Close has, every
//     goroutine too.
//
// # Requests
//
// Connecting, with a new session or a former one; ping; create in all forms but those with a time to live, which a real server refuses as
// well unless it is told not to; delete, exists, getData, setData, getChildren in both forms, getACL, setACL, sync, check, multi, auth
// (digest and ip), setWatches, addWatch, removeWatches, multiRead, close. ACLs are enforced.
//
// Others are answered as a server of an older version answers what it does not know: Unimplemented, and the connection is closed.
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
type Server struct {
	cfg       config
	quit      chan struct{} // closed by Close
	clockWake chan struct{} // room for one: a deadline may have come nearer
	clockDone chan struct{} // closed by the clock
	traffic   struct{ in, out atomic.Int64 }

	life     sync.Mutex // held while the server starts or stops, so that one is over before the other begins; taken before mu
	addr     string     // what Listen has found, "" before
	claim    *port      // that nobody else takes addr, nil if Listen was told which
	listener *listener  // nil while there is none

	mu          sync.Mutex
	stopped     bool
	refusing    bool
	silent      bool
	closed      bool
	delay       time.Duration
	state       state
	checkpoint  *state
	sweepAt     time.Time
	watches     watchTable
	conns       map[watcher]*conn // until their goroutines have ended
	lastConn    watcher
	lastSession int64
	faults      faults
	stats       Stats
}

// NewServer returns a running server with an empty tree, to be reached with Dial at once and over the network after Listen. The caller
// closes it. Options that contradict one another or are out of their bounds panic: they are the test's own mistake.
func NewServer(opts ...Option) *Server {
	cfg, err := newConfig(opts)
	if err != nil {
		panic(fmt.Errorf("zktest: %w", err))
	}
	s := &Server{
		cfg:       cfg,
		quit:      make(chan struct{}),
		clockWake: make(chan struct{}, 1),
		clockDone: make(chan struct{}),
		state:     newState(cfg.version),
		watches:   newWatchTable(cfg.version),
		faults:    make(faults),
		conns:     make(map[watcher]*conn),
		// Below server 1's byte, as in ZooKeeper, and from a place of its own, so that two servers do not know each other's sessions.
		lastSession: 1<<56 | rand.Int64N(1<<40)<<16,
		stats:       Stats{Requests: make(map[Op]int64)},
	}
	go func() {
		defer close(s.clockDone)
		s.clock()
	}()
	return s
}

// Close ends the server for good, with every connection and goroutine it has, before it returns. It may be called twice.
func (s *Server) Close() {
	s.life.Lock()
	defer s.life.Unlock()
	s.stop()
	s.releasePort()
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.mu.Unlock()
	if first {
		close(s.quit)
	}
	<-s.clockDone
}

// Dial connects to the server over net.Pipe, whatever network and address say, which makes it fit for a dialer option, also inside a
// testing/synctest bubble. It fails as a refused connection does while the server is stopped or refuses, and with ctx's error when that
// has ended.
func (s *Server) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	client, server := net.Pipe()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.serve(server) {
		_ = client.Close()
		_ = server.Close()
		return nil, &net.OpError{Op: "dial", Net: network, Addr: pipeAddr(addr), Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	}
	return client, nil
}

// pipeAddr is the address that a client meant to dial.
type pipeAddr string

func (pipeAddr) Network() string  { return "pipe" }
func (a pipeAddr) String() string { return string(a) }

// reachable reports whether a client may connect. The caller holds s.mu.
func (s *Server) reachable() bool { return !s.stopped && !s.refusing && !s.closed }
