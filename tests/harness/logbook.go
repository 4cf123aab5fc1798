package harness

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Logbook keeps what the library logs, and shows it when the test fails.
type Logbook struct {
	show slog.Handler

	mu      sync.Mutex
	records []slog.Record
}

func newLogbook(t *testing.T) *Logbook {
	t.Helper()
	return &Logbook{show: slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})}
}

// Logger is for zkdiscovery.WithLogger.
func (b *Logbook) Logger() *slog.Logger { return slog.New(b.handler(nil)) }

func (b *Logbook) handler(attrs []slog.Attr) slog.Handler { return logHandler{b, attrs} }

// Edges are the lines so far. Debug, which may have thousands in an hour's outage, is left out.
func (b *Logbook) Edges() (lines []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.records {
		line := r.Level.String() + " " + r.Message
		r.Attrs(func(a slog.Attr) bool { line += fmt.Sprintf(" %s=%v", a.Key, a.Value); return true })
		lines = append(lines, line)
	}
	return lines
}

// Messages are those of the lines so far, each behind its level: "WARN connection to ZooKeeper lost".
func (b *Logbook) Messages() (lines []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.records {
		lines = append(lines, r.Level.String()+" "+r.Message)
	}
	return lines
}

// Count is the number of lines with something in them.
func Count(lines []string, what string) (n int) {
	for _, line := range lines {
		if strings.Contains(line, what) {
			n++
		}
	}
	return n
}

type logHandler struct {
	b     *Logbook
	attrs []slog.Attr
}

func (h logHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }

func (h logHandler) Handle(ctx context.Context, r slog.Record) error {
	r = r.Clone()
	r.AddAttrs(h.attrs...)
	h.b.mu.Lock()
	defer h.b.mu.Unlock()
	h.b.records = append(h.b.records, r)
	return h.b.show.Handle(ctx, r)
}

func (h logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.b.handler(slices.Concat(h.attrs, attrs))
}

func (h logHandler) WithGroup(string) slog.Handler { return h }
