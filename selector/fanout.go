package selector

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/selector/internal/health"
)

// fanout is a call of all servers at once. rpcx selects nobody for it and does not say who answered what; of Inform it can be found out.
type fanout struct {
	mu      sync.Mutex
	began   int64 // of the first attempt, by the Selector's clock; they all begin when every server is connected
	endings []ending
}

// ending is what one server came to.
type ending struct {
	reply   any // the pointer that rpcx made for it: an identity
	outcome health.Outcome
	took    time.Duration
}

// Inform is XClient's. A receipt names its server and has the reply that PostCall was given, which together tell who came to what: a
// receipt's error is everybody's (rpcx).
func (x *xclient) Inform(ctx context.Context, serviceMethod string, args, reply any) ([]client.Receipt, error) {
	all := &fanout{}
	receipts, err := x.XClient.Inform(&holder{Context: ctx, x: x, all: all, oneway: reply == nil}, serviceMethod, args, reply)
	all.mu.Lock()
	endings := all.endings // they are complete, and not changed
	all.mu.Unlock()
	for _, r := range receipts {
		i := slices.IndexFunc(endings, func(e ending) bool { return e.reply != nil && e.reply == r.Reply })
		if i >= 0 {
			x.observe(x.view.roster.keyOf(r.Address), endings[i].outcome, endings[i].took)
		}
	}
	return receipts, err
}

// Broadcast is XClient's.
func (x *xclient) Broadcast(ctx context.Context, serviceMethod string, args, reply any) error {
	return x.XClient.Broadcast(&holder{Context: ctx, x: x, all: &fanout{}}, serviceMethod, args, reply)
}

// Fork is XClient's.
func (x *xclient) Fork(ctx context.Context, serviceMethod string, args, reply any) error {
	return x.XClient.Fork(&holder{Context: ctx, x: x, all: &fanout{}}, serviceMethod, args, reply)
}

func (f *fanout) started(now int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.began == 0 {
		f.began = now
	}
}

func (f *fanout) answered(h *holder, args, reply any, err error) {
	f.mu.Lock()
	began := f.began
	f.mu.Unlock()
	e := ending{reply, h.judge(args, err, began), time.Duration(h.x.s.nanos() - began)}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.endings = append(f.endings, e)
}
