package holdfast_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/smallnest/rpcx/client"
)

// replica is a watcher that keeps up: what a program knows that only listens, and all that it ever heard.
type replica struct {
	d    client.ServiceDiscovery
	ch   chan []*client.KVPair
	done chan struct{} // closed when the reader has ended
	once sync.Once

	mu      sync.Mutex
	history []map[string]string
}

// follow begins to listen; the test ends it as XClient does, if the test does not.
func follow(t *testing.T, d client.ServiceDiscovery) *replica {
	t.Helper()
	r := &replica{d: d, ch: d.WatchService(), done: make(chan struct{})}
	go func() {
		defer close(r.done)
		for pairs := range r.ch {
			if !slices.IsSortedFunc(pairs, func(a, b *client.KVPair) int { return strings.Compare(a.Key, b.Key) }) {
				t.Errorf("a list is not sorted by key: %v", listed(pairs))
			}
			r.mu.Lock()
			r.history = append(r.history, listed(pairs))
			r.mu.Unlock()
		}
	}()
	t.Cleanup(r.stop)
	return r
}

// stop ends it as XClient does: what is sent after RemoveWatcher has returned panics. It may be called twice.
func (r *replica) stop() {
	r.once.Do(func() {
		r.d.RemoveWatcher(r.ch)
		close(r.ch)
		<-r.done
	})
}

// heard is everything so far.
func (r *replica) heard() []map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.history)
}

// last is what it knows now; nil when it has heard nothing.
func (r *replica) last() map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.history) == 0 {
		return nil
	}
	return r.history[len(r.history)-1]
}

// logbook keeps what the library has to say, and shows it when the test fails.
type logbook struct {
	show slog.Handler

	mu      sync.Mutex
	records []slog.Record
}

func newLogbook(t *testing.T) *logbook {
	t.Helper()
	return &logbook{show: slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})}
}

func (b *logbook) logger() *slog.Logger { return slog.New(b.handler(nil)) }

func (b *logbook) handler(attrs []slog.Attr) slog.Handler { return logHandler{b, attrs} }

// edges are the messages so far. Debug, which may have thousands in an hour's outage, is left out.
func (b *logbook) edges() (lines []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.records {
		line := r.Level.String() + " " + r.Message
		r.Attrs(func(a slog.Attr) bool { line += fmt.Sprintf(" %s=%v", a.Key, a.Value); return true })
		lines = append(lines, line)
	}
	return lines
}

type logHandler struct {
	b     *logbook
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

// count is the number of lines with something in them.
func count(lines []string, what string) (n int) {
	for _, line := range lines {
		if strings.Contains(line, what) {
			n++
		}
	}
	return n
}

func containsAll(s string, parts ...string) bool {
	for _, part := range parts {
		if !strings.Contains(s, part) {
			return false
		}
	}
	return true
}
