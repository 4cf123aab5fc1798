package zkdiscovery

import (
	"log/slog"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/filecache"
	"github.com/holdfast-go/holdfast/internal/belief"
	"github.com/holdfast-go/holdfast/internal/drive"
	"github.com/holdfast-go/holdfast/internal/logs"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/mirror"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

// loop is the goroutine of a service, and what it owns. It tells the mirror what happened and asks what that wants to know, tells the belief what
// the mirror has found, and publishes, saves, probes and logs what comes of it. Jobs, probes and the keeper of the file run beside it and report
// to it.
type loop struct {
	*service
	log     *slog.Logger
	jobs    sync.WaitGroup
	answers chan func(now time.Time) // a job or a probe sends what to do with its answer; the loop receives
	sub     *session.Subscription

	resumed bool // a view has been let go before

	mirror  *mirror.Mirror
	belief  *belief.Belief
	driver  *drive.Driver
	doubted int64 // belief.Doubts, as the mirror was told

	file      filecache.Heard
	published published
	told      told
}

// published is what was handed to the views.
type published struct {
	lists int64 // so many were
	pace  drive.Pace
	since time.Time // when the source of the newest became what it is

	confirmed time.Time // up to when the newest was confirmed, when an answered ping confirmed it last
}

// newLoop returns the loop of a service that nobody else has yet.
func newLoop(sv *service) *loop {
	cfg := sv.root.cfg
	lp := &loop{
		service: sv, log: cfg.log.With("service", sv.path), answers: make(chan func(time.Time)), resumed: sv.memory != nil,
		mirror: mirror.New(!cfg.noMetadata), belief: belief.New(cfg.belief()),
	}
	lp.driver = drive.New(lp.belief, drive.Guard(cfg.guard), lp.answers, &sv.root.trials, lp.log)
	return lp
}

// run is the goroutine. It ends with the service's context, or when nobody needs the service any more.
func (lp *loop) run() {
	defer close(lp.ended)
	lp.sub = lp.root.session.Subscribe(lp.path)
	defer lp.sub.Close() // after the jobs: one that still asks would leave a watch that nobody takes away
	defer lp.jobs.Wait()
	var files <-chan filecache.News
	if lp.keeper != nil {
		files = lp.keeper.News()
		defer func() { _ = lp.keeper.Close() }() // it writes what was saved last, and has logged what there is to say
	} else {
		lp.file.Take(filecache.News{Err: errNoCache}, lp.belief, time.Now())
	}
	defer lp.driver.Wait()
	defer lp.cancel()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-lp.ctx.Done():
			lp.saveLast()
			lp.handOn()
			return
		case <-lp.sub.C:
		case <-lp.pokes:
		case <-timer.C:
		case n := <-files:
			lp.file.Take(n, lp.belief, time.Now())
		case answer := <-lp.answers:
			// What ZooKeeper told before it answered comes first: see mirror.Checked.
			lp.look()
			answer(time.Now())
		}
		lp.look()
		wake, gone := lp.act(time.Now())
		if gone {
			lp.saveLast()
			return
		}
		lp.noteHeld()
		lp.confirm()
		logs.Flush(lp.log)
		timer.Reset(time.Until(wake))
	}
}

// saveLast saves what waits for its time.
func (lp *loop) saveLast() {
	if lp.keeper != nil {
		lp.keeper.SaveLast(lp.belief, time.Now())
	}
}

// look tells the mirror the state of the connection and what was hinted.
func (lp *loop) look() {
	st := lp.root.session.State()
	hints := lp.sub.Take() // after State: what came before the newest answer is among them
	now := time.Now()
	if st.Link == lp.mirror.Link() {
		known := st.Heard
		if hints.Any() {
			known = hints.Since // what happened before is known without these hints
		}
		lp.mirror.Confirm(known)
		if lp.resting != 0 {
			lp.published.confirmed = known
		}
	}
	lp.mirror.Hinted(hints, now)
	lp.mirror.Connection(st, now)
	if !st.Connected && st.Refused {
		lp.belief.MayServe() // nobody is there to be waited for
	}
}

// confirm tells the views whether answered pings confirm what they show: not while a change is known that is not read, or not shown yet.
func (lp *loop) confirm() {
	if m := lp.mirror; m.Phase() == mirror.Live && m.AtRest() && lp.published.pace.Is(lp.belief.Version()) {
		lp.rest(m.Link())
	} else {
		lp.rest(0)
	}
}

// rest tells the views over which connection answered pings confirm what they show, 0 for none.
func (lp *loop) rest(link int64) {
	if link == lp.resting {
		return
	}
	lp.mu.Lock()
	defer lp.mu.Unlock()
	lp.resting, lp.confirmed = link, laterOf(lp.confirmed, lp.published.confirmed)
	for v := range lp.views {
		v.rest(link, lp.published.confirmed)
	}
}

// act does what is to be done now, and returns when to come back if nothing happens before. gone says that nobody needs the service any
// more.
func (lp *loop) act(now time.Time) (wake time.Time, gone bool) {
	wake, gone = lp.lookAtViews(now)
	if gone {
		return wake, true
	}
	lp.believe(now)
	j, at := lp.mirror.Todo(now)
	if wake = earlier(wake, at); j.Kind != mirror.None {
		lp.jobs.Go(func() { lp.ask(j) })
	}
	lp.driver.Ask(lp.ctx, now)
	lp.report(now)
	wake = earlier(wake, lp.belief.Wake())
	if lp.belief.Ready() {
		wake = earlier(wake, lp.publish(now))
	}
	wake = earlier(wake, lp.logSource(now))
	if lp.keeper != nil {
		wake = earlier(wake, lp.keeper.SaveFrom(lp.belief, now))
	}
	return wake, false
}

// earlier is the earlier of two times, a zero one being never.
func earlier(a, b time.Time) time.Time { return belief.Sooner(a, b) }

// lookAtViews lets go of clones that nobody uses, takes what they remember, and turns to the file when its time has come.
func (lp *loop) lookAtViews(now time.Time) (wake time.Time, gone bool) {
	lp.mu.Lock()
	fallbackAt, m := lp.fallbackAt, lp.memory
	lp.memory = nil
	lp.mu.Unlock()
	if m != nil {
		lp.belief.Remember(m.known)
	}
	var idle []*view
	for _, v := range lp.viewsNow() {
		if since, used := v.idleSince(); !used {
			if due := since.Add(releaseIdle); now.Before(due) {
				wake = earlier(wake, due)
			} else {
				idle = append(idle, v)
			}
		}
	}
	if len(idle) > 0 && lp.root.release(lp.service, idle, lp.remember()) {
		return wake, true
	}
	if wake.IsZero() {
		wake = now.Add(releaseIdle) // a look now and then: a clone's last watcher may go without a word
	}
	switch {
	case fallbackAt.IsZero():
	case now.Before(fallbackAt):
		wake = earlier(wake, fallbackAt)
	default:
		lp.belief.MayServe()
	}
	return wake, false
}

// memory is what a service leaves to the next one of its path.
type memory struct {
	service int64 // its number: services that begin later know more
	known   *belief.Memory
}

// newer is that of the service that began later; nil knows nothing.
func newer(a, b *memory) *memory {
	if a == nil || b != nil && a.service < b.service {
		return b
	}
	return a
}

// handOn leaves what is known to the next service of the path.
func (lp *loop) handOn() {
	lp.root.mu.Lock()
	defer lp.root.mu.Unlock()
	lp.root.remember(lp.path, lp.remember())
}

// remember is nil before ZooKeeper has listed anything.
func (lp *loop) remember() *memory {
	if known := lp.belief.Memory(); known != nil {
		return &memory{lp.number, known}
	}
	return nil
}
