package drive

import (
	"context"
	"log/slog"
	"time"

	"github.com/holdfast-go/holdfast/internal/belief"
	"github.com/holdfast-go/holdfast/internal/probe"
)

// Driver does what one belief asks for.
type Driver struct {
	belief  *belief.Belief
	probes  *probe.Queue
	answers chan<- func(now time.Time)
	trials  *Gate
	log     *slog.Logger
}

// New returns the Driver of b. A probe sends what to do with its outcome to answers, which the loop receives and calls. trials is shared with other
// loops.
func New(b *belief.Belief, g Guard, answers chan<- func(now time.Time), trials *Gate, log *slog.Logger) *Driver {
	return &Driver{belief: b, probes: probe.NewQueue(g.probing()), answers: answers, trials: trials, log: log}
}

// Ask asks the instances that the belief wants to be asked now. It does not wait for their answers. After the end of ctx none is sent.
func (d *Driver) Ask(ctx context.Context, now time.Time) {
	for _, a := range d.belief.Asks(now) {
		if a.Trial && !a.Beside && !d.trials.may(now) {
			d.belief.Probed(a, belief.Outcome{Answer: probe.CouldNotAsk}, now)
			continue
		}
		d.probes.Ask(ctx, a.Pair.Key, a.First, func(o belief.Outcome) {
			select {
			case d.answers <- func(now time.Time) { d.belief.Probed(a, o, now) }:
			case <-ctx.Done():
			}
		})
	}
}

// Wait returns when no probe is under way, but for those that ignore the end of their context. The context of Ask must have ended.
func (d *Driver) Wait() { d.probes.Wait() }

// Report logs when holding begins and ends, and every instance that is let go, many in one line.
func (d *Driver) Report(now time.Time) {
	r, ok := d.belief.Report(now)
	if !ok {
		return
	}
	if r.Began {
		d.log.Warn("instances are missing in the registry, keeping those that answer when they are asked",
			"held", r.Held, "listed", r.Listed, "new_history", r.NewHistory)
	}
	if r.Unreached != nil {
		d.log.Warn("probes reach no instance of this service, so that their silence proves nothing: a missing instance is kept for "+
			"Guard.HoldUnprobed only. Servers with TLS need Guard.TLS", "err", r.Unreached)
	}
	if len(r.Gone) > 0 {
		attrs := []any{"instances", len(r.Gone), "first", r.Gone[0].Key}
		if err := r.Gone[0].Err; err != nil {
			attrs = append(attrs, "err", err)
		}
		d.log.Warn("letting go of instances that are missing in the registry and have not answered", attrs...)
	}
	if r.Ended {
		d.log.Info("no instance is held any more, the list is the registry's", "held_at_most", r.Most, "for", r.For.Round(time.Second), "listed", r.Listed)
	}
}
