package belief

import (
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/internal/probe"
)

// How often it is tried in good times whether the probe reaches an instance.
const (
	firstTrial = time.Second      // after the first list, at most
	trialAgain = 15 * time.Minute // after a failure, doubling
	maxTrial   = 24 * time.Hour   // to this
	trialLater = 10 * time.Second // after it could not be asked
	warnAfter  = 2                // failed trials: one alone may have met a dead instance
)

// reach knows whether the probe has ever reached an instance of the service. One that has not proves nothing by silence: it may speak in plain text
// to a TLS server, or a firewall may be in between. So a listed instance is asked in good times, until one has answered. If none has when
// instances are held, a listed one is asked beside them: what it answers tells what their silence is worth.
type reach struct {
	ever   bool
	asking bool  // a trial is under way
	beside bool  // one was made since instances are held
	failed int   // trials without an answer
	err    error // of the last failed one
	due    time.Time
	every  time.Duration
	told   bool // a person was told that it reaches none
}

// ask returns the trial that is to be made now, if any, among the instances that are listed, of which there are some. holding says that others are
// held.
func (r *reach) ask(cfg *Config, listed []*client.KVPair, holding bool, now time.Time) (Ask, bool) {
	switch {
	case r.ever || r.asking || holding && r.beside:
		return Ask{}, false
	case r.due.IsZero():
		r.due = now.Add(cfg.jitter(firstTrial))
	}
	if !holding {
		r.beside = false
		if now.Before(r.due) {
			return Ask{}, false
		}
	}
	p := listed[cfg.Random(int64(len(listed)))]
	if Inactive(p.Value) {
		r.due = now.Add(cfg.around(trialLater)) // it is about to go
		r.beside = holding
		return Ask{}, false
	}
	r.asking, r.beside = true, holding
	return Ask{Pair: p, Trial: true, Beside: holding}, true
}

// tried takes the outcome of a trial.
func (r *reach) tried(cfg *Config, o Outcome, now time.Time) {
	r.asking = false
	switch o.Answer {
	case probe.Alive:
		r.ever = true
	case probe.CouldNotAsk:
		r.due = now.Add(cfg.around(trialLater))
	case probe.Silent, probe.Unaskable: // others may be of a network that has a probe
		if o.Answer == probe.Silent {
			r.failed++
		}
		r.every = min(max(2*r.every, trialAgain), maxTrial)
		r.due = now.Add(cfg.around(r.every))
	}
}

// rested is r without the trial that is under way: its answer will not come.
func (r reach) rested() reach {
	r.asking, r.beside = false, false
	return r
}

// wake is when ask has something to do; zero when never.
func (r *reach) wake() time.Time {
	if r.ever || r.asking {
		return time.Time{}
	}
	return r.due
}
