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

// Server is a ZooKeeper in this process. See the package's documentation for what it does as a real one does, and what not. All methods
// may be called at once from anywhere.
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
