package session

import (
	"math/rand/v2"
	"slices"
	"time"
)

// route decides which server is tried next, and when: all of them in random order, then a pause, then all of them again.
type route struct {
	servers []string
	byName  bool     // the names are the dialler's business
	pending []target // what is left of the round
	// failedRounds counts those since a connection lasted; allRefused is about the round under way.
	failedRounds int
	allRefused   bool
	wait         time.Duration // before the next attempt
}

func newRoute(cfg *Config) route { return route{servers: cfg.Servers, byName: cfg.Dial != nil} }

// next returns the target of the next attempt and how long to wait before it.
func (r *route) next() (target, time.Duration) {
	if len(r.pending) == 0 {
		for _, i := range rand.Perm(len(r.servers)) {
			r.pending = append(r.pending, newTarget(r.servers[i], r.byName))
		}
		r.allRefused = true
	}
	t := r.pending[0]
	r.pending = r.pending[1:]
	wait := r.wait
	r.wait = 0
	return t, wait
}

// again puts targets before those that are left of the round: the addresses of a name that were not tried, or a server that is to be asked
// differently.
func (r *route) again(ts ...target) { r.pending = slices.Insert(r.pending, 0, ts...) }

// failed notes that an attempt failed and reports whether that ended the round.
func (r *route) failed(err error) (roundOver bool) {
	r.allRefused = r.allRefused && !timedOut(err)
	if len(r.pending) > 0 {
		return false
	}
	r.failedRounds++
	r.wait = pause(r.failedRounds)
	return true
}

// lost notes that an established connection ended after it had lasted so long: a new round begins.
func (r *route) lost(lasted time.Duration) {
	r.pending = nil
	if lasted >= stableAfter {
		r.failedRounds = 0
		r.wait = rand.N(herdJitter)
		return
	}
	r.failedRounds++
	r.wait = pause(r.failedRounds)
}
