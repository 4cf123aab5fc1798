package health

import "sync/atomic"

const (
	// patience is how long a call that tries a server keeps others from trying it.
	patience = 10_000
	// firstPause is how long to wait after a trial that taught nothing; each further one doubles it, up to sixteen times.
	firstPause = 1000
)

// Permit lets one call at a time try a server. The zero Permit is free. Its methods may be called at once from anywhere.
type Permit struct {
	next atomic.Int64 // when it can be taken
	vain atomic.Int32 // trials in a row that taught nothing
}

// Take takes the permit if it is free, and returns what Return needs; 0 when it is not free. A permit that is not returned is free again after ten
// seconds: most calls have ended by then, or never will.
func (p *Permit) Take(now int64) (token int64) {
	next := p.next.Load()
	if now < next || !p.next.CompareAndSwap(next, now+patience) {
		return 0
	}
	return now + patience
}

// Return gives back a permit whose trial taught nothing: it is free again after a second, after the next such trial two seconds, up to sixteen.
func (p *Permit) Return(token, now int64) {
	n := p.vain.Load()
	pause := int64(firstPause) << min(n, 4)
	if p.next.CompareAndSwap(token, now+pause) {
		p.vain.Store(n + 1)
	}
}

// Free makes the permit free at once: something was learnt.
func (p *Permit) Free() {
	p.next.Store(0)
	p.vain.Store(0)
}

// Later lets a permit be free again at a time. It does nothing for the token 0.
func (p *Permit) Later(token, at int64) {
	if token != 0 {
		p.next.CompareAndSwap(token, at)
	}
}
