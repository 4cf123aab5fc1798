package main

import (
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery"
)

// noticeLimit is how soon a change must have been noticed.
const noticeLimit = time.Second

// metDeadLimit is how many calls may have met the server that died unseen: of each caller the one that was under way, and one that went there
// before the first failure was told.
const metDeadLimit = 2 * 2 * callers

// outcome is what the drill has counted and timed.
type outcome struct {
	phases  [phases]tally // the calls of both clients
	settled [phases]tally // those of them that began when the phase's change had been noticed
	changes []change

	listsAway    int                // lists that the first client received while ZooKeeper was away
	secondSource zkdiscovery.Source // of the second client's list at its start
	secondAlike  bool               // that list was the first client's
	secondAway   tally              // the second client's calls while ZooKeeper was away
	metDead      int                // how often a call went to the server that died meanwhile

	returned   [2]recovery // how both clients took ZooKeeper's return
	liveWithin time.Duration
	right      bool // in the end both lists named the servers that lived, and nobody else
}

// recovery is how long after ZooKeeper's return a client was live, and its list right; 0: never.
type recovery struct{ live, right time.Duration }

// change is something that the first client had to notice.
type change struct {
	what    string
	took    time.Duration
	noticed bool
}

// promise is something that the library promises, and whether it was kept.
type promise struct {
	text string
	kept bool
}

// promises judges the outcome.
func (o *outcome) promises(w words) []promise {
	live := max(o.returned[0].live, o.returned[1].live)
	joined, weighed := o.settled[phaseJoined].share("D"), o.settled[phaseWeighed].share("D")
	return []promise{
		{
			w.text("no call failed while servers died, joined and changed weight"),
			o.served(phaseSteady, phaseDied, phaseJoined, phaseWeighed),
		},
		{
			w.text("every change was noticed within a second while ZooKeeper was there"),
			o.noticed(),
		},
		{
			w.text("calls followed the weight: server D got %.0f %% of them, then %.0f %%", 100*joined, 100*weighed),
			joined < 0.5 && weighed > 0.6, // a third and three quarters are due
		},
		{
			w.text("no call failed while ZooKeeper was away, though a server died"),
			o.served(phaseAway, phaseSecond, phaseDiedUnseen),
		},
		{
			w.text("calls kept away from the dead server: %d of them went there once more", o.metDead),
			o.metDead <= metDeadLimit,
		},
		{
			w.text("the list stayed as it was while ZooKeeper was away"),
			o.listsAway == 0,
		},
		{
			w.text("a second client started from the %v: %s", o.secondSource, w.calls(o.secondAway.calls, o.secondAway.failed)),
			o.secondSource == zkdiscovery.File && o.secondAlike && o.secondAway.served(),
		},
		{
			w.text("both clients were live %s after ZooKeeper's return (%s at most)", duration(live), duration(o.liveWithin)),
			o.returned[0].live > 0 && o.returned[1].live > 0 && live <= o.liveWithin,
		},
		{
			w.text("no call failed as ZooKeeper returned, with an empty list at first"),
			o.served(phaseReturning),
		},
		{
			w.text("both lists then named the servers that live, and nobody else"),
			o.returned[0].right > 0 && o.returned[1].right > 0 && o.right,
		},
		{
			w.text("no call failed from then on"),
			o.served(phaseAgain),
		},
	}
}

// served reports whether calls were made in each of the phases and none failed.
func (o *outcome) served(ps ...phase) bool {
	return !slices.ContainsFunc(ps, func(p phase) bool { return !o.phases[p].served() })
}

func (t tally) served() bool { return t.calls > 0 && t.failed == 0 }

// noticed reports whether every change was, and in time.
func (o *outcome) noticed() bool {
	return len(o.changes) > 0 && !slices.ContainsFunc(o.changes, func(c change) bool { return !c.noticed || c.took > noticeLimit })
}
