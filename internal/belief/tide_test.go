package belief

import (
	"slices"
	"time"

	"github.com/smallnest/rpcx/client"
)

// tide is how the number of active instances rises and falls from list to list: the model of what a loss is. A goodbye is no fall, and neither is
// what happens between two lists.
type tide struct {
	level int // only differences matter
	highs []high
}

// high is a level, and until when it was that.
type high struct {
	level int
	until time.Time
}

// turn takes what was there before a list and after it, and returns who has gone.
func (w *tide) turn(before, after []*client.KVPair, now time.Time) (lost []string) {
	w.highs = append(w.highs, high{w.level, now})
	for _, p := range before {
		i, found := slices.BinarySearchFunc(after, p, ByKey)
		switch {
		case Inactive(p.Value) && found && !Inactive(after[i].Value):
			w.level++
		case !Inactive(p.Value) && !found:
			w.level--
			lost = append(lost, p.Key)
		}
	}
	for _, p := range after {
		if _, found := slices.BinarySearchFunc(before, p, ByKey); !found && !Inactive(p.Value) {
			w.level++
		}
	}
	return lost
}

// fall is how far the level is below the highest there was since then.
func (w *tide) fall(since time.Time) int {
	w.highs = slices.DeleteFunc(w.highs, func(h high) bool { return h.until.Before(since) })
	highest := w.level
	for _, h := range w.highs {
		highest = max(highest, h.level)
	}
	return highest - w.level
}

// theListNeverFallsByMoreThanTheShare of the most active instances that were in it within the window. It is told what the list was before.
func (h *history) theListNeverFallsByMoreThanTheShare(before []*client.KVPair) {
	h.Helper()
	after := h.b.Shown().Pairs
	lost := h.shown.turn(before, after, h.now)
	for _, p := range after {
		if h.gone[p.Key] && Inactive(p.Value) {
			h.shown.level++ // it is back to say goodbye
		}
		delete(h.gone, p.Key)
	}
	for _, key := range lost {
		h.gone[key] = true
	}
	if len(lost) == 0 {
		return
	}
	left, fall := countActive(after), h.shown.fall(h.now.Add(-h.b.guard.window))
	if float64(fall) > h.b.cfg.Share*float64(fall+left) {
		h.Fatalf("the list has %d active instances, %d fewer than it had within the window", left, fall)
	}
}

// nobodyIsHeldWithoutNeed: while the registry lists enough of the most that it has listed since nobody was missing, nobody is held. It is told what
// the registry listed before, and whether there may be another reason.
func (h *history) nobodyIsHeldWithoutNeed(was []*client.KVPair, otherReason bool) {
	h.Helper()
	switch {
	case otherReason:
		h.lastLoss, h.settled = h.now, false
	case h.now.Sub(h.lastLoss) > h.b.guard.window:
		h.told, h.settled = tide{}, true
	}
	if !h.settled {
		return
	}
	if lost := h.told.turn(was, h.listed, h.now); len(lost) > 0 {
		h.lastLoss = h.now
	}
	left, fall := countActive(h.listed), h.told.fall(time.Time{})
	if left > 0 && float64(fall) <= h.b.cfg.Share*float64(fall+left) && h.isHolding() {
		h.Fatalf("%v are held, although %d active instances are listed, only %d fewer than ever", short(h.b.Shown().Held), left, fall)
	}
}

func countActive(list []*client.KVPair) (n int) {
	for _, p := range list {
		if !Inactive(p.Value) {
			n++
		}
	}
	return n
}
