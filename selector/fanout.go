package selector

import (
	"context"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/smallnest/rpcx/client"
)

// fanout is a call of all servers at once. rpcx selects nobody for it and does not say who answered what.
type fanout struct {
	mu      sync.Mutex
	began   int64 // of the first attempt, by the Selector's clock; they all begin when every server is connected
	endings []ending
	broken  bool     // an attempt has met a transport error
	ended   []string // the remote addresses of the connections that ended meanwhile
}

// ending is what one server came to.
type ending struct {
	reply   any // the pointer that rpcx made for it: an identity
	outcome outcome
	latency time.Duration
}

// Broadcast is XClient's.
func (x *xclient) Broadcast(ctx context.Context, serviceMethod string, args, reply any) error {
	all, h := x.fanOut(ctx, reply)
	defer x.fanIn(all)
	return x.XClient.Broadcast(h, serviceMethod, args, reply)
}

// Fork is XClient's.
func (x *xclient) Fork(ctx context.Context, serviceMethod string, args, reply any) error {
	all, h := x.fanOut(ctx, reply)
	defer x.fanIn(all)
	return x.XClient.Fork(h, serviceMethod, args, reply)
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
			x.observe(x.s.keyOf(r.Address), endings[i].outcome, endings[i].latency)
		}
	}
	return receipts, err
}

// fanOut begins a call whose failures are told by the connections that end.
func (x *xclient) fanOut(ctx context.Context, reply any) (*fanout, *holder) {
	all := &fanout{}
	x.mu.Lock()
	x.fanouts = append(x.fanouts, all)
	x.mu.Unlock()
	return all, &holder{Context: ctx, x: x, all: all, oneway: reply == nil}
}

// fanIn ends it. A connection that ended while an attempt met a transport error is taken for that attempt's.
func (x *xclient) fanIn(all *fanout) {
	x.mu.Lock()
	x.fanouts = slices.DeleteFunc(x.fanouts, func(other *fanout) bool { return other == all })
	x.mu.Unlock()
	all.mu.Lock()
	broken, ended := all.broken, all.ended
	all.mu.Unlock()
	if broken {
		for _, address := range ended {
			x.observe(x.s.keyOf(address), transportFailed, 0)
		}
	}
}

// disconnected says that a connection has ended. A server has its address in the list only where the list has literal IP addresses.
func (x *xclient) disconnected(conn net.Conn) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.fanouts) == 0 {
		return
	}
	remote := conn.RemoteAddr()
	if remote == nil {
		return
	}
	for _, all := range x.fanouts {
		all.mu.Lock()
		all.ended = append(all.ended, remote.String())
		all.mu.Unlock()
	}
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
	latency := h.since(began)
	o := h.judge(args, err, began)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken = f.broken || o == transportFailed
	f.endings = append(f.endings, ending{reply, o, latency})
}
