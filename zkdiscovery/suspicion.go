package zkdiscovery

import (
	"log/slog"
	"maps"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/filecache"
	"github.com/holdfast-go/holdfast/internal/guard"
	"github.com/holdfast-go/holdfast/internal/probe"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/mirror"
)

// fileWait is how long the first list of ZooKeeper's waits for the file, which is the guard's memory over restarts: a disk that hangs delays a
// start no longer than that.
const fileWait = 250 * time.Millisecond

// suspicion is what stands between the mirror and what is published: the guard, whom it has probed, and what of it was saved.
type suspicion struct {
	guard  *guard.Guard
	prober *probe.Queue

	fed      whole               // what the guard was told last
	relayed  *filecache.Snapshot // what a sibling process had heard, which the guard was told last
	saved    whole               // what was handed to the keeper last, or found in the file
	link     int64               // the newest connection: after a reconnect every removal is suspected
	accepted generation          // of the list whose loss nobody mourns any more: what the file is stamped with
	holds    int64               // guard.Holds at the last look
	held     int                 // who was, at the last look
	since    time.Time           // of the hold that is reported
	most     int
}

func newSuspicion(cfg *config) *suspicion {
	settings := guard.Settings(cfg.guard)
	return &suspicion{guard: settings.NewGuard(cfg.noGuard), prober: settings.NewQueue()}
}

// consult tells the guard what is new, performs what it wants, and returns when it wants to be asked again. It reports false while the first list
// waits for the file.
func (sv *service) consult(now time.Time) (wake time.Time, ready bool) {
	s, m := sv.suspicion, sv.mirror
	if m.Phase() == mirror.Cold {
		return time.Time{}, true
	}
	if !s.guard.Begun() {
		if due := sv.began.Add(fileWait); !sv.loaded && now.Before(due) {
			return due, false
		}
		sv.remind()
	}
	if m.Phase() == mirror.Live && s.link != m.Link() { // with the first list, not with the connection: ZooKeeper may refuse it for long
		s.guard.SetWindow(sv.window())
		if s.link > 0 || sv.servedFile() {
			s.guard.Suspect(now)
		}
		s.link = m.Link()
	}
	ahead := isAhead(sv.fileGeneration(), m.Phase(), sv.history.generation)
	switch w := sv.whole(); {
	case ahead:
		sv.relay(now)
	case !s.guard.Begun() || w.lineage != s.fed.lineage || w.era != s.fed.era || !sameSlice(w.pairs, s.fed.pairs):
		s.fed = w
		s.guard.Listed(w.pairs, w.String(), now)
	}
	s.guard.Away(m.Phase() != mirror.Live, now)
	s.guard.Tick(now)
	for _, p := range s.guard.Probes(now) {
		s.prober.Ask(sv.ctx, p.Key, p.First, func(o probe.Outcome) {
			select {
			case sv.answers <- func(now time.Time) { s.guard.Probed(p.Key, o.Answer, now) }:
			case <-sv.ctx.Done():
			}
		})
	}
	if !s.guard.Pending() && !ahead {
		s.accepted = sv.history.generation
	}
	if n := s.guard.Holds(); n != s.holds {
		s.holds = n
		sv.dirty, sv.metrics = true, false
		sv.reportHeld(now)
	}
	return s.guard.Wake(), true
}

// remind tells the guard what the file has, before the first list.
func (sv *service) remind() {
	if sv.file == nil {
		return
	}
	s := sv.suspicion
	s.found(sv.file)
	s.guard.Remember(s.saved.known(), s.accepted.String(), sv.servedFile())
}

// relay tells the guard what is shown while ZooKeeper cannot be asked: what a sibling process has heard since.
func (sv *service) relay(now time.Time) {
	s := sv.suspicion
	if s.relayed == sv.file || !s.guard.Begun() {
		return
	}
	s.relayed = sv.file
	s.found(sv.file)
	s.guard.Relayed(s.saved.known(), now)
	s.fed = whole{} // what the guard was told before is older: when ZooKeeper says that again, it is news
}

// found notes what the file has, which another process has written.
func (s *suspicion) found(file *filecache.Snapshot) {
	s.accepted = generationOf(file)
	s.saved = whole{generation: s.accepted, pairs: filePairs(file), asOf: file.AsOf, heldSince: make(map[string]time.Time)}
	for _, server := range file.Servers {
		if !server.HeldSince.IsZero() {
			s.saved.heldSince[server.Key] = server.HeldSince
		}
	}
}

// lists reports whether w and o list the same, held alike.
func (w whole) lists(o whole) bool {
	return equalPairs(w.pairs, o.pairs) && maps.EqualFunc(w.heldSince, o.heldSince, time.Time.Equal)
}

// known is w as the guard sees it.
func (w whole) known() []guard.Known {
	known := make([]guard.Known, len(w.pairs))
	for i, p := range w.pairs {
		known[i] = guard.Known{Pair: p, HeldSince: w.heldSince[p.Key]}
	}
	return known
}

// servedFile reports that what is shown, and so known by this process itself, comes from the file.
func (sv *service) servedFile() bool {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	return sv.current != nil && sv.current.source == File
}

// window is over how long losses are counted.
func (sv *service) window() time.Duration {
	if w := sv.root.cfg.guard.Window; w > 0 {
		return w
	}
	return sv.root.session.State().Timeout
}

// sameSlice reports whether a and b are the same slice, not only equal ones.
func sameSlice(a, b []*client.KVPair) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// reportHeld logs one line when holding begins and one when it ends.
func (sv *service) reportHeld(now time.Time) {
	s := sv.suspicion
	n := s.guard.Inside()
	s.most = max(s.most, n)
	switch {
	case n > 0 && s.held == 0:
		s.since = now
		sv.log.Log(sv.ctx, sv.edge(slog.LevelWarn, now, "held"), "ZooKeeper has lost many instances at once: keeping those that answer, asking them",
			"held", n, "listed", len(s.guard.Listing()), "new_history", s.guard.Pending())
	case n == 0 && s.held > 0:
		sv.log.Log(sv.ctx, sv.edge(slog.LevelInfo, now, "held no more"), "nobody is held any more, the list is ZooKeeper's", "held_at_most", s.most,
			"for", now.Sub(s.since).Round(time.Second), "listed", len(s.guard.Listing()))
		s.most = 0
	}
	s.held = n
}

// toSave is what the file is to hold: see guard.Record. It has the stamp of the list that was accepted last.
func (s *suspicion) toSave(now time.Time, w whole) whole {
	if s.guard.Pending() {
		w.generation = s.accepted
	}
	if s.guard.Holding() {
		record := s.guard.Record(s.saved.known(), now)
		w.pairs, w.heldSince = make([]*client.KVPair, len(record)), make(map[string]time.Time)
		for i, k := range record {
			w.pairs[i] = k.Pair
			if !k.HeldSince.IsZero() {
				w.heldSince[k.Pair.Key] = k.HeldSince
			}
		}
	}
	if w.generation == s.saved.generation && !w.asOf.After(s.saved.asOf) {
		switch saved := s.saved.asOf; {
		case !w.lists(s.saved):
			w.asOf = saved.Add(time.Nanosecond) // the probes have said something since, ZooKeeper nothing: the file takes only what is later
		case !saved.After(now): // else the clock was set back
			w.asOf = saved // it stays as it is, or the next that differs would be no later than what is in the file
		}
	}
	s.saved = w
	return w
}
