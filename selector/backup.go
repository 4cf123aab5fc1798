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

	runners [2]runner
	started int
	running int
	err     error // of the last request that failed
}

// runner is one of its requests.
type runner struct {
	*flight
	reply any // its own, since both may be decoded at the same time
}

func (x *xclient) callWithBackup(ctx context.Context, serviceMethod string, args, reply any) error {
	r := &race{x: x, ctx: ctx, serviceMethod: serviceMethod, args: args, reply: reply}
	defer r.followLosers()
	r.start()
	if r.running > 0 {
		latency := time.NewTimer(x.backupLatency)
		defer latency.Stop()
		select {
		case <-latency.C:
		case call := <-r.end(0):
			if r.finish(0, call) {
				return r.err
			}
		case <-ctx.Done():
			return r.abandon()
		}
	}
	if x.s.retries.take(x.s.recent()) {
		r.start()
	}
	for r.running > 0 {
		finished := false
		select {
		case call := <-r.end(0):
			finished = r.finish(0, call)
		case call := <-r.end(1):
			finished = r.finish(1, call)
		case <-ctx.Done():
			return r.abandon()
		}
		if finished {
			break
		}
	}
	return r.err
}

// start sends a request.
func (r *race) start() {
	h := r.x.holder(r.ctx, r.reply == nil)
	if other := r.runners[0].flight; other != nil {
		h.avoid, h.backup = other.h.key, true
	}
	var reply any
	if r.reply != nil {
		reply = reflect.New(reflect.TypeOf(r.reply).Elem()).Interface()
	}
	f, err := r.x.launch(h, r.serviceMethod, r.args, reply)
	if err != nil {
		r.err = err
		return
	}
	r.runners[r.started] = runner{f, reply}
	r.started++
	r.running++
}

// end is where a request ends; nil, which never does, if it is not under way.
func (r *race) end(i int) <-chan *client.Call {
	if f := r.runners[i].flight; f != nil && !f.landed {
		return f.inner
	}
	return nil
}

// finish takes a request's end and reports whether it is the call's.
func (r *race) finish(i int, call *client.Call) bool {
	r.running--
	runner := r.runners[i]
	r.err = call.Error
	runner.land(r.err)
	if r.err != nil {
		return isService(r.err)
	}
	if r.reply != nil {
		reflect.ValueOf(r.reply).Elem().Set(reflect.ValueOf(runner.reply).Elem())
	}
	return true
}

// abandon ends the call with its context.
func (r *race) abandon() error {
	for _, runner := range r.runners {
		if runner.flight != nil {
			runner.land(r.ctx.Err())
		}
	}
	return r.ctx.Err()
}

// followLosers waits for who has lost the race: that a server is slow is to be known, although nobody waits for it any more and callers
// end their contexts when a call returns. Its time is up with the deadline.
func (r *race) followLosers() {
	for _, runner := range r.runners {
		if runner.flight == nil || runner.landed {
			continue
		}
		deadline, ok := r.ctx.Deadline()
		if !ok {
			deadline = time.Now().Add(loserPatience)
		}
		r.x.follow(func() {
			ctx, cancel := context.WithDeadline(context.WithoutCancel(r.ctx), deadline)
			defer cancel()
			runner.await(ctx)
		})
	}
}
