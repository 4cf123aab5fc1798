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
//
// What holds:
//
//   - Select returns the key of a listed server. It returns "" in three cases: the list is empty; the call's retries have no budget left; with
//     WithOnlyTagged, no server has the call's tag. It never blocks and never panics, whatever the metadata. It allocates nothing, unless the policy
//     computes a key.
//   - A dial that fails puts a server aside at once: for about a second, then two, four, up to a minute. The server is asked again in the background,
//     outside XClient's lock.
//   - A server whose connection ends is asked in the background before a call dials it, where the network can be probed. A broken connection is one
//     failure, however many calls were on it. If no call is under way when the server is found there, its latency is forgotten. The end of an idle
//     connection is noticed where the list has literal addresses.
//   - Five failed calls in a row eject a server: connections that broke, answers that did not come in time. So does a share of failed calls that is far
//     above the other servers'. The first ejection lasts 30 s, the next ones longer, 5 min at most. Time without an ejection shortens the next one.
//   - An error that the service returns is a success of the server. An error that came neither from the network nor from the server does not count.
//   - Only a success brings back a server at which calls have failed: an answer, or a request without an answer that was written (three of these after an
//     ejection). One call at a time tries it. If that call teaches nothing, the next one tries after a second, then two, up to sixteen. At most one
//     call at a time dials a server that no probe has found. Where no server can be used, all calls go to one, until it has answered or failed.
//   - Never more than half of the servers are ejected, a quarter while the list is not live (WithLive). When more than half are out of use, the ejected
//     ones are used again: then the evidence is bad, not the servers. Servers that could not be reached stay out of use.
//   - The silence of probes is not believed when probes reach no server and calls are answered.
//   - With P2C, Random, and Locality's nearest servers, no server is forgotten. A server that is well has a call at least every second, or every ten
//     times its last latency (30 s at most), once each server has had eight calls since. A weight below the average makes that time longer by as
//     much. WeightedRoundRobin is exact, and with ConsistentHash the keys decide. A server that failed has calls again a minute after it is well at the
//     latest, and after its ejection.
//   - A server that leaves the list and comes back within a minute is trusted as before. Its latency is forgotten, since it may be another process. If it
//     was out of use it is asked at once. The same happens when the started=… of its metadata changes.
//   - After Close returns, every goroutine that the Selector started has ended, except a user's Probe that ignores its context. Select goes on
//     answering, and takes no notice of failures.
//
// Less formally: calls meet a dead server once, if at all, and do not pay for finding out whether it is back.
type Selector struct {
	config *config
	began  time.Time // of the clock
	prober *probe.Queue
	main   *roster

	// What Select and the reports of outcomes share without a lock.
	inFlight  atomic.Int64  // at all servers, for ConsistentHash
	coarse    atomic.Int64  // the clock when a call began or ended last
	failed    atomic.Int64  // the clock when a call failed last
	gate      health.Permit // for a call that dials a server of which nothing good is known: there is one at a time
	retries   retries
	lastLive  atomic.Bool  // whether the list was live when that was asked last
	liveUntil atomic.Int64 // until when that holds

	views views // of the XClients that share it
	loop  loop

	mu        sync.Mutex // guards what follows: all that is known, over the rosters
	rosters   []*roster
	servers   map[string]*server // listed by a roster, or lately
	closed    bool
	published int64 // when tables were
	changed   bool  // since the tables were published
	// reached: a probe has reached a server. answeredCalls: a call was answered. When only the second is true, probes cannot reach the servers, and
	// their silence is not believed.
	reached, answeredCalls bool
}

// New returns a Selector without servers: XClient gives it those of its discovery. Its error joins every mistake in the options. Close it when no
// client uses it any more.
func New(opts ...Option) (*Selector, error) {
	c, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	s := &Selector{config: c, began: time.Now(), main: newRoster(""), servers: make(map[string]*server)}
	s.rosters = []*roster{s.main}
	s.retries.config = c
	ctx, cancel := context.WithCancel(context.Background())
	s.loop = loop{ctx: ctx, cancel: cancel, wake: make(chan struct{}, 1)}
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
	h.pick, h.sent, h.key = p, false, key
	return key
}

// livenessHolds is how long the list is taken to be as live as it was: the answer may cost a copy of the list.
const livenessHolds = int64(time.Second / time.Millisecond)

// live says whether the list is live.
func (s *Selector) live() bool {
	if now := s.now(); now >= s.liveUntil.Load() {
		return s.askLive(now)
	}
	return s.lastLive.Load()
}

// askLive calls the user's function, so no lock may be held. One that panics says no.
func (s *Selector) askLive(now int64) (live bool) {
	defer func() {
		live = recover() == nil && live
		s.lastLive.Store(live)
		s.liveUntil.Store(now + livenessHolds)
	}()
	return s.config.live()
}

// Close ends what the Selector does in the background and returns when it has ended; a probe that ignores its context is left behind. Select goes
// on answering from the last list and those that UpdateServer still brings, without regard to failures. It may be called twice, but not from a
// hook. The error is nil.
func (s *Selector) Close() error {
	s.mu.Lock()
	s.closed = true
	s.loop.news = nil
	s.publish(s.now())
	s.mu.Unlock()
	s.loop.cancel()
	s.loop.wg.Wait()
	if s.prober != nil {
		s.prober.Wait()
	}
	return nil
}

// nanos is the Selector's clock, which takes half of time.Now's time: nanoseconds since New.
func (s *Selector) nanos() int64 { return int64(time.Since(s.began)) }

// now is the same in milliseconds, and never 0.
func (s *Selector) now() int64 { return millis(s.nanos()) }

func millis(nanos int64) int64 { return nanos/int64(time.Millisecond) + 1 }

// recent is the time as it was when a call began or ended last: enough to judge loads by, and free.
func (s *Selector) recent() int64 { return s.coarse.Load() }

func (s *Selector) setRecent(now int64) {
	if s.coarse.Load() != now {
		s.coarse.Store(now)
	}
}

// time is a moment of the clock as others know it; the zero time for 0.
func (s *Selector) time(at int64) time.Time {
	if at == 0 {
		return time.Time{}
	}
	return s.began.Add(time.Duration(at-1) * time.Millisecond)
}
