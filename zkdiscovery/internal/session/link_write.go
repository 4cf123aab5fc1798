package session

import "time"

// pingEvery is how rarely a connection may be used. Balancers and NATs cut those that are idle for 60 s; ZooKeeper's Java client pings every 10 s
// at most, go-zookeeper every third of the session timeout.
const pingEvery = 10 * time.Second

// Write sends one frame of go-zookeeper's, with what it lacks. A link that cannot be written to is ended. From then on that the line is given
// up, go-zookeeper learns of it by reading only: told by a write as well, it would answer a request three times (Conn.sendData, flushRequests,
// and queueRequest for Close), and the third time hang for ever, since there is room for two.
func (k *link) Write(b []byte) (int, error) {
	err := k.send(b)
	if err == nil {
		return len(b), nil
	}
	if !k.established() {
		err = k.handshakeError(err)
	}
	k.end(err)
	if k.line.givenUp() {
		return len(b), nil
	}
	return 0, err
}

func (k *link) send(b []byte) error {
	k.out.turn <- struct{}{}
	defer func() { <-k.out.turn }()
	frame := b
	switch {
	case !k.out.greeted:
		k.out.greeted = true
		frame = k.greet(b)
	case len(b) < 12: // nothing of go-zookeeper's
	case i32(b[4:]) == xidPing:
		k.window.pinged(time.Since(k.signs.born))
	case i32(b[4:]) >= 0: // credentials and watches that are set again have numbers of their own, which are answered for elsewhere
		k.theirs.ask(i32(b[4:]), i32(b[8:]))
	}
	_, err := k.Conn.Write(frame)
	return err
}

// sendOwn sends the library's own requests until the link ends, and pings where go-zookeeper's are too rare: its first would come after a third of
// the session timeout, too late where an answer takes another third and nothing else is asked.
func (k *link) sendOwn() {
	if err := k.ping(); err != nil {
		k.end(err)
		return
	}
	var due <-chan time.Time
	if k.sessionTimeout()/3 > pingEvery {
		t := time.NewTicker(pingEvery)
		defer t.Stop()
		due = t.C
	}
	for {
		k.tidy()
		more, err := k.sendNext()
		for more && err == nil {
			more, err = k.sendNext()
		}
		if err != nil {
			k.end(err)
			return
		}
		select {
		case <-k.window.wake:
		case <-due:
			if err := k.ping(); err != nil {
				k.end(err)
				return
			}
		case <-k.done:
			return
		}
	}
}

// A server before 3.5 does not know how to remove watches, and hangs up. So it is asked first for a node that 3.5 and later have.
const (
	removesUnknown = iota
	removesAsked
	removesWatches
	removesNothing
)

const configNode = "/zookeeper/config" // under no chroot

// tidy finds out whether the server can remove watches, once there are some to be removed. Where it cannot, they stay until the connection ends.
func (k *link) tidy() {
	ws := k.line.watches
	if !ws.anyReleased() {
		return
	}
	switch k.removes.Load() {
	case removesUnknown:
		k.removes.Store(removesAsked)
		k.window.add(&exchange{
			op: opExists, n: 1, path: func(int) string { return configNode }, done: make(chan struct{}),
			take: func(_ int, refusal error, _ []byte) error {
				if refusal == nil {
					k.removes.Store(removesWatches)
				} else {
					k.removes.Store(removesNothing)
				}
				k.window.poke()
				return nil
			},
		})
	case removesNothing:
		ws.keepReleased()
	}
}

func (k *link) ping() error { return k.send(sealed(newFrame(xidPing, opPing))) }

// sendNext sends what there is room for, in one write, and reports whether that was anything.
func (k *link) sendNext() (sent bool, err error) {
	select {
	case k.out.turn <- struct{}{}:
	case <-k.done:
		return false, k.cause
	}
	defer func() { <-k.out.turn }()
	k.out.scratch = k.window.next(k.out.scratch[:0], k.line.watches, k.removes.Load() == removesWatches)
	if len(k.out.scratch) == 0 {
		return false, nil
	}
	_, err = k.Conn.Write(k.out.scratch)
	return true, err
}

// greet puts the credentials behind the ConnectRequest (length 4, version 4, lastZxidSeen 8, timeout 4, session id 8, …), as ZooKeeper's own client does: the server
// looks at them first thing in the session, so that no request runs without them. Behind them is what is asked first: ZooKeeper reads no further than the
// ConnectRequest before it has answered that. What the session has seen is also in answers that go-zookeeper
// does not get. See target.asNew for what is hidden.
func (k *link) greet(b []byte) []byte {
	const lastZxidSeen, sessionID = 8, 20
	k.signs.heard.Store(int64(time.Since(k.signs.born)))
	frame := append(k.out.scratch[:0], b...)
	k.out.begins = i64(frame[sessionID:]) == 0
	k.out.seen = k.line.hasSeen(i64(frame[lastZxidSeen:]))
	if k.target.asNew {
		be.PutUint64(frame[lastZxidSeen:], 0)
		return frame
	}
	be.PutUint64(frame[lastZxidSeen:], uint64(k.out.seen))
	for _, a := range k.auth {
		frame = append(frame, authFrame(a)...)
	}
	return k.window.next(frame, k.line.watches, false)
}

// rewatch sets the watches again that the session had when its last link ended, at the zxid that it had seen then. The reading goroutine
// does that before go-zookeeper learns of the session, so that ahead of the first answer comes what has changed meanwhile. Where the server has
// watches that stay, those are left instead, by the lists that come first.
func (k *link) rewatch() error {
	k.out.turn <- struct{}{}
	defer func() { <-k.out.turn }()
	if k.line.s.forgetsWatches(k) {
		k.line.watches.clear()
		return nil
	}
	for _, frame := range k.line.watches.setWatches(k.out.seen) {
		k.rewatched = true
		k.in.watches++
		if _, err := k.Conn.Write(frame); err != nil {
			return err
		}
	}
	return nil
}
