package zkdiscovery

import (
	"context"
	"log/slog"
	"time"

	"github.com/holdfast-go/holdfast/internal/edges"
)

// among returns the level for one service to tell of what many may meet on the same occasion: a few do, and that there are more.
func (r *root) among(level slog.Level, what string, occasion int64) slog.Level {
	tell, overflow := r.crowd.Meet(what, occasion)
	if overflow {
		r.cfg.log.Log(r.ctx, level, "the same with more services, telling no more of them", "what", what)
	}
	if !tell {
		return slog.LevelDebug
	}
	return level
}

// occasion is the one of what has to do with the disk: such things happen to all files within minutes.
func occasion(now time.Time) int64 { return now.Unix() / int64(edges.SettledAfter/time.Second) }

// oneOfMany is the log of one service's cache file.
type oneOfMany struct {
	slog.Handler
	root *root
}

// Handle implements slog.Handler.
func (h oneOfMany) Handle(ctx context.Context, r slog.Record) error {
	if r.Level > slog.LevelDebug {
		if r.Level = h.root.among(r.Level, r.Message, occasion(time.Now())); !h.Enabled(ctx, r.Level) {
			return nil
		}
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
