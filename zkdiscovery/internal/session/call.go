package session

import (
	"context"
	"sync/atomic"
	"time"
)

// call runs f on the line that is connected, and returns its result, or an error when the link of this moment or ctx ends first, or when
// the session timeout passes without an answer: then the link is broken, since a server that answers pings but not requests is no use. What f
// waits for by then ends with its line at the latest.
func call[T any](ctx context.Context, s *Session, f func(*line) (T, error)) (T, error) {
	return callMany(ctx, s, func(l *line, _ *progress) (T, error) { return f(l) })
}

// progress is what a call that makes many requests and the one who waits for it tell each other. The timeout is each request's: a long list
// may take longer.
type progress struct {
	begun     time.Time
	answered  atomic.Int64 // nanoseconds after begun: when the newest answer came
	abandoned atomic.Bool  // nobody waits any more
}

func (p *progress) note() { p.answered.Store(int64(time.Since(p.begun))) }

func (p *progress) idle() time.Duration {
	return time.Since(p.begun) - time.Duration(p.answered.Load())
}

func callMany[T any](ctx context.Context, s *Session, f func(*line, *progress) (T, error)) (T, error) {
	var zero T
	s.mu.Lock()
	if s.state.Closed {
		s.mu.Unlock()
		return zero, ErrClosed
	}
	if !s.state.Connected {
		err := because(ErrNotConnected, s.state.Err)
		s.mu.Unlock()
		return zero, err
	}
	l, k, limit := s.line, s.link, s.state.Timeout
	type result struct {
		v   T
		err error
	}
	done := make(chan result, 1) // f's goroutine sends once
	p := &progress{begun: time.Now()}
	defer p.abandoned.Store(true)
	s.wg.Go(func() {
		v, err := f(l, p)
		done <- result{v, err}
	})
	s.mu.Unlock()

	t := time.NewTimer(limit)
	defer t.Stop()
	for {
		select {
		case r := <-done:
			if sessionGone(r.err) {
				k.end(r.err) // or it would be asked again and again
			}
			return r.v, requestError(r.err, s.lossOf(k))
		case <-k.done:
			return zero, because(ErrLost, k.cause)
		case <-ctx.Done():
			return zero, ctx.Err()
		case <-t.C:
			if idle := p.idle(); idle < limit {
				t.Reset(limit - idle)
				continue
			}
			k.end(errRequest)
			return zero, because(ErrLost, errRequest)
		}
	}
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
