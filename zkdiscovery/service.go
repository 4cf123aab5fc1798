package zkdiscovery

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/filecache"
	"github.com/holdfast-go/holdfast/internal/edges"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/mirror"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

const (
	publishGap = 10 * time.Millisecond // between two deliveries; the first is delivered at once
	metricsGap = time.Second           // between two deliveries of nothing but calls and connections

	shortSilence = 10 * time.Second // is not worth a line in the log
)

// service keeps the list of one service path, for all discoveries that show it. Its loop owns the mirror and everything else that is not
// under mu; jobs and the keeper of the file run beside it and report to it.
type service struct {
	root   *root
	path   string
	number int64 // grows from service to service, also of one path
	log    *slog.Logger
	ctx    context.Context
	cancel context.CancelFunc
	ended  chan struct{} // closed when the loop and all that it started are gone
	jobs   sync.WaitGroup

	answers chan func(now time.Time) // a job sends what to do with its answer; the loop receives
	files   <-chan filecache.News    // the keeper's; nil without a cache
	pokes   chan struct{}            // one token: look at what is under mu. Anybody sends
	settled chan struct{}            // closed by the loop when it has a list, or knows that there is none to begin with

	mu         sync.Mutex // guards what follows; nothing blocks or calls out under it
	views      map[*view]struct{}
	current    *list
	fallbackAt time.Time // from then on the file may serve; zero: nobody is in a hurry
	failure    error     // why there is no list, once settled without one
	status     serviceStatus
	keeper     *filecache.Keeper // run sets it at its beginning; nil without a cache

	// The loop's own.
	began     time.Time
	sub       *session.Subscription
	mirror    *mirror.Mirror
	history   history
	suspicion *suspicion
	loaded    bool // the keeper has looked at the file; always true without one
	file      *filecache.Snapshot
	fileErr   error
	override  *filecache.Snapshot
	fallback  bool  // the file may serve
	lists     int64 // published
	published time.Time
	since     time.Time // when current's source became what it is
	logged    Source    // the one that was logged last
	edges     edges.Row // of what is logged of the list
	reported  struct{ metadata, denied, skipped bool }
	skipped   int  // children that are no instances, as Status has it
	dirty     bool // what compose returns may differ from what was published
	metrics   bool // in nothing but calls and connections
	saved     savedMark
	offered   time.Time // when saved was
	restamp   bool      // the file is to be written again, with the time of the last confirmation
}

// savedMark tells what was handed to the keeper last; zero: nothing was.
type savedMark struct{ era, edits, holds int64 }

func newService(r *root, path string, number int64) *service {
	ctx, cancel := context.WithCancel(r.ctx)
	sv := &service{
		root: r, path: path, number: number, ctx: ctx, cancel: cancel,
		ended: make(chan struct{}), answers: make(chan func(time.Time)),
		pokes: make(chan struct{}, 1), settled: make(chan struct{}),
		views: make(map[*view]struct{}), mirror: mirror.New(!r.cfg.noMetadata), loaded: r.cfg.noCache,
		began: time.Now(), suspicion: newSuspicion(r.cfg),
	}
	if r.cfg.noCache {
		sv.fileErr = errNoCache
	}
	return sv
}

// stop ends the loop and waits until everything of the service is gone.
func (sv *service) stop() {
	sv.cancel()
	<-sv.ended
}

func (sv *service) poke() {
	select {
	case sv.pokes <- struct{}{}:
	default: // one is there already
	}
}

// run is the loop.
func (sv *service) run() {
	defer close(sv.ended)
	sv.log = sv.root.cfg.log.With("service", sv.path) // here, since With calls the user's handler and newService is called under root.mu
	defer sv.jobs.Wait()
	if !sv.root.cfg.noCache {
		keeper := sv.keep()
		// After the loop: what was shown last, a moment before Close, is to be written. A disk that hangs is told in the log.
		defer func() { _ = keeper.Close() }()
		sv.files = keeper.News()
		sv.mu.Lock()
		sv.keeper = keeper
		sv.mu.Unlock()
	}
	defer sv.suspicion.prober.Wait()
	defer sv.cancel()
	sv.sub = sv.root.session.Subscribe(sv.path)
	defer sv.sub.Close()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-sv.ctx.Done():
			return
		case <-sv.sub.C:
		case <-sv.pokes:
		case <-timer.C:
		case n := <-sv.files:
			sv.takeFile(n, time.Now())
		case answer := <-sv.answers:
			// What ZooKeeper told before it answered comes first: see mirror.Checked.
			sv.look()
			answer(time.Now())
		}
		sv.look()
		wake, gone := sv.act(time.Now())
		if gone {
			return
		}
		sv.confirm()
		timer.Reset(time.Until(wake))
	}
}

// look tells the mirror the state of the connection and what was hinted.
func (sv *service) look() {
	st := sv.root.session.State()
	proven := sv.sub.Proven()
	hints := sv.sub.Take() // after State: what came before the newest answer is among them
	now := time.Now()
	m := sv.mirror
	was := m.Phase()
	m.Confirm(proven)
	m.Hinted(hints, now)
	m.Connection(st, now)
	if m.Phase() != was {
		sv.dirty, sv.metrics = true, false
	}
	if !sv.fallback && !st.Connected && st.Refused {
		sv.fallback, sv.dirty = true, true // nobody is there to be waited for
	}
}

// confirm says whether answered pings confirm the list that is shown: not while a change is known that is not read, or not shown yet.
func (sv *service) confirm() {
	if sv.mirror.AtRest() && !sv.dirty {
		sv.sub.Settle(sv.mirror.Link())
	} else {
		sv.sub.Unsettle()
	}
}

// act does what is to be done now, and returns when to come back if nothing happens before. gone says that nobody needs the service any
// more.
func (sv *service) act(now time.Time) (wake time.Time, gone bool) {
	wake, gone = sv.lookAtViews(now)
	if gone {
		return wake, true
	}
	j, at := sv.mirror.Todo(now)
	wake = earlier(wake, at)
	if j.Kind != mirror.None {
		sv.jobs.Go(func() { sv.ask(j) })
	}
	if n := sv.mirror.TakeNews(); n.Any() {
		sv.report(n, now)
		if n.Changed {
			sv.metrics = n.OnlyMetrics && (sv.metrics || !sv.dirty)
			sv.dirty = true
		}
	}
	sv.reportSkipped()
	sv.reportSettled(now)
	at, ready := sv.consult(now)
	wake = earlier(wake, at)
	if !ready {
		return wake, false
	}
	if sv.dirty {
		gap := publishGap
		if sv.metrics {
			gap = metricsGap
		}
		if due := sv.published.Add(gap); now.Before(due) {
			wake = earlier(wake, due)
		} else {
			sv.publish(now)
		}
	}
	wake = earlier(wake, sv.logEdge(now))
	return earlier(wake, sv.save(now)), false
}

// earlier is the earlier of two times, a zero one being never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// lookAtViews lets go of clones that nobody uses, and turns to the file when its time has come.
func (sv *service) lookAtViews(now time.Time) (wake time.Time, gone bool) {
	sv.mu.Lock()
	fallbackAt := sv.fallbackAt
	var idle []*view
	for v := range sv.views {
		if since, used := v.idleSince(); !used {
			if due := since.Add(releaseIdle); now.Before(due) {
				wake = earlier(wake, due)
			} else {
				idle = append(idle, v)
			}
		}
	}
	sv.mu.Unlock()
	if len(idle) > 0 && sv.root.release(sv, idle) {
		return wake, true
	}
	if wake.IsZero() {
		wake = now.Add(releaseIdle) // a look now and then: a clone's last watcher may go without a word
	}
	if !sv.fallback && !fallbackAt.IsZero() {
		if now.Before(fallbackAt) {
			wake = earlier(wake, fallbackAt)
		} else {
			sv.fallback, sv.dirty = true, true
		}
	}
	return wake, false
}

func (sv *service) note(f func(*serviceStatus)) {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	f(&sv.status)
}
