package health

import "math"

// State is how far a server is trusted.
type State uint8

const (
	Fresh   State = iota // nothing certain is known: it is asked in the background first
	Up                   // used
	Aside                // nobody could connect: asked again at Until
	Ejected              // calls failed: asked at Until
	Trial                // one call at a time tries it

	States = int(Trial) + 1
)

// Reason is why a server is not up.
type Reason uint8

const (
	NoReason        Reason = iota
	DialFailed             // a call could not connect
	NoAnswer               // a probe got no answer
	CallsFailed            // calls failed one after the other
	Outlying               // far more of its calls failed than of the others'
	ConnectionBroke        // a connection has just ended: is it still there?
)

// Found is what the last probe found since the last success of a call. Silent outlives that: see Asked.
type Found uint8

const (
	Unknown Found = iota // or it could not ask
	Silent
	Present
)

// Health is what is believed of one server.
type Health struct {
	State     State
	Why       Reason
	Failures  int   // calls that failed since the last success
	Dials     int   // dials that failed since the last success
	Ejections int   // how often it was ejected lately: one less for each Base that it was up
	Signs     int   // requests that were written while it was on trial
	Since     int64 // when State began
	Until     int64 // when it is asked again; 0: at once, if at all
	Probe     Found
	Blamed    bool // a call, not only a probe, has brought it out of use since the last success
	Counted   bool // the break for which it is Fresh counts as a failure already: the calls that met it are one piece of evidence
	Deaf      bool // a probe got no answer again while it was up: its probes are not believed until one is answered
}

// Rules are how failures are judged. Durations are in milliseconds.
type Rules struct {
	Consecutive       int   // failed calls in a row that eject
	Base, Max         int64 // how long the first ejection lasts, and the longest
	DialBase, DialMax int64 // how long the first failed dial is waited for, and the longest
}

// Event is one piece of news about one server.
type Event struct {
	Kind Kind
	Now  int64
	// Roll is from [0, 1) and spreads what many clients do at the same time.
	Roll float64
	// MayEject says that one more ejection leaves enough servers.
	MayEject bool
	// Doubtful says that a probe without an answer proves nothing.
	Doubtful bool
}

// enoughSigns is how many requests that were written bring back a server whose calls failed, where nobody waits for answers.
const enoughSigns = 3

// Failing is true for a server that is out of use because it failed, also while a call tries it although no probe has found it.
func (h Health) Failing() bool {
	return h.State == Aside || h.State == Ejected || h.State == Trial && h.Why != NoReason && h.Why != ConnectionBroke && h.Probe != Present
}

// Step returns what is believed after an event. It is the whole of failure awareness.
//
// Ejection is Envoy's outlier detection (and gRFC A50's): a number of failures in a row, or a low success rate, ejects for Base times how often it
// happened lately, up to Max. The back-off of dials doubles, with the half of it random ("equal jitter", M. Brooker, Exponential Backoff And Jitter,
// AWS 2015).
func (h Health) Step(e Event, r *Rules) Health {
	switch e.Kind {
	case NotSent, GivenUp:
	case Answered, Refused:
		h.Failures, h.Dials, h.Blamed = 0, 0, false
		if h.Probe != Silent || h.Deaf { // else it is asked again
			h.Probe = Unknown
		}
		if h.State != Up {
			h = h.enter(Up, NoReason, e.Now, 0)
		}
	case Written:
		// That a connection was made answers the question of Fresh and Aside, not that of Ejected.
		if h.State == Trial {
			h.Signs++
		}
		if h.State == Fresh || h.State == Trial && (h.Why != CallsFailed && h.Why != Outlying || h.Signs >= enoughSigns) {
			h.Dials, h.Blamed = 0, false
			h = h.enter(Up, NoReason, e.Now, 0)
		}
	case Late, Broken:
		h = h.failed(e, r)
	case Undialled:
		if h.State != Aside || e.Now >= h.Until { // else it is the same dial that failed, told twice
			h.Blamed = true
			h = h.putAside(DialFailed, e, r)
		}
	case ConnectionEnded:
		if h.State == Up {
			h = h.enter(Fresh, ConnectionBroke, e.Now, 0)
		}
	case RateLow:
		if h.Serves() && e.MayEject {
			h = h.eject(Outlying, e, r)
		}
	case ProbeAnswered:
		h.Probe, h.Deaf = Present, false
		if !h.waits() {
			break // a call was faster
		}
		if h.Blamed {
			h = h.enter(Trial, h.Why, e.Now, 0)
		} else {
			h.Dials = 0
			h = h.enter(Up, NoReason, e.Now, 0)
		}
	case ProbeSilent, ProbeUnable:
		again := h.State == Up && h.Probe == Silent
		h.Deaf = h.Deaf || again && e.Kind == ProbeSilent
		if h.Probe = Unknown; e.Kind == ProbeSilent && !again {
			h.Probe = Silent
		}
		if !h.waits() {
			break
		}
		if h.Probe == Silent && !e.Doubtful && !h.Deaf {
			h = h.putAside(NoAnswer, e, r)
		} else {
			h = h.enter(Trial, h.Why, e.Now, 0)
		}
	case NobodyReports:
		if h.State == Trial {
			h.Probe = Unknown
			h = h.enter(Up, NoReason, e.Now, 0)
		}
	case ProcessesChanged:
		h.Failures = 0
		if h.waits() {
			h.Until = min(h.Until, e.Now)
		}
	}
	return h
}

// Serves is true for a server that is up, or was a moment ago, when a connection broke.
func (h Health) Serves() bool { return h.State == Up || h.State == Fresh && h.Why == ConnectionBroke }

// Certain is false for a server of which nothing is known yet.
func (h Health) Certain() bool { return h.State != Fresh || h.Serves() }

// Tried is true for a server on trial at which a call has failed. It counts among those out of use, since one more failure is enough.
func (h Health) Tried() bool { return h.State == Trial && h.Blamed }

// Asked is true for a server that is to be asked in the background, at Until: one out of use, and one that is up although the last probe got no answer. That
// may have been true a moment before.
func (h Health) Asked() bool { return h.waits() || h.State == Up && h.Probe == Silent }

// waits is true for a server that a probe may bring back.
func (h Health) waits() bool { return h.State == Fresh || h.State == Aside || h.State == Ejected }

// failed takes a call that did not end well.
func (h Health) failed(e Event, r *Rules) Health {
	if h.State == Aside || h.State == Ejected {
		return h // a call that had to go there says nothing new
	}
	if e.Kind == Broken && h.State == Fresh && h.Counted {
		return h // one of the calls that have met the same break
	}
	h.Failures = min(h.Failures, math.MaxInt32-1) + 1
	relapsed := h.Tried() && (e.MayEject || h.Why == CallsFailed || h.Why == Outlying) // else it was put aside, and is not one of those ejected
	switch enough := e.MayEject && h.Failures >= r.Consecutive; {
	case relapsed || enough:
		return h.eject(CallsFailed, e, r)
	case e.Kind == Broken && h.State == Up:
		h = h.enter(Fresh, ConnectionBroke, e.Now, 0)
	}
	h.Counted = e.Kind == Broken && h.State == Fresh
	return h
}

func (h Health) enter(s State, why Reason, now, until int64) Health {
	h.State, h.Why, h.Since, h.Until, h.Signs, h.Counted = s, why, now, until, 0, false
	return h
}

func (h Health) eject(why Reason, e Event, r *Rules) Health {
	if h.State == Up { // what it did is forgotten as it was up
		h.Ejections = max(0, h.Ejections-int(min((e.Now-h.Since)/r.Base, math.MaxInt32)))
	}
	h.Ejections = min(h.Ejections, math.MaxInt32-1) + 1
	h.Failures, h.Blamed = 0, true
	out := min(float64(r.Base)*float64(h.Ejections)*(1+e.Roll/10), float64(r.Max))
	return h.enter(Ejected, why, e.Now, e.Now+int64(out))
}

func (h Health) putAside(why Reason, e Event, r *Rules) Health {
	h.Dials = min(h.Dials, math.MaxInt32-1) + 1
	h.Failures = 0
	return h.enter(Aside, why, e.Now, e.Now+r.Backoff(h.Dials, e.Roll))
}

// Soon is h for a server that was put aside and is to be asked again as after its first failure.
func (h Health) Soon(now int64, roll float64, r *Rules) Health {
	if h.State == Aside {
		h.Dials = 1
		h.Until = min(h.Until, now+r.Backoff(1, roll))
	}
	return h
}

// Backoff is how long the n-th failed dial in a row is waited for: between the half and the whole of DialBase doubled n-1 times, at most DialMax.
func (r *Rules) Backoff(n int, roll float64) int64 {
	d := int64(min(math.Ldexp(float64(r.DialBase), min(n-1, 62)), float64(r.DialMax)))
	return d/2 + int64(roll*float64(d-d/2))
}
