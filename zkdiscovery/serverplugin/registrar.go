package serverplugin

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

const (
	pipelined    = 128    // actions under way at once that are begun alone
	mostTasks    = 4      // and so many tasks of several: what comes meanwhile goes together in the next one
	sessionsKept = 100    // nothing is left in ZooKeeper of a session that long ago
	mostResting  = 10_000 // services that were unregistered in this session, and are looked at after a reconnect
)

// registrar makes ZooKeeper agree with what is wanted. Its loop (run) owns the nodes; actions run beside it and report to it. The plugin's methods
// write the mailbox, and read the report.
type registrar struct {
	cfg     config
	session *session.Session
	ctx     context.Context // ends with stop
	cancel  context.CancelFunc
	wg      sync.WaitGroup // the loop, actions and the goroutine that waits for the server
	done    chan struct{}  // closed when all of it is gone

	pokes    chan struct{} // one token, which the session sends: look at hints and at its state
	letters  chan struct{} // one token, which the mailbox sends: look at it
	answers  chan []answer // tasks send, the loop receives
	drains   chan struct{} // a Drain that is under way has put a token in
	mail     *mailbox
	report   atomic.Pointer[report] // never nil
	patience patience

	loop
}

// loop is what the loop alone knows.
type loop struct {
	entries   map[string]*entry // by the service's path
	resting   int               // of them, those without a registration
	words     map[string]*layer // an operator's, of services that have no entry
	mine      []int64           // the sessions that there were, the newest last
	together  []job             // what waits to be begun, with others …
	alone     []job             // … and what failed with them, and is done by itself
	tasks     int               // under way
	urgent    int               // of them, those that a look with a watch waits for
	running   int               // tasks under way of one job that is done by itself
	seen      session.State     // as the nodes know it
	taken     int64             // mailbox.no
	is        state             // of the mailbox
	extra     *extra
	metrics   []param
	startedAt int64     // unix seconds of when clients could call it first
	tickAt    time.Time // of the metrics; zero: never
	wakeAt    time.Time // zero: never
	expired   bool      // an expiry that nobody can confirm was reported
	news      news
	counters  Counters
	dirty     bool // the report is not of now
}

func newRegistrar(cfg config) *registrar {
	ctx, cancel := context.WithCancel(context.Background())
	letters := make(chan struct{}, 1)
	r := &registrar{
		cfg: cfg, ctx: ctx, cancel: cancel, session: session.Open(cfg.session),
		done: make(chan struct{}), pokes: make(chan struct{}, 1), letters: letters,
		answers: make(chan []answer), drains: make(chan struct{}, 1), mail: newMailbox(letters),
		loop: loop{entries: make(map[string]*entry), words: make(map[string]*layer), extra: new(extra)},
	}
	r.report.Store(&report{newer: make(chan struct{})})
	r.wg.Go(r.run)
	r.wg.Go(r.awaitServer)
	r.wg.Go(r.awaitReady)
	return r
}

// stop ends everything and returns when it is gone. Every call waits.
func (r *registrar) stop() {
	r.mail.mu.Lock()
	first := r.ctx.Err() == nil
	r.cancel()
	r.mail.mu.Unlock()
	if !first {
		<-r.done
		return
	}
	r.session.Close() // which ends the nodes
	r.wg.Wait()
	r.mail.clear()
	close(r.report.Swap(&report{counters: r.counters, newer: make(chan struct{})}).newer)
	close(r.done)
}

// run is the loop.
func (r *registrar) run() {
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
		case <-r.letters:
			r.read(time.Now())
		case a := <-r.answers:
			r.ended(a)
			r.answeredMore()
		case <-timer.C:
			r.wakeUp(time.Now())
		}
		r.publish() // before anything begins: Unregister asks whether anything may have been written
		r.begin()
		if r.news.due(time.Now()) {
			r.tellNews()
		}
		timer.Reset(time.Until(r.nextWake()))
	}
}

// answeredMore takes the answers that wait, so that one report tells of them all.
func (r *registrar) answeredMore() {
	for range pipelined {
		select {
		case a := <-r.answers:
			r.ended(a)
		default:
			return
		}
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
		r.metrics = r.cfg.meters.read(r.cfg.metrics, r.cfg.log)
		r.read(now)
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

// refresh makes extra what it is to be now. Where nothing has changed, it stays the same one.
func (r *registrar) refresh() {
	if r.startedAt == 0 && r.is.mayRegister() {
		r.startedAt = time.Now().Unix()
	}
	params := r.metrics
	if r.cfg.started && r.startedAt != 0 {
		params = append(slices.Clip(params), param{startedKey, strconv.FormatInt(r.startedAt, 10)})
	}
	if now := (extra{params: params, inactive: r.is.draining || r.is.ready && r.is.why != nil}); !now.equal(r.extra) {
		r.extra = &now
	}
}

// wakeBy has the loop wake up at a time, or before; zero: never.
func (r *registrar) wakeBy(at time.Time) {
	if r.wakeAt.IsZero() || !at.IsZero() && at.Before(r.wakeAt) {
		r.wakeAt = at
	}
}

// begin starts tasks, as many as may be under way.
func (r *registrar) begin() {
	for r.running < pipelined && len(r.alone) > 0 {
		r.running++
		r.start(r.alone[:1:1])
		r.alone = r.alone[1:]
	}
	for r.tasks < mostTasks && len(r.together) > 0 {
		var t []job
		if t, r.together = nextTask(r.together, &r.cfg, r.urgent > 0); len(t) == 0 {
			return
		}
		if r.tasks++; !t[0].canWait() {
			r.urgent++
		}
		r.start(t)
	}
}

func (r *registrar) start(task []job) {
	r.wg.Go(func() {
		answers := r.perform(task)
		select {
		case r.answers <- answers:
		case <-r.ctx.Done():
		}
	})
}

// ended takes the answers of a task.
func (r *registrar) ended(answers []answer) {
	if answers[0].alone {
		r.running--
	} else {
		if r.tasks--; !answers[0].canWait() {
			r.urgent--
		}
	}
	for _, a := range answers {
		r.answered(a, time.Now())
	}
}
