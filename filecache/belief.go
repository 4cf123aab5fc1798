package filecache

import (
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/internal/guard"
	"github.com/holdfast-go/holdfast/internal/watchers"
)

// belief is what a wrapped discovery's list should be: what the guard makes of the source and the file, unless an operator has decided. Its methods
// do no I/O and read no clock. The lists in it do not change.
type belief struct {
	guard  *guard.Guard
	served bool // the file's list is the list, for want of the source's

	override   watchers.List // an operator's
	overridden bool
	record     []guard.Known // what the file has, of which nobody may be lost while somebody is held
}

// heard takes what the source lists now.
func (b *belief) heard(list watchers.List, now time.Time) {
	if b.served {
		// The registry was away, and so long that the file had to do: whatever it has forgotten meanwhile is in doubt.
		b.guard.Suspect(now)
		b.served = false
	}
	b.guard.Listed(list, "", now)
}

// overrule takes an operator's override; nil: there is none.
func (b *belief) overrule(s *Snapshot) {
	b.override, b.overridden = nil, s != nil
	if s != nil {
		b.override = listOf(*s)
	}
}

// read takes the file's snapshot, before the source has listed anything. serve says that the source has nothing to say yet, so that the file's list is
// the list.
func (b *belief) read(s Snapshot, serve bool) {
	b.served, b.record = serve, knownOf(s)
	b.guard.Remember(b.record, "", serve)
}

// list is what to list; nil: nothing is known.
func (b *belief) list() watchers.List {
	if b.overridden {
		return b.override
	}
	return b.guard.List()
}

// toSave is what the file is to have.
func (b *belief) toSave(now time.Time) []Server {
	b.record = b.guard.Record(b.record, now)
	servers := make([]Server, len(b.record))
	for i, k := range b.record {
		servers[i] = Server{Key: k.Pair.Key, Value: k.Pair.Value, HeldSince: k.HeldSince}
	}
	return servers
}

func knownOf(s Snapshot) []guard.Known {
	known := make([]guard.Known, len(s.Servers))
	for i, server := range s.Servers {
		known[i] = guard.Known{Pair: &client.KVPair{Key: server.Key, Value: server.Value}, HeldSince: server.HeldSince}
	}
	return known
}

func listOf(s Snapshot) watchers.List {
	list := make(watchers.List, len(s.Servers))
	for i, server := range s.Servers {
		list[i] = &client.KVPair{Key: server.Key, Value: server.Value}
	}
	return list
}
