package selector

import "time"

// Observer is a set of hooks for metrics; nil ones are skipped. They are called one after the other on a goroutine of the Selector's, outside its
// locks, a little after the event. A hook must return soon, because probes wait for it, and must not call Close. One that panics is reported and
// goes on being called. Numbers (picks, calls in flight, latencies) are in Status.
type Observer struct {
	// Changed is called when a server's state changes, and when the time changes at which a server out of use is asked again.
	Changed func(Change)
	// Panic is called with true when so many servers fail that ejections are ignored, and with false when they count again.
	Panic func(on bool)
}

// Change is one change of a server's state.
type Change struct {
	Key      string
	From, To State
	Reason   Reason
	Until    time.Time // when it will be asked again; zero when there is no such time
}
