package selector

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/probe"
)

// Selector chooses servers for rpcx's XClient. Its methods may be called at once from anywhere, so XClients of one service may share one.
type Selector struct {
	config *config
	began  time.Time // of the clock
	prober *probe.Queue

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
		s.prober = probe.NewQueue(probe.Settings{Probe: probe.Probe(c.probing.Probe), Timeout: c.probing.Timeout, Parallel: c.probing.Parallel})
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

func (s *Selector) count(srv *server) pick {
	srv.inFlight.Add(1)
	if s.config.policy == ConsistentHash {
		s.inFlight.Add(1)
	}
	return pick{s, srv, srv.epoch.Load()}
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
