package selector

import (
	"context"
	"reflect"
	"time"

	"github.com/smallnest/rpcx/client"
)

// loserPatience is how long a request that lost a race is followed when its context has no deadline.
const loserPatience = time.Minute

// race is a call in the mode Failbackup: a request, and a second one when the first has not been answered within the backup latency or has
// failed. The first answer counts, be it an error of the service's; a request that failed is no answer while the other is under way.
//
// XClient's own Failbackup does the same with Go but does not show its requests, so that no pick could be paired with its end.
type race struct {
	x             *xclient
	ctx           context.Context
	serviceMethod string
	args, reply   any

	flights [2]*flight // its requests; nil: not begun
	chosen  string     // the server of the last request, also of one that could not be sent
	running int
	err     error // of the last request that failed
}

func (x *xclient) callWithBackup(ctx context.Context, serviceMethod string, args, reply any) error {
	r := &race{x: x, ctx: ctx, serviceMethod: serviceMethod, args: args, reply: reply}
	defer r.followLosers()
	r.start(0)
	latency := time.NewTimer(x.option.BackupLatency)
	defer latency.Stop()
	if r.running > 0 && r.over(latency.C) {
		return r.err
	}
	r.start(1)
	for r.running > 0 && !r.over(nil) {
	}
	return r.err
}

// over waits until a request or the call's time ends, or it is late, and reports whether the call has ended.
func (r *race) over(late <-chan time.Time) bool {
	select {
	case call := <-r.end(0):
		return r.finish(0, call)
	case call := <-r.end(1):
		return r.finish(1, call)
	case <-late:
		return false
	case <-r.ctx.Done():
		r.err = r.ctx.Err()
		for _, f := range r.flights {
			if f != nil {
				f.land(r.err)
			}
		}
		return true
	}
}

// start sends a request. The second one is a retry of the budget's.
func (r *race) start(i int) {
	h := r.x.holder(r.ctx, r.reply == nil)
	if i > 0 {
		if h.retry = r.x.s.retries.take(r.x.s.recent()); !h.retry {
			return
		}
		h.avoid = r.chosen
	}
	var reply any // its own, since both may be decoded at the same time
	if r.reply != nil {
		reply = reflect.New(reflect.TypeOf(r.reply).Elem()).Interface()
	}
	f, err := r.x.launch(h, r.serviceMethod, r.args, reply)
	if r.chosen = h.key; err != nil {
		r.err = err
		return
	}
	r.flights[i] = f
	r.running++
}

// end is where a request ends; nil, which never does, if it is not under way.
func (r *race) end(i int) <-chan *client.Call {
	if f := r.flights[i]; f != nil && !f.landed {
		return f.inner
	}
	return nil
}

// finish takes a request's end and reports whether it is the call's.
func (r *race) finish(i int, call *client.Call) bool {
	r.running--
	r.err = call.Error
	r.flights[i].land(r.err)
	if r.err != nil {
		return isService(r.err)
	}
	if r.reply != nil {
		reflect.ValueOf(r.reply).Elem().Set(reflect.ValueOf(call.Reply).Elem())
	}
	return true
}

// followLosers waits for who has lost the race: that a server is slow is to be known, although nobody waits for it any more and callers
// end their contexts when a call returns. Its time is up with the deadline, and its arguments are the caller's again.
func (r *race) followLosers() {
	for _, f := range r.flights {
		if f == nil || f.landed {
			continue
		}
		f.args = nil
		deadline, ok := r.ctx.Deadline()
		if !ok {
			deadline = time.Now().Add(loserPatience)
		}
		r.x.follow(func() {
			ctx, cancel := context.WithDeadline(context.WithoutCancel(r.ctx), deadline)
			defer cancel()
			f.await(ctx)
		})
	}
}
