package zkdiscovery

import (
	"context"
	"fmt"
)

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
