package selector

import (
	"sync/atomic"
	"time"
)

// server is what is known of one server. It stays the same through list updates, so that picks in flight can report to it.
type server struct {
	key  string
	hash uint64 // of key

	inFlight atomic.Int64 // picks that somebody will report on
	picks    atomic.Uint64
	outcomes [cancelled + 1]atomic.Uint64
	latency  latency
	ramp     atomic.Int64 // when its slow start began: 0 when it has none, negative until it is up
	lease    atomic.Int64 // until when it is the one that is being tried, if it is

	// What follows is told to those who hold no lock, by mark, whenever health changes.
	state atomic.Uint32 // health.state
	epoch atomic.Uint32 // grows with each change of state: a pick from before says nothing about what is now
	alert atomic.Bool   // a success matters

	// Guarded by Selector.mu.
	health  health
	data    string // its metadata
	traits  traits
	probing bool
	gone    int64 // when it left the list
	before  tally // the outcomes before the sweep's window
}

func (srv *server) State() State { return State(srv.state.Load()) }

// mark publishes health. Selector.mu must be held.
func (srv *server) mark() {
	if uint32(srv.health.state) != srv.state.Load() {
		srv.state.Store(uint32(srv.health.state))
		srv.epoch.Add(1)
	}
	srv.alert.Store(srv.health.state != Up || srv.health.failures > 0)
}

// tally is how its calls have ended. Failed dials are another matter, and those that were cancelled say nothing.
func (srv *server) tally() tally {
	return tally{
		good: srv.outcomes[succeeded].Load() + srv.outcomes[serviceError].Load(),
		bad:  srv.outcomes[transportFailed].Load() + srv.outcomes[timedOut].Load(),
	}
}

// leastRamp is what a slow start begins with, Envoy's min_weight_percent.
const leastRamp = 0.1

// share is how much of its picks a server may take: less than 1 while it starts slowly, growing with time (Envoy's slow start with aggression 1).
func (srv *server) share(now int64, ramp time.Duration) float64 {
	began := srv.ramp.Load()
	if began <= 0 || ramp <= 0 {
		return 1
	}
	return min(1, leastRamp+(1-leastRamp)*float64(max(0, now-began))/float64(ramp))
}

// load is the cost of one more call: what it takes to be answered, in nanoseconds, times the calls ahead of it and itself. A server that has not
// answered yet is worth a try, but not two at once (both as in Finagle's PeakEwma).
func (b *ball) load(ms uint32) float32 {
	waiting, ns := float32(b.server.inFlight.Load()), b.server.latency.at(ms)
	if ns == 0 && waiting > 0 {
		return float32(worst) + waiting
	}
	return ns * (waiting/b.weight + 1)
}
