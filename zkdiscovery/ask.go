package zkdiscovery

import (
	"errors"
	"log/slog"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/mirror"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

// ask does a job and hands its answer to the loop.
func (sv *service) ask(j mirror.Job) {
	s, m := sv.root.session, sv.mirror
	var err error
	var apply func()
	lose := func() { m.Lost(j) } // without an answer
	switch j.Kind {
	case mirror.List:
		var l session.Listing
		if j.Rearm {
			s.Rearm(sv.path)
		}
		list := s.List
		if j.Sync {
			list = s.SyncedList
		}
		l, err = list(sv.ctx, sv.path)
		if errors.Is(err, session.ErrNoNode) {
			err = nil
			apply = func() { m.Missing(j) }
		} else {
			apply = func() { m.Listed(j, l) }
		}
	case mirror.Read:
		var nodes []session.Node
		nodes, err = s.Read(sv.ctx, sv.path, j.Names, !sv.root.cfg.noMetadata)
		apply = func() { m.Read(j, nodes, false) }
		lose = func() { m.Read(j, nodes, true) } // with what was answered before the connection was lost
	case mirror.Check:
		var st *session.Stat
		var nodes []session.Node
		if st, err = s.Stat(sv.ctx, sv.path); err == nil {
			nodes, err = s.Read(sv.ctx, sv.path, j.Names, !sv.root.cfg.noMetadata)
		}
		apply = func() { m.Checked(j, st, nodes) }
	case mirror.None: // which act does not ask for
		return
	}
	answer := func(now time.Time) { sv.answered(j, err, apply, lose, now) }
	select {
	case sv.answers <- answer:
	case <-sv.ctx.Done():
	}
}

// answered gives an answer to the mirror.
func (sv *service) answered(j mirror.Job, err error, apply, lose func(), now time.Time) {
	m := sv.mirror
	was, wasErr, existed := m.Phase(), m.Err(), m.Whole().Exists
	switch {
	case err == nil:
		apply()
		sv.root.answered(m.Whole().Exists, existed)
	case errors.Is(err, session.ErrReplyTooLarge): // which has ended the connection, and would end the next
		m.Refused(j, err, now)
	case errors.Is(err, session.ErrLost), errors.Is(err, session.ErrNotConnected), errors.Is(err, session.ErrClosed), sv.ctx.Err() != nil:
		lose()
	default:
		m.Refused(j, err, now)
	}
	if m.Phase() != mirror.Cold && sv.history.listed(m.Whole()) {
		m.Doubt()
	}
	sv.note(func(st *serviceStatus) {
		st.count(j)
		st.refusal = m.Err()
		if err != nil {
			st.lastErr, st.lastErrAt = &OpError{Op: j.Kind.String(), Path: sv.path, Err: err}, now
		}
	})
	if m.Err() != nil && wasErr == nil {
		sv.log.Log(sv.ctx, sv.edge(slog.LevelWarn, now, "refused"), "ZooKeeper does not give the list, keeping the last one and trying on",
			"err", m.Err())
		sv.wakeViews()
	}
	if m.Phase() != was {
		sv.dirty, sv.metrics = true, false
	}
}

// wakeViews wakes those who wait for a list, to find out what ZooKeeper says instead.
func (sv *service) wakeViews() {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	for v := range sv.views {
		v.answered()
	}
}
