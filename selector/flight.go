package selector

import (
	"context"

	"github.com/smallnest/rpcx/client"
)

// flight is a request that XClient.Go has sent. There is no PostCall for it: only its channel tells of its end.
type flight struct {
	h      *holder
	args   any
	sent   *client.Call
	inner  chan *client.Call // rpcx sends when the request ends, and again when its connection is closed later
	landed bool
}

// launch sends a request. After an error nothing is under way.
func (x *xclient) launch(h *holder, serviceMethod string, args, reply any) (*flight, error) {
	h.blind = !x.known
	f := &flight{h: h, args: args, inner: make(chan *client.Call, 1)}
	var err error
	defer func() {
		if f.sent == nil { // an error, or a panic of a plugin's
			h.ended(err)
		}
	}()
	if f.sent, err = x.XClient.Go(h, serviceMethod, args, reply, f.inner); err != nil {
		return nil, err
	}
	h.sent = true
	h.started()
	return f, nil
}

// land says what the request came to. The first time counts.
func (f *flight) land(err error) {
	if !f.landed {
		f.landed = true
		f.h.answered(f.args, f.sent.Reply, err)
	}
}

// await returns the request when it has ended, and nil when ctx or the XClient ends before.
func (f *flight) await(ctx context.Context) *client.Call {
	select {
	case call := <-f.inner:
		f.land(call.Error)
		return call
	case <-ctx.Done():
		f.land(ctx.Err())
		return nil
	case <-f.h.x.ended:
		f.land(client.ErrShutdown)
		select {
		case call := <-f.inner: // Close has ended it
			return call
		default:
			return nil
		}
	}
}

// Go is XClient's. The Call that it returns is the wrapper's own, and done receives it once (rpcx: twice, when a connection breaks and is closed).
// The context does not end the request, as in rpcx, but from then on the server is not charged with it.
func (x *xclient) Go(ctx context.Context, serviceMethod string, args, reply any, done chan *client.Call) (*client.Call, error) {
	f, err := x.launch(x.holder(ctx, reply == nil), serviceMethod, args, reply)
	if err != nil {
		return nil, err
	}
	if done == nil {
		done = make(chan *client.Call, 1)
	}
	call := &client.Call{
		ServicePath: f.sent.ServicePath, ServiceMethod: f.sent.ServiceMethod, Metadata: f.sent.Metadata,
		Args: args, Reply: reply, Done: done,
	}
	x.follow(func() {
		ended := f.await(ctx)
		if ended == nil {
			ended = f.await(context.WithoutCancel(ctx))
		}
		if ended != nil {
			call.ResMetadata, call.Error = ended.ResMetadata, ended.Error
		} else {
			call.Error = client.ErrShutdown
		}
		select {
		case done <- call:
		default: // the caller has left no room for it
		}
	})
	return call, nil
}

// follow lets fn wait for the end of a request, for which Close waits. After Close there is nothing to wait for.
func (x *xclient) follow(fn func()) {
	x.mu.Lock()
	closed := x.closed
	if !closed {
		x.flights.Go(fn)
	}
	x.mu.Unlock()
	if closed {
		fn()
	}
}
