package zkdiscovery

import (
	"cmp"
	"strconv"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/mirror"
)

// generation places a list in time.
type generation struct {
	lineage   string
	era, zxid int64
}

func (g generation) before(o *generation) bool {
	return cmp.Or(cmp.Compare(g.era, o.era), cmp.Compare(g.zxid, o.zxid)) < 0
}

// isLaterThan reports whether g claims to be later. Zxids of two lineages cannot be compared: then the later era is, or the same one.
func (g generation) isLaterThan(o generation) bool {
	if g.lineage != o.lineage {
		return g.era >= o.era
	}
	return o.before(&g)
}

// String names what zxids can be compared within. After a restored backup that is the lineage of before, in another era.
func (g generation) String() string { return g.lineage + " " + strconv.FormatInt(g.era, 10) }

// whole is a list in its place in time, with what the guard has added.
type whole struct {
	generation
	pairs []*client.KVPair
	edits int64
	asOf  time.Time // when ZooKeeper confirmed it last
	// heldSince is, by key, of the instances that the guard has added, for the file.
	heldSince map[string]time.Time
}

// whole is the newest list that was read from ZooKeeper.
func (sv *service) whole() whole {
	w := sv.mirror.Whole()
	return whole{generation: sv.history.generation, pairs: w.Pairs, edits: w.Edits, asOf: w.AsOf}
}

// history counts the eras of a service path: of the lists that were read, in order, and of the file, which other processes write too.
//
// A zxid may be lower than one that was read before because it was not read by everybody: where metadata is not watched, or an instance may
// not be read. For example, P1 reads an instance's new metadata at zxid 7 and saves it. P2, which has no watch on it, knows 5. That is no
// restored backup. P2 doubts its list, and reads everything after a sync. Only if all of that is older than 7 was ZooKeeper restored.
type history struct {
	generation // of the newest list; before the first one, the file's
	begun      bool
	heard      time.Time  // when the file's was taken over
	ahead      generation // a file that claims to be later, until a list after a sync has told; era 0: none
}

// found takes in what the file has, now. counts says that the file was in the way of the newest list, or that this list is not live: a file
// that is ahead of a live list for a moment only is a sibling's that was told first. found reports whether the mirror is to doubt its list.
func (h *history) found(f generation, counts bool, now time.Time) (doubt bool) {
	switch {
	case h.era == 0:
		h.generation, h.heard = f, now
		return false
	case !counts || !f.isLaterThan(h.generation):
		return false
	case h.ahead.era == 0 || f.isLaterThan(h.ahead):
		h.ahead = f
	}
	return true
}

// listed takes in a list that was read. It may be given the same one again. It reports whether the mirror is to doubt it.
func (h *history) listed(w mirror.Whole) (doubt bool) {
	g, rival := h.generation, generation{}
	if w.Synced && h.ahead.era > 0 {
		// The list was read after the file was written.
		switch {
		case h.ahead.lineage != w.Lineage:
			rival = h.ahead
		case g.lineage != w.Lineage || g.before(&h.ahead):
			g = h.ahead
		}
		h.ahead = generation{}
	}
	switch falls := w.Zxid < g.zxid; {
	case w.Lineage != g.lineage || g.era == 0:
		g = generation{w.Lineage, g.era + 1, w.Zxid}
	case !falls:
		g.zxid = w.Zxid
	case w.Proof && !h.begun && w.AsOf.Before(h.heard):
		doubt = true // the file was written after this list was asked for, perhaps
	case w.Proof:
		// The same path, all of it was read, and yet it is as it was earlier: restored from a backup. What follows is another history.
		g.era++
		g.zxid = w.Zxid
	}
	if rival.era >= g.era {
		g.era = rival.era + 1 // ZooKeeper says now what it says, and so it is later
	}
	h.generation, h.begun = g, !doubt
	return doubt
}
