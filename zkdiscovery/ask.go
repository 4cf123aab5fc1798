package zkdiscovery

import (
	"errors"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/mirror"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

// ask does a job and hands its answer to the loop.
func (lp *loop) ask(j mirror.Job) {
	s, m := lp.root.session, lp.mirror
	var err error
	var apply func()
	lose := func() { m.Lost(j) } // without an answer
	switch j.Kind {
	case mirror.List:
		var l session.Listing
		if j.Rearm {
			s.Rearm(lp.path)
		}
		l, err = s.ListWith(lp.ctx, lp.path, session.ListOptions{Sync: j.Sync, Names: j.Watch, For: lp.sub})
		if errors.Is(err, session.ErrNoNode) {
			err = nil
			apply = func() { m.Missing(j) }
		} else {
			j.Told = l.Told
			apply = func() { m.Listed(j, l) }
		}
	case mirror.Read:
		var nodes []session.Node
		if j.Path {
			nodes, j.Told, err = s.ReadWithin(lp.ctx, lp.path, j.Names, lp.sub)
		} else {
			nodes, err = s.Read(lp.ctx, lp.path, j.Names, !lp.root.cfg.noMetadata)
		}
		apply = func() { m.Read(j, nodes, false) }
		lose = func() { m.Read(j, nodes, true) } // with what was answered before the connection was lost
	case mirror.Check:
		var st *session.Stat
		var nodes []session.Node
		if j.Path {
			nodes, st, err = lp.checkOnce(&j)
		} else if st, err = s.Stat(lp.ctx, lp.path); err == nil {
			nodes, err = s.Read(lp.ctx, lp.path, j.Names, !lp.root.cfg.noMetadata)
		}
		apply = func() { m.Checked(j, st, nodes) }
	case mirror.None: // which act does not ask for
		return
	}
	answer := func(now time.Time) { lp.answered(j, err, apply, lose, now) }
	select {
	case lp.answers <- answer:
	case <-lp.ctx.Done():
	}
}

// checkOnce reads what a look at rest compares in one request.
func (lp *loop) checkOnce(j *mirror.Job) (nodes []session.Node, st *session.Stat, err error) {
	nodes, j.Told, err = lp.root.session.ReadWithin(lp.ctx, lp.path, j.Names, lp.sub)
	if err != nil {
		return nil, nil, err
	}
	n := len(j.Names)
	at := nodes[n]
	switch {
	case at.Err == nil:
		return nodes[:n], &at.Stat, nil
	case errors.Is(at.Err, session.ErrNoNode):
		return nodes[:n], nil, nil
	}
	return nil, nil, at.Err
}

// answered gives an answer to the mirror.
func (lp *loop) answered(j mirror.Job, err error, apply, lose func(), now time.Time) {
	m := lp.mirror
	wasErr, existed := m.Err(), m.Exists()
	switch {
	case err == nil:
		apply()
		lp.root.answered(m.Exists(), existed)
	case errors.Is(err, session.ErrReplyTooLarge): // it would be, over every connection
		m.Refused(j, err, now)
	case errors.Is(err, session.ErrLost), errors.Is(err, session.ErrNotConnected), errors.Is(err, session.ErrClosed), lp.ctx.Err() != nil:
		lose()
	default:
		m.Refused(j, err, now)
	}
	lp.note(func(st *serviceStatus) {
		st.count(j)
		st.refusal = m.Err()
		if err != nil {
			st.lastErr, st.lastErrAt = &OpError{Op: j.Kind.String(), Path: lp.path, Err: err}, now
		}
	})
	if m.Err() != nil && wasErr == nil {
		lp.log.Warn("ZooKeeper does not give the list, keeping the last one and trying on", "err", m.Err())
		lp.wakeViews()
	}
}

// wakeViews wakes those who wait for a list, to find out what ZooKeeper says instead.
func (sv *service) wakeViews() {
	for _, v := range sv.viewsNow() {
		v.answered()
	}
}
