package selector

import (
	"math"
	"sync/atomic"
	"time"
)

// memory is how long a latency is remembered: the time constant of its decay, Finagle's decayTime.
const memory = 10 * time.Second

// latency is the peak-EWMA of a server's response times, as in Finagle's PeakEwma (com.twitter.finagle.loadbalancer): a sample above the average
// replaces it, one below pulls it down with weight 1 - exp(-Δt/memory), and without samples it decays to nothing, so that a server that was slow
// is asked again one day. It is one word, the average in nanoseconds as a float32 and the millisecond of the last sample, so that readers need
// no lock and never see the half of it. Zero is no sample.
type latency struct{ word atomic.Uint64 }

func packLatency(ns float32, ms uint32) uint64 { return uint64(math.Float32bits(ns))<<32 | uint64(ms) }

func unpackLatency(w uint64) (ns float32, ms uint32) {
	return math.Float32frombits(uint32(w >> 32)), uint32(w)
}

// decay is what is left of an average after that many milliseconds. Less than a sixteenth of a second makes a difference of less than one percent.
func decay(ms int32) float32 {
	if ms < 64 {
		return 1
	}
	return float32(math.Exp(-float64(ms) / float64(memory.Milliseconds())))
}

// at returns the average at a millisecond, in nanoseconds; 0 when there was no sample.
func (l *latency) at(ms uint32) float32 {
	w := l.word.Load()
	if w == 0 {
		return 0
	}
	ns, then := unpackLatency(w)
	return ns * decay(int32(ms-then))
}

// add takes a sample.
func (l *latency) add(d time.Duration, ms uint32) {
	sample := max(float32(d), 1)
	for {
		w := l.word.Load()
		ns, then := unpackLatency(w)
		elapsed := int32(ms - then)
		switch {
		case w == 0 || sample >= ns:
			ns = sample
		case elapsed <= 0:
			return // another of the same millisecond
		default:
			keep := float32(math.Exp(-float64(elapsed) / float64(memory.Milliseconds())))
			ns = max(ns*keep+sample*(1-keep), 1)
		}
		if l.word.CompareAndSwap(w, packLatency(ns, ms)) {
			return
		}
	}
}

// penalty is the least that a failure counts for, and worst the most.
const (
	penalty = time.Millisecond
	worst   = time.Minute
)

// fail takes a failure for a response twice as slow as the average, if it was not slower: a server that refuses at once must not look fast.
func (l *latency) fail(d time.Duration, ms uint32) {
	l.add(min(max(d, 2*time.Duration(l.at(ms)), penalty), max(d, worst)), ms)
}

// hold takes a response for one as slow as the last average, if it was not slower: an error that the service returns at once is no proof of speed,
// and no proof of idleness either.
func (l *latency) hold(d time.Duration, ms uint32) {
	ns, _ := unpackLatency(l.word.Load())
	l.add(max(d, time.Duration(ns)), ms)
}
