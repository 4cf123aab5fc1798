package zkdiscovery

import (
	"context"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

// cloneWait is how long a clone that has nothing to show waits for a first list when another one has waited in vain.
const cloneWait = 200 * time.Millisecond

// waitFor waits until the source of what v shows is ok.
func (r *root) waitFor(ctx context.Context, v *view, ok func(Source) bool) error {
	for {
		st, moved := r.session.Changed()
		s, changed := v.source(st)
		if v.isOver() {
			return waitError(v, ErrClosed)
		}
		if ok(s) {
			return nil
		}
		select {
		case <-changed:
		case <-moved:
		case <-r.ctx.Done():
		case <-ctx.Done():
			return r.waited(ctx, v)
		}
	}
}

// isAway reports that ZooKeeper is known to be away: its connection is lost, or every server was tried.
func isAway(st session.State) bool { return !st.Connected && (st.Rounds > 0 || st.Link > 0) }

// waitFirst waits until v, which has joined sv, has something to show or nothing to wait for: see Service.
func (r *root) waitFirst(v *view, sv *service) {
	wait, patient := r.cfg.startTimeout, !r.vain.Load()
	if !patient {
		wait = min(wait, cloneWait)
	}
	limit := time.NewTimer(wait)
	defer limit.Stop()
	settled := sv.settled // then the file was looked at, and nil here
	for {
		st, moved := r.session.Changed()
		s, changed := v.source(st)
		if s != None || settled == nil && (isAway(st) || st.Connected && sv.trouble() != nil) {
			return
		}
		select {
		case <-changed:
		case <-moved:
		case <-settled:
			settled = nil
		case <-v.ended:
			return
		case <-limit.C:
			if patient {
				r.vain.Store(true)
			}
			return
		}
	}
}

// waitConnected waits until there is a connection.
func (r *root) waitConnected(ctx context.Context, v *view) error {
	for {
		st, moved := r.session.Changed()
		switch {
		case st.Closed:
			return waitError(v, ErrClosed)
		case st.Connected:
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return r.waited(ctx, v)
		}
	}
}

func waitError(v *view, why error) error { return &OpError{Op: "wait for", Path: v.path, Err: why} }

// waited is the error of a wait that ctx has ended. It tells why ZooKeeper does not give the list, if anything is known to be wrong.
func (r *root) waited(ctx context.Context, v *view) error {
	err, why := ctx.Err(), error(nil)
	if sv := r.serviceOf(v); sv != nil {
		why = sv.trouble()
	} else if st := r.session.State(); !st.Connected {
		why = st.Err
	}
	if why != nil {
		err = fmt.Errorf("%w (ZooKeeper: %w)", err, why)
	}
	return waitError(v, err)
}

// trouble is why there is no connection, or what was said on it instead of the list. What was wrong before the connection is no matter.
func (sv *service) trouble() error {
	st := sv.root.session.State()
	sv.mu.Lock()
	defer sv.mu.Unlock()
	if st.Connected {
		return sv.status.refusal
	}
	return st.Err
}
