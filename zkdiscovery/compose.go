package zkdiscovery

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/filecache"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/mirror"
)

// saveGap is the time between two lists for the file that differ in nothing but what probes have said.
const saveGap = time.Second

var errNoCache = errors.New("no cache file: WithoutCache")

// choose decides what the list is made of: an override above all, then what ZooKeeper said, unless it cannot be asked and a sibling process
// has heard newer of the same lineage, then the file, once it may serve.
func choose(override bool, p mirror.Phase, m generation, file *generation, fallback bool) Source {
	switch {
	case override:
		return Override
	case p == mirror.Live:
		return Live
	case isAhead(file, p, m):
		return File
	case p == mirror.Stale:
		return Stale
	case file != nil && fallback:
		return File
	}
	return None
}

// isAhead reports whether the file has what a sibling process has heard later than this one, of the same lineage, which cannot ask now.
func isAhead(file *generation, p mirror.Phase, m generation) bool {
	return p == mirror.Stale && file != nil && file.lineage == m.lineage && m.before(file)
}

// fileGeneration places the file in time; nil without one.
func (sv *service) fileGeneration() *generation {
	if sv.file == nil {
		return nil
	}
	g := generationOf(sv.file)
	return &g
}

func generationOf(s *filecache.Snapshot) generation { return generation{s.Lineage, s.Era, s.Zxid} }

// compose makes the list of this moment.
func (sv *service) compose() *list {
	m, file := sv.mirror, sv.fileGeneration()
	l := &list{source: choose(sv.override != nil, m.Phase(), sv.history.generation, file, sv.fallback), link: m.Link(), sub: sv.sub}
	switch l.source {
	case Override:
		l.pairs, l.asOf = filePairs(sv.override), sv.override.SavedAt
	case Live, Stale:
		l.pairs, l.held = sv.suspicion.guard.List(), sv.suspicion.guard.Held()
		l.asOf, l.generation = m.Whole().AsOf, sv.history.generation
	case File:
		l.pairs, l.held, l.asOf, l.generation = filePairs(sv.file), fileHeld(sv.file), sv.file.AsOf, *file
	case None:
	}
	return l
}

func filePairs(s *filecache.Snapshot) []*client.KVPair {
	pairs := make([]*client.KVPair, 0, len(s.Servers))
	for _, sv := range s.Servers {
		pairs = append(pairs, &client.KVPair{Key: sv.Key, Value: sv.Value})
	}
	slices.SortFunc(pairs, byKey)
	return pairs
}

func fileHeld(s *filecache.Snapshot) (keys []string) {
	for _, sv := range s.Servers {
		if !sv.HeldSince.IsZero() {
			keys = append(keys, sv.Key)
		}
	}
	slices.Sort(keys)
	return keys
}

// publish hands the list to the discoveries, and settles what New waits for.
func (sv *service) publish(now time.Time) {
	sv.dirty, sv.metrics = false, false
	was, l := sv.current, sv.compose()
	if l.source == None {
		if was == nil {
			if sv.fallback && sv.loaded {
				sv.settle(sv.fileErr)
			}
			return
		}
		// An override is gone and nothing else is known. Its list is still the best there is, but nobody stands by it any more.
		l.pairs, l.asOf = was.pairs, was.asOf
	}
	sv.lists++
	l.service, l.seq = sv.number, sv.lists
	sv.mu.Lock()
	sv.current = l
	views := make([]*view, 0, len(sv.views))
	for v := range sv.views {
		views = append(views, v)
	}
	sv.mu.Unlock()
	if was == nil || !equalPairs(was.pairs, l.pairs) {
		sv.published = now
	}
	if was == nil || was.source != l.source {
		sv.since = now
	}
	for _, v := range views {
		v.deliver(sv.ctx, l)
	}
	sv.settle(nil)
}

// logEdge says when the list comes from somewhere else, and returns when to look again. A short silence of ZooKeeper's is no news: it is
// what a rolling restart of the ensemble looks like, to each service of each client.
func (sv *service) logEdge(now time.Time) (wake time.Time) {
	is := sv.current
	if is == nil || is.source == sv.logged {
		return time.Time{}
	}
	if due := sv.since.Add(shortSilence); is.source == Stale && now.Before(due) {
		return due
	}
	first := sv.logged == None
	sv.logged = is.source
	age := now.Sub(is.asOf).Round(time.Second)
	switch is.source {
	case Live:
		level := slog.LevelInfo
		if !first {
			level = sv.edge(level, now, "live")
		}
		sv.log.Log(sv.ctx, level, "list is live", "instances", len(is.pairs))
	case Stale:
		sv.log.Log(sv.ctx, sv.edge(slog.LevelWarn, now, "stale"), "ZooKeeper cannot be asked, keeping the last list", "instances", len(is.pairs),
			"since", sv.since, "confirmed", is.asOf)
	case File:
		sv.log.Log(sv.ctx, sv.edge(slog.LevelWarn, now, "file"), "ZooKeeper cannot be asked, list comes from the cache file", "instances", len(is.pairs),
			"confirmed", is.asOf, "age", age, "file", sv.file.Path)
	case Override:
		sv.log.Warn("list comes from the operator's override file, whatever ZooKeeper says, until that file is deleted",
			"instances", len(is.pairs), "file", sv.override.Path)
	case None:
		sv.log.Warn("the override file is gone and nothing else is known, keeping its list", "instances", len(is.pairs))
	}
	return time.Time{}
}

// settle says, once, that there is a list, or why there is none to begin with.
func (sv *service) settle(failure error) {
	select {
	case <-sv.settled:
		return
	default:
	}
	sv.mu.Lock()
	sv.failure = failure
	sv.mu.Unlock()
	close(sv.settled)
}

// noList is the error of a start that found no list.
func (sv *service) noList() error {
	sv.mu.Lock()
	fileErr := sv.failure
	sv.mu.Unlock()
	zkErr := sv.trouble()
	if zkErr == nil {
		zkErr = fmt.Errorf("no answer within %v", sv.root.cfg.startTimeout)
		if st := sv.root.session.State(); st.Connected {
			zkErr = fmt.Errorf("connected to %s, but the list is not read within %v: see WithStartTimeout", st.Server, sv.root.cfg.startTimeout)
		}
	}
	if fileErr == nil {
		fileErr = errors.New("not looked at in time")
	}
	return fmt.Errorf("%w: service %s: ZooKeeper at %s: %w; cache: %w", ErrNoSnapshot, sv.path, sv.root.cfg.servers(), zkErr, fileErr)
}

// takeFile takes what the keeper found.
func (sv *service) takeFile(n filecache.News, now time.Time) {
	sv.restamp = sv.restamp || n.Restamp
	if sv.loaded && n.File == nil && n.Err == nil && n.Override == sv.override {
		return
	}
	sv.loaded, sv.override = true, n.Override
	if n.File != nil {
		sv.file, sv.fileErr = n.File, nil
		if sv.history.found(generationOf(n.File), n.InTheWay || sv.mirror.Phase() != mirror.Live, now) {
			sv.mirror.Doubt()
		}
	} else if n.Err != nil {
		sv.fileErr = n.Err
	}
	sv.dirty = true
}

// save hands a list that ZooKeeper has confirmed to the keeper, when it differs from the last in more than calls and connections. While the
// guard holds anybody and its probes change the list all the time, that is no more often than the keeper writes; save returns when to come back.
func (sv *service) save(now time.Time) (wake time.Time) {
	if sv.keeper == nil || sv.mirror.Phase() != mirror.Live {
		return time.Time{}
	}
	w, g := sv.whole(), sv.suspicion.guard
	mark := savedMark{era: w.era, edits: w.edits, holds: g.Holds()}
	if sv.saved == mark && !sv.restamp {
		return time.Time{}
	}
	if due := sv.offered.Add(saveGap); g.Holding() && now.Before(due) {
		return due
	}
	sv.saved, sv.offered, sv.restamp = mark, now, false
	saved := sv.suspicion.toSave(now, w)
	sv.keeper.Save(sv.snapshotOf(&saved))
	return time.Time{}
}
