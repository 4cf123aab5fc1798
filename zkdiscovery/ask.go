package zkdiscovery

import (
	"errors"
	"log/slog"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

// ask does a job and hands its answer to the loop.
func (sv *service) ask(j job) {
	s, m := sv.root.session, sv.mirror
	var err error
	var apply func()
	switch j.kind {
	case jobList:
		var l session.Listing
		if j.rearm {
			s.Rearm(sv.path)
		}
		list := s.List
		if j.sync {
			list = s.SyncedList
		}
		l, err = list(sv.ctx, sv.path)
		if errors.Is(err, session.ErrNoNode) {
			err = nil
			apply = func() { m.missing(j) }
		} else {
			apply = func() { m.listed(j, l) }
		}
	case jobRead:
		var nodes []session.Node
		nodes, err = s.Read(sv.ctx, sv.path, j.names, m.watchData)
		apply = func() { m.read(j, nodes) }
	case jobCheck:
		var st *session.Stat
		var nodes []session.Node
		if st, err = s.Stat(sv.ctx, sv.path); err == nil {
			nodes, err = s.Read(sv.ctx, sv.path, j.names, m.watchData)
		}
		apply = func() {
			if st == nil {
				m.checked(j, false, session.Stat{}, nodes)
			} else {
				m.checked(j, true, *st, nodes)
			}
		}
	case jobNone: // which act does not ask for
		return
	}
	answer := func(now time.Time) { sv.answered(j, err, apply, now) }
	select {
	case sv.answers <- answer:
	case <-sv.ctx.Done():
	}
}

// answered gives an answer to the mirror.
func (sv *service) answered(j job, err error, apply func(), now time.Time) {
	m := sv.mirror
	was, wasErr := m.phase, m.err
	switch {
	case err == nil:
		apply()
	case errors.Is(err, session.ErrReplyTooLarge): // which has ended the connection, and would end the next
		m.refused(j, err, now)
	case errors.Is(err, session.ErrLost), errors.Is(err, session.ErrNotConnected), errors.Is(err, session.ErrClosed), sv.ctx.Err() != nil:
		m.lost(j)
	default:
		m.refused(j, err, now)
	}
	sv.note(func(st *serviceStatus) {
		st.count(j)
		st.refusal = m.err
		if err != nil {
			st.lastErr, st.lastErrAt = &OpError{Op: j.kind.String(), Path: sv.path, Err: err}, now
		}
	})
	if m.err != nil && wasErr == nil {
		sv.log.Log(sv.ctx, sv.edge(slog.LevelWarn, now, "refused"), "ZooKeeper does not give the list, keeping the last one and trying on",
			"err", m.err)
	}
	if m.phase != was {
		sv.dirty, sv.metrics = true, false
	}
}
