package selector

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/probe"
	"github.com/holdfast-go/holdfast/selector/internal/health"
)

// Selector chooses servers for rpcx's XClient. Its methods may be called at once from anywhere, so XClients of one service may share one.
type Selector struct {
	config *config
	began  time.Time // of the clock
	prober *probe.Queue
	main   *roster

	// What Select and the reports of outcomes share without a lock.
	inFlight atomic.Int64  // at all servers, for ConsistentHash
	coarse   atomic.Int64  // the clock when a call began or ended last
	failed   atomic.Int64  // the clock when a call failed last
	gate     health.Permit // for a call that dials a server of which nothing good is known: there is one at a time
	retries  retries
	liveness liveness

	views views // of the XClients that share it
	loop  loop

	mu sync.Mutex
	union
}

// union is all that is known, over the rosters. Selector.mu guards it.
type union struct {
	rosters   []*roster
	servers   map[string]*server // listed by a roster, or lately
	gone      []*server          // those that left, the longest ago first
	closed    bool
	published int64 // when tables were
	changed   bool  // since the tables were published
	// A probe that never reached anybody is not believed once a call has.
	reached, answeredCalls bool
}

// New returns a Selector without servers: XClient gives it those of its discovery. Its error joins every mistake in the options. Close it when no
// client uses it any more.
func New(opts ...Option) (*Selector, error) {
	c, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	s := &Selector{config: c, began: time.Now(), main: newRoster("")}
	s.union = union{rosters: []*roster{s.main}, servers: make(map[string]*server)}
	s.retries.config = c
	s.loop.init()
	if !c.noProbing {
		s.prober = probe.NewQueue(probe.Settings{Probe: probe.Probe(c.probing.Probe), Timeout: c.probing.Timeout, Parallel: c.probing.Parallel})
	}
	return s, nil
}

// Select implements client.Selector: the key of a listed server, or "" when the list is empty. It does not block.
func (s *Selector) Select(ctx context.Context, servicePath, serviceMethod string, args any) string {
	return s.selectFrom(s.main, call{ctx, servicePath, serviceMethod, args})
}

func (s *Selector) selectFrom(r *roster, c call) string {
	h := holderOf(c.ctx)
	if h != nil && h.x.s != s { // it waits for another Selector's pick
		h = nil
	}
	if h != nil && !h.maySelect() {
		return ""
	}
	p := s.next(r, h, c)
	if p.server == nil {
		return ""
	}
	key := p.server.key
	if h == nil {
		p.unreported()
		return key
	}
	p.count()
	h.add(p)
	return key
}

// Close ends what the Selector does in the background and returns when it has ended; a probe that ignores its context is left behind. Select goes
// on answering from the last list and those that UpdateServer still brings, without regard to failures. It may be called twice, but not from a
// hook. The error is nil.
func (s *Selector) Close() error {
	s.mu.Lock()
	s.closed = true
	s.loop.news, s.loop.answers = nil, nil
	s.publish(s.now())
	s.mu.Unlock()
	s.loop.end()
	if s.prober != nil {
		s.prober.Wait()
	}
	return nil
}
