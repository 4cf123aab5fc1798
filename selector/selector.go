package selector

import (
	"context"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/guard"
)

// Selector chooses servers for rpcx's XClient. Its methods may be called at once from anywhere, so XClients of one service may share one.
type Selector struct {
	config *config
	began  time.Time // of the clock
	prober *guard.Prober

	// What Select and the reports of outcomes share without a lock.
	table    atomic.Pointer[table]
	turns    roundRobin
	inFlight atomic.Int64           // at all servers, for ConsistentHash
	trying   atomic.Pointer[server] // the one that is being tried by a call: there is one at a time
	coarse   atomic.Uint32          // the clock's millisecond when an outcome was reported last
	liveness liveness

	wake   chan struct{} // holds one when the loop has something to do; never closed
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup // the loop

	views views // of the XClients that share it

	mu      sync.Mutex
	list    list
	started bool
	closed  bool
	changed bool     // since the table was published
	answers []answer // of probes, for the loop
	probes  int      // running
	news    []func() // for the loop to tell
	sweep   sweep
	// A probe that never reached anybody is not believed once a call has.
	reached, contradicted bool
}

// New returns a Selector without servers: XClient gives it those of its discovery. Its error joins every mistake in the options. Close it when no
// client uses it any more.
func New(opts ...Option) (*Selector, error) {
	c, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	s := &Selector{config: c, began: time.Now(), wake: make(chan struct{}, 1)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if !c.noProbing {
		s.prober = guard.NewProber(guard.Probe(c.probing.Probe), c.probing.Timeout, c.probing.Parallel)
	}
	s.list.gone = make(map[string]*server)
	s.table.Store(&table{pool: &pool{}})
	return s, nil
}

// now is nanoseconds since New, and never 0.
func (s *Selector) now() int64 { return int64(time.Since(s.began)) + 1 }

// Select implements client.Selector: the key of a listed server, or "" when the list is empty. It does not block.
func (s *Selector) Select(ctx context.Context, servicePath, serviceMethod string, args any) string {
	h := holderOf(ctx)
	if h != nil && h.x.s != s { // it waits for another Selector's pick
		h = nil
	}
	srv := s.next(h, call{ctx, servicePath, serviceMethod, args})
	if srv == nil {
		return ""
	}
	if h != nil {
		h.add(s.count(srv))
	}
	return srv.key
}

// call is what a server is chosen for.
type call struct {
	ctx                        context.Context //nolint:containedctx // it lives as long as the call of Select
	servicePath, serviceMethod string
	args                       any
}

func (s *Selector) count(srv *server) pick {
	srv.inFlight.Add(1)
	if s.config.policy == ConsistentHash {
		s.inFlight.Add(1)
	}
	return pick{s, srv, srv.epoch.Load()}
}

// next returns a server for a call, one that h has not had if there is one; nil when there is none at all.
func (s *Selector) next(h *holder, c call) *server {
	t := s.table.Load()
	var srv *server
	switch {
	case len(t.usable.balls) == 0:
		srv = s.resort(t, h)
	case s.config.policy == ConsistentHash: // a server is tried with its own keys
		srv = s.hashed(t, h, s.callHash(c))
	default:
		if srv = s.trial(t, h); srv == nil {
			srv = s.drawn(t, h)
		}
	}
	if srv != nil {
		srv.picks.Add(1)
	}
	return srv
}

// trial returns a server that is to be tried, if there is one and none is being tried; one that has no call under way rather.
func (s *Selector) trial(t *table, h *holder) *server {
	if len(t.trials) == 0 || s.trying.Load() != nil {
		return nil
	}
	from := rand.IntN(len(t.trials))
	var srv *server
	for i := range min(len(t.trials), trialDraws) {
		other := t.trials[(from+i)%len(t.trials)]
		if other.State() != Trial || had(h, other) {
			continue
		}
		idle := other.inFlight.Load() == 0
		if srv == nil || idle {
			srv = other
		}
		if idle {
			break
		}
	}
	if srv != nil && s.seize(srv) {
		return srv
	}
	return nil
}

func had(h *holder, srv *server) bool { return h != nil && h.had(srv.key) }

// drawn returns a usable server, more seldom one that starts slowly. There must be a usable one.
func (s *Selector) drawn(t *table, h *holder) *server {
	srv := s.draw(t)
	if t.ramping {
		now := s.now()
		for range redraws {
			if srv.share(now, s.config.ramp) > rand.Float64() {
				break
			}
			srv = s.draw(t)
		}
	}
	if had(h, srv) {
		return t.elsewhere(h, srv)
	}
	return srv
}

// elsewhere returns another usable server than the one that was chosen, for a call that had its chance there: the next attempt of a Failover, or
// the backup of a Failbackup. It is the same when there is no other.
func (t *table) elsewhere(h *holder, srv *server) *server {
	from := t.usable.draw(rand.Uint64())
	for i := range min(len(t.usable.balls), chances+1) {
		if other := t.usable.balls[(from+i)%len(t.usable.balls)].server; !had(h, other) {
			return other
		}
	}
	return srv
}

const (
	// redraws is how often a draw is repeated that met a server which starts slowly.
	redraws = 8
	// trialDraws is how many servers on trial are looked at for one without a call.
	trialDraws = 8
	// chances is how many servers a holder says that it had, at most.
	chances = 2
	// outOfTurn is how many servers that cannot be used lose their turn in one pick.
	outOfTurn = 64
	// outOfRing is how many points of the ring are passed over in one pick.
	outOfRing = 8 * pointsEach
)

// draw returns a usable server. There must be one.
func (s *Selector) draw(t *table) *server {
	switch s.config.policy {
	case WeightedRoundRobin:
		if srv := s.turns.next(outOfTurn, t.takes); srv != nil {
			return srv
		}
	case Locality:
		return near(t.tiers, rand.Float64(), rand.Uint64(), rand.Uint64(), rand.Uint64(), s.coarse.Load()).server
	case P2C:
		return lessLoaded(t.usable, rand.Uint64(), rand.Uint64(), s.coarse.Load()).server
	default:
	}
	return t.usable.balls[t.usable.draw(rand.Uint64())].server
}

// hashed returns the server that the hash of a call's key belongs to: the first on the ring that can be used and is not full. There must be one.
func (s *Selector) hashed(t *table, h *holder, hash uint64) *server {
	now := int64(0)
	if t.ramping {
		now = s.now()
	}
	all := s.inFlight.Load()
	var full *server // the first that is, in case all are
	m, ok := t.pool.ring.walk(hash, outOfRing, func(i int) bool {
		m := &t.pool.members[i]
		srv := m.server
		switch {
		case had(h, srv):
			return false
		case t.takes(srv):
		case srv.State() == Trial && s.seize(srv):
			return true
		default:
			return false
		}
		if n := srv.inFlight.Load(); n >= leastBound && n >= t.pool.bound(m, all, s.config.bound) {
			if full == nil {
				full = srv
			}
			return false
		}
		// While it starts slowly it has some of its keys, and more and more.
		return now == 0 || srv.share(now, s.config.ramp)*math.MaxUint32 >= float64(mix(hash^srv.hash)>>32)
	})
	switch {
	case ok:
		return t.pool.members[m].server
	case full != nil:
		return full
	}
	return t.usable.balls[t.usable.draw(mix(hash))].server
}

// resort returns a server when none is usable. All picks go to one until its outcome is known: a dial stalls everybody.
func (s *Selector) resort(t *table, h *holder) *server {
	if len(t.last) == 0 {
		return nil
	}
	if srv := s.tried(t); srv != nil && !had(h, srv) {
		return srv
	}
	from := rand.IntN(len(t.last))
	srv := t.last[from]
	for i := range min(len(t.last), chances+1) {
		if other := t.last[(from+i)%len(t.last)]; !had(h, other) {
			srv = other
			break
		}
	}
	if !s.seize(srv) {
		if other := s.tried(t); other != nil && !had(h, other) { // somebody was faster
			return other
		}
	}
	return srv
}

// tried returns the server that is being tried; nil when there is none, or it has left the list.
func (s *Selector) tried(t *table) *server {
	srv := s.trying.Load()
	if srv != nil && t.byKey[srv.key] != srv {
		s.release(srv)
		return nil
	}
	return srv
}

// lease is for how long a call that tries a server keeps others from trying one: most have ended by then, or never will.
const lease = 2 * time.Second

// seize makes srv the one that is being tried, if there is none.
func (s *Selector) seize(srv *server) bool {
	if s.trying.Load() != nil {
		return false
	}
	srv.lease.Store(s.now() + int64(lease)) // first, for the loop looks at it once srv is being tried
	if !s.trying.CompareAndSwap(nil, srv) {
		return false
	}
	s.poke()
	return true
}

// release lets another server be tried, if srv was the one.
func (s *Selector) release(srv *server) {
	if s.trying.Load() == srv {
		s.trying.CompareAndSwap(srv, nil)
	}
}

// Close ends what the Selector does in the background and returns when it has ended; a probe that ignores its context is left behind. Select goes
// on answering from the last list and those that UpdateServer still brings, without regard to failures. It may be called twice, but not from a
// hook. The error is nil.
func (s *Selector) Close() error {
	s.mu.Lock()
	s.closed = true
	for _, srv := range s.list.servers {
		srv.health = health{state: Up}
		srv.mark()
	}
	s.news, s.answers = nil, nil
	s.publish(s.now())
	s.mu.Unlock()
	s.cancel()
	s.wg.Wait()
	if s.prober != nil {
		s.prober.Wait()
	}
	return nil
}
