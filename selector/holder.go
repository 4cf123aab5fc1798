package selector

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/selector/internal/health"
)

// holder is the context of one call of a wrapped XClient. rpcx hands it, or a context derived from it, to Select and to the plugins, and nothing
// else connects the two: Select leaves its pick here, PostCall finds it.
//
// rpcx selects and calls on the caller's goroutine, one attempt after the other, so the fields need no lock. Where it calls all servers at once it
// selects none, and what they answer goes to all, which has one.
type holder struct {
	context.Context
	x      *xclient
	all    *fanout // of Inform
	oneway bool    // no answer is expected
	blind  bool    // rpcx does not tell plugins of the attempts: the mode is not known, or it is rpcx's own Failbackup
	avoid  string  // the server of the request that this one is the backup of

	pick   pick
	sent   bool   // the newest attempt has come to the plugins, if not to the server
	retry  bool   // the newest attempt was taken from the budget, and is not made yet
	denied bool   // there was none in the budget
	key    string // the server of the newest attempt
	began  int64  // when that attempt's request was handed to its connection, by the Selector's clock
	err    error  // what the newest attempt came to
}

func (x *xclient) holder(ctx context.Context, oneway bool) *holder {
	x.s.setRecent(x.s.now())
	return &holder{Context: ctx, x: x, oneway: oneway, blind: !x.known || x.failMode == client.Failbackup}
}

type holderKey struct{}

// holderOf returns the holder that ctx is or carries; nil if there is none.
func holderOf(ctx context.Context) *holder {
	if h, ok := ctx.(*holder); ok || ctx == nil {
		return h
	}
	h, _ := ctx.Value(holderKey{}).(*holder)
	return h
}

// Value lets the holder be found, and be the only thing that is allocated for a call.
func (h *holder) Value(key any) any {
	if _, ok := key.(holderKey); ok {
		return h
	}
	return h.Context.Value(key)
}

// maySelect says whether the call may go to a server: the first time it may, then the budget decides.
func (h *holder) maySelect() bool {
	now := h.x.s.recent()
	if h.key == "" {
		if !h.retry { // a backup was taken from the budget
			h.x.s.retries.calls.Add(now, budgeted)
		}
		return true
	}
	// Another attempt follows, unless it is rpcx's own Failbackup, which selects once for nothing and does not show its requests. If the pick is still
	// open nothing was sent: the connection could not be had, unless a plugin refused or a breaker was open.
	h.release(h.sent || h.blind || h.x.option.GenBreaker != nil)
	if h.blind && !h.sent {
		return true
	}
	h.retry = !h.denied && h.x.s.retries.take(now)
	h.denied = !h.retry
	return h.retry
}

// had reports whether the call had its chance with a server: an attempt has failed there, or the request that this one is the backup of is there.
func (h *holder) had(key string) bool { return h != nil && (key == h.key || key == h.avoid) }

// selected says which server is called in the end, after the plugins that wrap Select.
func (h *holder) selected(key string) {
	if key != h.key && key != "" {
		h.release(true)
		h.key, h.sent = key, false
	}
}

// started says that an attempt's request goes out now.
func (h *holder) started() {
	began := h.x.s.nanos()
	h.x.s.setRecent(millis(began))
	if h.all != nil {
		h.all.began.CompareAndSwap(0, began)
		return
	}
	h.began, h.retry = began, false
	h.pick.begin(millis(began))
}

// answered says what an attempt came to.
func (h *holder) answered(args, reply any, err error) {
	if h.all != nil {
		h.all.answered(h, args, reply, err)
		return
	}
	h.err = err
	took := time.Duration(h.x.s.nanos() - h.began)
	o := h.judge(args, err, h.began)
	switch {
	case h.pick.open():
		h.pick.done(o, took)
		h.x.stickTo(h.key, o)
	case h.key != "": // Failtry calls the server again that it has selected once
		h.x.observe(h.key, o, took)
	default: // a sticky XClient selects once
		h.x.observe(h.x.stuckTo(), o, took)
	}
}

// judge tells what the error of an attempt that began at a time says about its server.
func (h *holder) judge(args any, err error, began int64) health.Outcome {
	o := classify(err)
	switch {
	case o == health.Answered && h.oneway:
		return health.Written
	case o == health.Late:
		// Time that was up before the request went out was spent elsewhere: on a dial, or by the caller.
		if deadline, ok := h.Deadline(); ok && !deadline.After(h.x.s.time(millis(began))) {
			return health.NotSent
		}
	case o == health.GivenUp && h.Err() == nil && h.x.unencodable(args): // whose context has ended may use them again
		return health.NotSent
	}
	return o
}

// ended gives up a pick of which nothing will be heard any more, after a call that returned err. A call that got no connection says so with an error
// before any plugin was asked.
func (h *holder) ended(err error) {
	refused := err == nil || h.sent || h.blind || h.err != nil || h.x.option.GenBreaker != nil || h.x.ending.Load() || h.Err() != nil || classify(err) == health.NotSent
	h.release(refused)
	if h.retry {
		h.retry = false
		h.x.s.retries.giveBack(h.x.s.recent())
	}
}

// release ends an open pick whose request was not sent: because of this side, or because there was no connection.
func (h *holder) release(ours bool) {
	o := health.Undialled
	if ours || h.pick.open() && h.pick.server.outcomes[health.Undialled].Load() != h.pick.undialled { // of which a plugin was told
		o = health.NotSent
	}
	h.pick.done(o, 0)
}

// retries is the budget for second attempts, as in Finagle's RetryBudget and failsafe-go: when there is too little of a service, retries must not ask
// for more.
type retries struct {
	config      *config
	calls, made health.Counter // calls that may retry, and retries
	all, denied atomic.Uint64
}

// budgeted is over how many milliseconds calls and retries are counted.
const budgeted = 10_000

// take asks for a retry. The call that asks is one of those that share the budget, also when it began longer ago.
func (r *retries) take(now int64) bool {
	calls := max(1, r.calls.Sum(now, budgeted))
	if float64(r.made.Sum(now, budgeted)) >= r.config.retryShare*float64(calls)+float64(r.config.retryLeast)*budgeted/1000 {
		r.denied.Add(1)
		return false
	}
	r.made.Add(now, budgeted)
	r.all.Add(1)
	return true
}

// giveBack returns one that was taken and not made.
func (r *retries) giveBack(now int64) {
	r.made.Take(now, budgeted)
	r.all.Add(^uint64(0))
}
