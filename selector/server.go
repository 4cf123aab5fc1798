package selector

import (
	"sync/atomic"

	"github.com/cespare/xxhash/v2"

	"github.com/holdfast-go/holdfast/selector/internal/health"
	"github.com/holdfast-go/holdfast/selector/internal/policy"
)

// server is what is known of one server. It stays the same through list updates, so that picks in flight can report to it.
type server struct {
	// What each choice looks at fits into one cache line, and what it writes into that and the next.
	load   health.Load
	state  atomic.Uint32 // what mark tells those who hold no lock
	epoch  atomic.Uint32 // grows with each change of state: a pick from before says nothing about what is now
	key    string
	picks  atomic.Uint64
	recent health.Counter // picks

	ends      atomic.Uint32  // grows with epoch, and with each outcome after which no further call waits for its answer: see resort
	permit    health.Permit  // for the call that tries it
	hash      uint64         // of key
	place     uint64         // among those of a tag
	ramp      atomic.Int64   // when its slow start began, which may be before the clock; 0 when it has none
	good, bad health.Counter // calls that ended so
	outcomes  [health.Outcomes]atomic.Uint64

	known struct { // guarded by Selector.mu
		health  health.Health
		data    string // its metadata
		traits  traits
		far     float64 // how far it is, for Locality
		probing bool
		lists   int   // rosters that list it
		gone    int64 // when it left one of them last
	}
}

// newServer returns a server of which nothing is known. Its place is that in which this client takes it with WithSubset, by rendezvous hashing (D. Thaler,
// C. Ravishankar 1996; gRFC A68): each client has its own order, in which every server is as likely as any other at every place, and one that comes or goes
// moves no other. Without WithSubset it is the same in every process.
func newServer(key string, clientHash uint64) *server {
	hash := xxhash.Sum64String(key)
	srv := &server{key: key, hash: hash, place: policy.Mix(hash ^ clientHash)}
	srv.known.traits = parseTraits("")
	srv.mark()
	return srv
}

// What state has beside health.State.
const (
	alert = 1 << 8 // a success matters
	found = 1 << 9 // a probe has found it since it failed
)

// State may be asked without a lock.
func (srv *server) State() State { return State(srv.state.Load() & 0xff) }

func (srv *server) is(flag uint32) bool { return srv.state.Load()&flag != 0 }

// mark publishes health. Selector.mu must be held.
func (srv *server) mark() {
	h := &srv.known.health
	is := uint32(h.State)
	if h.State != health.Up || h.Failures > 0 {
		is |= alert
	}
	if h.Probe == health.Present {
		is |= found
	}
	if was := srv.state.Swap(is); was&0xff != is&0xff {
		srv.permit.Free()
		// The calls that have met a broken connection report when it is known already, and what they say is news.
		if h.Why != health.ConnectionBroke || h.State != health.Fresh {
			srv.epoch.Add(1)
			srv.ends.Add(1)
		}
	}
}

// lately is the span of what Status shows of picks, and half of it that in which failures are compared.
const lately = 60_000

// leastRamp is what a slow start begins with, Envoy's min_weight_percent.
const leastRamp = 0.1

// share is how much of its picks a server may take: less than 1 while it starts slowly, growing with time (Envoy's slow start with aggression 1).
func (srv *server) share(now, ramp int64) float64 {
	began := srv.ramp.Load()
	if began == 0 || ramp <= 0 {
		return 1
	}
	return min(1, leastRamp+(1-leastRamp)*float64(max(0, now-began))/float64(ramp))
}
