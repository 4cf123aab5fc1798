package health

import (
	"math"
	"sync/atomic"
)

// Load says what one more call of a server costs. Its methods may be called at once from anywhere.
type Load struct {
	InFlight atomic.Int64 // calls that somebody will report on
	latency  atomic.Uint64
	penalty  atomic.Uint64
	picked   atomic.Int64 // when it was chosen last
}

const (
	// halfLife is after how long a latency counts half, in milliseconds: 3 s, the time constant of its decay, times ln 2.
	halfLife = 2079
	// halving is how long it takes until a failure counts half.
	halving = 3000
	// worst bounds how often failures double the cost of a call.
	worst = 5
	// quiet is how long a server of average weight has no call until it is worth one, however slow it was; if it was slow, as many times longer than
	// its last answer took, and at most that long.
	quiet, quietTimes, quietMost = 1000, 10, 30_000
)

// pack makes one word of a positive number and a time, so that readers need no lock and never see the half of it. The number keeps 15 bits of its
// mantissa; the time has 40 bits, which is 34 years.
func pack(x float32, ms int64) uint64 {
	return uint64(math.Float32bits(x)>>8)<<40 | uint64(ms)&(1<<40-1)
}

func unpack(w uint64) (x float32, ms int64) {
	return math.Float32frombits(uint32(w>>40) << 8), int64(w & (1<<40 - 1))
}

// decay is what is left of an average after that many milliseconds, exp(-ms/3000) to half a percent: half for each halfLife, and between two of them a
// parabola. P2C asks for it twice in each pick.
func decay(ms int64) float32 {
	ms = max(0, ms) // another caller was ahead
	x := float32(ms%halfLife) / halfLife
	return (1 - x*(0.672-0.172*x)) / float32(int64(1)<<min(ms/halfLife, 62))
}

// Took takes the time that an answer took, in nanoseconds. The average is the peak-EWMA of Finagle's PeakEwma
// (com.twitter.finagle.loadbalancer): a sample above the average replaces it, one below pulls it down with weight 1 - decay(Δt), and without samples
// it decays to nothing.
func (l *Load) Took(ns, now int64) {
	sample := max(float32(ns), 1)
	for {
		w := l.latency.Load()
		avg, then := unpack(w)
		switch {
		case w == 0 || sample >= avg:
			avg = sample
		case now <= then:
			return // another of the same millisecond
		default:
			keep := decay(now - then)
			avg = max(avg*keep+sample*(1-keep), 1)
		}
		if l.latency.CompareAndSwap(w, pack(avg, max(now, then))) {
			return
		}
	}
}

// TookAtLeast takes a time after which there was no answer yet, or one that is no proof of speed: the average is not less from now on.
func (l *Load) TookAtLeast(ns, now int64) {
	last, _ := unpack(l.latency.Load())
	l.Took(max(ns, int64(last)), now)
}

// Fail takes a failure of a call that was chosen at a time: calls cost twice as much for a while, and at most 32 times. A failure of a call that was
// under way when the last failure counted says nothing new: then it reports false.
func (l *Load) Fail(chosen, now int64) bool {
	for {
		w := l.penalty.Load()
		_, then := unpack(w)
		if w != 0 && chosen <= then {
			return false
		}
		if l.penalty.CompareAndSwap(w, pack(min(worst, left(w, now)+1), now)) {
			return true
		}
	}
}

// left is how many doublings of a penalty are left.
func left(w uint64, now int64) float32 {
	n, then := unpack(w)
	return max(0, n-float32(now-then)/halving)
}

// Latency is the peak-EWMA in nanoseconds, 0 when there was no sample.
func (l *Load) Latency(now int64) float32 {
	avg, then := unpack(l.latency.Load())
	return avg * decay(now-then)
}

// Last is the peak-EWMA as it was when the last sample came.
func (l *Load) Last() float32 {
	avg, _ := unpack(l.latency.Load())
	return avg
}

// Cost is what one more call takes to be answered, in nanoseconds: the latency, doubled for failures; 0 when there was no sample.
func (l *Load) Cost(now int64) float32 {
	ns := l.Latency(now)
	if w := l.penalty.Load(); w != 0 {
		if n := left(w, now); n > 0 {
			ns = max(ns, 1e6) * float32(math.Exp2(float64(n)))
		}
	}
	return ns
}

// Chosen notes that a call goes there.
func (l *Load) Chosen(now int64) {
	if l.picked.Load() != now {
		l.picked.Store(now)
	}
}

// Idle says that the server has no call, and had none for a second, or for ten times as long as its last answer took, which is thirty seconds at most;
// and for as much longer as its weight is below the average.
func (l *Load) Idle(now int64, weight float32) bool {
	since := float32(now-l.picked.Load()) * min(1, weight)
	return since >= quiet && l.InFlight.Load() == 0 && (since >= quietMost || since*1e6 >= quietTimes*l.Last())
}

// Forget forgets what the latency was, and failures: another process serves the address.
func (l *Load) Forget() {
	l.ForgetLatency()
	l.penalty.Store(0)
}

// ForgetLatency forgets what the latency was: another process may serve the address.
func (l *Load) ForgetLatency() { l.latency.Store(0) }
