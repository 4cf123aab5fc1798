package session

import (
	"fmt"
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

// nextFrame looks at the head of a frame without taking it: what it says is noted before anybody can act on it.
func (k *link) nextFrame() error {
	head, err := k.peek(4)
	if err != nil {
		return err
	}
	size := int(int32(be.Uint32(head)))
	if k.greeting {
		err = k.noteWelcome(size)
	} else {
		err = k.noteReply(size)
	}
	k.left = 4 + size
	return err
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
	timeout, id, password := int32(be.Uint32(body[4:])), int64(be.Uint64(body[8:])), int32(be.Uint32(body[16:]))
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

// noteReply reads the head of a reply or of an event.
func (k *link) noteReply(size int) error {
	switch {
	case size < replyHeader:
		return fmt.Errorf("%w: a frame of %d bytes", errForeign, size)
	case size > k.line.s.cfg.MaxReply:
		return fmt.Errorf("%w: %d bytes, limit %d", ErrReplyTooLarge, size, k.line.s.cfg.MaxReply)
	}
	frame, err := k.peek(4 + replyHeader)
	if err != nil {
		return err
	}
	body := frame[4:]
	xid, code := int32(be.Uint32(body)), int32(be.Uint32(body[12:]))
	switch {
	case xid == xidPing:
		k.notePing()
	case xid == xidAuth && code != 0:
		return fmt.Errorf("%w (code %d)", ErrAuthRefused, code)
	case xid == xidAuth:
		k.oneReady()
	case xid == xidSetWatches && code != 0:
		return fmt.Errorf("%w (code %d)", errRewatch, code)
	case xid >= 0:
		k.noteWatch(xid, code)
	}
	return nil
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

// noteWatch notes the watch that a request has left, before anybody can learn of the answer, and so before an event of that watch, or the
// next link, can come. A read that fails leaves none, but for exists, which waits for a node that is missing; if it is there, the server has
// left a data watch, which is not counted: its event is one more hint.
func (k *link) noteWatch(xid, code int32) {
	k.askMu.Lock()
	key, ok := k.asked[xid]
	delete(k.asked, xid)
	k.askMu.Unlock()
	if ok && (key.kind == existWatch && code == codeNoNode || key.kind != existWatch && code == 0) {
		k.line.watches.placed(key)
	}
}
