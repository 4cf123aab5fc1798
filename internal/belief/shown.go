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
	switch f := &b.file; {
	case b.decision != nil:
		return Override
	case b.guard.begun && b.heard.relayed != nil:
		return File
	case b.guard.begun && b.heard.live:
		return Live
	case b.guard.begun:
		return Stale
	case f.rec != nil && f.may:
		return File
	}
	return None
}

// Ready reports whether the first list waits for the file: until it does not, nothing should be shown that was not before.
func (b *Belief) Ready() bool { return b.heard.waiting == nil }

// IsAtALoss reports that nothing is known to be shown, and that the file, which might serve, has nothing either.
func (b *Belief) IsAtALoss() bool { return b.file.known && b.file.may && b.Source() == None }

// Shown returns the list of this moment.
func (b *Belief) Shown() Shown {
	s := Shown{Source: b.Source(), Link: b.heard.link}
	switch s.Source {
	case Override:
		s.Pairs, s.AsOf = b.decision.Pairs, b.decision.AsOf
	case Live, Stale:
		s.Pairs, s.Held = b.guard.shows(), b.guard.holds.keys()
		s.AsOf, s.Asked, s.Generation = b.heard.AsOf, b.heard.asked, b.course.now
	case File:
		rec := b.heard.relayed
		if rec != nil {
			s.Pairs, s.Held = b.guard.shows(), b.guard.holds.keys()
		} else {
			rec = b.file.rec
			s.Pairs, s.Held = rec.lists()
		}
		s.AsOf, s.Generation = rec.AsOf, rec.Generation
	case None:
	}
	return s
}
