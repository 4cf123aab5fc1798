package serverplugin

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

const (
	pipelined    = 128         // actions under way at once
	unregistered = time.Second // how long Unregister waits
	sessionsKept = 100         // nothing is left in ZooKeeper of a session that long ago
)

// registrar makes ZooKeeper agree with what is wanted. Its loop (run) owns the nodes; actions run beside it and report to it. What the plugin's
// methods want, and what they are told, is under mu.
type registrar struct {
	cfg     config
	session *session.Session
	ctx     context.Context // ends with stop
	cancel  context.CancelFunc
	wg      sync.WaitGroup // the loop, actions and whoever waits for the server
	done    chan struct{}  // closed when all of it is gone

	pokes   chan struct{} // one token: look at what is wanted, at hints and at the session. Anybody sends
	answers chan answer   // actions send, the loop receives
	drains  chan struct{} // whoever drains has put a token in
	mute    atomic.Bool   // ZooKeeper has let an Unregister wait in vain, and has not answered since

	mu       sync.Mutex // guards what follows; nothing blocks or calls out under it
	services map[string]*service
	edited   bool          // what is wanted has changed since the loop looked
	draining bool          // everything says state=inactive
	changed  chan struct{} // closed, and replaced, whenever a service's report changes
	counters Counters

	// The loop's own.
	entries map[string]*entry
	mine    []int64 // the sessions that there were, the newest last
	queue   []job
	running int
	seen    session.State // as the nodes know it
	ready   bool          // the server listens
	metrics []param
	tickAt  time.Time // of the metrics; zero: never
	wakeAt  time.Time // zero: never
	expired bool      // an expiry that nobody can confirm was reported
	news    news
}

func newRegistrar(cfg config) *registrar {
	ctx, cancel := context.WithCancel(context.Background())
	r := &registrar{
		cfg: cfg, ctx: ctx, cancel: cancel, session: session.Open(cfg.session),
		done: make(chan struct{}), pokes: make(chan struct{}, 1), answers: make(chan answer), drains: make(chan struct{}, 1),
		services: make(map[string]*service), changed: make(chan struct{}),
		entries: make(map[string]*entry),
	}
	listening := make(chan struct{}) // closed by awaitServer
	r.wg.Go(func() { r.run(listening) })
	r.wg.Go(func() { r.awaitServer(listening) })
	return r
}

// stop ends everything and returns when it is gone. Every call waits.
func (r *registrar) stop() {
	r.mu.Lock()
	first := r.ctx.Err() == nil
	r.cancel()
	r.mu.Unlock()
	if !first {
		<-r.done
		return
	}
	r.session.Close() // which ends the nodes
	r.wg.Wait()
	r.mu.Lock()
	clear(r.services)
	r.tell()
	r.mu.Unlock()
	close(r.done)
}

func (r *registrar) poke() {
	select {
	case r.pokes <- struct{}{}:
	default: // one is there already
	}
}

// tell wakes whoever waits for a report. The caller holds mu.
func (r *registrar) tell() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// run is the loop.
func (r *registrar) run(listening <-chan struct{}) {
	defer r.tellNews()
	if anyHost(r.cfg.address) {
		r.cfg.log.Warn("the service address names no host: every client will look for it on its own machine", "address", r.cfg.address)
	}
	if r.cfg.update > 0 {
		r.tickAt = time.Now().Add(r.cfg.update)
	}
	// For the session's state alone, and as long as the session. A node's subscription tells of that too, but begins only after the loop has
	// looked at the state that the node starts with: a connection in between would be missed.
	r.session.SubscribeWith(r.pokes, r.cfg.base)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-r.ctx.Done():
			return
		case <-r.pokes:
			r.look(time.Now())
		case <-listening:
			listening, r.ready = nil, true
			r.look(time.Now())
		case a := <-r.answers:
			r.answered(a, time.Now())
		case <-timer.C:
			r.wakeUp(time.Now())
		}
		r.begin()
		if r.news.due(time.Now()) {
			r.tellNews()
		}
		timer.Reset(time.Until(r.nextWake()))
	}
}

// nextWake is when the loop has something to do if nothing happens before.
func (r *registrar) nextWake() time.Time {
	at := r.tickAt
	for _, t := range [...]time.Time{r.wakeAt, r.news.tellAt, r.expiresAt()} {
		if at.IsZero() || !t.IsZero() && t.Before(at) {
			at = t
		}
	}
	if at.IsZero() {
		return time.Now().Add(checkEvery)
	}
	return at
}

// wakeUp does what its time has come for.
func (r *registrar) wakeUp(now time.Time) {
	if !r.tickAt.IsZero() && !now.Before(r.tickAt) {
		r.tickAt = now.Add(r.cfg.update)
		r.metrics = readMetrics(r.cfg.metrics)
		r.mu.Lock()
		r.edited = true
		r.mu.Unlock()
		r.lookAtServices(now)
	}
	if !r.wakeAt.IsZero() && !now.Before(r.wakeAt) {
		r.wakeAt = time.Time{}
		for _, e := range r.entries {
			if at := e.node.wake(); now.Before(at) {
				r.wakeBy(at)
			} else if !at.IsZero() {
				r.feed(e, event{kind: woke}, now)
			}
		}
	}
	if at := r.expiresAt(); !at.IsZero() && !now.Before(at) {
		r.tellExpiry()
	}
}

// wakeBy has the loop wake up at a time, or before; zero: never.
func (r *registrar) wakeBy(at time.Time) {
	if r.wakeAt.IsZero() || !at.IsZero() && at.Before(r.wakeAt) {
		r.wakeAt = at
	}
}

// begin starts actions, as many as may be under way.
func (r *registrar) begin() {
	for r.running < pipelined && len(r.queue) > 0 {
		j := r.queue[0]
		r.queue = r.queue[1:]
		r.running++
		r.wg.Go(func() {
			a := answer{job: j}
			a.kind, a.err = r.perform(&a)
			select {
			case r.answers <- a:
			case <-r.ctx.Done():
			}
		})
	}
}
