package session

import (
	"context"
	"io"
	"net"
	"time"
)

// goodbye asks the server to end the session that this link has or is about to get: the request may stand behind a handshake that is not
// answered yet. It waits for the server to hang up, at most for as long as patience, and ends the link.
func (k *link) goodbye(patience time.Duration) {
	defer k.end(ErrClosed)
	defer time.AfterFunc(patience, func() { k.end(ErrClosed) }).Stop() // wakes a write that is stuck, too
	select {
	case k.writing <- struct{}{}:
	case <-k.done:
		return
	}
	greeted := k.greeted
	var err error
	if greeted {
		_, err = k.Conn.Write(sealed(newFrame(xidGoodbye, opClose)))
	}
	<-k.writing
	if greeted && err == nil {
		<-k.done
	}
}

// mostLeaving bounds the connections that wait for a session which nobody wants any more.
const mostLeaving = 4

// takeLeave closes the connection of a link whose handshake has taken too long. If that was to make a new session, the server makes it all the same,
// later, and would keep it for its whole timeout: one more with each attempt. So the request to end it is sent behind the handshake, and the
// connection is closed when the server has hung up, or after a session timeout, or when too many others wait for that already.
func (k *link) takeLeave(c net.Conn) error {
	s := k.line.s
	if !k.begins {
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
