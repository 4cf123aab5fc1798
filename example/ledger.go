package main

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// phase is a part of the drill. Calls are counted in the phase in which they begin.
type phase int32

const (
	phaseSteady phase = iota
	phaseDied
	phaseJoined
	phaseWeighed
	phaseAway
	phaseSecond
	phaseDiedUnseen
	phaseReturning
	phaseAgain
	phases // their number
)

var titles = [phases]string{
	phaseSteady:     "All is well",
	phaseDied:       "A server dies",
	phaseJoined:     "A server joins",
	phaseWeighed:    "A weight changes",
	phaseAway:       "ZooKeeper goes away",
	phaseSecond:     "A second client starts, without it",
	phaseDiedUnseen: "A server dies, which no list says",
	phaseReturning:  "ZooKeeper returns, sessions expired",
	phaseAgain:      "All is well again",
}

// tally counts calls.
type tally struct {
	calls, failed int
	byServer      map[string]int  // the calls that succeeded
	took          []time.Duration // of those
	firstErr      error
}

// ledger is one program's tallies.
type ledger struct {
	now *atomic.Int32 // the phase, which all ledgers share

	mu      sync.Mutex
	tallies [phases]tally
}

func (l *ledger) phase() phase { return phase(l.now.Load()) }

// add counts one call.
func (l *ledger) add(c phase, server string, took time.Duration, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := &l.tallies[c]
	t.calls++
	if err != nil {
		t.failed++
		if t.firstErr == nil {
			t.firstErr = err
		}
		return
	}
	if t.byServer == nil {
		t.byServer = make(map[string]int)
	}
	t.byServer[server]++
	t.took = append(t.took, took)
}

// of is a copy of the tally of a phase.
func (l *ledger) of(c phase) tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tallies[c].plus(tally{})
}

// plus is the sum of two tallies, and shares nothing with them.
func (t tally) plus(o tally) tally {
	sum := tally{
		calls: t.calls + o.calls, failed: t.failed + o.failed, byServer: make(map[string]int), took: slices.Concat(t.took, o.took),
		firstErr: t.firstErr,
	}
	if sum.firstErr == nil {
		sum.firstErr = o.firstErr
	}
	for _, part := range []tally{t, o} {
		for server, n := range part.byServer {
			sum.byServer[server] += n
		}
	}
	return sum
}

// since is what has been added to an earlier tally of the same phase, without the latencies.
func (t tally) since(earlier tally) tally {
	d := tally{calls: t.calls - earlier.calls, failed: t.failed - earlier.failed, byServer: make(map[string]int)}
	for server, n := range t.byServer {
		d.byServer[server] = n - earlier.byServer[server]
	}
	return d
}

// share is the part of the successful calls that went to a server, 0 to 1.
func (t tally) share(server string) float64 {
	if t.calls == t.failed {
		return 0
	}
	return float64(t.byServer[server]) / float64(t.calls-t.failed)
}

// latency is the one below which a part of the successful calls stayed: 0.5 for the median, 1 for the longest.
func (t tally) latency(part float64) time.Duration {
	if len(t.took) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(t.took))
	return sorted[min(int(part*float64(len(sorted))), len(sorted)-1)]
}
