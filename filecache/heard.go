package filecache

import (
	"slices"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/internal/belief"
)

// Heard is what a Keeper has told so far, of which it tells a belief. It belongs to the goroutine that owns the belief. Package zkdiscovery and Wrap
// use it; no other package can.
type Heard struct {
	Known    bool      // the Keeper has looked at the file
	Path     string    // of the newest list that was found; "" if there was none
	Err      error     // why there is none
	Override *Snapshot // in force; nil: none is
}

// Take takes what the Keeper tells, and tells b.
func (h *Heard) Take(n News, b *belief.Belief, now time.Time) {
	if n.Restamp {
		b.SaveAgain()
	}
	if n.Override != h.Override {
		if h.Override = n.Override; n.Override == nil {
			b.Overridden(nil)
		} else {
			b.Overridden(&belief.Decision{Pairs: n.Override.pairs(), AsOf: n.Override.SavedAt})
		}
	}
	switch {
	case n.File != nil:
		h.Path, h.Err = n.File.Path, nil
		b.Found(n.File.record(), n.InTheWay, now)
	case n.Err != nil:
		h.Err = n.Err
		b.Found(nil, false, now)
	case h.Known:
		return
	}
	h.Known = true
}

// SaveFrom saves what b wants the file to hold, if that is not what it has wanted before. If it is too early for that, wake says when it will be time. It
// does not block.
func (k *Keeper) SaveFrom(b *belief.Belief, now time.Time) (wake time.Time) {
	rec, wake := b.ToSave(now)
	if rec != nil {
		k.Save(rec)
	}
	return wake
}

// SaveLast is SaveFrom for the last time: it is not too early.
func (k *Keeper) SaveLast(b *belief.Belief, now time.Time) {
	if wake := k.SaveFrom(b, now); !wake.IsZero() {
		k.SaveFrom(b, wake)
	}
}

// pairs are the servers of s as rpcx has them, sorted by key.
func (s *Snapshot) pairs() []*client.KVPair {
	pairs := make([]*client.KVPair, len(s.Servers))
	for i, server := range s.Servers {
		pairs[i] = &client.KVPair{Key: server.Key, Value: server.Value}
	}
	slices.SortFunc(pairs, belief.ByKey)
	return pairs
}

// record is s as a belief has it.
func (s *Snapshot) record() *belief.Record {
	rec := &belief.Record{
		Generation: belief.Generation{Lineage: s.Lineage, Era: s.Era, Zxid: s.Zxid}, AsOf: s.AsOf,
		Listed: make([]*client.KVPair, 0, len(s.Servers)),
	}
	for _, server := range s.Servers {
		p := &client.KVPair{Key: server.Key, Value: server.Value}
		if server.HeldSince.IsZero() {
			rec.Listed = append(rec.Listed, p)
		} else {
			rec.Held = append(rec.Held, belief.Server{Pair: p, HeldSince: server.HeldSince})
		}
	}
	slices.SortFunc(rec.Listed, belief.ByKey)
	return rec
}

// snapshotOf is what a belief wants the file to hold.
func snapshotOf(rec *belief.Record) Snapshot {
	servers := rec.Servers()
	s := Snapshot{Lineage: rec.Lineage, Era: rec.Era, Zxid: rec.Zxid, AsOf: rec.AsOf, Servers: make([]Server, len(servers))}
	for i, server := range servers {
		s.Servers[i] = Server{Key: server.Pair.Key, Value: server.Pair.Value, HeldSince: server.HeldSince}
	}
	return s
}
