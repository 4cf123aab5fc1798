package session

import (
	"context"
	"errors"
	"sync"
	"time"
)

// exchange is some reads of the same kind and their answers. The link sends them itself and takes the answers apart, past go-zookeeper, which
// would hand each from goroutine to goroutine, write it on its own and decode it by reflection, with two allocations per name of a list. They
// are bound to the link: what is not answered when it ends is never sent on another.
type exchange struct {
	op    int32
	ahead []int32 // the first requests are these instead: ZooKeeper does a session's requests in order, those behind a sync by what the leader knew then
	n     int
	path  func(i int) string // with the chroot
	watch bool               // each leaves a watch where none is outstanding
	// take takes the answer to request i, on the link's reading goroutine: refusal, or a body that is only lent. Its error ends the exchange,
	// and, if it is errForeign, the link.
	take func(i int, refusal error, body []byte) error

	sent      int  // requests that were sent; under window.mu
	forgotten bool // nobody is subscribed to the path any more; under window.mu

	mu       sync.Mutex // guards what follows
	answered int        // requests whose answer was taken: the first ones, since answers keep the order
	err      error
	over     bool          // nothing is taken any more
	done     chan struct{} // closed by the reading goroutine after the last answer, or with err
}

// opOf is what request i asks.
func (x *exchange) opOf(i int) int32 {
	if i < len(x.ahead) {
		return x.ahead[i]
	}
	return x.op
}

// serving is the link that is connected, and for how long it may be silent.
func (s *Session) serving() (*link, time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.link, s.state.Timeout, s.notConnected()
}

// exchange makes the requests of x on the link that is connected: see exchangeOn.
func (s *Session) exchange(ctx context.Context, x *exchange) error {
	k, limit, err := s.serving()
	if err != nil || x.n == 0 {
		return err
	}
	return s.exchangeOn(ctx, k, limit, x)
}

// exchangeOn makes the requests of x on k. It returns when all were answered, or with an error when k or ctx ends first, or when one was refused.
// Nothing is taken after it has returned; what was taken by then is whole, also with an error.
//
// A server that answers pings but no request is no use: the link is broken when requests wait and nothing else has come for so long as limit.
func (s *Session) exchangeOn(ctx context.Context, k *link, limit time.Duration, x *exchange) error {
	x.done = make(chan struct{})
	k.window.add(x)
	return s.await(ctx, k, limit, x)
}

// await is exchangeOn for requests that k has already.
func (s *Session) await(ctx context.Context, k *link, limit time.Duration, x *exchange) error {
	begun := time.Now()
	defer x.stop()
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
			if idle := k.idleSince(begun); idle < limit {
				t.Reset(limit - idle)
				continue
			}
			k.end(errRequest)
			return because(ErrLost, errRequest)
		}
	}
}

// notConnected is why nothing can be asked now, nil if it can. The caller holds mu.
func (s *Session) notConnected() error {
	switch {
	case s.state.Closed:
		return ErrClosed
	case !s.state.Connected:
		return because(ErrNotConnected, s.state.Err)
	}
	return nil
}

// stop ends x: nothing is taken and nothing more is sent.
func (x *exchange) stop() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.over = true
}

func (x *exchange) isOver() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.over
}

// answer takes the answer to request i, on the link's reading goroutine. An error ends the link.
func (x *exchange) answer(i int, refusal error, body []byte) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over {
		return nil
	}
	err := x.take(i, refusal, body)
	if errors.Is(err, errForeign) {
		return err
	}
	if err == nil {
		x.answered++
	}
	if err != nil || x.answered == x.n {
		x.err, x.over = err, true
		close(x.done)
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
