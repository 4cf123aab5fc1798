package filecache

import (
	"time"

	"github.com/holdfast-go/holdfast/internal/probe"
)

// verdictGap is the time between two lists that differ in nothing but what probes have said: a mass of them comes at once.
const verdictGap = 10 * time.Millisecond

// holding is what run has noticed of the guard's holds.
type holding struct {
	shown int64     // guard.Holds when the list was shown last
	saved int64     // and when it was last to be saved
	held  int       // who was, at the last look
	most  int       // at once, of the hold that is reported
	since time.Time // when it began
}

// act performs what the guard wants, lists and saves what has come of it, and returns when to come back if nothing happens before; zero when
// never.
func (f *fileBacked) act(now time.Time) (wake time.Time) {
	g := f.own.belief.guard
	g.Tick(now)
	for _, p := range g.Probes(now) {
		f.prober.Ask(f.ctx, p.Key, p.First, func(o probe.Outcome) {
			select {
			case f.answers <- func(now time.Time) { g.Probed(p.Key, o.Answer, now) }:
			case <-f.ctx.Done():
			}
		})
	}
	f.report(now)
	wake = g.Wake()
	if n := g.Holds(); n != f.own.holding.saved {
		f.own.holding.saved, f.own.unsaved = n, f.own.unsaved || g.Begun()
	}
	if g.Holds() != f.own.holding.shown {
		if due := f.own.shownAt.Add(verdictGap); now.Before(due) {
			wake = sooner(wake, due)
		} else {
			f.show(now)
		}
	}
	if f.own.unsaved {
		if due := f.own.savedAt.Add(saveGap); g.Holding() && now.Before(due) {
			wake = sooner(wake, due)
		} else {
			f.save(now)
		}
	}
	return wake
}

// save hands what the file is to have to the keeper, unless it is what it was given last, and that not long ago. The counter orders the saves: the clock
// may be set back between two.
func (f *fileBacked) save(now time.Time) {
	f.own.unsaved, f.own.savedAt = false, now
	s := Snapshot{Era: f.own.era, AsOf: f.own.said, Servers: f.own.belief.toSave(now)}
	if age := f.own.said.Sub(f.own.saved.AsOf); age >= 0 && age < lastRestamp && sameServers(s.Servers, f.own.saved.Servers) {
		return
	}
	f.own.counter++
	s.Zxid = f.own.counter
	f.own.saved = s
	f.keeper.Save(s)
}

// report logs one line when holding begins and one when it ends.
func (f *fileBacked) report(now time.Time) {
	h, g := &f.own.holding, f.own.belief.guard
	n := g.Inside()
	h.most = max(h.most, n)
	switch {
	case n > 0 && h.held == 0:
		h.since = now
		f.log.Warn("the wrapped discovery has lost many servers at once: keeping those that answer, asking them", "held", n, "listed", len(g.Listing()))
	case n == 0 && h.held > 0:
		f.log.Info("nobody is held any more, the list is the wrapped discovery's", "held_at_most", h.most, "for", now.Sub(h.since).Round(time.Second),
			"listed", len(g.Listing()))
		h.most = 0
	}
	h.held = n
}

// sooner is the earlier of two times, a zero one being never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
