package selector

import (
	"context"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/selector/internal/health"
)

// fanout is a call of all servers at once. rpcx selects nobody for it and does not say who answered what; of Inform it can be found out.
type fanout struct {
	began   atomic.Int64 // the first attempt, by the Selector's clock; they all begin when every server is connected
	mu      sync.Mutex
	endings map[any]ending // by the reply that rpcx made for a server: a pointer, and so an identity, if it has a size; nil: nobody asks
}

// ending is what one server came to.
type ending struct {
	outcome health.Outcome
	took    time.Duration
}

// Inform is XClient's. A receipt names its server and has the reply that PostCall was given, which together tell who came to what: a
// receipt's error is everybody's (rpcx).
func (x *xclient) Inform(ctx context.Context, serviceMethod string, args, reply any) ([]client.Receipt, error) {
	all := &fanout{}
	if reply != nil && reflect.TypeOf(reply).Elem().Size() > 0 {
		all.endings = make(map[any]ending)
	}
	receipts, err := x.XClient.Inform(&holder{Context: ctx, x: x, all: all, oneway: reply == nil}, serviceMethod, args, reply)
	all.mu.Lock()
	endings := all.endings // they are complete, and not changed
	all.mu.Unlock()
	listed := x.view.roster.table.Load().byKey
	keys := make(map[string]string, len(listed)) // by address; "" where several have it, on different networks
	for key := range listed {
		_, address, ok := strings.Cut(key, "@") // as rpcx does it
		if !ok {
			address = key
		}
		if _, twice := keys[address]; twice {
			key = ""
		}
		keys[address] = key
	}
	for _, r := range receipts {
		if e, ok := endings[r.Reply]; ok {
			x.observe(keys[r.Address], e.outcome, e.took)
		}
	}
	return receipts, err
}

func (x *xclient) Broadcast(ctx context.Context, serviceMethod string, args, reply any) error {
	return x.XClient.Broadcast(&holder{Context: ctx, x: x, all: &fanout{}}, serviceMethod, args, reply)
}

func (x *xclient) Fork(ctx context.Context, serviceMethod string, args, reply any) error {
	return x.XClient.Fork(&holder{Context: ctx, x: x, all: &fanout{}}, serviceMethod, args, reply)
}

func (f *fanout) answered(h *holder, args, reply any, err error) {
	if f.endings == nil {
		return
	}
	began := f.began.Load()
	e := ending{h.judge(args, err, began), time.Duration(h.x.s.nanos() - began)}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.endings[reply] = e
}
