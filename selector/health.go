package selector

import (
	"math"
	"time"
)

// health is what is believed of one server, and why. Times are nanoseconds of the Selector's clock.
type health struct {
	state     State // Fresh to Trial
	why       Reason
	failures  int   // calls that failed since the last success
	dials     int   // dials that failed since the last success
	ejections int   // how often it was ejected lately: one less for each Base that it was up
	since     int64 // when state began
	until     int64 // Aside, Ejected: when it is asked again
	probe     probed
}

// probed is what the last probe found, since the last success of a call.
type probed uint8

const (
	unprobed probed = iota // or it could not ask
	silent
	present
)

// failing is true for a server that is out of use because it failed, also while a call tries it although no probe has found it.
func (h health) failing() bool {
	return h.state == Aside || h.state == Ejected || h.state == Trial && h.why != NoReason && h.probe != present
}

// event is one piece of news about one server.
type event struct {
	kind kind
	now  int64
	// roll is from [0, 1) and spreads what many clients do at the same time.
	roll float64
	// mayEject says that one more ejection leaves enough servers.
	mayEject bool
	// doubtful says that a probe without an answer proves nothing: too many got none.
	doubtful bool
}

type kind uint8

const (
	callSucceeded kind = iota
	callFailed         // by transport, or without an answer in time
	dialRefused        // a call could not connect, or not in time
	rateLow            // its success rate is far below the others'
	probeAnswered
	probeSilent
	probeUnable // the network cannot be probed
)

// step is the whole of failure awareness. It reads no clock, rolls no dice and counts no other servers, so that a table and a fuzzer can drive it.
//
// Ejection is Envoy's outlier detection (and gRFC A50's): a number of failures in a row, or a low success rate, ejects for Base times how often
// it happened lately, up to Max. The back-off of dials doubles, with the half of it random ("equal jitter", M. Brooker, Exponential Backoff And
// Jitter, AWS 2015).
func (h health) step(e event, k *Ejection) health {
	switch e.kind {
	case callSucceeded:
		h.failures, h.dials, h.probe = 0, 0, unprobed
		if h.state != Up {
			h = h.enter(Up, NoReason, e.now, 0)
		}
	case callFailed:
		failures := min(h.failures, math.MaxInt32-1) + 1
		switch enough := e.mayEject && failures >= k.Consecutive; h.state {
		case Fresh, Up:
			if h.failures = failures; enough {
				h = h.eject(CallsFailed, e, k)
			}
		case Trial:
			h.failures = failures
			if relapsed := h.dials > 0 || h.ejections > 0; relapsed || enough {
				h = h.eject(CallsFailed, e, k)
			}
		default: // it is out of use already; a call that had to go there says nothing new
		}
	case rateLow:
		if h.state == Up && e.mayEject {
			h = h.eject(Outlying, e, k)
		}
	case dialRefused:
		if h.state != Aside || e.now >= h.until { // else it is the same dial that failed, told twice
			h = h.putAside(DialFailed, e, k)
		}
	case probeAnswered:
		h.probe = present
		switch h.state {
		case Fresh:
			h = h.enter(Up, NoReason, e.now, 0)
		case Aside, Ejected:
			h = h.enter(Trial, h.why, e.now, 0)
		default: // a call was faster
		}
	case probeSilent, probeUnable:
		if h.probe = unprobed; e.kind == probeSilent {
			h.probe = silent
		}
		switch h.state {
		case Fresh, Aside, Ejected:
			if h.probe == silent && !e.doubtful {
				h = h.putAside(NoAnswer, e, k)
			} else {
				h = h.enter(Trial, h.why, e.now, 0)
			}
		default: // a call was faster
		}
	}
	return h
}

func (h health) enter(s State, why Reason, now, until int64) health {
	h.state, h.why, h.since, h.until = s, why, now, until
	return h
}

func (h health) eject(why Reason, e event, k *Ejection) health {
	if h.state == Up { // what it did is forgotten as it was up
		h.ejections = max(0, h.ejections-int(min((e.now-h.since)/int64(k.Base), math.MaxInt32)))
	}
	h.ejections = min(h.ejections, math.MaxInt32-1) + 1
	h.failures = 0
	out := min(float64(k.Base)*float64(h.ejections)*(1+e.roll/10), float64(k.Max))
	return h.enter(Ejected, why, e.now, e.now+int64(out))
}

func (h health) putAside(why Reason, e event, k *Ejection) health {
	h.dials = min(h.dials, math.MaxInt32-1) + 1
	h.failures = 0
	return h.enter(Aside, why, e.now, e.now+int64(backoff(h.dials, e.roll, k.DialBase, k.DialMax)))
}

// backoff is how long the n-th failure in a row is waited for: between the half and the whole of base doubled n-1 times, at most limit.
func backoff(n int, roll float64, base, limit time.Duration) time.Duration {
	d := limit
	if n-1 < 62 && base<<(n-1)>>(n-1) == base { // no overflow
		d = min(base<<(n-1), limit)
	}
	return d/2 + time.Duration(roll*float64(d-d/2))
}
