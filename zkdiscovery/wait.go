package zkdiscovery

import (
	"context"
	"fmt"
)

// WaitLive blocks until the list comes from ZooKeeper over the connection that is up; for a template, until it is connected. It returns
// ctx's error when that ends first, with the reason why there is no connection or what ZooKeeper says instead of the list, ErrClosed after Close, and at
// once what is wrong with a clone of an impossible name. While an override is in force the list does not come from ZooKeeper.
func (d *Discovery) WaitLive(ctx context.Context) error {
	d.touch()
	if d.kind == template {
		return d.waitConnected(ctx)
	}
	return d.waitFor(ctx, func(s Source) bool { return s == Live })
}

func (d *Discovery) waitFor(ctx context.Context, ok func(Source) bool) error {
	for {
		st, moved := d.root.session.Changed()
		d.mu.Lock()
		s, changed, closed := d.sourceLocked(st), d.changed, d.closed
		d.mu.Unlock()
		if d.kind == inert {
			return &OpError{Op: "wait for", Path: d.path, Err: d.wrong}
		}
		if closed || d.root.ctx.Err() != nil {
			return &OpError{Op: "wait for", Path: d.path, Err: ErrClosed}
		}
		if ok(s) {
			return nil
		}
		select {
		case <-changed:
		case <-moved:
		case <-d.root.ctx.Done():
		case <-ctx.Done():
			return d.waited(ctx)
		}
	}
}

func (d *Discovery) waitConnected(ctx context.Context) error {
	for {
		st, moved := d.root.session.Changed()
		switch {
		case st.Closed:
			return &OpError{Op: "wait for", Path: d.path, Err: ErrClosed}
		case st.Connected:
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return d.waited(ctx)
		}
	}
}

// waited is the error of a wait that ctx has ended.
func (d *Discovery) waited(ctx context.Context) error {
	err := ctx.Err()
	if why := d.trouble(); why != nil {
		err = fmt.Errorf("%w (ZooKeeper: %w)", err, why)
	}
	return &OpError{Op: "wait for", Path: d.path, Err: err}
}

// trouble is why ZooKeeper does not give the list at this moment, nil when nothing is known to be wrong.
func (d *Discovery) trouble() error {
	d.mu.Lock()
	sv := d.service
	d.mu.Unlock()
	if sv != nil {
		return sv.trouble()
	}
	if st := d.root.session.State(); !st.Connected {
		return st.Err
	}
	return nil
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
