package session

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// portion is how many bytes of a long answer are a sign of life. Less than that may be answers to pings, which a length that is a lie has made part of
// the frame: an answer that claims a gigabyte and has none would be waited for as long as there are pings.
const portion = 4 << 10

// wire is a link's transport, read with a limit: during the handshake the attempt's, then two thirds of the session timeout for any sign of life. A
// frame may take as long as it needs, while bytes arrive.
type wire struct{ k *link }

func (w wire) Read(p []byte) (int, error) {
	k := w.k
	by := k.handshakeBy
	if k.established() {
		since := time.Now()
		if k.in.taken > 0 {
			since = k.signs.born.Add(time.Duration(k.signs.arrived.Load()))
		}
		by = since.Add(k.sessionTimeout() * 2 / 3)
	}
	_ = k.Conn.SetReadDeadline(by) // a transport without deadlines is the watchdog's
	n, err := k.Conn.Read(p)
	if n > 0 {
		k.live(n)
	}
	return n, err
}

// live notes that n bytes have come.
func (k *link) live(n int) {
	now := int64(time.Since(k.signs.born))
	if !k.in.taking {
		k.signs.arrived.Store(now)
		return
	}
	if k.in.taken += n; k.in.taken >= portion {
		k.in.taken = 0
		k.signs.arrived.Store(now)
		k.signs.progress.Store(now)
	}
}

// Read hands out the server's frames and reads along.
func (k *link) Read(p []byte) (int, error) {
	if k.in.left == 0 {
		if err := k.nextFrame(); err != nil {
			if k.in.greeting && timedOut(err) {
				k.endWith(err, k.takeLeave)
			}
			k.end(err)
			return 0, err
		}
	}
	p = p[:min(len(p), k.in.left)]
	n, err := copy(p, k.in.held), error(nil)
	if k.in.held = k.in.held[n:]; n == 0 {
		n, err = k.in.r.Read(p)
	}
	if err != nil {
		k.end(err)
	}
	if k.in.left -= n; k.in.left == 0 {
		k.in.greeting = false
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
		if k.in.greeting {
			err = k.noteWelcome(size)
		} else {
			own, err = k.noteReply(size)
		}
		if err != nil || !own {
			k.in.left = 4 + size
			return err
		}
		if err := k.takeAnswer(size); err != nil {
			return err
		}
	}
}

func (k *link) peek(n int) ([]byte, error) {
	b, err := k.in.r.Peek(n)
	switch {
	case err == nil:
	case k.in.greeting:
		err = k.handshakeError(err)
	case k.told.Load() != 0:
		err = fmt.Errorf("%w, then: %w", codeError(k.told.Load()), err)
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
		k.line.ended.Store(true)
		return errExpired
	case timeout <= 0 || password < 0 || int(password) > size-welcomeHeader:
		return fmt.Errorf("%w: a session of %d ms with a password of %d bytes", errForeign, timeout, password)
	case k.target.asNew:
		return errOutdated
	}
	k.sessionID.Store(id)
	k.line.hasSession(id, body[welcomeHeader:welcomeHeader+password])
	k.timeout.Store(int64(time.Duration(timeout) * time.Millisecond))
	return k.rewatch()
}

// noteReply reads the head of a reply or of an event, and reports whether it answers a request of the library's own.
func (k *link) noteReply(size int) (own bool, err error) {
	if size < replyHeader {
		return false, fmt.Errorf("%w: a frame of %d bytes", errForeign, size)
	}
	frame, err := k.peek(4 + replyHeader)
	if err != nil {
		return false, err
	}
	body := frame[4:]
	xid, code := i32(body), i32(body[12:])
	if xid != xidPing {
		k.signs.progress.Store(int64(time.Since(k.signs.born)))
	}
	if !ending[code] {
		k.told.Store(0)
	} else {
		k.told.Store(code)
	}
	switch {
	case xid <= xidOwn:
		return true, nil
	case size > k.line.s.cfg.MaxReply:
		return false, k.tooLarge(size)
	case xid >= 0:
		return false, k.answeredTheirs(xid, size, code)
	case xid == xidEvent:
		return false, k.checkEvent(size)
	case xid == xidGoodbye:
		k.line.ended.Store(true)
	case xid == xidPing:
		if at, ok := k.window.pingAnswered(); ok {
			k.signs.heard.Store(int64(at))
		}
	case xid == xidAuth && code != 0:
		return false, fmt.Errorf("%w: %w", ErrAuthRefused, notOfANode("addAuth", codeError(code)))
	case xid == xidAuth:
		k.oneReady()
	case xid == xidSetWatches && code != 0:
		return false, fmt.Errorf("%w: %w", errRewatch, notOfANode("setWatches", codeError(code)))
	case xid == xidSetWatches && k.in.watches > 0:
		k.in.watches--
	default:
		return false, fmt.Errorf("%w: an answer to request %d, which nobody has made", errForeign, xid)
	}
	return false, nil
}

func (k *link) tooLarge(size int) error {
	return fmt.Errorf("%w: %d bytes, limit %d", ErrReplyTooLarge, size, k.line.s.cfg.MaxReply)
}

// takeAnswer takes the answer to a request of the library's own. One over the limit is skipped: only who has asked for it is told.
func (k *link) takeAnswer(size int) error {
	frame, err := k.in.r.Peek(4 + replyHeader)
	if err != nil {
		return err
	}
	xid, zxid, code := i32(frame[4:]), i64(frame[8:]), i32(frame[16:])
	if op := k.window.opOf(xid); code == codeUnknown && (op == opAddWatch || op == opMultiRead || op == opRemove) { // which may be ahead of earlier answers
		k.probing.Store(op)
		return fmt.Errorf("%w: %s", errUnknown, extensionName[op])
	}
	a, ok := k.window.answered(xid, size, code, k.line.watches)
	if !ok {
		return fmt.Errorf("%w: an answer out of turn, to request %d", errForeign, xid)
	}
	k.in.taking = true
	defer func() { k.in.taking, k.in.taken = false, 0 }()
	if size > k.line.s.cfg.MaxReply {
		refusal := k.tooLarge(size)
		if a.n > 1 {
			k.window.halve(a.n)
			refusal = errHalved
		}
		if err := a.answer(refusal, nil); err != nil {
			return err
		}
		if _, err := k.in.r.Discard(4 + size); err != nil {
			return fmt.Errorf("%w, and does not come: %w", k.tooLarge(size), err)
		}
		return nil
	}
	frame, err = k.whole(4 + size)
	if err != nil {
		return err
	}
	if k.in.watches == 0 { // else the watches have not told yet what was before this answer. Should this link end now, the next one must have them tell it
		k.line.hasSeen(zxid)
	}
	return a.answer(codeError(code), frame[4+replyHeader:])
}

// answer hands the answer on, if anybody has asked.
func (a *asked) answer(refusal error, body []byte) error {
	switch {
	case a.x == nil:
		return nil
	case a.op != opMultiRead:
		return a.x.answer(a.i, refusal, body)
	case refusal != nil:
		return a.x.answer(a.i, notOfANode("multiRead", refusal), nil)
	}
	return a.takeParts(body)
}

// takeParts takes the answer to a multiRead apart, which has as many parts as it was asked for.
func (a *asked) takeParts(b []byte) error {
	for i := 0; ; i++ {
		done, code, body, rest, err := nextOfMulti(b)
		switch {
		case err != nil:
			return err
		case done && i == a.n:
			return nil
		case done || i == a.n:
			return fmt.Errorf("%w: a multiRead of %d with other than so many answers", errForeign, a.n)
		}
		if err := a.x.answer(a.i+i, codeError(code), body); err != nil {
			return err
		}
		b = rest
	}
}

// whole takes a frame. What it returns is good until the next read.
func (k *link) whole(n int) ([]byte, error) {
	if n > k.in.r.Size() {
		k.in.large = k.in.large[:0]
		for have := 0; have < n; have = len(k.in.large) {
			piece := min(n-have, max(have, k.in.r.Size())) // what is announced may never come
			k.in.large = slices.Grow(k.in.large, piece)[:have+piece]
			if _, err := io.ReadFull(k.in.r, k.in.large[have:]); err != nil {
				return nil, err
			}
		}
		return k.in.large, nil
	}
	frame, err := k.in.r.Peek(n)
	if err == nil {
		_, err = k.in.r.Discard(n)
	}
	return frame, err
}
