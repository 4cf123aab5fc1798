package zkdiscovery

import (
	"slices"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/filecache"
	"github.com/holdfast-go/holdfast/internal/belief"
	"github.com/holdfast-go/holdfast/internal/probe"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/mirror"
)

// fileWait is how long the first list of ZooKeeper's waits for the file, which is the guard's memory over restarts. A disk that hangs delays a
// start no longer than that.
const fileWait = 250 * time.Millisecond

// trialGap is the time between two probes of one root that find out whether probes reach anybody.
const trialGap = 10 * time.Second

// belief is the configuration of a Belief that begins now, with what a view remembers of an earlier one.
func (c *config) belief(m *memory) belief.Config {
	return belief.Config{
		Share: c.guard.Share, Window: c.guard.Window, Hold: c.guard.Hold, Unprobed: c.guard.HoldUnprobed, Obey: c.noGuard,
		FileBy: time.Now().Add(fileWait), Reached: m != nil && m.reached,
	}
}

// probing is the configuration of a service's queue of probes.
func (c *config) probing() probe.Settings {
	s := probe.Settings{Probe: c.guard.Probe, Timeout: c.guard.ProbeTimeout, Parallel: c.guard.Parallel}
	if s.Probe == nil {
		s.Probe = probe.Heartbeat(c.guard.TLS)
	}
	return s
}

// believe tells the belief what ZooKeeper has said, and the mirror what the belief wants to know.
func (lp *loop) believe(now time.Time) {
	m, b := lp.mirror, lp.belief
	live := m.Phase() == mirror.Live
	if live {
		b.Live(m.Link(), lp.root.session.State().Timeout, now)
	}
	if m.Phase() != mirror.Cold {
		w := m.Whole()
		b.Listed(belief.Listing{
			Pairs: w.Pairs, Lineage: w.Lineage, Zxid: w.Zxid, Synced: w.Synced, Proof: w.Proof, Doubt: lp.doubted, Edits: w.Edits, AsOf: w.AsOf,
		}, now)
	}
	if !live {
		b.Away(now) // which the list was confirmed before
	}
	b.Tick(now)
	if n := b.Doubts(); n != lp.doubted {
		lp.doubted = n
		if b.Doubting() {
			m.Doubt()
		}
	}
}

// probe asks the instances that the belief wants to be asked.
func (lp *loop) probe(now time.Time) {
	for _, a := range lp.belief.Asks(now) {
		if a.Trial && !a.Beside && !lp.root.mayTry(now) {
			lp.belief.Probed(a, belief.Outcome{Answer: probe.CouldNotAsk}, now)
			continue
		}
		lp.probes.Ask(lp.ctx, a.Pair.Key, a.First, func(o belief.Outcome) {
			select {
			case lp.answers <- func(now time.Time) { lp.belief.Probed(a, o, now) }:
			case <-lp.ctx.Done():
			}
		})
	}
}

// mayTry reports whether a service may find out now whether its probes reach anybody: hundreds of services do not do so at once.
func (r *root) mayTry(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Before(r.triedAt.Add(trialGap)) {
		return false
	}
	r.triedAt = now
	return true
}

// fileNews is what the keeper has told.
type fileNews struct {
	known    bool // it has looked at the file
	path     string
	err      error // why there is no list in it
	override *filecache.Snapshot
}

// takeFile takes what the keeper tells.
func (lp *loop) takeFile(n filecache.News, now time.Time) {
	f, b := &lp.file, lp.belief
	if n.Restamp {
		b.SaveAgain()
	}
	if n.Override != f.override {
		if f.override = n.Override; n.Override == nil {
			b.Overridden(nil)
		} else {
			b.Overridden(&belief.Decision{Pairs: listOf(n.Override), AsOf: n.Override.SavedAt})
		}
	}
	switch {
	case n.File != nil:
		f.path, f.err = n.File.Path, nil
		b.Found(recordOf(n.File), n.InTheWay, now)
	case n.Err != nil:
		f.err = n.Err
		b.Found(nil, false, now)
	case f.known:
		return
	}
	f.known = true
}

// save hands what the file is to hold to the keeper, and returns when to come back if that must wait.
func (lp *loop) save(now time.Time) (wake time.Time) {
	if lp.keeper == nil {
		return time.Time{}
	}
	rec, wake := lp.belief.ToSave(now)
	if rec != nil {
		lp.keeper.Save(snapshotOf(rec))
	}
	return wake
}

// recordOf is what a file has.
func recordOf(s *filecache.Snapshot) *belief.Record {
	rec := &belief.Record{
		Generation: belief.Generation{Lineage: s.Lineage, Era: s.Era, Zxid: s.Zxid}, AsOf: s.AsOf, Servers: make([]belief.Server, len(s.Servers)),
	}
	for i, p := range listOf(s) {
		rec.Servers[i].Pair = p
	}
	held := make(map[string]time.Time)
	for _, server := range s.Servers {
		if !server.HeldSince.IsZero() {
			held[server.Key] = server.HeldSince
		}
	}
	for i := range rec.Servers {
		rec.Servers[i].HeldSince = held[rec.Servers[i].Pair.Key]
	}
	return rec
}

// snapshotOf is what a file is to have.
func snapshotOf(rec *belief.Record) filecache.Snapshot {
	s := filecache.Snapshot{Lineage: rec.Lineage, Era: rec.Era, Zxid: rec.Zxid, AsOf: rec.AsOf, Servers: make([]filecache.Server, len(rec.Servers))}
	for i, server := range rec.Servers {
		s.Servers[i] = filecache.Server{Key: server.Pair.Key, Value: server.Pair.Value, HeldSince: server.HeldSince}
	}
	return s
}

// listOf is the list of a file, sorted by key.
func listOf(s *filecache.Snapshot) []*client.KVPair {
	pairs := make([]*client.KVPair, len(s.Servers))
	for i, server := range s.Servers {
		pairs[i] = &client.KVPair{Key: server.Key, Value: server.Value}
	}
	slices.SortFunc(pairs, belief.ByKey)
	return pairs
}
