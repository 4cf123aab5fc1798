package zktest

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
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
		state:     newState(),
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
		return nil, fmt.Errorf("dial %s %s: %w", network, addr, syscall.ECONNREFUSED)
	}
	return client, nil
}

// reachable reports whether a client may connect. The caller holds s.mu.
func (s *Server) reachable() bool { return !s.stopped && !s.refusing && !s.closed }

// receive is a connection's reader with a whole frame.
func (s *Server) receive(c *conn, frame []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case c.dead:
	case s.silent:
		c.held = append(c.held, frame)
		c.out.hold(len(frame))
	default:
		s.process(c, frame)
	}
}

// process does what a frame asks for. The caller holds s.mu.
func (s *Server) process(c *conn, frame []byte) {
	if c.session == nil {
		s.connect(c, frame)
		return
	}
	d := decoder{b: frame}
	xid, kind := d.int32(), Op(d.int32())
	if d.err != nil {
		c.kill() // not even a header
		return
	}
	s.count(kind)
	c.session.touch(time.Now())
	if s.faults.cut(kind, before) {
		c.kill()
		return
	}
	if code, failed := s.faults.fail(kind); failed {
		c.reply(encodeReply(xid, s.state.tree.zxid, kind, &result{code: code}))
		if kind == OpAuth || kind == OpClose {
			c.finish()
		}
		return
	}
	r, err := decodeRequest(kind, d.b)
	res := result{code: CodeMarshallingError}
	ends := kind == OpClose
	switch {
	case err != nil && kind == OpAuth:
		c.kill()
		return
	case err != nil && kind.writes():
		s.state.tree.zxid++ // as a real one, which takes a number before it looks
	case err != nil:
	case kind == OpAuth:
		res = s.auth(c, &r)
		ends = res.code != CodeOK
	default:
		res, ends = s.execute(c, &r)
	}
	if s.faults.cut(kind, after) {
		c.kill()
		return
	}
	zxid := s.state.tree.zxid
	switch {
	case kind == OpAuth:
		zxid = 0 // answered on arrival by a real server, ahead of everything that knows of zxids
	case res.code == CodeUnimplemented && ends:
		zxid = -1
	}
	c.reply(encodeReply(xid, zxid, kind, &res))
	if ends {
		c.finish()
	}
}

func (s *Server) auth(c *conn, r *request) result {
	id, ok := authenticate(r.scheme, r.data, remoteIP(c.nc))
	if !ok {
		return result{code: CodeAuthFailed}
	}
	c.ids = append(c.ids, id)
	return result{}
}

// execute performs one request of a connection with a session, and says whether the connection ends with the reply: because the client
// wants it to, or because the operation is unknown.
func (s *Server) execute(c *conn, r *request) (res result, ends bool) {
	by := caller{session: c.session.id, ids: c.ids}
	if r.kind.writes() {
		return s.apply(r, by), false
	}
	switch r.kind {
	case OpPing:
		return result{}, false
	case OpSync:
		return result{path: r.path}, false
	case OpExists, OpGetData, OpGetACL, OpGetChildren, OpGetChildren2:
		return s.read(c, r, by), false
	case OpSetWatches, OpSetWatches2:
		if r.watches.persistentRequested {
			return result{code: CodeUnimplemented}, true
		}
		events, set := s.watches.missed(s.state.tree, c.id, &r.watches)
		s.stats.WatchesSet += set
		for _, ev := range events {
			s.tell(c, ev)
		}
		return result{}, false
	case OpClose:
		s.closeSession(c.session)
		return result{}, true
	default:
		return result{code: CodeUnimplemented}, true
	}
}

func (s *Server) read(c *conn, r *request, by caller) result {
	res := s.state.tree.read(r, by)
	if r.watch {
		kind, wanted := watchData, res.code == CodeOK
		switch r.kind {
		case OpExists:
			wanted = wanted || res.code == CodeNoNode // it waits for the node to appear
		case OpGetChildren, OpGetChildren2:
			kind = watchChildren
		default:
		}
		if wanted && s.watches.add(c.id, kind, r.path) {
			s.stats.WatchesSet++
		}
	}
	return res
}

// apply performs a write and tells the watchers, before anybody can be answered with what it has changed.
func (s *Server) apply(r *request, by caller) result {
	res, events := s.state.tree.apply(r, by, time.Now().UnixMilli())
	s.notify(events)
	if len(s.state.tree.containers) > 0 && s.sweepAt.IsZero() {
		poke(s.clockWake)
	}
	return res
}

func (s *Server) notify(events []event) {
	for _, ev := range events {
		for _, w := range s.watches.fire(ev) {
			s.tell(s.conns[w], ev)
		}
	}
}

func (s *Server) tell(c *conn, ev event) {
	if !allowed(ev.acl, permRead, c.ids) {
		return
	}
	s.stats.Notifications++
	c.reply(encodeEvent(ev))
}

func (s *Server) log(msg string, args ...any) {
	s.cfg.logger.Log(context.Background(), slog.LevelInfo, msg, args...)
}
