package session

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// pipelined is how many requests of one exchange are under way at once.
const pipelined = 128

// exchange is some reads of the same kind and their answers. The link sends them itself and takes the answers apart, past go-zookeeper, which
// would hand each from goroutine to goroutine, write it on its own and decode it by reflection, with two allocations per name of a list. They
// are bound to the link: what is not answered when it ends is never sent on another.
type exchange struct {
	op    int32
	sync  bool // request 0 is a sync instead: ZooKeeper answers a session's requests in order, those behind it by what the leader knew then
	n     int
	path  func(i int) string // with the chroot
	watch bool               // each leaves a watch where none is outstanding
	// take takes the answer to request i, on the link's reading goroutine: refusal, or a body that is only lent. Its error ends the exchange,
	// and, if it is errForeign, the link.
	take func(i int, refusal error, body []byte) error

	begun     time.Time
	answered  atomic.Int64  // so many answers have come …
	heard     atomic.Int64  // … the newest of them so many nanoseconds after begun
	room      chan struct{} // one token: some were answered, more can be sent. The reading goroutine sends
	abandoned chan struct{} // closed by the one who has asked, who does not wait any more

	err  error         // the reading goroutine's until done is closed
	over bool          // the reading goroutine's own: done is closed
	done chan struct{} // closed by the reading goroutine after the last answer, or with err
}

// opOf is what request i asks.
func (x *exchange) opOf(i int) int32 {
	if x.sync && i == 0 {
		return opSync
	}
	return x.op
}

// exchange makes the requests of x on the link that is connected, and returns when all were answered, or with an error when that link or ctx
// ends first, or when the session timeout passes without an answer: then the link is broken, since a server that answers pings but not requests
// is no use. The timeout is each request's: many may take longer.
func (s *Session) exchange(ctx context.Context, x *exchange) error {
	s.mu.Lock()
	if s.state.Closed {
		s.mu.Unlock()
		return ErrClosed
	}
	if !s.state.Connected {
		err := because(ErrNotConnected, s.state.Err)
		s.mu.Unlock()
		return err
	}
	if x.n == 0 {
		s.mu.Unlock()
		return nil
	}
	k, limit := s.link, s.state.Timeout
	x.begun = time.Now()
	x.room, x.done, x.abandoned = make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
	defer close(x.abandoned)
	s.wg.Go(func() { x.send(k) }) // a write may take as long as the link lasts
	s.mu.Unlock()

	t := time.NewTimer(limit)
	defer t.Stop()
	for {
		select {
		case <-x.done:
			if sessionGone(x.err) {
				k.end(x.err) // or it would be asked again and again
			}
			return requestError(x.err, s.lossOf(k))
		case <-k.done:
			return because(ErrLost, k.cause)
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
			if idle := time.Since(x.begun) - time.Duration(x.heard.Load()); idle < limit {
				t.Reset(limit - idle)
				continue
			}
			k.end(errRequest)
			return because(ErrLost, errRequest)
		}
	}
}

// send sends the requests, as many as there is room for in one write.
func (x *exchange) send(k *link) {
	for sent := 0; ; {
		upTo := min(x.n, int(x.answered.Load())+pipelined)
		if err := k.ask(x, sent, upTo); err != nil {
			k.end(err)
			return
		}
		if sent = upTo; sent == x.n {
			return
		}
		select {
		case <-x.room:
		case <-x.abandoned: // by the end of the link at the latest
			return
		}
	}
}

// answer takes the answer to request i, on the link's reading goroutine. An error ends the link.
func (x *exchange) answer(i int, code int32, body []byte) error {
	if x.over {
		return nil
	}
	err := x.take(i, codeError(code), body)
	x.heard.Store(int64(time.Since(x.begun)))
	n := int(x.answered.Add(1))
	switch {
	case errors.Is(err, errForeign):
		return err
	case err != nil || n == x.n:
		x.err, x.over = err, true
		close(x.done)
	case n%(pipelined/2) == 0:
		select {
		case x.room <- struct{}{}:
		default: // one is there already
		}
	}
	return nil
}

// lossOf is why k has ended, nil if it has not.
func (s *Session) lossOf(k *link) error {
	switch {
	case isDone(k):
		return k.cause
	case s.ctx.Err() != nil:
		return ErrClosed
	}
	return nil
}
