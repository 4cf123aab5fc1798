package serverplugin

import (
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/internal/words"
)

const newsDelay = 200 * time.Millisecond // what is noticed together is told together

// news is what the loop noticed since it last told. With hundreds of services, one line says it for all.
type news struct {
	registered, tookOver, restored, yielded, unregistered, refused, missed, missing tidings

	tellAt time.Time // zero: there is nothing to tell
}

// due sets the time of telling when there is something new, and reports that it has come.
func (n *news) due(now time.Time) bool {
	if n.none() {
		return false
	}
	if n.tellAt.IsZero() {
		n.tellAt = now.Add(newsDelay)
	}
	return !now.Before(n.tellAt)
}

func (n *news) none() bool {
	for _, t := range [...]*tidings{&n.registered, &n.tookOver, &n.restored, &n.yielded, &n.unregistered, &n.refused, &n.missed, &n.missing} {
		if len(t.paths) > 0 {
			return false
		}
	}
	return true
}

// tidings is of which nodes something was noticed.
type tidings struct {
	paths map[string]struct{}
	first string
	owner int64
	err   error
}

func (t *tidings) add(path string) *tidings {
	if t.paths == nil {
		t.paths, t.first = make(map[string]struct{}), path
	}
	t.paths[path] = struct{}{}
	return t
}

// note compares what a node was with what it has become.
func (r *registrar) note(e *entry, was node, ev event) {
	n := &e.node
	if n.phase != was.phase && was.wish.order.wanted && n.wish.order.wanted {
		switch {
		case n.phase == Registered:
			r.news.registered.add(e.path)
		case n.phase == Yielded:
			r.news.yielded.add(e.path).owner = n.seen.owner
		case was.phase == Registered && ev.kind == found:
			r.news.restored.add(e.path)
		}
	}
	if n.wish.words != was.wish.words {
		r.noteWords(e, was, ev)
	}
	if ev.kind == found && was.phase == Registered && n.seen.standing == ours && n.doing.kind == set && n.doing.data != n.seen.said && was.seen.heard && was.seen.said == was.wish.data {
		r.news.restored.add(e.path) // it said what it was to say, and does no more
	}
	if n.doing.rearm && !was.doing.rearm {
		r.news.missed.add(e.path)
	}
}

// noteWords logs every word of an operator's that begins or ends, each on its own line, so that somebody can find out later what has happened.
func (r *registrar) noteWords(e *entry, was node, ev event) {
	for _, key := range e.node.wish.keys {
		before, after := was.wish.words.of(key), e.node.wish.words.of(key)
		attrs := []any{
			"service", e.node.wish.order.name, "key", key,
			"before", strings.Join(values(was.wish.data, key), ","), "after", strings.Join(values(e.node.wish.data, key), ","),
		}
		switch {
		case slices.Equal(before, after):
		case ev.kind == ordered:
			r.cfg.log.Info("the program has ended an operator's word", attrs...)
		case after == nil:
			r.cfg.log.Warn("an operator has taken his word back", append(attrs, "version", ev.found.version, "time", ev.found.mtime)...)
		default:
			r.cfg.log.Warn("an operator has written into the node: his word counts", append(attrs, "version", ev.found.version, "time", ev.found.mtime)...)
		}
	}
}

// noteAnswer keeps what ZooKeeper refused, until it does that, or has nothing left to do.
func (r *registrar) noteAnswer(e *entry, a answer) {
	switch a.kind {
	case refused:
		if e.err == nil {
			r.news.refused.add(e.path).err = a.err
		}
		e.err = &OpError{Op: "register", Path: e.path, Err: a.err}
		if a.action.kind == remove {
			e.err.Op = "unregister"
		}
	case wrote:
		if e.err = nil; a.action.kind == takeOver {
			r.news.tookOver.add(e.path)
		}
		if a.action.kind == remove {
			r.news.unregistered.add(e.path)
		}
	default:
	}
}

// tellNews logs what was noticed and not told yet.
func (r *registrar) tellNews() {
	n := r.news
	r.news = news{}
	say := func(t tidings, level slog.Level, msg string, attrs ...any) {
		if n := len(t.paths); n > 0 {
			attrs = append([]any{"services", n, "first", t.first}, attrs...)
			r.cfg.log.Log(r.ctx, level, msg, attrs...) //nolint:sloglint // one of the constants below
		}
	}
	say(n.missed, slog.LevelWarn, "found changes that no watch had told of, setting the watches again")
	say(n.missing, slog.LevelWarn, "services are not registered: no ZooKeeper server can be used, trying on", "err", n.missing.err)
	say(n.refused, slog.LevelWarn, "ZooKeeper refuses what a registration needs, trying on", "err", n.refused.err)
	say(n.restored, slog.LevelWarn, "nodes were deleted or overwritten by somebody else, restoring them")
	say(n.tookOver, slog.LevelInfo, "address taken over from another session")
	say(n.registered, slog.LevelInfo, "registered")
	say(n.unregistered, slog.LevelInfo, "unregistered")
	say(n.yielded, slog.LevelWarn, "address lost to a newer process, waiting until that one's node is gone", "owner", words.Hex(n.yielded.owner))
}

// expiresAt is when the session may be over although nobody can tell; zero while ZooKeeper is connected, or when that has been said.
func (r *registrar) expiresAt() time.Time {
	st := r.session.State()
	if st.Connected || st.Session == 0 || r.expired {
		return time.Time{}
	}
	return st.Heard.Add(st.Timeout)
}

func (r *registrar) tellExpiry() {
	r.expired = true
	registered := 0
	for _, e := range r.entries {
		if n := &e.node; n.wish.order.wanted && n.phase == Registered {
			registered++
		}
	}
	if registered == 0 {
		return
	}
	r.cfg.log.Warn("ZooKeeper has not been heard of for a session timeout: the registrations may be gone", "services", registered)
}
