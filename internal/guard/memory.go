package guard

import (
	"slices"
	"strings"
	"time"

	"github.com/smallnest/rpcx/client"
)

// Known is an instance in a file, with since when it is held; zero for one that was listed.
type Known struct {
	Pair      *client.KVPair
	HeldSince time.Time
}

// Remember is the guard's memory over restarts, for before the first list: what the file has. shown says that it is the list already, because
// the registry cannot be asked, so that it counts as known by this process itself.
func (g *Guard) Remember(known []Known, lineage string, shown bool) {
	if g.begun {
		return
	}
	g.listed, g.lineage, g.shown = make([]*client.KVPair, 0, len(known)), lineage, shown
	clear(g.held)
	g.queue, g.inside, g.list = nil, 0, nil
	for _, k := range known {
		g.listed = append(g.listed, k.Pair)
		if !k.HeldSince.IsZero() && !g.cfg.Disabled && len(g.held) < MaxHeld {
			// Held by the process before: its hold goes on, it does not begin anew.
			g.held[k.Pair.Key] = &hold{pair: k.Pair, since: k.HeldSince, index: -1, inside: shown}
		}
	}
	g.sortListed()
}

// sortListed puts listed in order, which has come from a file.
func (g *Guard) sortListed() {
	slices.SortFunc(g.listed, byKey)
	g.active = 0
	for _, p := range g.listed {
		g.count(p, 1)
	}
}

// Relayed takes what a process that shares the file has heard of the registry later than this one, which cannot ask it now, and what is shown for
// that reason. Whoever is not in it was let go there, and is not mourned here when this process can ask again; whom it holds is held on, since
// when it says.
func (g *Guard) Relayed(known []Known, now time.Time) {
	if !g.begun {
		return
	}
	g.listed, g.list = make([]*client.KVPair, 0, len(known)), nil
	g.lost = nil
	mourned := make(map[string]bool)
	for _, k := range known {
		switch {
		case k.HeldSince.IsZero() || g.cfg.Disabled:
			g.listed = append(g.listed, k.Pair)
		case g.held[k.Pair.Key] != nil:
			mourned[k.Pair.Key] = true
		case len(g.held) < MaxHeld:
			mourned[k.Pair.Key] = true
			h := &hold{pair: k.Pair, since: k.HeldSince, inside: true, index: -1}
			g.held[k.Pair.Key] = h
			g.resume(h, now)
		}
	}
	for key, h := range g.held {
		if !mourned[key] {
			g.drop(h)
		}
	}
	g.sortListed()
}

// resume is admit for a hold that another process has begun.
func (g *Guard) resume(h *hold, now time.Time) {
	g.admit(h, now)
	h.grant(now)
}

// Record returns what the file is to have, sorted by key, once the registry has listed, where it has had was: everybody listed, and everybody
// missing with since when. While anybody is held or waits for a first answer it has no fewer instances than before: of those let go meanwhile,
// some stay in it as missing, and a start asks them before it lists them.
func (g *Guard) Record(was []Known, now time.Time) []Known {
	record := make([]Known, 0, max(len(g.listed)+len(g.held), len(was)))
	for _, p := range g.listed {
		record = append(record, Known{Pair: p})
	}
	if len(g.held) == 0 {
		return record
	}
	for _, h := range g.held {
		record = append(record, Known{h.pair, h.since})
	}
	slices.SortFunc(record, byKnownKey)
	own := record
	for _, k := range was {
		if len(record) >= len(was) {
			break
		}
		if _, found := slices.BinarySearchFunc(own, k, byKnownKey); found {
			continue
		}
		if k.HeldSince.IsZero() {
			k.HeldSince = now
		}
		record = append(record, k)
	}
	slices.SortFunc(record, byKnownKey)
	return record
}

func byKnownKey(a, b Known) int { return strings.Compare(a.Pair.Key, b.Pair.Key) }
