package guard

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
	if !h.g.begun {
		return
	}
	h.nobodyLeavesWhileTheRegistryIsAway()
	h.neverDropsWhoIsListed()
	h.everybodyElseIsHeld()
	h.nobodyComesBackFromNowhere()
	h.whatOnlyTheFileKnowsHasAnswered()
	h.nobodySilentIsHeldLongerThanTheHold()
	h.neverWithoutActiveInstancesWhileAHeldOneAnswers()
	h.whoAnswersStays()
	h.theFileNeverShrinksWhileAnybodyIsHeld()
	h.probesAreBounded()
}

// nobodyLeavesWhileTheRegistryIsAway: but by a list, whoever has heard it.
func (h *history) nobodyLeavesWhileTheRegistryIsAway() {
	h.Helper()
	got := h.names()
	for _, key := range h.stay {
		if h.g.away && !slices.Contains(got, key) {
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
	list := h.g.List()
	for _, p := range h.listed {
		if !slices.Contains(list, p) {
			h.Fatalf("%v is listed by the registry, and not so in the list", *p)
		}
	}
}

func (h *history) everybodyElseIsHeld() {
	h.Helper()
	got, held := h.names(), h.g.Held()
	if !slices.IsSorted(got) || !slices.IsSorted(held) || len(slices.Compact(slices.Clone(got))) != len(got) || len(got) != len(h.listed)+len(held) || len(held) != h.g.Inside() {
		h.Fatalf("not sorted, twice the same, or not who is listed and held: %v, held %v", short(got), short(held))
	}
	for _, key := range held {
		if slices.ContainsFunc(h.listed, func(p *client.KVPair) bool { return p.Key == key }) {
			h.Fatalf("%s is listed, and held", key)
		}
	}
}

// nobodyComesBackFromNowhere: whom a sibling's list did not have is in the list when the registry has listed it again, not before.
func (h *history) nobodyComesBackFromNowhere() {
	h.Helper()
	for _, key := range h.names() {
		if !h.may[key] {
			h.Fatalf("%s was let go by a sibling, and is back", key)
		}
	}
}

func (h *history) whatOnlyTheFileKnowsHasAnswered() {
	h.Helper()
	for _, key := range h.g.Held() {
		if h.g.held[key].answers {
			h.vouched[key] = true
		}
		if !h.vouched[key] {
			h.Fatalf("%s is known to the file only, has never answered, and is in the list", key)
		}
	}
}

func (h *history) nobodySilentIsHeldLongerThanTheHold() {
	h.Helper()
	for key := range h.g.held {
		if h.silent[key].IsZero() || h.g.away || h.cutOff || h.up[key] && !h.unaskable(key) {
			h.silent[key] = h.now
		}
		limit := fuzzHold
		if h.unaskable(key) {
			limit = max(fuzzUnprobed, 8/2*(probe.DefaultTimeout+retryAfter)) // until its turn has come
		}
		if silent := h.now.Sub(h.silent[key]); silent > limit {
			h.Fatalf("%s does not answer and is held since %v", key, silent)
		}
	}
	maps.DeleteFunc(h.silent, func(key string, _ time.Time) bool { return h.g.held[key] == nil })
}

func (h *history) neverWithoutActiveInstancesWhileAHeldOneAnswers() {
	h.Helper()
	list := h.g.List()
	if slices.ContainsFunc(list, func(p *client.KVPair) bool { return !inactive(p.Value) }) {
		return
	}
	for key, held := range h.g.held {
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
		if answer == probe.Alive && !slices.Contains(got, key) {
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
		if gone && inactive(p.Value) && slices.Contains(got, p.Key) {
			h.Fatalf("%s has said goodbye, the registry does not list it any more, and it is in the list", p.Key)
		}
	}
}

// anEmptyListIsNeverObeyedAtOnce is told what the list was before the last one of the registry's.
func (h *history) anEmptyListIsNeverObeyedAtOnce(before []*client.KVPair) {
	h.Helper()
	if slices.ContainsFunc(h.listed, func(p *client.KVPair) bool { return !inactive(p.Value) }) {
		return
	}
	got := h.names()
	for _, p := range before {
		if !inactive(p.Value) && !slices.Contains(got, p.Key) {
			h.Fatalf("the registry lists nobody active, and %s is gone at once", p.Key)
		}
	}
}

func (h *history) theFileNeverShrinksWhileAnybodyIsHeld() {
	h.Helper()
	was := len(h.file)
	if h.file = h.g.Record(h.file, h.now); h.g.Holding() && len(h.file) < was {
		h.Fatalf("the file had %d, and has %d", was, len(h.file))
	}
	for i, k := range h.file {
		if i > 0 && h.file[i-1].Pair.Key >= k.Pair.Key {
			h.Fatalf("the file is not sorted, or has one twice: %v", h.file)
		}
		if hold := h.g.held[k.Pair.Key]; hold != nil && !k.HeldSince.Equal(hold.since) {
			h.Fatalf("%s is held since %v, the file says %v", k.Pair.Key, hold.since, k.HeldSince)
		}
		if slices.Contains(h.listed, k.Pair) && !k.HeldSince.IsZero() {
			h.Fatalf("%s is listed, the file says that it is held", k.Pair.Key)
		}
	}
}

func (h *history) probesAreBounded() {
	h.Helper()
	if h.most > 2 {
		h.Fatalf("%d probes at once", h.most)
	}
	for key, at := range h.probes {
		if n := len(at); n > 1 && at[n-1].Sub(at[n-2]) < time.Second/2 {
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
	h.cutOff = false
	if !h.g.begun {
		return
	}
	h.g.Away(false, h.now)
	h.live(fuzzHold + grace)
	var listed []string
	for _, p := range h.listed {
		listed = append(listed, p.Key)
	}
	h.want("in the end", listed)
	if h.g.Holding() || h.g.Pending() || !h.g.Wake().IsZero() || len(h.g.Record(h.file, h.now)) != len(listed) {
		h.Fatalf("holding %v, pending %v, wake %v, %d in the file", h.g.Holding(), h.g.Pending(), h.g.Wake(), len(h.file))
	}
	asked := maps.Clone(h.probes)
	h.live(time.Minute)
	if !maps.EqualFunc(asked, h.probes, slices.Equal) {
		h.Fatal("probes although nobody is held")
	}
}

// FuzzGuard lets a Guard live through arbitrary histories and checks what it promises after every event.
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
			switch op % 11 {
			case 0, 1:
				if op&0x80 == 0 {
					b = 0 // a goodbye is the exception
				}
				h.list(a, b)
			case 2: // servers die, vanish behind a black hole, and come back
				for i, key := range h.all {
					h.up[key] = a&(1<<i) != 0
				}
				h.blackHole = func(key string) bool { return b&(1<<slices.Index(h.all, key)) != 0 }
			case 3:
				h.live(time.Duration(a) * time.Second / 4)
			case 4:
				h.remember(a, b, op&0x80 != 0)
			case 5:
				h.g.SetWindow(time.Duration(a) * time.Second / 8)
				h.g.Suspect(h.now)
				h.suspectUntil = h.now.Add(h.g.cfg.Window)
			case 6:
				h.lineage = string('a' + rune(a%3))
			case 7:
				h.relayed(a, b)
			case 8:
				h.g.Away(a&1 == 0, h.now)
			case 9:
				h.replaced(a, b)
			case 10:
				h.cutOff = a&1 == 0
			}
			h.check()
		}
		h.whenNobodyAnswersAndHoldsHaveEndedTheListIsTheRegistrys()
	})
}
