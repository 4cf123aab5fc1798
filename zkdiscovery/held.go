package zkdiscovery

import (
	"time"

	"github.com/holdfast-go/holdfast/internal/belief"
	"github.com/holdfast-go/holdfast/internal/words"
)

// maxHolds is how many held instances a Status describes. A person does not read more.
const maxHolds = 200

// Held is an instance that ZooKeeper does not list any more, and that the guard keeps in the list.
type Held struct {
	Key    string
	Since  time.Time  // when ZooKeeper listed it no more
	Until  time.Time  // when the hold ends if it does not answer and was asked twice by then; zero: no such time yet
	Reason HeldReason // why it is still there
	Err    error      // of the last probe; nil when it was answered, or there was no probe
}

// HeldReason says why an instance is still held.
type HeldReason uint8

// The reasons.
const (
	HeldUnasked  HeldReason = iota // it has not been asked yet
	HeldAnswers                    // it answers probes, and is held as long as it does
	HeldSilent                     // it has not answered the last probe
	HeldMute                       // its network has no probe
	HeldFromFile                   // the cache file has it as held, and ZooKeeper cannot be asked
)

var heldReasonNames = []string{"unasked", "answers", "silent", "mute", "file"}

// String is the reason in one word.
func (r HeldReason) String() string { return words.Name(heldReasonNames, "reason", r) }

// MarshalText returns the reason in one word: "answers".
func (r HeldReason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText sets the reason that text names. An unknown name is an error.
func (r *HeldReason) UnmarshalText(text []byte) error {
	return words.Parse(heldReasonNames, "reason", text, r)
}

// MarshalJSON writes Held as Status.MarshalJSON writes a Status.
func (h Held) MarshalJSON() ([]byte, error) { return words.JSON(h) }

// noteHeld keeps what is known of held instances where Status finds it, if it has changed.
func (lp *loop) noteHeld() {
	version := lp.belief.HeldVersion()
	if version == lp.told.held || lp.current == nil || !lp.published.pace.Is(lp.belief.Version()) {
		return
	}
	lp.told.held = version
	keys := lp.current.Held
	if len(keys) == 0 && !lp.told.someHeld {
		return
	}
	lp.told.someHeld = len(keys) > 0
	held := lp.belief.Held(keys[:min(len(keys), maxHolds)])
	lp.note(func(st *serviceStatus) { st.held = held })
}

// heldOf is the Held of the first of keys, of which nothing else is known yet.
func heldOf(keys []string) []Held {
	held := make([]Held, min(len(keys), maxHolds))
	for i := range held {
		held[i].Key = keys[i]
	}
	return held
}

// describe fills in what is known of held instances. Both are sorted by key.
func describe(held []Held, known []belief.Held) {
	for i := range held {
		for len(known) > 0 && known[0].Key < held[i].Key {
			known = known[1:]
		}
		if len(known) > 0 && known[0].Key == held[i].Key {
			k := known[0]
			held[i] = Held{Key: k.Key, Since: k.Since, Until: k.Until, Reason: HeldReason(k.Reason), Err: k.Err}
		}
	}
}
