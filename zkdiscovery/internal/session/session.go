package session

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Session keeps one ZooKeeper session alive, or replaces it. See the package's doc for what holds.
type Session struct {
	cfg    Config
	log    *slog.Logger
	cancel context.CancelFunc
	ctx    context.Context // ends with Close
	wg     sync.WaitGroup  // run, closing lines and requests under way

	mu      sync.Mutex // guards what follows; nothing blocks or calls out under it
	state   State
	history []Event
	line    *line // the one that may connect
	link    *link // the one that is, or was last, established
	route   route
	unsaid  []func()      // log lines, written by unlock
	changed chan struct{} // closed, and replaced, whenever state changes
	subs    map[string][]*Subscription

	abilities abilities

	names   names
	secrets secrets
	leaving atomic.Int32
}

// Open starts connecting and returns at once. It does no I/O of its own and cannot fail; cfg must be valid (see ParseServers).
func Open(cfg Config) *Session {
	cfg = cfg.withDefaults()
	ctx, cancel := context.WithCancel(context.Background())
	s := &Session{
		cfg: cfg, log: cfg.Logger, ctx: ctx, cancel: cancel,
		state:   State{Since: time.Now()},
		route:   newRoute(&cfg),
		changed: make(chan struct{}),
		subs:    make(map[string][]*Subscription), abilities: make(abilities),
		secrets: secrets{fixed: cfg.Auth, funcs: cfg.AuthFuncs},
	}
	s.wg.Go(s.run)
	return s
}

// Close ends the session on the server, where it can be told, and everything that Open started, before it returns: after about a second
// at most. It may be called more than once and at once; every call waits.
func (s *Session) Close() {
	s.mu.Lock()
	if !s.state.Closed {
		s.state.Closed = true
		s.setErr(ErrClosed)
		s.setConnected(false)
	}
	s.mu.Unlock()
	s.cancel()
	s.wg.Wait()
}

// run opens one line after another until Close.
func (s *Session) run() {
	for {
		l := s.openLine()
		l.wait()
		if s.ctx.Err() != nil {
			l.close()
			return
		}
		// Its last words may take a second; the next one need not wait for that.
		s.wg.Go(l.close)
	}
}

// openLine makes a new line the one that may connect.
func (s *Session) openLine() *line {
	l := newLine(s)
	s.mu.Lock()
	s.line = l
	s.mu.Unlock()
	l.start()
	return l
}

// up notes that link k of line l serves.
func (s *Session) up(l *line, k *link) {
	s.mu.Lock()
	defer s.unlock()
	if s.state.Closed || s.line != l || isDone(k) {
		return
	}
	st := &s.state
	was, why := st.Since, st.Err
	newSession := !l.hadSession
	if newSession {
		l.hadSession = true
		st.Session++
	}
	s.link = k
	st.Link++
	st.ID, st.Timeout, st.Server = k.sessionID.Load(), k.sessionTimeout(), k.target.String()
	st.Rounds, st.Refused, st.Extension = 0, false, k.extension
	k.window.extend(k.extension)
	s.setConnected(true)

	attrs := []any{"server", st.Server, "session", hexID(st.ID), "timeout", st.Timeout, "new_session", newSession}
	if st.Link > 1 {
		attrs = append(attrs, "down_for", time.Since(was).Round(time.Millisecond), "was", why)
	}
	s.say(func() { s.log.Info("connected to ZooKeeper", attrs...) })
}

// linkEnded notes that a link is gone, whoever noticed, and decides what that means. It is called once per link.
func (s *Session) linkEnded(l *line, k *link) {
	s.mu.Lock()
	defer s.unlock()
	if s.state.Closed || s.line != l || l.givenUp() {
		return
	}
	over := isAny(k.cause, errExpired, errOutdated, errRewatch)
	switch {
	case k == s.link:
		s.probeEnded(k)
		s.linkLost(k)
	case over && l.hadSession:
		s.route.again(k.target.as(false)) // it answers: the next line need not wait
	case errors.Is(k.cause, errTurned) && !k.target.asNew && l.hasSeen(0) > 0 && time.Since(s.state.Since) > s.state.Timeout:
		s.route.again(k.target.as(true))
	case !over && s.probeEnded(k):
		s.route.again(k.target.as(false))
	default:
		s.attemptFailed(k.target.String(), k.cause)
	}
	if over {
		s.giveUp(l, k.cause)
	}
}

// linkLost notes that the link that was in use is gone. The caller holds mu.
func (s *Session) linkLost(k *link) {
	s.route.lost(time.Since(k.signs.born))
	s.setErr(k.cause)
	s.setConnected(false)
	id := s.state.ID
	s.say(func() {
		s.log.Warn("connection to ZooKeeper lost", "server", k.target.String(), "session", hexID(id), "err", k.cause)
	})
}

// giveUp ends a line whose session is over. The caller holds mu.
func (s *Session) giveUp(l *line, why error) {
	l.giveUp()
	if !l.hadSession {
		return // nobody knew of it
	}
	id := s.state.ID
	s.say(func() {
		s.log.Info("ZooKeeper session given up, beginning a new one", "session", hexID(id), "reason", why)
	})
}

// attemptFailed notes a failed attempt and tells when it ended a round. The caller holds mu.
func (s *Session) attemptFailed(server string, err error) {
	s.say(func() { s.log.Debug("ZooKeeper server not usable", "server", server, "err", err) })
	s.setErr(err)
	if roundOver := s.route.failed(err); !roundOver {
		return
	}
	s.state.Rounds++
	s.state.Refused = s.route.allRefused
	if s.state.Rounds == 1 {
		s.say(func() { s.log.Warn("no ZooKeeper server usable, trying on", "servers", len(s.cfg.Servers), "err", err) })
	}
	s.tell()
}

// say leaves a log line for unlock to write: a log handler is the user's code. The caller holds mu.
func (s *Session) say(line func()) { s.unsaid = append(s.unsaid, line) }

func (s *Session) unlock() {
	lines := s.unsaid
	s.unsaid = nil
	s.mu.Unlock()
	for _, line := range lines {
		line()
	}
}

func hexID(id int64) string { return "0x" + strconv.FormatUint(uint64(id), 16) }
