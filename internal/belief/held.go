package belief

import (
	"slices"
	"time"
)

// Held is what is known of an instance that the registry does not list, and that is in the list nevertheless.
type Held struct {
	Key    string
	Since  time.Time
	Until  time.Time // when it goes if it does not answer before, and was asked twice; zero: not by itself
	Reason Reason
	Err    error // of the last probe; nil when that was answered, or there was none
}

// Reason says why an instance is still held.
type Reason uint8

// The reasons.
const (
	Unasked  Reason = iota // it has not been asked since it is held
	Answers                // it answers probes, and is held as long as it does
	Silent                 // it has not answered the last probe
	Mute                   // its network has no probe
	FromFile               // the cache file has it as held, and ZooKeeper cannot be asked
)

// Held returns what is known of these instances, which Shown has told to be held: sorted keys. One that is not held any more is left out.
func (b *Belief) Held(keys []string) []Held {
	held := make([]Held, 0, len(keys))
	if b.Source() == File && b.heard.relayed == nil {
		rec, _ := b.file.serves()
		for _, s := range rec.Servers() {
			if _, asked := slices.BinarySearch(keys, s.Pair.Key); asked && !s.HeldSince.IsZero() {
				held = append(held, Held{Key: s.Pair.Key, Since: s.HeldSince, Reason: FromFile})
			}
		}
		return held
	}
	for _, key := range keys {
		if h := b.guard.holds.of(key); h != nil {
			held = append(held, b.guard.told(h))
		}
	}
	return held
}

// told is what is told of a hold.
func (g *guard) told(h *hold) Held {
	t := Held{Key: h.pair.Key, Since: h.since, Until: h.end, Err: h.err}
	switch {
	case h.mute:
		t.Reason = Mute
	case h.answers:
		t.Reason = Answers
	case h.asked > 0:
		t.Reason = Silent
	}
	if h.answers || g.away {
		t.Until = time.Time{} // while the registry cannot be asked, no hold ends
	}
	return t
}

// HeldVersion changes whenever what Held returns does.
func (b *Belief) HeldVersion() int64 { return b.Version().All + b.guard.holds.outcomes }
