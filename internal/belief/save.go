package belief

import (
	"slices"
	"time"

	"github.com/smallnest/rpcx/client"
)

// saveGap is the time between two records while anybody is held: probes change the list all the time then.
const saveGap = time.Second

// saved is what ToSave has returned last, or what was found in the file.
type saved struct {
	Generation
	asOf  time.Time
	at    time.Time        // when it was returned; zero: never since the file was found
	rec   *Record          // which was found since, with that generation and time; nil: none
	pairs []*client.KVPair // which were listed then
	era   int64            // of the list then, accepted or not
	edits int64
	holds int64
	again bool // it is to be returned again
}

// found notes what the file has.
func (s *saved) found(rec *Record) {
	*s = saved{Generation: rec.Generation, asOf: rec.AsOf.Round(0), rec: rec}
}

// SaveAgain asks for the record although it is as it was: it tells how lately the list was confirmed.
func (b *Belief) SaveAgain() { b.saved.again = true }

// ToSave returns what the file is to hold, when that is not what ToSave has returned before, but for calls and connections. It returns nil when
// there is nothing to save, and when to come back if it must wait.
//
// Only what the registry has said is saved, and only while it can be asked and no doubt is open. While the registry's history is not accepted, the
// record has the generation of the one before.
func (b *Belief) ToSave(now time.Time) (rec *Record, wake time.Time) {
	s, h, g := &b.saved, &b.heard, &b.guard
	if !g.begun || !h.live || h.relayed != nil || b.course.isOpen() {
		return nil, time.Time{}
	}
	fresh := !s.at.IsZero() && s.era == b.course.now.Era && s.edits == h.Edits && s.holds == g.holds.changes
	if fresh && !s.again {
		return nil, time.Time{}
	}
	if age := now.Sub(s.at); g.holds.len() > 0 && age >= 0 && age < saveGap {
		return nil, s.at.Add(saveGap)
	}
	// The file has times of the wall's clock, and so they must be compared here.
	rec = b.record(h.AsOf.Round(0))
	if rec.Generation == s.Generation && !rec.AsOf.After(s.asOf) {
		same := fresh && sameSlice(s.pairs, g.listed)
		if s.rec != nil {
			same = slices.EqualFunc(s.rec.Servers(), rec.Servers(), Server.equal)
		}
		switch {
		case !same:
			rec.AsOf = s.asOf.Add(1) // probes have said something since, the registry nothing: the file takes only what is later
		case !s.asOf.After(now.Round(0)): // else the clock was set back
			rec.AsOf = s.asOf // it stays as it is, or the next that differs would be no later than what is in the file
		}
	}
	*s = saved{
		Generation: rec.Generation, asOf: rec.AsOf, at: now, pairs: g.listed, era: b.course.now.Era, edits: h.Edits, holds: g.holds.changes,
	}
	return rec, time.Time{}
}

// record is what is known of the registry now, with the generation that was accepted last.
func (b *Belief) record(asOf time.Time) *Record {
	return &Record{Generation: b.accepted, AsOf: asOf, Listed: b.guard.listed, Held: b.guard.held()}
}

func (s Server) equal(o Server) bool { return *s.Pair == *o.Pair && s.HeldSince.Equal(o.HeldSince) }
