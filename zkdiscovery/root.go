package zkdiscovery

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/edges"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

// root is what a template and its clones share: one connection, and one service per path.
type root struct {
	cfg     *config
	session *session.Session
	ctx     context.Context // ends with close
	cancel  context.CancelFunc
	wg      sync.WaitGroup // the services' loops, also of those that nobody has any more, the goroutine that reports connections, the end of session
	seq     atomic.Int64   // grows with every list
	crowd   edges.Crowd    // the services, in what is logged of them

	mu       sync.Mutex // guards what follows; may be held while a service's or a Discovery's mu is taken, never the other way round
	closed   bool
	services map[string]*service
}

func newRoot(cfg *config) *root {
	ctx, cancel := context.WithCancel(context.Background())
	r := &root{cfg: cfg, ctx: ctx, cancel: cancel, services: make(map[string]*service)}
	r.session = session.Open(session.Config{
		Servers: cfg.addrs, Chroot: cfg.chroot, SessionTimeout: cfg.sessionTimeout, Auth: cfg.auth, TLS: cfg.tls, Dial: cfg.dial, Logger: cfg.log,
	})
	if cfg.uncached != nil && !cfg.noCache {
		cfg.log.Error("no cache file: an outage at the next start will not find one", "err", cfg.uncached)
	}
	if cfg.observer.Connection != nil {
		r.wg.Go(r.reportConnections)
	}
	return r
}

// attach gives d the service of its path, which begins if there is none. From fallbackAt on, the file may serve; zero: no hurry.
func (r *root) attach(d *Discovery, fallbackAt time.Time) *service {
	r.mu.Lock()
	if r.closed || !d.wantsService() {
		r.mu.Unlock()
		return nil
	}
	sv := r.services[d.path]
	if sv == nil {
		sv = newService(r, d.path)
		r.services[d.path] = sv
		r.wg.Go(sv.run)
	}
	sv.mu.Lock()
	sv.views[d] = struct{}{}
	sv.fallbackAt = earlier(sv.fallbackAt, fallbackAt)
	cur := sv.current
	sv.mu.Unlock()
	d.setService(sv)
	r.mu.Unlock()
	if cur != nil {
		d.deliver(cur)
	}
	sv.poke()
	return sv
}

// release takes the service away from clones that nobody uses, and reports whether nobody has it any more: then it is forgotten, and its loop
// must end. A clone that was used in the meantime keeps it.
func (r *root) release(sv *service, idle []*Discovery) (gone bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	sv.mu.Lock()
	defer sv.mu.Unlock()
	for _, d := range idle {
		if since, used := d.idleSince(); !used && time.Since(since) >= releaseIdle {
			d.setService(nil)
			delete(sv.views, d)
		}
	}
	return r.forgetUnused(sv)
}

// leave takes the service away from a clone that was closed, and ends it when nobody else has it.
func (r *root) leave(d *Discovery) {
	r.mu.Lock()
	sv := r.services[d.path]
	if sv == nil {
		r.mu.Unlock()
		return
	}
	sv.mu.Lock()
	delete(sv.views, d)
	d.setService(nil)
	gone := r.forgetUnused(sv)
	sv.mu.Unlock()
	r.mu.Unlock()
	if gone {
		sv.stop()
	}
}

// forgetUnused takes a service that nobody has from the map. The caller holds r.mu and sv.mu.
func (r *root) forgetUnused(sv *service) bool {
	if len(sv.views) > 0 {
		return false
	}
	if r.services[sv.path] == sv {
		delete(r.services, sv.path)
	}
	return true
}

// close ends everything and returns when it is gone. It is called once.
func (r *root) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.cancel()
	r.wg.Go(r.session.Close) // with the services, not after them: both may have something to wait for
	r.wg.Wait()
}

func (r *root) reportConnections() {
	var was session.State
	for {
		st, changed := r.session.Changed()
		if st.Closed {
			return // which nobody needs to be told who has called Close
		}
		if st.Connected != was.Connected || st.Link != was.Link {
			r.cfg.observe(func(o *Observer) {
				o.Connection(ConnectionChange{Connected: st.Connected, NewSession: st.Session != was.Session, Server: st.Server, Err: st.Err})
			})
		}
		was = st
		select {
		case <-changed:
		case <-r.ctx.Done():
			return
		}
	}
}

// observe calls one of the user's hooks; one that panics has no say in what the library does, and is reported once: it may do so for every list.
func (c *config) observe(call func(*Observer)) {
	defer func() {
		if p := recover(); p != nil {
			level := slog.LevelDebug
			if !c.hookPanicked.Swap(true) {
				level = slog.LevelError
			}
			c.log.Log(context.Background(), level, "observer hook panicked", "panic", p)
		}
	}()
	call(&c.observer)
}

func (c *config) servers() string { return strings.Join(c.addrs, ",") + c.chroot }
