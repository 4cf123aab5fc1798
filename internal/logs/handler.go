package logs

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

// handler stands in front of the user's handler. It calls the user's WithAttrs and WithGroup when the first line needs them, and not before:
// the maker of a logger may hold a lock.
type handler struct {
	end     *end
	above   *handler                        // nil for the first
	with    func(slog.Handler) slog.Handler // what this one adds to above
	service string                          // whose lines these are; "" if nobody's in particular
	made    atomic.Pointer[made]
}

// made is a handler of the user's with the attributes and groups of ours.
type made struct {
	limiter *limiter // of the handler that it was made from
	handler slog.Handler
}

// end is where the lines of a logger, and of all that are made from it, go.
type end struct {
	follows bool // slog.Default, whatever it is by then, at Warn and above
	of      atomic.Pointer[limiter]
}

// limiter returns that of the user's handler.
func (e *end) limiter() *limiter {
	l := e.of.Load()
	if !e.follows {
		return l
	}
	if user := slog.Default().Handler(); l == nil || !isSame(l.user, user) {
		l = limiterOf(user)
		e.of.Store(l)
	}
	return l
}

// to returns the user's handler with the attributes and groups of h.
func (h *handler) to(l *limiter) slog.Handler {
	if h.above == nil {
		return l.user
	}
	if m := h.made.Load(); m != nil && m.limiter == l {
		return m.handler
	}
	m := &made{limiter: l, handler: h.with(h.above.to(l))}
	h.made.Store(m)
	return m.handler
}

// Enabled implements slog.Handler.
func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	if h.end.follows && level < slog.LevelWarn {
		return false
	}
	return h.to(h.end.limiter()).Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	l, now := h.end.limiter(), time.Now()
	to := h.to(l)
	r = harmless(r)
	l.flush(now)
	if r.Level >= slog.LevelInfo && !l.allow(to, r, h.serviceOf(r), now) {
		if r.Level = slog.LevelDebug; !h.Enabled(ctx, r.Level) {
			return nil
		}
	}
	return to.Handle(ctx, r)
}

// serviceOf returns whose line r is.
func (h *handler) serviceOf(r slog.Record) string {
	service := h.service
	r.Attrs(func(a slog.Attr) bool {
		service = serviceIn(a, service)
		return true
	})
	return service
}

func serviceIn(a slog.Attr, otherwise string) string {
	if a.Key == "service" && a.Value.Kind() == slog.KindString {
		return a.Value.String()
	}
	return otherwise
}

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	service := h.service
	for _, a := range attrs {
		service = serviceIn(a, service)
	}
	return &handler{end: h.end, above: h, service: service, with: func(to slog.Handler) slog.Handler { return to.WithAttrs(attrs) }}
}

// WithGroup implements slog.Handler.
func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{end: h.end, above: h, service: h.service, with: func(to slog.Handler) slog.Handler { return to.WithGroup(name) }}
}
