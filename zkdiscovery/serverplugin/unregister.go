package serverplugin

import (
	"context"
	"sync"
	"time"
)

// unregistered is how long Unregister waits, and all calls in a row together: rpcx makes one after the other, under its locks.
const unregistered = time.Second

// patience is how long an Unregister may still wait. Waiting uses it up. Time without waiting brings it back.
type patience struct {
	mu      sync.Mutex
	waiting int
	left    time.Duration // at the moment last
	last    time.Time     // when the newest wait ended
	until   time.Time     // while somebody waits
}

// begin returns when the wait that begins must be over. end ends it.
func (p *patience) begin() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting++; p.waiting == 1 {
		now := time.Now()
		p.left = min(unregistered, p.left+now.Sub(p.last))
		p.until = now.Add(p.left)
	}
	return p.until
}

func (p *patience) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting--; p.waiting == 0 {
		p.last = time.Now()
		p.left = max(0, p.until.Sub(p.last))
	}
}

// unregister takes a service back and waits until its node is gone, as long as there is patience.
func (r *registrar) unregister(o order) error {
	ctx, cancel := context.WithDeadline(context.Background(), r.patience.begin())
	defer r.patience.end()
	defer cancel()
	return r.await(ctx, o)
}

// await waits until the loop has seen to the order that ended a registration, or to one that came after it: as long as ctx, but not while
// ZooKeeper is known to be away. Stop ends it: what is there then, Stop sees to.
func (r *registrar) await(ctx context.Context, o order) error {
	for {
		rep := r.report.Load()
		st, moved := r.session.Changed()
		l := rep.of(o.path)
		select {
		case <-r.ctx.Done():
			return nil
		default:
		}
		switch {
		case rep.taken >= o.no && (l == nil || l.order.no != o.no):
			return nil
		case !st.Connected && (l == nil || !l.touched):
			return nil // nothing was ever written, and the loop will see to it that nothing is
		case !st.Connected && st.Rounds > 0, ctx.Err() != nil:
			return &OpError{Op: "unregister", Path: o.path + "/" + r.cfg.instance, Err: unconfirmed(st)}
		}
		select {
		case <-rep.newer:
		case <-moved:
		case <-r.ctx.Done():
		case <-ctx.Done():
		}
	}
}
