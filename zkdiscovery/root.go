package zkdiscovery

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/filecache"
	"github.com/holdfast-go/holdfast/internal/drive"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

// root is what a template and its clones share: one connection, and one service per path.
type root struct {
	cfg     *config
	session *session.Session
	ctx     context.Context // ends with close
	cancel  context.CancelFunc
	wg      sync.WaitGroup // the services' loops, also of those that nobody has any more, the goroutine that reports connections, a look of missing, the end of session
	missing *missing
	changes timeline
	vain    atomic.Bool // a clone has waited for its first list in vain, and ZooKeeper has answered no service since

	trials drive.Gate // for services that find out whether their probes reach anybody

	cacheDir func() (string, error) // where the cache files are; it looks at the disk, so only keepers call it

	mu       sync.Mutex // guards what follows; may be held while a service's or a view's mu is taken, never the other way round
	closed   bool
	services map[string]*service
	memories map[string]*memory // by path: what the service that has ended last knew, for the next one
	begun    int64              // services so far: the number of the newest
}

func newRoot(cfg *config) *root {
	ctx, cancel := context.WithCancel(context.Background())
	r := &root{cfg: cfg, ctx: ctx, cancel: cancel, services: make(map[string]*service), memories: make(map[string]*memory)}
	r.cacheDir = onceFound(func() (string, error) { return cacheDirectory(cfg.cacheDir, cfg.log) })
	r.session = session.Open(session.Config{
		Servers: cfg.addrs, Chroot: cfg.chroot, SessionTimeout: cfg.sessionTimeout, Auth: cfg.auth, AuthFuncs: cfg.authFuncs, TLS: cfg.tls, Dial: cfg.dial, Logger: cfg.log,
		Extension: cfg.extension(),
	})
	r.missing = &missing{session: r.session, log: cfg.log, chroot: cfg.chroot, base: cfg.base}
	if cfg.observer.Connection != nil {
		r.wg.Go(r.reportConnections)
	}
	return r
}

// keep starts the keeper of a service's cache file: it reads, writes and watches the file, off the delivery path.
func (r *root) keep(path string) *filecache.Keeper {
	log := r.cfg.log.With("service", path)
	return filecache.Keep(func() (*filecache.Cache, error) { return r.openCache(path, log) }, filecache.KeeperConfig{
		Logger: log, Dir: r.cfg.cacheDir,
		Saved: func(s filecache.Saved) {
			if o := r.cfg.observer.Saved; o != nil {
				r.cfg.observe(func(*Observer) { o(Saved{Service: path, Instances: s.Servers, Took: s.Took, Err: s.Err}) })
			}
		},
	})
}

// openCache runs on the keeper's goroutine: everything in it looks at the disk, which may hang.
func (r *root) openCache(path string, log *slog.Logger) (*filecache.Cache, error) {
	dir, err := r.cacheDir()
	if err != nil {
		return nil, err
	}
	opts := []filecache.Option{
		filecache.WithMaxAge(r.cfg.maxCacheAge), filecache.WithLogger(log), filecache.WithOverrideDir(r.cfg.overrideDir),
	}
	if r.cfg.ensembleName != "" {
		opts = append(opts, filecache.WithNamedEnsemble())
	}
	if r.cfg.pollFiles {
		opts = append(opts, filecache.WithPollingOnly())
	}
	return filecache.Open(dir, r.cfg.ensemble, path, opts...)
}

// attach gives v the service of its path, which begins if there is none; nil when the root or v was closed. From fallbackAt on, the file may serve;
// zero: no hurry.
func (r *root) attach(v *view, fallbackAt time.Time) *service {
	sv := r.join(v, fallbackAt)
	if sv != nil {
		v.refresh()
		sv.poke()
	}
	return sv
}

func (r *root) join(v *view, fallbackAt time.Time) *service {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || v.isOver() {
		return nil
	}
	sv := r.services[v.path]
	isNew := sv == nil
	if isNew {
		r.begun++
		sv = newService(r, v.path, r.begun)
		r.services[v.path] = sv
		sv.remember(r.memories[v.path])
		delete(r.memories, v.path)
	}
	sv.mu.Lock()
	defer sv.mu.Unlock()
	sv.views[v] = struct{}{}
	sv.fallbackAt = earlier(sv.fallbackAt, fallbackAt)
	v.take(sv.number, sv.current, sv.resting, sv.confirmed)
	if isNew {
		r.wg.Go(newLoop(sv).run)
	}
	return sv
}

// serviceOf is the service that v has; nil when it has none, or has let it go.
func (r *root) serviceOf(v *view) *service {
	r.mu.Lock()
	defer r.mu.Unlock()
	sv := r.services[v.path]
	if sv == nil || !v.has(sv.number) {
		return nil
	}
	return sv
}

// release takes the service away from views that nobody uses, and reports whether nobody has it any more: then it is forgotten, and its loop
// must end. A view that was used in the meantime keeps it. The next service of the path is given m.
func (r *root) release(sv *service, idle []*view, m *memory) (gone bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	sv.mu.Lock()
	defer sv.mu.Unlock()
	now := time.Now()
	for _, v := range idle {
		if v.letGo(now) {
			delete(sv.views, v)
		}
	}
	if !r.forgetUnused(sv) {
		return false
	}
	r.remember(sv.path, m)
	return true
}

// remember keeps what a service knew that has ended, for the next one of its path, which may have begun already. The caller holds mu.
func (r *root) remember(path string, m *memory) {
	if next := r.services[path]; next != nil {
		next.remember(m)
	} else if m != nil {
		r.memories[path] = newer(r.memories[path], m)
	}
}

// leave takes the service away from a view that was closed, and ends it when nobody else has it.
func (r *root) leave(v *view) {
	if sv := r.forget(v); sv != nil {
		sv.stop()
	}
}

// forget takes v from its service, and returns that if nobody else has it.
func (r *root) forget(v *view) *service {
	r.mu.Lock()
	defer r.mu.Unlock()
	sv := r.services[v.path]
	if sv == nil {
		return nil
	}
	sv.mu.Lock()
	defer sv.mu.Unlock()
	delete(sv.views, v)
	if !r.forgetUnused(sv) {
		return nil
	}
	return sv
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

// answered is told by a service's loop that ZooKeeper has answered it, and whether its path exists and existed before.
func (r *root) answered(exists, existed bool) {
	r.vain.Store(false)
	if exists {
		r.missing.exists()
	} else if look := r.missing.begin(r.session.State().Link, existed, time.Now()); look != 0 {
		r.wg.Go(func() { r.missing.run(r.ctx, look) })
	}
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

func (c *config) servers() string { return strings.Join(c.addrs, ",") + c.chroot }
