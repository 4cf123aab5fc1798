package probe

import (
	"cmp"
	"container/list"
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"
)

// grace is how long a probe has to return once its context has ended, before it is left behind.
const grace = 100 * time.Millisecond

var (
	errHung = errors.New("too many probes before it have ignored their context and are still under way")
	errLeft = errors.New("the probe has not returned in its time")
)

// Settings says how a queue asks. Zero fields have their defaults.
type Settings struct {
	Probe    Probe         // Heartbeat(nil)
	Timeout  time.Duration // of one probe; DefaultTimeout
	Parallel int           // probes of this queue at once; 0: no bound besides the process's
}

// maxParallel bounds Settings.Parallel.
const maxParallel = 1000

// Validate says which value breaks which rule, as the fields of a Guard.
func (s Settings) Validate() (mistakes []error) {
	if s.Timeout < 0 {
		mistakes = append(mistakes, fmt.Errorf("WithGuard: ProbeTimeout %v: must not be negative", s.Timeout))
	}
	if s.Parallel < 0 || s.Parallel > maxParallel {
		mistakes = append(mistakes, fmt.Errorf("WithGuard: Parallel %v: must be at most %d, and not negative", s.Parallel, maxParallel))
	}
	return mistakes
}

// Queue asks instances, in turn with all other queues of the process. One service or selector has one. Its methods may be called at once from
// anywhere, but Ask must not begin while Wait runs.
type Queue struct {
	settings Settings
	budget   *budget
	wg       sync.WaitGroup // one per ask that was not answered yet, and the watch

	// Guarded by budget.mu.
	waiting [classes]fifo
	running int           // probes that have a slot
	granted int           // slots for probes that have not begun
	hung    int           // probes left behind
	place   *list.Element // in the line; nil: it wants no slot
	class   class         // of the line
	wake    chan struct{} // of the watch, which receives; it holds one and is never closed; nil: there is no watch
}

// ask is one call of Ask.
type ask struct {
	ctx  context.Context
	key  string
	done func(Outcome)
}

// NewQueue returns a queue that asks nobody yet. It has nothing to close: see Wait.
func NewQueue(s Settings) *Queue { return newQueue(&process, s) }

func newQueue(b *budget, s Settings) *Queue {
	if s.Probe == nil {
		s.Probe = Heartbeat(nil)
	}
	if s.Timeout == 0 {
		s.Timeout = DefaultTimeout
	}
	if s.Parallel == 0 {
		s.Parallel = math.MaxInt
	}
	return &Queue{settings: s, budget: b}
}

// Ask asks the instance of key and calls done exactly once, from another goroutine. It does not block. first puts the instance before all that
// were asked already. Once ctx has ended the outcome is CouldNotAsk, unless the instance has answered. An ask that waits learns of that at once
// when all asks of the queue have the same ctx, else when its turn comes.
func (q *Queue) Ask(ctx context.Context, key string, first bool, done func(Outcome)) {
	q.wg.Add(1)
	a := ask{ctx, key, done}
	if ctx.Err() != nil {
		go q.refuse([]ask{a}, nil)
		return
	}
	c := askedBefore
	if first {
		c = neverAsked
	}
	q.budget.mu.Lock()
	q.waiting[c].push(a)
	todo := q.advance()
	q.budget.mu.Unlock()
	q.perform(todo)
}

// Wait returns when every ask was answered and its done has returned. A probe that ignores its context is not waited for.
func (q *Queue) Wait() { q.wg.Wait() }

// todo is what is to be done when the mutex is not held any more.
type todo struct {
	begin   []ask
	ended   []ask           // whose context has ended
	refused []ask           // because probes hang
	watch   chan struct{}   // for a watch to begin, with next
	next    <-chan struct{} // closed when the context of the next ask ends
}

// wants is how many more slots the queue could use. When too many probes of the process are left behind, a queue that has none of them probes one
// at a time, for its probe may be no better. budget.mu must be held, here and in all that follow down to perform.
func (q *Queue) wants() int {
	room := q.settings.Parallel
	if q.budget.hung >= maxHung {
		room = 1
	}
	return min(room-q.running, q.waiting[neverAsked].len()+q.waiting[askedBefore].len()) - q.granted
}

// advance does whatever can be done for the asks that wait.
func (q *Queue) advance() (t todo) {
	b := q.budget
	if b.hung >= maxHung && q.hung > 0 {
		t.refused = append(q.waiting[neverAsked].all(), q.waiting[askedBefore].all()...)
	}
	if q.head().Err() != nil { // most likely it is everybody's
		t.ended = append(q.waiting[neverAsked].ended(), q.waiting[askedBefore].ended()...)
	}
	b.enter(q)
	b.deal()
	for q.granted > 0 {
		a, ok := q.next()
		if !ok {
			b.slots -= q.granted // the others look for them
			q.granted = 0
			break
		}
		if a.ctx.Err() != nil {
			t.ended = append(t.ended, a)
			continue
		}
		q.granted--
		q.running++
		t.begin = append(t.begin, a)
	}
	b.enter(q)
	t.next = q.head().Done()
	switch waits := q.place != nil; {
	case waits && q.wake == nil:
		q.wake = make(chan struct{}, 1)
		t.watch = q.wake
		q.wg.Add(1)
	case !waits && q.wake != nil:
		select {
		case q.wake <- struct{}{}: // the watch may end
		default:
		}
	}
	return t
}

// next takes the ask whose turn it is.
func (q *Queue) next() (ask, bool) {
	if a, ok := q.waiting[neverAsked].pop(); ok {
		return a, true
	}
	return q.waiting[askedBefore].pop()
}

// head is the context of the ask whose turn is next.
func (q *Queue) head() context.Context {
	for c := range q.waiting {
		if l := &q.waiting[c]; l.len() > 0 {
			return l.asks[l.head].ctx
		}
	}
	return context.Background()
}

// perform does what advance wants, without the mutex.
func (q *Queue) perform(t todo) {
	for _, a := range t.begin {
		go q.run(a)
	}
	if len(t.ended) > 0 {
		go q.refuse(t.ended, nil)
	}
	if len(t.refused) > 0 {
		go q.refuse(t.refused, errHung)
	}
	if t.watch != nil {
		go q.watch(t.watch, t.next)
	}
}

// refuse answers asks that nobody will probe: because of err, or of their own context.
func (q *Queue) refuse(asks []ask, err error) {
	for _, a := range asks {
		a.done(Outcome{CouldNotAsk, cmp.Or(err, context.Cause(a.ctx))})
		q.wg.Done()
	}
}

// watch looks for slots while the queue waits for the process.
func (q *Queue) watch(wake <-chan struct{}, next <-chan struct{}) {
	defer q.wg.Done()
	pause := lookSoon
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for over := false; !over; {
		select {
		case <-wake:
		case <-next:
		case <-timer.C:
			pause = min(2*pause, lookLate)
		}
		q.budget.mu.Lock()
		t := q.advance()
		if over = q.place == nil; over {
			q.wake = nil
		}
		q.budget.mu.Unlock()
		if len(t.begin) > 0 {
			pause = lookSoon
		}
		next = t.next
		timer.Reset(pause)
		q.perform(t)
	}
}

// run performs one probe, which has a slot, gives the slot back and answers.
func (q *Queue) run(a ask) {
	defer q.wg.Done()
	outcome := q.outcome(a)
	q.budget.mu.Lock()
	q.running--
	q.budget.slots--
	t := q.advance()
	q.budget.mu.Unlock()
	q.perform(t)
	a.done(outcome)
}

// outcome runs one probe. One that does not return soon after its context has ended is left behind.
func (q *Queue) outcome(a ask) Outcome {
	ctx, cancel := context.WithTimeout(a.ctx, q.settings.Timeout)
	defer cancel()
	b := q.budget
	var returned, left bool        // guarded by b.mu
	outcome := make(chan error, 1) // the probe's goroutine sends once
	go func() {
		err := call(ctx, q.settings.Probe, a.key)
		b.mu.Lock()
		returned = true
		if left {
			q.hung--
			b.hung--
		}
		b.mu.Unlock()
		outcome <- err
	}()
	select {
	case err := <-outcome:
		return a.judge(err)
	case <-ctx.Done():
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case err := <-outcome:
		return a.judge(err)
	case <-timer.C:
	}
	b.mu.Lock()
	if !returned {
		left = true
		q.hung++
		b.hung++
	}
	b.mu.Unlock()
	return a.judge(errLeft)
}

// judge tells what the error of a probe says. When the caller's own context has ended it says nothing: the probe had less than its time.
func (a ask) judge(err error) Outcome {
	if err != nil && a.ctx.Err() != nil {
		return Outcome{CouldNotAsk, err}
	}
	return outcomeOf(err)
}
