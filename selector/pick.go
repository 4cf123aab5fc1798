package selector

import "time"

// outcome is how one attempt ended.
type outcome uint8

const (
	succeeded       outcome = iota
	serviceError            // the service itself returned an error: a success of the server
	transportFailed         // the connection broke, or could not be used
	timedOut                // no answer in time
	dialFailed              // no connection
	cancelled               // the caller gave up: no verdict
)

func (o outcome) String() string {
	switch o {
	case succeeded:
		return "succeeded"
	case serviceError:
		return "service error"
	case transportFailed:
		return "transport failed"
	case timedOut:
		return "timed out"
	case dialFailed:
		return "dial failed"
	case cancelled:
		return "cancelled"
	}
	return "unknown outcome"
}

// pick is one server chosen for one attempt. Until done is called it counts as in flight there. Copies are one pick: call done on one of them.
// The zero pick is that of an empty list; its done does nothing.
type pick struct {
	selector *Selector
	server   *server
	epoch    uint32 // of the server
}

// done reports how the attempt ended and how long it took (zero: not known). The first call counts, later ones on the same pick do nothing. It
// does not block, and must not be called from two goroutines at once.
func (p *pick) done(o outcome, latency time.Duration) {
	if p.server == nil {
		return
	}
	srv := p.server
	p.server = nil
	srv.inFlight.Add(-1)
	if p.selector.config.policy == ConsistentHash {
		p.selector.inFlight.Add(-1)
	}
	p.selector.feed(srv, p.epoch, o, latency)
}
