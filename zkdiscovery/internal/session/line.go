package session

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/holdfast-go/holdfast/internal/logs"
)

// handshakeGrace is how much longer than allowed a handshake may take on a transport without deadlines.
const handshakeGrace = time.Second

// closeHeadStart is how long zk.Conn.Close has to make its request: microseconds would do.
const closeHeadStart = time.Millisecond

// line is one zk.Conn, which is one ZooKeeper session: it is given up when that session is over. It is the zk.Conn's HostProvider and
// dialler, and gets its events.
type line struct {
	s       *Session
	conn    *zk.Conn
	closed  <-chan zk.Event // go-zookeeper closes it when its last goroutine but the callers' ends; nobody needs what is sent on it
	ready   chan struct{}   // closed by start when conn is set: until then nothing is dialled
	closing chan struct{}   // closed by close just before it closes conn
	watches *watches
	ctx     context.Context // ends when the line is given up
	giveUp  context.CancelFunc

	hadSession bool // it was ready for requests once; under Session.mu

	auth []Auth // for the next link; dial sets it

	ended atomic.Bool // the server has said that the session is over
	wrote atomic.Bool // nodes may belong to the session

	mu       sync.Mutex
	link     *link  // the newest
	seen     int64  // the newest zxid that go-zookeeper has been told of, or the library itself. The watches have told of all changes up to it
	id       int64  // of the session, 0 before there is one …
	password []byte // … and what proves that it is this line's
}

// hasSession notes what the server has given in the handshake.
func (l *line) hasSession(id int64, password []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.id, l.password = id, bytes.Clone(password)
}

// hasSeen notes a zxid and returns the newest.
func (l *line) hasSeen(zxid int64) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = max(l.seen, zxid)
	return l.seen
}

func newLine(s *Session) *line {
	l := &line{s: s, auth: s.cfg.Auth, ready: make(chan struct{}), closing: make(chan struct{}), watches: newWatches()}
	l.ctx, l.giveUp = context.WithCancel(s.ctx)
	return l
}

// start makes go-zookeeper connect.
func (l *line) start() {
	var err error
	l.conn, l.closed, err = zk.Connect(l.s.cfg.Servers, l.s.cfg.SessionTimeout,
		zk.WithHostProvider(l), zk.WithDialer(l.dial), zk.WithEventCallback(l.event), zk.WithLogger(l), zk.WithLogInfo(false))
	if err != nil {
		panic(err) // only for an empty list of servers, or an error of Init's
	}
	close(l.ready)
}

func (l *line) givenUp() bool { return l.ctx.Err() != nil }

// wait returns when the line is given up, at the end of the Session at the latest. Meanwhile it is the watchdog.
func (l *line) wait() {
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-t.C:
			logs.Flush(l.s.log)
			l.s.mu.Lock()
			often := l.s.sessionTimeout() / 4 // there may be another link by then
			l.s.mu.Unlock()
			t.Reset(max(min(l.check(), often), 10*time.Millisecond))
		}
	}
}

// check ends a link that has been silent for too long, and returns how long it may be silent still. Deadlines do that, and sooner, unless the
// transport has none: a tunnel through SSH, say.
func (l *line) check() time.Duration {
	k := l.newest()
	if k == nil || isDone(k) {
		return longestSession
	}
	left, why := time.Until(k.handshakeBy)+handshakeGrace, os.ErrDeadlineExceeded
	if k.established() {
		left, why = k.sessionTimeout()-k.silentFor(), errSilent
	}
	if left <= 0 {
		k.end(why)
	}
	return left
}

func (l *line) newest() *link {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.link
}

// dial is go-zookeeper's dialler: it is called again and again, by one goroutine, while there is no connection. It waits as long as the
// route says and makes one attempt. go-zookeeper's own address and timeout do not matter.
func (l *line) dial(_, _ string, _ time.Duration) (net.Conn, error) {
	<-l.ready
	if k := l.newest(); k != nil {
		k.end(errDropped) // go-zookeeper is done with it, but may be about to close it only now
	}
	s := l.s
	s.mu.Lock()
	t, wait := s.route.next()
	lim := newLimits(s.sessionTimeout(), s.route.failedRounds)
	s.mu.Unlock()
	if err := sleep(l.ctx, wait); err != nil {
		return nil, err
	}
	auth, err := s.secrets.now(l.ctx, lim.handshake)
	if err != nil {
		l.attemptFailed(t, err)
		return nil, err
	}
	l.auth = auth
	c, at, rest, err := s.connect(l.ctx, t, lim)
	if err == nil {
		k := newLink(l, c, at, lim.handshake)
		s.askFirst(k)
		l.mu.Lock()
		l.link = k
		l.mu.Unlock()
		if !l.givenUp() { // close may have looked for a link just before this one was there
			s.tryLater(rest)
			return k, nil
		}
		k.end(ErrClosed)
		return nil, ErrClosed
	}
	s.tryLater(rest)
	l.attemptFailed(at, err)
	return nil, err
}

// attemptFailed notes that there is no connection to t.
func (l *line) attemptFailed(t target, err error) {
	l.s.mu.Lock()
	defer l.s.unlock()
	if !l.givenUp() {
		l.s.attemptFailed(t.String(), err)
	}
}

// tryLater has the addresses of a name tried that were not, if ZooKeeper does not answer at the one which was.
func (s *Session) tryLater(rest target) {
	if len(rest.addrs) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.route.again(rest)
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// event is called by go-zookeeper, one event at a time, on goroutines that must not be held up. Of the events about the session only one
// counts: what becomes of a link, the link knows before go-zookeeper does. Those about watches that go-zookeeper keeps do not come: it keeps
// none.
func (l *line) event(ev zk.Event) {
	switch {
	case l.givenUp():
	case ev.Type != zk.EventSession:
		l.s.nodeEvent(l, ev)
	case ev.State == zk.StateHasSession:
		l.newest().oneReady()
	}
}

// Init, Len, Next and Connected make a line go-zookeeper's HostProvider. The dialler knows the servers; Next only tells go-zookeeper, once
// the line is given up, to look whether it was closed instead of dialling on.
func (l *line) Init([]string) error { return nil }

// Len is one: the line itself.
func (l *line) Len() int { return 1 }

// Next returns a label, and whether go-zookeeper is to stop and look (see Init).
//
// Once it looks, it refuses the requests that wait for a connection, and is gone. zk.Conn.Close announces the end first and makes its own
// request after that: if go-zookeeper looked in between, nobody would answer, and Close would wait its whole second. So it gets the moment that
// it needs.
func (l *line) Next() (server string, retryStart bool) {
	if !l.givenUp() {
		return "the next", false
	}
	<-l.closing
	time.Sleep(closeHeadStart)
	return "none", true
}

// Connected is of no interest: the link has noticed.
func (l *line) Connected() {}

// Printf is go-zookeeper's log, for those who debug; what the dialler and the link have reported themselves is left out.
func (l *line) Printf(format string, args ...any) {
	for _, known := range [...]string{"failed to connect", "recv loop terminated", "send loop terminated", "authentication failed", "Xid < 0"} {
		if strings.HasPrefix(format, known) {
			return
		}
	}
	l.s.log.Debug("go-zookeeper", "says", fmt.Sprintf(format, args...))
}
