package belief

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/internal/probe"
)

func (h *history) check() {
	h.Helper()
	if !h.b.guard.begun {
		return
	}
	r, _ := h.b.Report(h.now)
	for _, g := range r.Gone {
		h.letGo[g.Key] = true
	}
	h.nobodyLeavesWhileTheRegistryIsAway()
	h.neverDropsWhoIsListed()
	h.everybodyElseIsHeld()
	h.nobodyComesBackFromNowhere()
	h.whatOnlyTheFileKnowsHasAnswered()
	h.nobodySilentIsHeldLongerThanTheHold()
	h.neverWithoutActiveInstancesWhileAHeldOneAnswers()
	h.whoAnswersStays()
	h.theFileHasEverybodyWhoIsListedOrHeld()
	h.probesAreSpaced()
}

// nobodyLeavesWhileTheRegistryIsAway: but by a list, whoever has heard it.
func (h *history) nobodyLeavesWhileTheRegistryIsAway() {
	h.Helper()
	got := h.names()
	for _, key := range h.stay {
		if h.b.guard.away && !slices.Contains(got, key) {
			h.Fatalf("%s has left while the registry could not be asked", key)
		}
	}
	h.stay = got
}

func (h *history) neverDropsWhoIsListed() {
	h.Helper()
	got := h.names()
	for _, p := range h.listed {
		if !slices.Contains(got, p.Key) {
			h.Fatalf("%s is listed by the registry and not in the list", p.Key)
		}
	}
}

func (h *history) additionsAreNeverDelayed() {
	h.Helper()
	list := h.b.Shown().Pairs
	for _, p := range h.listed {
		if !slices.Contains(list, p) {
			h.Fatalf("%v is listed by the registry, and not so in the list", *p)
		}
	}
}

func (h *history) everybodyElseIsHeld() {
	h.Helper()
	got, held := h.names(), h.b.Shown().Held
	if !slices.IsSorted(got) || !slices.IsSorted(held) || len(slices.Compact(slices.Clone(got))) != len(got) || len(got) != len(h.listed)+len(held) || len(held) != h.b.guard.holds.inside {
		h.Fatalf("not sorted, twice the same, or not who is listed and held: %v, held %v", short(got), short(held))
	}
	for _, key := range held {
		if slices.ContainsFunc(h.listed, func(p *client.KVPair) bool { return p.Key == key }) {
			h.Fatalf("%s is listed, and held", key)
		}
	}
}

// nobodyComesBackFromNowhere: an instance that was let go, here or by another process, is in the list when the registry has listed it again, not before.
func (h *history) nobodyComesBackFromNowhere() {
	h.Helper()
	for _, key := range h.names() {
		if !h.may[key] || h.letGo[key] {
			h.Fatalf("%s was let go, and is back", key)
		}
	}
}

func (h *history) whatOnlyTheFileKnowsHasAnswered() {
	h.Helper()
	for _, key := range h.b.Shown().Held {
		if h.b.guard.holds.all[key].answers {
			h.vouched[key] = true
		}
		if !h.vouched[key] {
			h.Fatalf("%s is known to the file only, has never answered, and is in the list", key)
		}
	}
}

func (h *history) nobodySilentIsHeldLongerThanTheHold() {
	h.Helper()
	for key := range h.b.guard.holds.all {
		if h.silent[key].IsZero() || h.b.guard.away || h.busy(key) || h.up[key] && !h.unaskable(key) {
			h.silent[key] = h.now
		}
		limit := fuzzHold
		switch {
		case h.unaskable(key):
			limit = fuzzUnprobed + maxRetry // until it is asked again
		case h.b.guard.holds.all[key].answers:
			limit = maxAgain + maxFails*(probeTimeout+retryAfter)
		}
		if silent := h.now.Sub(h.silent[key]); silent > limit {
			h.Fatalf("%s does not answer and is held since %v", key, silent)
		}
	}
	maps.DeleteFunc(h.silent, func(key string, _ time.Time) bool { return h.b.guard.holds.all[key] == nil })
}

func (h *history) neverWithoutActiveInstancesWhileAHeldOneAnswers() {
	h.Helper()
	list := h.b.Shown().Pairs
	if slices.ContainsFunc(list, func(p *client.KVPair) bool { return !Inactive(p.Value) }) {
		return
	}
	for key, held := range h.b.guard.holds.all {
		if held.answers {
			h.Fatalf("%s answers, and the list is %v", key, short(h.names()))
		}
	}
}

// whoAnswersStays: until two probes in a row have failed.
func (h *history) whoAnswersStays() {
	h.Helper()
	got := h.names()
	for key, answer := range h.answered {
		if answer.Answer == probe.Alive && !slices.Contains(got, key) {
			h.Fatalf("%s has answered when it was asked last, and is not in the list", key)
		}
	}
}

// goodbyesPassAtOnce is told what the list was before the last one of the registry's.
func (h *history) goodbyesPassAtOnce(before []*client.KVPair) {
	h.Helper()
	got := h.names()
	for _, p := range before {
		gone := !slices.ContainsFunc(h.listed, func(is *client.KVPair) bool { return is.Key == p.Key })
		if gone && Inactive(p.Value) && slices.Contains(got, p.Key) {
			h.Fatalf("%s has said goodbye, the registry does not list it any more, and it is in the list", p.Key)
		}
	}
}

// anEmptyListIsNeverObeyedAtOnce is told what the list was before the last one of the registry's.
func (h *history) anEmptyListIsNeverObeyedAtOnce(before []*client.KVPair) {
	h.Helper()
	if slices.ContainsFunc(h.listed, func(p *client.KVPair) bool { return !Inactive(p.Value) }) {
		return
	}
	got := h.names()
	for _, p := range before {
		if !Inactive(p.Value) && !slices.Contains(got, p.Key) {
			h.Fatalf("the registry lists nobody active, and %s is gone at once", p.Key)
		}
	}
}

func (h *history) theFileHasEverybodyWhoIsListedOrHeld() {
	h.Helper()
	if h.b.guard.away {
		return // and so nothing is saved
	}
	rec := h.b.record(h.now).Servers()
	waiting := 0 // for a first answer
	for i, s := range rec {
		if i > 0 && rec[i-1].Pair.Key >= s.Pair.Key {
			h.Fatalf("the file is not sorted, or has one twice: %v", rec)
		}
		hold := h.held(s.Pair.Key)
		switch {
		case hold == nil && (!s.HeldSince.IsZero() || !slices.Contains(h.listed, s.Pair)):
			h.Fatalf("the file has %s, which is not held, nor listed like that", s.Pair.Key)
		case hold != nil && !s.HeldSince.Equal(hold.since):
			h.Fatalf("%s is held since %v, the file says %v", s.Pair.Key, hold.since, s.HeldSince)
		case hold != nil && !hold.inside:
			waiting++
		}
		if h.letGo[s.Pair.Key] {
			h.Fatalf("%s was let go, and is in the file", s.Pair.Key)
		}
	}
	if len(rec) != len(h.names())+waiting {
		h.Fatalf("%d are in the file, of %d in the list and %d that wait", len(rec), len(h.names()), waiting)
	}
}

func (h *history) probesAreSpaced() {
	h.Helper()
	for key, at := range h.probes {
		if n := len(at); n > 1 && at[n-1].Sub(at[n-2]) < retryAfter {
			h.Fatalf("%s was probed twice within %v", key, at[n-1].Sub(at[n-2]))
		}
		if len(at) > 1 {
			h.probes[key] = at[len(at)-1:]
		}
	}
}

func (h *history) whenNobodyAnswersAndHoldsHaveEndedTheListIsTheRegistrys() {
	h.Helper()
	clear(h.up)
	clear(h.silent)
	h.busy = func(string) bool { return false }
	if !h.b.guard.begun {
		return
	}
	if h.back(); h.b.heard.relayed != nil {
		h.hear(h.listed)
	}
	h.pass(maxAgain)
	h.live(fuzzHold)
	var listed []string
	for _, p := range h.listed {
		listed = append(listed, p.Key)
	}
	h.want("in the end", listed)
	if h.isHolding() || h.isPending() || !h.b.Wake().IsZero() || len(h.b.record(h.now).Servers()) != len(listed) {
		h.Fatalf("holding %v, pending %v, wake %v, %d in the file", h.isHolding(), h.isPending(), h.b.Wake(), len(h.b.record(h.now).Servers()))
	}
	asked := maps.Clone(h.probes)
	h.live(time.Minute)
	if !maps.EqualFunc(asked, h.probes, slices.Equal) {
		h.Fatal("probes although nobody is held")
	}
}

// FuzzGuard lets a Belief live through arbitrary histories and checks what it promises after every event.
func FuzzGuard(f *testing.F) {
	f.Add([]byte{0, 31, 0, 2, 0, 0, 0, 5, 0, 3, 200, 0, 0, 31, 0, 3, 255, 0})
	f.Add([]byte{4, 15, 5, 1, 5, 0, 3, 100, 0, 7, 12, 8, 0, 4, 0, 3, 255, 0})
	f.Add([]byte{4, 255, 0, 2, 15, 255, 6, 1, 0, 0, 1, 0, 3, 60, 0})
	random := rand.New(rand.NewPCG(4, 4))
	for range 500 {
		script := make([]byte, 3+random.IntN(180))
		for i := range script {
			script[i] = byte(random.Uint32())
		}
		f.Add(script)
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 300 {
			return
		}
		h := newHistory(t, 1/float64(1+len(script)%2)) // where Share is 1, only the loss of the last is suspicious
		for ; len(script) >= 3; script = script[3:] {
			op, a, b := script[0], script[1], script[2]
			switch op % 10 {
			case 0, 1:
				if op&0x80 == 0 {
					b = 0 // a goodbye is the exception
				}
				h.list(a, b)
			case 2: // servers die, vanish behind a black hole, and come back; or it is this process that has no descriptors
				for i, key := range h.all {
					h.up[key] = a&(1<<i) != 0
				}
				here := func(key string) bool { return b&(1<<slices.Index(h.all, key)) != 0 }
				if h.blackHole = here; op&0x80 != 0 {
					h.blackHole, h.busy = nil, here
				}
			case 3:
				h.live(time.Duration(a) * time.Second / 4)
			case 4:
				h.remember(a, b, op&0x80 != 0)
			case 5:
				h.reconnect()
				h.suspectUntil = h.now.Add(h.b.guard.window)
			case 6:
				h.lineage = string('a' + rune(a%3))
			case 7:
				h.relayed(a, b)
			case 8:
				if a&1 == 0 {
					h.b.Away(h.now)
				} else if h.b.heard.relayed == nil {
					h.back()
				}
			case 9:
				h.replaced(a, b)
			}
			h.check()
		}
		h.whenNobodyAnswersAndHoldsHaveEndedTheListIsTheRegistrys()
	})
}
