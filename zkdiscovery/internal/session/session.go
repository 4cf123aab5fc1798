package session

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"sync"
	"time"
)

// Config is what a Session is made of. All fields but Servers have a usable zero value.
type Config struct {
	Servers        []string      // host:port, as ParseServers returns them
	Chroot         string        // put before every path and taken off again; "" or an absolute path
	SessionTimeout time.Duration // requested; the server may negotiate another. Default 10 s
	Auth           []Auth
	TLS            *tls.Config // nil: plain TCP. Without a ServerName, each server's own host name is verified
	// Dial makes the connections instead of a net.Dialer and gets the servers as they were given; names are its business then. One that
	// ignores its context is abandoned, not waited for.
	Dial     func(ctx context.Context, network, addr string) (net.Conn, error)
	MaxReply int          // bytes; a longer reply ends the connection with ErrReplyTooLarge. Default 64 MiB
	Logger   *slog.Logger // default: discard

	// AttemptTimeout bounds one attempt: name, connection, TLS and ZooKeeper's handshake. The default is half of the session timeout,
	// divided by the number of servers, but 1 s at least and 5 s at most.
	AttemptTimeout time.Duration
}

// Auth is one pair of ZooKeeper credentials, such as "digest" and "user:password".
type Auth struct {
	Scheme      string
	Credentials []byte
}

func (c Config) withDefaults() Config {
	if c.SessionTimeout <= 0 {
		c.SessionTimeout = 10 * time.Second
	}
	if c.MaxReply <= 0 {
		c.MaxReply = 64 << 20
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.AttemptTimeout <= 0 {
		c.AttemptTimeout = min(max(c.SessionTimeout/time.Duration(2*len(c.Servers)), time.Second), 5*time.Second)
	}
	return c
}

// State is what is known of the connection at one moment.
type State struct {
	Connected bool          // requests can be made
	Closed    bool          // Close was called
	Session   int64         // grows with every new ZooKeeper session; 0: there was none yet. Watches live as long as it stays the same
	Link      int64         // grows with every connection that was established
	ID        int64         // ZooKeeper's id of the newest session
	Timeout   time.Duration // negotiated for the newest session
	Server    string        // the server that is, or was last, connected
	Since     time.Time     // when Connected changed last
	Heard     time.Time     // the newest moment of which an answer of ZooKeeper's is known: it is newer than everything before it
	Rounds    int           // rounds through all servers that failed since the last connection
	Refused   bool          // in the last of them, every server said no at once
	Err       error         // why there is no connection, or why the one before this ended
}

// calmShort is how many short connections in a row are reported one by one; after that, edges are no news.
const calmShort = 2

// Session keeps one ZooKeeper session alive, or replaces it. See the package's doc for what holds.
type Session struct {
	cfg    Config
	log    *slog.Logger
	cancel context.CancelFunc
	ctx    context.Context // ends with Close
	wg     sync.WaitGroup  // run, closing lines and requests under way

	mu      sync.Mutex // guards what follows; nothing blocks or calls out under it
	state   State
	line    *line // the one that may connect
	link    *link // the one that is, or was last, established
	route   route
	short   int           // connections in a row that did not last
	changed chan struct{} // closed, and replaced, whenever state changes
	subs    map[string][]*Subscription
}

// Open starts connecting and returns at once. It does no I/O of its own and cannot fail; cfg must be valid (see ParseServers).
func Open(cfg Config) *Session {
	cfg = cfg.withDefaults()
	ctx, cancel := context.WithCancel(context.Background())
	s := &Session{
		cfg: cfg, log: cfg.Logger, ctx: ctx, cancel: cancel,
		state:   State{Since: time.Now()},
		route:   newRoute(cfg),
		changed: make(chan struct{}),
		subs:    make(map[string][]*Subscription),
	}
	s.wg.Go(s.run)
	return s
}

// Close ends the session on the server, where it can be told, and everything that Open started, before it returns: after about two seconds
// at most. It may be called more than once and at once; every call waits.
func (s *Session) Close() {
	s.mu.Lock()
	if !s.state.Closed {
		s.state.Closed = true
		s.setConnected(false, ErrClosed)
	}
	s.mu.Unlock()
	s.cancel()
	s.wg.Wait()
}

// State returns the state of this moment.
func (s *Session) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stateLocked()
}

func (s *Session) stateLocked() State {
	st := s.state
	if s.link != nil {
		st.Heard = time.Unix(0, s.link.heard.Load())
	}
	return st
}

// Changed returns the state of this moment and a channel that is closed at its next change (Heard does not count as one).
func (s *Session) Changed() (State, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stateLocked(), s.changed
}

// tell wakes everybody who waits for a change. The caller holds mu.
func (s *Session) tell() {
	close(s.changed)
	s.changed = make(chan struct{})
	for _, subs := range s.subs {
		for _, sub := range subs {
			sub.poke()
		}
	}
}

// setConnected changes State.Connected and tells. The caller holds mu.
func (s *Session) setConnected(up bool, err error) {
	s.state.Err = err
	if s.state.Connected != up {
		s.state.Connected, s.state.Since = up, time.Now()
	}
	s.tell()
}

// run opens one line after another until Close.
func (s *Session) run() {
	for s.ctx.Err() == nil {
		l := openLine(s)
		reason := l.wait()
		if s.ctx.Err() != nil {
			l.close()
			return
		}
		s.log.Info("ZooKeeper session given up, beginning a new one", "reason", reason)
		// Its last words to the server may take a second; the next one need not wait for that.
		s.wg.Go(l.close)
	}
}

// up notes that a link of line l is established.
func (s *Session) up(l *line, k *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.Closed || s.line != l || isDone(k) {
		return
	}
	st := &s.state
	wasDown, why := st.Since, st.Err
	fresh := !l.hadSession
	if fresh {
		l.hadSession = true
		st.Session++
	}
	s.link = k
	st.Link++
	st.ID, st.Timeout, st.Server = k.sessionID.Load(), time.Duration(k.timeout.Load()), k.server
	st.Rounds, st.Refused = 0, false
	s.setConnected(true, st.Err)
	attrs := []any{"server", k.server, "session", hexID(st.ID), "timeout", st.Timeout, "new_session", fresh}
	if st.Link > 1 {
		attrs = append(attrs, "down_for", time.Since(wasDown).Round(time.Millisecond), "was", why)
	}
	s.log.Log(s.ctx, s.edge(slog.LevelInfo), "connected to ZooKeeper", attrs...)
}

// edge is the level for a message about a connection that begins or ends: that of an edge, unless it is one of many short ones.
func (s *Session) edge(l slog.Level) slog.Level {
	if s.short > calmShort {
		return slog.LevelDebug
	}
	return l
}

// calm ends a series of short connections when one has lasted.
func (s *Session) calm(k *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link != k || !s.state.Connected || time.Since(k.born) < stableAfter {
		return
	}
	if s.short > calmShort {
		s.log.Info("connection to ZooKeeper lasts again", "server", k.server, "short_ones", s.short)
	}
	s.short = 0
}

// linkEnded notes that a link is gone, whoever noticed. It is called once per link, never under a lock of go-zookeeper's.
func (s *Session) linkEnded(l *line, k *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.Closed || s.line != l || l.givenUp() {
		return
	}
	if !k.established() || k.unready.Load() > 0 {
		s.attemptFailed(k.server, k.cause)
		return
	}
	lasted := time.Since(k.born)
	s.route.lost(lasted)
	if !s.state.Connected || s.link != k {
		return
	}
	s.setConnected(false, k.cause)
	if lasted >= stableAfter {
		s.short = 0
	} else if s.short++; s.short == calmShort+1 {
		s.log.Warn("connections to ZooKeeper end as soon as they are made, trying on", "server", k.server, "err", k.cause)
	}
	s.log.Log(s.ctx, s.edge(slog.LevelWarn), "connection to ZooKeeper lost", "server", k.server, "session", hexID(s.state.ID), "err", k.cause)
}

// attemptFailed notes a failed attempt and tells when it ended a round. The caller holds mu.
func (s *Session) attemptFailed(server string, err error) {
	roundOver := s.route.failed(err)
	s.log.Debug("ZooKeeper server not usable", "server", server, "err", err)
	if s.state.Err = err; !roundOver {
		return
	}
	s.state.Rounds++
	s.state.Refused = s.route.allRefused
	if s.state.Rounds == 1 {
		s.log.Warn("ZooKeeper not reachable, trying on", "servers", len(s.cfg.Servers), "err", err)
	}
	s.tell()
}
