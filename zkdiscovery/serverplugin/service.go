package serverplugin

import (
	"context"
	"time"
)

// service is what is wanted of one service, and what is known of it. It is under registrar.mu.
type service struct {
	name     string
	path     string // of the service
	metadata string
	wanted   bool
	claims   int           // grows with every Register
	gone     chan struct{} // closed when it is not wanted and its node is gone, or is wanted again; Stop leaves it
	report   report
}

// report is what the loop last said of a service.
type report struct {
	phase   Phase
	session int64  // State.Session that it is true of
	said    string // by the node
	touched bool   // something may have been written
	owner   int64  // whom it was lost to
	since   time.Time
	err     *OpError // what ZooKeeper last refused; nil when it did not
}

// release wakes whoever waits for the end of a registration. The caller holds registrar.mu.
func (sv *service) release() {
	if sv.gone != nil {
		close(sv.gone)
		sv.gone = nil
	}
}

// register wants a service, and reports whether it was not wanted before. One more function of a service that is wanted already is nothing to
// ZooKeeper, unless it brings other metadata.
func (r *registrar) register(name, path, metadata string, function bool) (fresh bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	sv := r.services[path]
	if sv == nil {
		sv = &service{path: path, report: report{since: time.Now()}}
		r.services[path] = sv
	}
	fresh = !sv.wanted
	if function && !fresh && (metadata == "" || metadata == sv.metadata) {
		return false
	}
	if sv.report.phase != Pending {
		sv.report = report{since: time.Now(), touched: sv.report.touched} // phase Pending: nothing of this Register is done yet
	}
	sv.name, sv.metadata, sv.wanted = name, metadata, true
	sv.claims++
	sv.release()
	r.edit()
	return fresh
}

// unregister wants a service no more, and returns the path of its node, and what is closed when that is gone, nil when it is.
func (r *registrar) unregister(name string) (path string, gone <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	path = r.cfg.base + "/" + name
	sv := r.services[path]
	path += "/" + r.cfg.instance
	if sv == nil {
		return path, nil
	}
	if sv.wanted {
		sv.wanted, sv.gone = false, make(chan struct{})
		sv.report = report{phase: Unregistering, since: time.Now(), touched: sv.report.touched}
		r.edit()
	}
	if !sv.report.touched && !r.session.State().Connected {
		return path, nil // nothing was ever written, and the loop will see to it that nothing is
	}
	return path, sv.gone
}

// edit has the loop look at what is wanted. The caller holds mu.
func (r *registrar) edit() {
	r.edited = true
	r.tell()
	r.poke()
}

// await waits for gone as long as ctx, but not at all while ZooKeeper is away or has not answered to an earlier wait. Stop ends it: what is there
// then, Stop sees to.
func (r *registrar) await(ctx context.Context, path string, gone <-chan struct{}) error {
	if gone == nil {
		return nil
	}
	if r.session.State().Connected && !r.mute.Load() {
		select {
		case <-gone:
		case <-r.ctx.Done():
		case <-ctx.Done():
			r.mute.Store(true)
		}
	}
	select {
	case <-gone:
		return nil
	case <-r.ctx.Done():
		return nil
	default:
		return &OpError{Op: "unregister", Path: path, Err: unconfirmed(r.session.State())}
	}
}
