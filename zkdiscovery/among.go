package zkdiscovery

import (
	"context"
	"log/slog"
	"time"
)

// among returns the level for one service to tell of what many may meet at once: a few do, and that there are more. What is to be told at Debug, all
// may tell.
func (r *root) among(level slog.Level, what string, now time.Time) slog.Level {
	if level <= slog.LevelDebug {
		return level
	}
	tell, overflow := r.crowd.Meet(what, now)
	if overflow {
		r.cfg.log.Log(r.ctx, level, "the same with more services, telling no more of them", "what", what)
	}
	if !tell {
		return slog.LevelDebug
	}
	return level
}

// oneOfMany is the log of one service's cache file.
type oneOfMany struct {
	slog.Handler
	root *root
}

// Handle implements slog.Handler.
func (h oneOfMany) Handle(ctx context.Context, r slog.Record) error {
	if r.Level = h.root.among(r.Level, r.Message, time.Now()); !h.Enabled(ctx, r.Level) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h oneOfMany) WithAttrs(attrs []slog.Attr) slog.Handler {
	return oneOfMany{h.Handler.WithAttrs(attrs), h.root}
}

// WithGroup implements slog.Handler.
func (h oneOfMany) WithGroup(name string) slog.Handler {
	return oneOfMany{h.Handler.WithGroup(name), h.root}
}
