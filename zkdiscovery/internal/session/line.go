package session

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
)

// line is one zk.Conn, which is one ZooKeeper session: it is given up when that session is over. It is the zk.Conn's HostProvider and
// dialler, and gets its events.
type line struct {
	s       *Session
	conn    *zk.Conn
	closed  <-chan zk.Event // go-zookeeper closes it when its last goroutine but the callers' ends; nobody needs what is sent on it
	ready   chan struct{}   // closed when conn is set: until then nothing is dialled
	watches *watches
	over    chan struct{}   // closed when the line is to be given up
	ctx     context.Context // ends with over
	cancel  context.CancelFunc

	once       sync.Once
	reason     error // why it is given up; read after over is closed
	hadSession bool  // under Session.mu

	mu       sync.Mutex
	link     *link     // the newest
	activity time.Time // when go-zookeeper or a link did something last
}

func openLine(s *Session) *line {
	l := &line{s: s, ready: make(chan struct{}), over: make(chan struct{}), watches: newWatches(), activity: time.Now()}
	l.ctx, l.cancel = context.WithCancel(s.ctx)
	s.mu.Lock()
	s.line = l
	s.mu.Unlock()
	// The server list is never empty and Init never fails, so Connect does not either. Its address argument is a label only: the dialler
	// decides.
	conn, events, err := zk.Connect(s.cfg.Servers, s.cfg.SessionTimeout,
		zk.WithHostProvider(l), zk.WithDialer(l.dial), zk.WithEventCallback(l.event), zk.WithLogger(l), zk.WithLogInfo(false))
	if err != nil {
		l.giveUp(err)
		events = closedEvents()
	}
	l.conn, l.closed = conn, events
	close(l.ready)
	return l
}

func closedEvents() <-chan zk.Event {
	ch := make(chan zk.Event)
	close(ch)
	return ch
}

// giveUp makes the line end. It does not block and may be called from go-zookeeper's goroutines.
func (l *line) giveUp(reason error) {
	l.once.Do(func() {
		l.reason = reason
		close(l.over)
		l.cancel()
	})
}

func (l *line) givenUp() bool {
	select {
	case <-l.over:
		return true
	default:
		return l.ctx.Err() != nil
	}
}

// wait returns when the line is to be given up, and why. Meanwhile it is the watchdog.
func (l *line) wait() error {
	every := time.NewTicker(l.s.cfg.SessionTimeout / 4)
	defer every.Stop()
	for {
		select {
		case <-l.over:
			return l.reason
		case <-l.s.ctx.Done():
			return ErrClosed
		case <-every.C:
			l.check()
		}
	}
}

// check looks for what go-zookeeper would never notice.
func (l *line) check() {
	now := time.Now()
	l.mu.Lock()
	k, activity := l.link, l.activity
	l.mu.Unlock()
	if k != nil && !isDone(k) {
		// Deadlines see to both, unless the transport has none (a tunnel through SSH, say).
		if k.established() {
			if now.Sub(time.Unix(0, k.heard.Load())) > time.Duration(k.timeout.Load()) {
				k.end(errSilent)
			}
			l.s.calm(k)
		} else if now.After(k.handshakeBy.Add(time.Second)) {
			k.end(context.DeadlineExceeded)
		}
		return
	}
	if stuck := now.Sub(activity); stuck > 2*(MaxBackoff+l.s.cfg.AttemptTimeout)+l.s.cfg.SessionTimeout {
		l.giveUp(errors.New("no attempt to connect for " + stuck.Round(time.Second).String()))
	}
}

func isDone(k *link) bool {
	select {
	case <-k.done:
		return true
	default:
		return false
	}
}

// close ends the session on the server if it can be told, then everything of go-zookeeper's, and returns when that is gone.
func (l *line) close() {
	l.giveUp(ErrClosed)
	l.mu.Lock()
	k := l.link
	l.mu.Unlock()
	if l.conn == nil {
		return
	}
	if k != nil && !k.established() && !isDone(k) {
		// The server may be about to make a session: the wish to end it waits behind the handshake.
		k.goodbye(time.Second / 2)
		k.end(ErrClosed)
	}
	told := make(chan struct{}) // closed when zk.Conn.Close has returned: after 1 s without an answer, 2 s with a full queue
	go func() {
		defer close(told)
		l.conn.Close()
	}()
	t := time.NewTimer(time.Second)
	defer t.Stop()
	select {
	case <-told:
	case <-t.C:
	}
	if k != nil {
		k.end(ErrClosed)
	}
	<-told
	for range l.closed { //nolint:revive // drained until go-zookeeper closes it, which is what is waited for
	}
}

// dial is go-zookeeper's dialler: it is called again and again, by one goroutine, while there is no connection. It waits as long as the
// route says and makes one attempt. go-zookeeper's own address and timeout do not matter.
func (l *line) dial(_, _ string, _ time.Duration) (net.Conn, error) {
	<-l.ready
	s := l.s
	l.touch()
	s.mu.Lock()
	l.giveUpOutdated()
	t, wait := s.route.next()
	s.mu.Unlock()
	if err := sleep(l.ctx, wait); err != nil {
		return nil, err
	}
	k, err := l.attempt(t)
	l.touch()
	if err != nil && l.ctx.Err() == nil {
		s.mu.Lock()
		s.attemptFailed(t.addr, err)
		s.mu.Unlock()
	}
	if err != nil {
		return nil, err
	}
	return k, nil
}

// attempt connects to one target, or resolves it and connects to the first of its addresses.
func (l *line) attempt(t target) (*link, error) {
	s := l.s
	ctx, cancel := context.WithTimeout(l.ctx, s.cfg.AttemptTimeout)
	defer cancel()
	if !t.final {
		ts, err := resolve(ctx, t)
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		s.route.resolved(ts[1:])
		s.mu.Unlock()
		t = ts[0]
	}
	c, err := connect(ctx, &s.cfg, t)
	if err != nil {
		return nil, err
	}
	k := newLink(c, t.addr, &s.cfg, l.watches, func(k *link) { s.up(l, k) }, func(k *link) { l.touch(); s.linkEnded(l, k) })
	l.mu.Lock()
	l.link = k
	l.mu.Unlock()
	if l.givenUp() { // close may have looked for a link just before this one was there
		k.end(ErrClosed)
		return nil, ErrClosed
	}
	return k, nil
}

// giveUpOutdated gives the line up when servers have been turning it away for longer than its session can live. ZooKeeper closes the
// connection of a client that has seen a newer state than it has itself, without a word; after a restore from a backup that would go on for
// ever, since go-zookeeper never forgets what it has seen (ZOOKEEPER-4508). The caller holds Session.mu.
func (l *line) giveUpOutdated() {
	st := &l.s.state
	if l.hadSession && !st.Connected && errors.Is(st.Err, errTurned) && time.Since(st.Since) > st.Timeout {
		l.giveUp(errOutdated)
	}
}

func (l *line) touch() {
	l.mu.Lock()
	l.activity = time.Now()
	l.mu.Unlock()
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

// event is called by go-zookeeper, one event at a time, on goroutines that must not be held up.
func (l *line) event(ev zk.Event) {
	if l.givenUp() {
		return
	}
	l.touch()
	switch ev.Type {
	case zk.EventSession:
		switch ev.State {
		case zk.StateHasSession:
			l.mu.Lock()
			k := l.link
			l.mu.Unlock()
			k.oneReady()
		case zk.StateExpired:
			l.giveUp(errExpired)
		}
	case zk.EventNotWatching: // of watches that go-zookeeper keeps: there are none
	default:
		l.s.nodeEvent(l, ev)
	}
}

// Init, Len, Next and Connected make a line go-zookeeper's HostProvider. The dialler knows the servers; Next only tells go-zookeeper, once
// the line is given up, to look whether it was closed instead of dialling on.
func (l *line) Init([]string) error { return nil }

// Len is one: the line itself.
func (l *line) Len() int { return 1 }

// Next returns a label, and whether go-zookeeper is to stop and look (see Init).
func (l *line) Next() (server string, retryStart bool) {
	return strings.Join(l.s.cfg.Servers, ","), l.givenUp()
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

func hexID(id int64) string { return "0x" + strconv.FormatUint(uint64(id), 16) }
