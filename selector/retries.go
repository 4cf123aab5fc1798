package selector

import (
	"sync/atomic"

	"github.com/holdfast-go/holdfast/selector/internal/health"
)

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
