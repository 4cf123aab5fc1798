package session

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Frames of ZooKeeper's protocol, as far as a link reads along (org.apache.zookeeper.proto, zookeeper.jute): each is a 4-byte big-endian
// length and a body. The first of each direction is ConnectRequest and ConnectResponse; every later one starts with a header, xid and opcode
// (4 bytes each) in a request, xid, zxid and error (4, 8, 4) in a reply.
const (
	xidPing       = -2
	xidAuth       = -4 // this and the next are those of ZooKeeper's own client
	xidSetWatches = -8
	opExists      = 3
	opGetData     = 4
	opChildren2   = 12
	opAuth        = 100
	opSetWatches  = 101
	opClose       = -11
	codeNoNode    = -101
	replyHeader   = 16 // also the part of ConnectResponse that is read: version, timeout, session id
)

// link is one connection to one server, as go-zookeeper sees it. The goroutine that reads owns the reading state; writes are one frame each.
type link struct {
	net.Conn
	server      string
	auth        []Auth
	watches     *watches
	maxReply    int
	handshakeBy time.Time
	born        time.Time
	ready       func(*link)   // called once, by the reading goroutine, when requests can be made
	ended       func(*link)   // called once, by whoever noticed that the link has ended
	done        chan struct{} // closed by end, before ended is called

	r         *bufio.Reader
	left      int          // bytes of the current frame not read yet
	greeting  bool         // that frame is the ConnectResponse
	unready   atomic.Int32 // what is missing before ready: go-zookeeper\'s HasSession, and an answer per pair of credentials
	writeMu   sync.Mutex
	greeted   bool // the ConnectRequest was sent
	askMu     sync.Mutex
	asked     map[int32]watchKey // requests under way that are to leave a watch, by xid
	pingSent  atomic.Int64
	heard     atomic.Int64 // unix nanoseconds: when the newest answered ping was sent; the handshake's end before the first
	timeout   atomic.Int64 // negotiated session timeout, nanoseconds; 0 before the handshake ended
	sessionID atomic.Int64

	endOnce sync.Once
	cause   error // why it ended; read after done is closed
}

func newLink(c net.Conn, server string, cfg *Config, w *watches, ready, ended func(*link)) *link {
	l := &link{
		Conn: c, server: server, auth: cfg.Auth, watches: w, asked: make(map[int32]watchKey), maxReply: cfg.MaxReply, ready: ready, ended: ended,
		born: time.Now(), handshakeBy: time.Now().Add(cfg.AttemptTimeout),
		r: bufio.NewReaderSize(c, 32<<10), greeting: true, done: make(chan struct{}),
	}
	l.unready.Store(int32(1 + len(cfg.Auth)))
	return l
}

// oneReady counts what was missing before requests can be made.
func (l *link) oneReady() {
	if l.unready.Add(-1) == 0 {
		l.ready(l)
	}
}

// established reports that the handshake gave a session.
func (l *link) established() bool { return l.timeout.Load() > 0 }

// end closes the connection and notes why, the first time.
func (l *link) end(cause error) {
	l.endOnce.Do(func() {
		l.cause = cause
		close(l.done)
		_ = l.Conn.Close() // it may be broken already: that is why it ends
		l.ended(l)
	})
}

// Close ends the link: go-zookeeper calls it, also after an error that the link has seen and noted already.
func (l *link) Close() error {
	l.end(io.EOF)
	return nil
}

// Write sends one frame of go-zookeeper's, with what it lacks.
func (l *link) Write(b []byte) (int, error) {
	l.writeMu.Lock()
	defer l.writeMu.Unlock()
	frame := b
	switch {
	case !l.greeted:
		l.greeted = true
		frame = l.greet(b)
	case len(b) >= 12 && int32(binary.BigEndian.Uint32(b[4:])) == xidPing:
		l.pingSent.Store(time.Now().UnixNano())
	default:
		frame = l.withWatch(b)
	}
	if _, err := l.Conn.Write(frame); err != nil {
		l.end(err)
		return 0, err
	}
	return len(b), nil
}

// greet puts behind the ConnectRequest (version 4, lastZxidSeen 8, …) what ZooKeeper's own client puts there: the credentials, then the
// watches that the session had when its last link ended. The server handles both first thing in the session: no request runs without the
// credentials, and what changed during the cut is told before any request is answered. The zxid of the handshake is the one that the
// watches were left at.
func (l *link) greet(b []byte) []byte {
	frame := slices.Clone(b)
	for _, a := range l.auth {
		frame = appendAuth(frame, a)
	}
	if len(b) < 16 {
		return frame
	}
	return l.watches.appendSetWatches(frame, int64(binary.BigEndian.Uint64(b[8:])))
}

// withWatch sets the watch flag, the last byte, of a read (xid, opcode, path, flag) that is to leave a watch. The library keeps its watches
// itself and uses go-zookeeper's reads without: go-zookeeper sets its own watches again behind the first requests of a new connection, at a
// zxid that their answers may have moved (a data race, and lost changes), and a failure of that is only logged.
func (l *link) withWatch(b []byte) []byte {
	key, ok := readOf(b)
	if !ok || !l.watches.wanted(key) {
		return b
	}
	l.askMu.Lock()
	l.asked[int32(binary.BigEndian.Uint32(b[4:]))] = key
	l.askMu.Unlock()
	frame := slices.Clone(b)
	frame[len(frame)-1] = 1
	return frame
}

// readOf returns which watch the request in a frame could leave.
func readOf(b []byte) (watchKey, bool) {
	if len(b) < 17 {
		return watchKey{}, false
	}
	var kind watchKind
	switch binary.BigEndian.Uint32(b[8:]) {
	case opExists:
		kind = existWatch
	case opGetData:
		kind = dataWatch
	case opChildren2:
		kind = childWatch
	default:
		return watchKey{}, false
	}
	size := int(binary.BigEndian.Uint32(b[12:]))
	if len(b) != 16+size+1 {
		return watchKey{}, false
	}
	return watchKey{string(b[16 : 16+size]), kind}, true
}

// noteReply notes the watch that a request has left, before anybody can learn of the answer, and so before an event of that watch, or the next
// link, can come. A read that fails leaves none, but for exists, which waits for a node that is missing; if it is there, the server has left
// a data watch, which is not counted: its event is one more hint.
func (l *link) noteReply(xid, code int32) {
	l.askMu.Lock()
	key, ok := l.asked[xid]
	delete(l.asked, xid)
	l.askMu.Unlock()
	if ok && (key.kind == existWatch && code == codeNoNode || key.kind != existWatch && code == 0) {
		l.watches.placed(key)
	}
}

// appendAuth appends a request header and an AuthPacket: type, scheme, credentials.
func appendAuth(f []byte, a Auth) []byte {
	be := binary.BigEndian
	xid := int32(xidAuth)
	f = be.AppendUint32(f, uint32(8+4+4+len(a.Scheme)+4+len(a.Credentials)))
	f = be.AppendUint32(f, uint32(xid))
	f = be.AppendUint32(f, opAuth)
	f = be.AppendUint32(f, 0)
	f = be.AppendUint32(f, uint32(len(a.Scheme)))
	f = append(f, a.Scheme...)
	f = be.AppendUint32(f, uint32(len(a.Credentials)))
	return append(f, a.Credentials...)
}

// goodbye asks the server to end the session that this link is about to get or has: the request may stand behind a handshake that is not
// answered yet. It waits for the server to hang up, at most for d.
func (l *link) goodbye(d time.Duration) {
	_ = l.Conn.SetWriteDeadline(time.Now().Add(d)) // without it, the wait below is the bound
	l.writeMu.Lock()
	defer l.writeMu.Unlock()
	if !l.greeted {
		return
	}
	be := binary.BigEndian
	op := int32(opClose)
	f := be.AppendUint32(be.AppendUint32(be.AppendUint32(nil, 8), 1), uint32(op))
	if _, err := l.Conn.Write(f); err != nil {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-l.done:
	case <-t.C:
	}
}

// Read hands out the server's frames and reads along.
func (l *link) Read(p []byte) (int, error) {
	if l.left == 0 {
		if err := l.nextFrame(); err != nil {
			l.end(err)
			return 0, err
		}
	}
	n, err := l.r.Read(p[:min(len(p), l.left)])
	l.left -= n
	if err != nil {
		l.end(err)
		return n, err
	}
	if l.left == 0 && l.greeting {
		l.greeting = false
		err = l.Conn.SetReadDeadline(time.Time{})
	}
	return n, err
}

// nextFrame looks at the head of a frame without taking it.
func (l *link) nextFrame() error {
	head, err := l.r.Peek(4)
	if err != nil {
		if l.greeting && (errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed)) {
			return errTurned
		}
		return err
	}
	size := int(int32(binary.BigEndian.Uint32(head)))
	if size < replyHeader || size > l.maxReply {
		if size < replyHeader {
			return fmt.Errorf("frame of %d bytes from %s: not ZooKeeper's protocol", size, l.server)
		}
		return fmt.Errorf("%w: %d bytes, limit %d", ErrReplyTooLarge, size, l.maxReply)
	}
	head, err = l.r.Peek(4 + replyHeader)
	if err != nil {
		return err
	}
	l.left = 4 + size
	body := head[4:]
	if l.greeting {
		l.noteGreeting(body)
		return nil
	}
	code := int32(binary.BigEndian.Uint32(body[12:]))
	switch xid := int32(binary.BigEndian.Uint32(body)); xid {
	case xidPing:
		l.heard.Store(l.pingSent.Load())
	case xidAuth:
		if code != 0 {
			return fmt.Errorf("%w (code %d)", ErrAuthRefused, code)
		}
		l.oneReady()
	case xidSetWatches:
		if code != 0 {
			return fmt.Errorf("%w (code %d)", errRewatch, code)
		}
	default:
		l.noteReply(xid, code)
	}
	return nil
}

// noteGreeting reads a ConnectResponse: version 4, timeout in milliseconds 4, session id 8. Id 0 says that the session has expired.
func (l *link) noteGreeting(body []byte) {
	be := binary.BigEndian
	id := int64(be.Uint64(body[8:]))
	if id == 0 {
		return
	}
	l.sessionID.Store(id)
	l.heard.Store(time.Now().UnixNano())
	l.timeout.Store(int64(time.Duration(be.Uint32(body[4:])) * time.Millisecond))
}

// SetReadDeadline is go-zookeeper's wish; during the handshake, for which it would wait ten times as long as for a ping and whose body it
// would await for ever, the attempt's own limit stands.
func (l *link) SetReadDeadline(t time.Time) error {
	if l.greeting {
		t = l.handshakeBy
	}
	return l.Conn.SetReadDeadline(t)
}

// SetWriteDeadline is go-zookeeper's wish, bounded during the handshake as reading is.
func (l *link) SetWriteDeadline(t time.Time) error {
	if !l.established() && !t.IsZero() {
		t = l.handshakeBy
	}
	return l.Conn.SetWriteDeadline(t)
}
