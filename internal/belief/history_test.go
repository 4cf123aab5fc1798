package belief

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"
)

// history is the life of a Belief's guard as a script has it, and what it has promised. Each check is called as its promise.
type history struct {
	*bench
	all     []string
	listed  []*client.KVPair                 // what the registry lists
	may     map[string]bool                  // be in the list: it was listed, or a file had it
	vouched map[string]bool                  // in a list that was shown, or has answered: may be held inside
	stay    []string                         // who was in the list at the last look
	silent  map[string]time.Time             // held, in the list or not, and since when it would not answer
	letGo   map[string]bool                  // by a probe, or because a hold was over, and not listed since
	pairs   map[client.KVPair]*client.KVPair // an instance that says the same has the same pair, as in the mirror

	shown, told  tide            // of the list, and of what the registry lists
	gone         map[string]bool // from the list
	lastLoss     time.Time
	settled      bool // told begins when nobody was missing
	suspectUntil time.Time
}

const (
	fuzzHold     = 30 * time.Second
	fuzzUnprobed = 10 * time.Second
)

func newHistory(t *testing.T, share float64) *history {
	t.Helper()
	h := &history{bench: newBench(t, Config{Share: share, Hold: fuzzHold, Unprobed: fuzzUnprobed}), letGo: make(map[string]bool)}
	h.may, h.vouched, h.gone, h.silent = make(map[string]bool), make(map[string]bool), make(map[string]bool), make(map[string]time.Time)
	h.pairs = make(map[client.KVPair]*client.KVPair)
	h.unaskable = func(key string) bool { return strings.HasSuffix(key, "8") }
	h.busy = func(string) bool { return false }
	h.all = h.servers(8)
	return h
}

// some are the pairs of a set, by the bits of which; those in inactive say goodbye.
func (h *history) some(which, inactive byte) []*client.KVPair {
	var list []*client.KVPair
	for i, key := range h.all {
		if which&(1<<i) != 0 {
			p := client.KVPair{Key: key, Value: "weight=1"}
			if inactive&(1<<i) != 0 {
				p.Value = "state=inactive"
			}
			if h.pairs[p] == nil {
				h.pairs[p] = &p
			}
			list = append(list, h.pairs[p])
		}
	}
	return list
}

// remembered is a set as a file has it, those in held as held for a while.
func (h *history) remembered(which, held byte) *Record {
	rec := h.file(nil, time.Time{})
	for i, p := range h.some(which, 0) {
		s := Server{Pair: p}
		if held&(1<<i) != 0 {
			s.HeldSince = h.now.Add(-time.Duration(held) * time.Second / 4)
		}
		rec.add(s)
	}
	return rec
}

func (h *history) list(which, inactive byte) {
	h.Helper()
	h.hear(h.some(which, inactive))
}

func (h *history) hear(list []*client.KVPair) {
	h.Helper()
	before, was := h.b.Shown().Pairs, h.listed
	shown := h.b.guard.begun || h.b.file.may
	doubt := !h.b.guard.begun || h.lineage != h.b.course.now.Lineage || h.now.Before(h.suspectUntil) || h.isHolding()
	h.listed = list
	h.bench.hear(list)
	h.stay = nil
	for _, p := range h.listed {
		h.may[p.Key], h.vouched[p.Key] = true, true
		delete(h.letGo, p.Key)
	}
	h.additionsAreNeverDelayed()
	if active := countActive(h.listed); h.b.guard.active != active {
		h.Fatalf("%d active instances are listed, the guard has counted %d", active, h.b.guard.active)
	}
	if shown {
		h.anEmptyListIsNeverObeyedAtOnce(before)
		h.goodbyesPassAtOnce(before)
		h.theListNeverFallsByMoreThanTheShare(before)
	}
	h.nobodyIsHeldWithoutNeed(was, doubt)
	for _, p := range h.listed {
		delete(h.answered, p.Key) // it is listed: it need not be asked
	}
}

func (h *history) relayed(which, held byte) {
	if !h.b.guard.begun {
		return
	}
	rec := h.ahead(h.remembered(which, held))
	h.b.Away(h.now)
	h.b.Found(rec, false, h.now)
	clear(h.may)
	clear(h.vouched)
	clear(h.answered)
	h.listed, h.stay = nil, nil
	h.shown, h.lastLoss, h.settled = tide{}, h.now, false
	clear(h.gone)
	for _, s := range rec.Servers() {
		if s.HeldSince.IsZero() {
			h.listed = append(h.listed, s.Pair)
			delete(h.letGo, s.Pair.Key)
		}
		if !h.letGo[s.Pair.Key] {
			h.may[s.Pair.Key], h.vouched[s.Pair.Key] = true, true
		}
	}
}

func (h *history) remember(which, held byte, shown bool) {
	if h.b.guard.begun {
		return
	}
	rec := h.remembered(which, held)
	h.b.Found(rec, false, h.now)
	if shown {
		h.b.MayServe()
	}
	clear(h.may)
	clear(h.vouched)
	for _, s := range rec.Servers() {
		h.may[s.Pair.Key], h.vouched[s.Pair.Key] = true, h.b.file.may
	}
}

// replaced is an orderly deployment: one comes for each that goes, before it or after it.
func (h *history) replaced(by, after byte) {
	h.Helper()
	list := slices.Clone(h.listed)
	for i, p := range h.some(by, 0) {
		steps := []func(){
			func() { // one comes
				if at, found := slices.BinarySearchFunc(list, p, ByKey); !found {
					list = slices.Insert(list, at, p)
				}
			},
			func() { // one goes
				if at := slices.IndexFunc(list, func(old *client.KVPair) bool { return !slices.Contains(h.some(by, 0), old) }); at >= 0 && len(list) > 1 {
					list = slices.Delete(list, at, at+1)
				}
			},
		}
		if after&(1<<i) != 0 {
			slices.Reverse(steps)
		}
		for _, step := range steps {
			step()
			h.hear(slices.Clone(list))
			h.check()
		}
	}
}

// live lets d go by, a quarter of a second at a time.
func (h *history) live(d time.Duration) {
	h.Helper()
	for ; d > 0; d -= time.Second / 4 {
		h.pass(min(d, time.Second/4))
		h.check()
	}
}
