package belief

import (
	"time"

	"github.com/smallnest/rpcx/client"
)

// Source says where a list comes from. The numbers are those of zkdiscovery.Source.
type Source uint8

// The sources, as zkdiscovery documents them.
const (
	None Source = iota
	File
	Override
	Stale
	Live
)

// Shown is the list of this moment. Nothing in it changes.
type Shown struct {
	Generation
	Source Source
	Pairs  []*client.KVPair
	Held   []string // keys, sorted
	AsOf   time.Time
	Asked  time.Time // when it was asked for: what was confirmed before that is not later
	Link   int64     // the connection that has confirmed it, as Live was told
}

// Decision is what an operator has decided.
type Decision struct {
	Pairs []*client.KVPair // sorted by key
	AsOf  time.Time
}

// Version tells whether what is shown has changed.
type Version struct {
	All   int64 // grows with every change
	Edits int64 // grows with every change but those of calls and connections
}

// Overridden says what an operator has decided; nil: nothing any more.
func (b *Belief) Overridden(d *Decision) {
	if d == b.decision {
		return
	}
	b.decision = d
	b.change(true)
}

func (b *Belief) change(edit bool) {
	b.version.All++
	if edit {
		b.version.Edits++
	}
}

// Version tells whether Shown has changed in more than AsOf and Zxid.
func (b *Belief) Version() Version {
	n := b.guard.holds.changes
	return Version{b.version.All + n, b.version.Edits + n}
}

// Source is where the list comes from.
func (b *Belief) Source() Source {
	switch {
	case b.decision != nil:
		return Override
	case b.guard.begun && b.heard.relayed != nil:
		return File
	case b.guard.begun && b.heard.live:
		return Live
	case b.guard.begun:
		return Stale
	}
	_, s := b.file.serves()
	return s
}

// Ready reports whether the first list waits for the file: until it does not, nothing should be shown that was not before.
func (b *Belief) Ready() bool { return b.heard.waiting == nil }

// IsAtALoss reports that nothing is known that might be shown.
func (b *Belief) IsAtALoss() bool { return b.file.known && b.file.may && b.Source() == None }

// Shown returns the list of this moment.
func (b *Belief) Shown() Shown {
	s, rec := Shown{Source: b.Source(), Link: b.heard.link}, b.heard.relayed
	switch {
	case s.Source == Override:
		s.Pairs, s.AsOf = b.decision.Pairs, b.decision.AsOf
		return s
	case s.Source == None:
		return s
	case !b.guard.begun:
		rec, _ = b.file.serves()
		s.Pairs, s.Held = rec.lists()
	default:
		s.Pairs, s.Held = b.guard.shows(), b.guard.holds.keys()
	}
	if rec != nil {
		s.AsOf, s.Generation = rec.AsOf, rec.Generation
	} else {
		s.AsOf, s.Asked, s.Generation = b.heard.AsOf, b.heard.asked, b.course.now
	}
	return s
}
