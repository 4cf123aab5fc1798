package session

import (
	"bufio"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// link is one connection to one server, as go-zookeeper sees it: it reads along, adds what go-zookeeper lacks, and sends and takes out what is
// none of its business. One goroutine, go-zookeeper's, reads; each of its writes is one frame.
type link struct {
	net.Conn    // the transport
	line        *line
	target      target
	handshakeBy time.Time
	auth        []Auth
	done        chan struct{} // closed by end

	unready   atomic.Int32 // what is missing before requests can be made: go-zookeeper's HasSession, and an answer per pair of credentials
	timeout   atomic.Int64 // negotiated, nanoseconds; 0 before the handshake has ended
	sessionID atomic.Int64
	removes   atomic.Int32 // whether the server removes watches
	probing   atomic.Int32 // the request of which it is not known whether the server knows it, 0 for none
	told      atomic.Int32 // the code of the last reply, if it says why the server is about to hang up
	extension Extension    // under Session.mu
	first     *exchange    // what the handshake asks besides, nil for nothing; noted before anything is sent
	rewatched bool         // watches were set again; noted before k is ready

	signs  signs
	in     inbound
	out    outbound
	window window
	theirs theirs

	endOnce sync.Once
	cause   error // why it ended; read after done is closed
}

// signs is when a link showed that its server lives, in nanoseconds after it was born.
type signs struct {
	born     time.Time
	heard    atomic.Int64 // when the newest request of those was sent whose answer proves something
	arrived  atomic.Int64 // when bytes came last
	progress atomic.Int64 // when bytes came last that were not an answer to a ping
}

// inbound is the reading goroutine's own.
type inbound struct {
	r        *bufio.Reader // of the wire
	left     int           // bytes of the current frame, which is go-zookeeper's, not read yet
	greeting bool          // that frame, or the next, is the ConnectResponse
	watches  int           // so many requests that set watches again are not answered
	taking   bool          // an answer to one of the library's own requests is being read …
	taken    int           // … of which so many bytes have come since the last sign of life
	large    []byte        // for an answer that r has no room for, of MaxReply at most
	held     []byte        // what was taken of go-zookeeper's frame already
}

// outbound belongs to whoever writes.
type outbound struct {
	turn    chan struct{} // room for one: who writes has put a token there, and owns what follows. Waiting for it can be given up
	greeted bool          // the ConnectRequest was sent …
	begins  bool          // … and asks for a new session
	seen    int64         // the newest zxid that the session had seen by then: its watches are set again from there
	scratch []byte        // for frames that are not go-zookeeper's as they are
}

// newLink makes a link of a transport on which nothing has been sent yet. The handshake may take as long as patience.
func newLink(l *line, c net.Conn, t target, patience time.Duration) *link {
	k := &link{
		Conn: c, line: l, target: t, handshakeBy: time.Now().Add(patience), done: make(chan struct{}), auth: l.auth,
		signs: signs{born: time.Now()}, in: inbound{greeting: true}, out: outbound{turn: make(chan struct{}, 1)}, window: newWindow(),
	}
	k.in.r = bufio.NewReaderSize(wire{k}, 32<<10)
	k.unready.Store(int32(1 + len(k.auth)))
	return k
}

// oneReady counts what was missing before requests can be made.
func (k *link) oneReady() {
	if k.unready.Add(-1) == 0 {
		k.line.s.ready(k.line, k)
	}
}

// established reports that the handshake gave a session.
func (k *link) established() bool { return k.timeout.Load() > 0 }

func (k *link) sessionTimeout() time.Duration { return time.Duration(k.timeout.Load()) }

// heardAt is when the newest request was sent that was answered, of those that prove something: the handshake and pings. ZooKeeper answers in
// order, so that everything which happened before that moment was told before the answer.
//
// It is reckoned back from now, so that its date is right by today's clock and not by that of when the link began: a machine without a clock of its
// own begins in 1970, and is set right later.
func (k *link) heardAt() time.Time {
	now := time.Now()
	return now.Add(time.Duration(k.signs.heard.Load()) - now.Sub(k.signs.born))
}

// silentFor is how long nothing has come. While credentials are not accepted nothing counts: answers to pings are worth nothing then.
func (k *link) silentFor() time.Duration {
	age := time.Since(k.signs.born)
	if k.unready.Load() > 0 {
		return age
	}
	return age - time.Duration(k.signs.arrived.Load())
}

// idleSince is how long nothing has come but answers to pings, the time since begun at most.
func (k *link) idleSince(begun time.Time) time.Duration {
	return min(time.Since(begun), time.Since(k.signs.born)-time.Duration(k.signs.progress.Load()))
}

// end closes the connection and notes why, the first time.
func (k *link) end(cause error) { k.endWith(cause, hangUp) }

// endWith is end with another way to close the connection.
func (k *link) endWith(cause error, hangUp func(net.Conn) error) {
	k.endOnce.Do(func() {
		k.cause = cause
		close(k.done)
		_ = hangUp(k.Conn) // it may be broken already: that is why it ends
		k.line.s.linkEnded(k.line, k)
	})
}

func isDone(k *link) bool {
	select {
	case <-k.done:
		return true
	default:
		return false
	}
}

// Close ends the link. go-zookeeper calls it when the link has ended, or when it could not read a reply.
func (k *link) Close() error {
	k.end(errDropped)
	return nil
}

// SetReadDeadline does nothing: go-zookeeper would have a whole frame within two thirds of the session timeout, however long it is. wire has
// deadlines of its own.
func (k *link) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline is go-zookeeper's wish, bounded during the handshake as reading is.
func (k *link) SetWriteDeadline(t time.Time) error {
	if !k.established() && !t.IsZero() {
		t = k.handshakeBy
	}
	return k.Conn.SetWriteDeadline(t)
}

// handshakeError says what it means that the transport ended before ZooKeeper answered.
func (k *link) handshakeError(err error) error {
	if timedOut(err) {
		return fmt.Errorf("handshake: no answer within %v: %w", k.handshakeBy.Sub(k.signs.born).Round(time.Millisecond), err)
	}
	return fmt.Errorf("%w: %w", errTurned, err)
}
