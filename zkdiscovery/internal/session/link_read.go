package session

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// Read hands out the server's frames and reads along.
func (k *link) Read(p []byte) (int, error) {
	if k.left == 0 {
		if err := k.nextFrame(); err != nil {
			k.end(err)
			return 0, err
		}
	}
	n, err := k.r.Read(p[:min(len(p), k.left)])
	if err != nil {
		k.end(err)
	}
	if k.left -= n; k.left == 0 {
		k.greeting = false
	}
	return n, err
}

// nextFrame looks at the head of go-zookeeper's next frame without taking it: what it says is noted before anybody can act on it. The answers
// before it which are not go-zookeeper's are taken.
func (k *link) nextFrame() error {
	for {
		head, err := k.peek(4)
		if err != nil {
			return err
		}
		size, own := int(i32(head)), false
		if k.greeting {
			err = k.noteWelcome(size)
		} else {
			own, err = k.noteReply(size)
		}
		if err != nil || !own {
			k.left = 4 + size
			return err
		}
		if err := k.takeAnswer(size); err != nil {
			return err
		}
	}
}

func (k *link) peek(n int) ([]byte, error) {
	b, err := k.r.Peek(n)
	if err != nil && k.greeting {
		err = handshakeError(err)
	}
	return b, err
}

// noteWelcome reads a ConnectResponse: version 4, timeout in milliseconds 4, session id 8, password. Id 0 says that the session has expired.
func (k *link) noteWelcome(size int) error {
	if size < shortestWelcome || size > longestWelcome {
		return fmt.Errorf("%w: a frame of %d bytes where a session should be", errForeign, size)
	}
	frame, err := k.peek(4 + size)
	if err != nil {
		return err
	}
	body := frame[4:]
	timeout, id, password := i32(body[4:]), i64(body[8:]), i32(body[16:])
	switch {
	case id == 0:
		return errExpired
	case timeout <= 0 || password < 0 || int(password) > size-welcomeHeader:
		return fmt.Errorf("%w: a session of %d ms with a password of %d bytes", errForeign, timeout, password)
	case k.target.asNew:
		return errOutdated
	}
	k.sessionID.Store(id)
	k.timeout.Store(int64(time.Duration(timeout) * time.Millisecond))
	return k.rewatch()
}

// noteReply reads the head of a reply or of an event, and reports whether it answers a request of the library's own.
func (k *link) noteReply(size int) (own bool, err error) {
	switch {
	case size < replyHeader:
		return false, fmt.Errorf("%w: a frame of %d bytes", errForeign, size)
	case size > k.line.s.cfg.MaxReply:
		return false, fmt.Errorf("%w: %d bytes, limit %d", ErrReplyTooLarge, size, k.line.s.cfg.MaxReply)
	}
	frame, err := k.peek(4 + replyHeader)
	if err != nil {
		return false, err
	}
	body := frame[4:]
	xid, code := i32(body), i32(body[12:])
	switch {
	case xid <= xidOwn:
		return true, nil
	case xid == xidPing:
		k.notePing()
	case xid == xidAuth && code != 0:
		return false, fmt.Errorf("%w (code %d)", ErrAuthRefused, code)
	case xid == xidAuth:
		k.oneReady()
	case xid == xidSetWatches && code != 0:
		return false, fmt.Errorf("%w (code %d)", errRewatch, code)
	}
	return false, nil
}

// notePing takes an answered ping for proof of the moment at which it was sent. Several may be under way.
func (k *link) notePing() {
	k.askMu.Lock()
	defer k.askMu.Unlock()
	if len(k.pings) > 0 {
		k.heard.Store(int64(k.pings[0]))
		k.pings = k.pings[1:]
	}
}

// takeAnswer takes the answer to a request of the library's own.
func (k *link) takeAnswer(size int) error {
	frame, err := k.whole(4 + size)
	if err != nil {
		return err
	}
	// As go-zookeeper, which waits for a frame of its own, would have it at every frame.
	_ = k.Conn.SetReadDeadline(time.Now().Add(k.sessionTimeout() * 2 / 3)) // it has been set before, and reading tells
	xid, zxid, code := i32(frame[4:]), i64(frame[8:]), i32(frame[16:])
	a, ok := k.oldest(xid)
	if !ok {
		return fmt.Errorf("%w: an answer out of turn, to request %d", errForeign, xid)
	}
	k.line.hasSeen(zxid)
	k.noteWatch(&a, code)
	return a.x.answer(a.i, code, frame[4+replyHeader:])
}

// whole takes a frame. What it returns is good until the next read.
func (k *link) whole(n int) ([]byte, error) {
	if n > k.r.Size() {
		k.large = slices.Grow(k.large[:0], n)[:n]
		_, err := io.ReadFull(k.r, k.large)
		return k.large, err
	}
	frame, err := k.r.Peek(n)
	if err == nil {
		_, err = k.r.Discard(n)
	}
	return frame, err
}

// oldest takes the request that was sent first of those under way, which is the one that is answered next, since ZooKeeper keeps the order.
func (k *link) oldest(xid int32) (asked, bool) {
	k.askMu.Lock()
	defer k.askMu.Unlock()
	if len(k.asked) == 0 || k.asked[0].xid != xid {
		return asked{}, false
	}
	a := k.asked[0]
	k.asked[0] = asked{}
	k.asked = k.asked[1:]
	return a, true
}

// noteWatch notes the watch that a request has left, before anybody can learn of the answer, and so before an event of that watch, or the
// next link, can come. A read that fails leaves none, but for exists, which waits for a node that is missing; if it is there, the server has
// left a data watch, which is not counted: its event is one more hint.
func (k *link) noteWatch(a *asked, code int32) {
	kind := watchOf(a.op)
	if a.watch && (kind == existWatch && code == codeNoNode || kind != existWatch && code == 0) {
		k.line.watches.placed(watchKey{a.path, kind})
	}
}
