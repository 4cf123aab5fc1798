package selector

import (
	"context"
	"time"
)

// holder is the context of one call of a wrapped XClient. rpcx hands it, or a context derived from it, to Select and to the plugins, and nothing
// else connects the two: Select leaves its pick here, PostCall finds it.
//
// rpcx selects and calls on the caller's goroutine, one attempt after the other, so the fields need no lock. Where it calls all servers at once it
// selects none, and what they answer goes to all, which has one.
type holder struct {
	context.Context
	x      *xclient
	all    *fanout // of Broadcast, Fork and Inform
	oneway bool    // no answer is expected: that the request was written says nothing about the server
	avoid  string  // the server of the request that this one is the backup of

	pick  pick
	open  bool   // pick has not been done
	key   string // the server of the newest attempt
	began int64  // when that attempt's request was handed to its connection, by the Selector's clock, which takes half of time.Now's time
	err   error  // what the newest attempt came to
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

// add takes over the pick of a server. A pick before it that is still open never came to a call: its server could not be dialled, of which
// the plugins have heard, or a plugin refused.
func (h *holder) add(p pick) {
	h.release()
	h.pick, h.open, h.key = p, true, p.server.key
}

// had reports whether the call had its chance with a server: an attempt has failed there, or the request that this one is the backup of is there.
func (h *holder) had(key string) bool { return key == h.key || key == h.avoid }

// selected says which server is called in the end, after the plugins that wrap Select.
func (h *holder) selected(key string) {
	if key != h.key {
		h.release()
		h.key = key
	}
}

// started says that an attempt's request goes out now.
func (h *holder) started() {
	if h.all != nil {
		h.all.started(h.x.s.now())
		return
	}
	h.began = h.x.s.now()
}

// answered says what an attempt came to.
func (h *holder) answered(args, reply any, err error) {
	if h.all != nil {
		h.all.answered(h, args, reply, err)
		return
	}
	h.err = err
	latency := h.since(h.began)
	o := h.judge(args, err, h.began)
	switch {
	case h.open:
		h.open = false
		h.pick.done(o, latency)
		h.x.stickTo(h.key, o)
	case h.key != "": // Failtry calls again whom it has selected once
		h.x.observe(h.key, o, latency)
	default: // a sticky XClient selects once
		h.x.observe(h.x.stuckTo(), o, latency)
	}
}

// since is how long ago it was that the Selector's clock said began.
func (h *holder) since(began int64) time.Duration { return time.Duration(h.x.s.now() - began) }

// judge tells what the error of an attempt that began at a time says about its server.
func (h *holder) judge(args any, err error, began int64) outcome {
	if err == nil {
		if h.oneway {
			return cancelled
		}
		return succeeded
	}
	o := classify(err)
	// Time that was up before the request went out was spent elsewhere: on a dial, or by the caller.
	if deadline, ok := h.Deadline(); ok && o == timedOut && !deadline.After(h.x.s.time(began)) {
		return cancelled
	}
	if o == transportFailed && !isNetwork(err) && h.x.unencodable(args) {
		return cancelled
	}
	return o
}

// release gives up a pick of which nothing will be heard any more.
func (h *holder) release() {
	if h.open {
		h.open = false
		h.pick.done(cancelled, 0)
	}
}
