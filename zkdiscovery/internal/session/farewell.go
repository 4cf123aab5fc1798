package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

const (
	// lastWords is how long the end of a line may take.
	lastWords = time.Second
	// secondTry is when a session that could not be ended over the line's connection is ended over another one.
	secondTry = lastWords * 2 / 5
	// lastAgain is the pause before every address is tried once more.
	lastAgain = 50 * time.Millisecond
	// mostLeaving bounds the connections that wait for a session which nobody wants any more.
	mostLeaving = 4
)

// close ends the session on the server if it can be told, then everything of go-zookeeper's, and returns when that is gone: after lastWords at
// most. Where the Session ends and the line's connection is gone, or silent, the session is ended over another connection.
func (l *line) close() {
	l.giveUp()
	ctx, cancel := context.WithTimeout(context.Background(), lastWords)
	defer cancel()
	told := make(chan struct{}) // closed when zk.Conn.Close has returned: after 1 s without an answer, or as much later as its queue is full
	go func() {
		defer close(told)
		close(l.closing)
		l.conn.Close()
	}()
	k := l.newest()
	if k != nil && !k.established() {
		// The server may be about to make a session: the wish to end it waits behind the handshake.
		k.goodbye(lastWords / 2)
	}
	t := time.NewTimer(secondTry)
	defer t.Stop()
	select {
	case <-told:
	case <-t.C:
	}
	if l.s.ctx.Err() != nil {
		l.endSession(ctx)
	}
	select {
	case <-told:
	case <-ctx.Done():
	}
	if k != nil {
		k.end(ErrClosed)
	}
	<-told
	for range l.closed { // until go-zookeeper closes it, which is what is waited for
	}
}

// endSession ends the line's session over a connection of its own, unless the server has said that it is over. Every address is tried, that
// of the last connection first, and, where nodes may belong to
// the session, again and again until ctx ends: a server may be about to come back.
func (l *line) endSession(ctx context.Context) {
	l.mu.Lock()
	id, password, k := l.id, l.password, l.link
	l.mu.Unlock()
	if id == 0 || l.ended.Load() {
		return
	}
	s := l.s
	at := make(map[string]target)
	addrs := []string{k.target.String()}
	for _, server := range append([]string{k.target.server}, shuffled(s.cfg.Servers)...) {
		t := newTarget(server, s.cfg.Dial != nil)
		if len(t.addrs) == 0 {
			t.addrs = t.withPort(s.names.known(t.host()))
		}
		for _, addr := range t.addrs {
			if _, twice := at[addr]; !twice && addr != addrs[0] {
				addrs = append(addrs, addr)
			}
			at[addr] = t.at(addr)
		}
	}
	at[addrs[0]] = k.target
	for {
		c, _, _, err := race(ctx, addrs, func(ctx context.Context, addr string) (net.Conn, error) {
			c, _, _, err := s.connect(ctx, at[addr], limits{step: lastWords})
			if err != nil {
				return nil, err
			}
			defer context.AfterFunc(ctx, func() { _ = hangUp(c) })()
			if err := endOver(c, id, password); err != nil {
				_ = hangUp(c) // the error is the one that says something
				return nil, err
			}
			return c, nil
		})
		if err == nil {
			_ = hangUp(c) // the server does so, too
			return
		}
		if !l.wrote.Load() || sleep(ctx, lastAgain) != nil {
			s.log.Debug("ZooKeeper session left to its timeout", "session", hexID(id), "err", err)
			return
		}
	}
}

// endOver continues a session on a new connection and ends it. It claims to have seen nothing: so no server hangs up because it is behind.
func endOver(c net.Conn, id int64, password []byte) error {
	hello := be.AppendUint64(make([]byte, 8, 64), 0)
	hello = be.AppendUint32(hello, uint32(lastWords.Milliseconds()))
	hello = sealed(appendString(be.AppendUint64(hello, uint64(id)), password))
	if _, err := c.Write(append(hello, sealed(newFrame(xidGoodbye, opClose))...)); err != nil {
		return err
	}
	frame := make([]byte, 4+longestWelcome)
	if _, err := io.ReadFull(c, frame[:4]); err != nil {
		return err
	}
	size := int(i32(frame))
	if size < shortestWelcome || size > longestWelcome {
		return fmt.Errorf("%w: a frame of %d bytes where a session should be", errForeign, size)
	}
	if _, err := io.ReadFull(c, frame[4:4+size]); err != nil {
		return err
	}
	if i64(frame[4+8:]) == 0 {
		return nil // it has expired
	}
	if _, err := io.ReadFull(c, frame[:4+replyHeader]); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// goodbye asks the server to end the session that this link has or is about to get: the request may stand behind a handshake that is not
// answered yet. It waits for the server to hang up, at most for as long as patience, and ends the link.
func (k *link) goodbye(patience time.Duration) {
	defer k.end(ErrClosed)
	defer time.AfterFunc(patience, func() { k.end(ErrClosed) }).Stop() // wakes a write that is stuck, too
	select {
	case k.out.turn <- struct{}{}:
	case <-k.done:
		return
	}
	greeted := k.out.greeted
	var err error
	if greeted {
		_, err = k.Conn.Write(sealed(newFrame(xidGoodbye, opClose)))
	}
	<-k.out.turn
	if greeted && err == nil {
		<-k.done
	}
}

// takeLeave closes the connection of a link whose handshake has taken too long. If that was to make a new session, the server makes it all the same,
// later, and would keep it for its whole timeout: one more with each attempt. So the request to end it is sent behind the handshake, and the
// connection is closed when the server has hung up, or after a session timeout, or when too many others wait for that already.
func (k *link) takeLeave(c net.Conn) error {
	s := k.line.s
	if !k.out.begins {
		return hangUp(c)
	}
	if s.leaving.Add(1) > mostLeaving {
		s.leaving.Add(-1)
		return hangUp(c)
	}
	s.wg.Go(func() { // k's line is in wg, too
		defer s.leaving.Add(-1)
		hangUpNow := func() { _ = hangUp(c) }
		defer hangUpNow()
		defer context.AfterFunc(s.ctx, hangUpNow)()
		defer time.AfterFunc(min(s.cfg.SessionTimeout, longestSession), hangUpNow).Stop()
		_ = c.SetDeadline(time.Time{}) // that of the handshake is over
		if _, err := c.Write(sealed(newFrame(xidGoodbye, opClose))); err == nil {
			_, _ = io.Copy(io.Discard, c) // until somebody hangs up
		}
	})
	return nil
}
