package serverplugin

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/smallnest/rpcx/server"
)

// Drain makes clients stop choosing this server while it still answers: the metadata of every service says state=inactive, Drain waits
// (WithDrainWait, 2 s), unregisters the services, and waits once more, for clients that do not watch metadata, rpcx-zookeeper's among them.
// Then the server may shut down. Metadata that are no URL query cannot say state=inactive: when all are such, the first wait is left out. A service
// that is registered during the first wait is drained, too. Services may be registered again afterwards.
//
// It takes twice the wait and about two seconds more at most. Clients that it does not reach are those with Option.Sticky, which go on calling
// the server that they have, and those that ZooKeeper does not reach.
//
// If ctx ends first, Drain unregisters without waiting and returns ctx's error. ErrUnconfirmed says that ZooKeeper has not done what was asked
// of it, yet. Where nothing was ever written, because ZooKeeper was away or the server did not listen, there is nothing to wait for. A second
// Drain at the same time waits for the first; if its own ctx ends, the services are unregistered then.
func (p *ZooKeeperRegisterPlugin) Drain(ctx context.Context) error {
	p.mu.Lock()
	r := p.registrar
	p.mu.Unlock()
	if r == nil {
		return nil
	}
	select {
	case r.drains <- struct{}{}: // also when ctx has ended already: the services are unregistered all the same
	default:
		select {
		case r.drains <- struct{}{}:
		case <-ctx.Done():
			return errors.Join(append(p.unregisterAll(r), ctx.Err())...)
		}
	}
	defer func() { <-r.drains }()
	var errs []error
	no := r.mail.change(func(st *state) { st.draining = true })
	defer r.mail.change(func(st *state) { st.draining = false })
	written, canSay := r.present()
	whole := true
	if canSay {
		errs = append(errs, r.awaitInactive(ctx, no))
		whole = r.pause(ctx)
		more, _ := r.present()
		written = written || more
	}
	errs = append(errs, p.unregisterAll(r)...)
	if written {
		whole = r.pause(ctx) && whole
	}
	if !whole {
		errs = append(errs, ctx.Err())
	}
	return errors.Join(errs...)
}

// unregisterAll takes every service back, and waits until the nodes are gone, for about a second at most.
func (p *ZooKeeperRegisterPlugin) unregisterAll(r *registrar) (errs []error) {
	limit, cancel := context.WithTimeout(context.Background(), unregistered)
	defer cancel()
	var gone []order
	orders := r.mail.all()
	for path, o := range orders {
		if o, ok := p.unwant(r, o.name, path); ok {
			gone = append(gone, o)
		}
	}
	for _, o := range gone {
		errs = append(errs, r.await(limit, o))
	}
	return errs
}

// Shutdown takes a server out of service without a failed call: Drain, then s.Shutdown, then Stop, each whatever the one before it said. Use it
// where s.Shutdown would be called: rpcx runs none of the functions given to RegisterOnShutdown, and closes its listener as soon as the services
// are unregistered. A nil s is the server of WithServer. The error joins theirs.
//
// ctx must have time for both: Drain takes 4 s, s.Shutdown as long as the calls that are under way, which it cuts off when ctx ends.
func (p *ZooKeeperRegisterPlugin) Shutdown(ctx context.Context, s *server.Server) error {
	err := p.Drain(ctx)
	if s = cmp.Or(s, p.more.server); s != nil {
		err = errors.Join(err, s.Shutdown(ctx))
	}
	return errors.Join(err, p.Stop())
}

// present reports whether anything of what is to be registered, or is not gone yet, may have been written, and whether any of that can say
// state=inactive.
func (r *registrar) present() (written, canSay bool) {
	lines := r.report.Load().byPath()
	orders := r.mail.all()
	for path, o := range orders {
		l := lines[path]
		touched := l != nil && l.touched
		written = written || touched
		canSay = canSay || o.wanted && touched && validQuery(o.metadata)
	}
	return written, canSay
}

// awaitInactive waits until every node that is ours, or is about to be, says state=inactive, for about a second at most. no is the number of the
// change that asks for it.
func (r *registrar) awaitInactive(ctx context.Context, no int64) error {
	limit := time.NewTimer(unregistered)
	defer limit.Stop()
	for {
		rep := r.report.Load()
		i := slices.IndexFunc(rep.lines, func(l *line) bool {
			return l.order.wanted && l.phase != Yielded && validQuery(l.order.metadata) && (!l.inactive || l.phase != Registered)
		})
		if rep.taken >= no && i < 0 || ctx.Err() != nil || r.ctx.Err() != nil {
			return nil // the wait that follows tells that ctx has ended
		}
		select {
		case <-rep.newer:
		case <-ctx.Done():
		case <-r.ctx.Done():
		case <-limit.C:
			path := r.cfg.base + "/"
			if i >= 0 {
				path = rep.lines[i].order.path + "/" + r.cfg.instance
			}
			return &OpError{Op: "drain", Path: path, Err: unconfirmed(r.session.State())}
		}
	}
}

// pause gives clients time to notice, and reports whether ctx has let it.
func (r *registrar) pause(ctx context.Context) bool {
	t := time.NewTimer(r.cfg.drainWait)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.ctx.Done():
		return true // there is nobody left to be noticed
	case <-ctx.Done():
		return false
	}
}
