package weather

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// logbook counts the lines at Info and above.
type logbook struct {
	run   *run
	name  string
	lines atomic.Int64
	late  atomic.Int64 // of them, those that tell what was so before: see isLate

	mu        sync.Mutex
	unreached map[string]int // so often was told of a service that probes reach nobody
}

const unreached = "probes reach no instance of this service"

// isLate reports whether a line may come when all has been at rest for long: it counts lines that were withheld, or says that probes reach nobody, which
// the second trial shows. That is told once for each service.
func (b *logbook) isLate(rec *slog.Record, of string) (late bool) {
	rec.Attrs(func(a slog.Attr) bool { late = late || a.Key == "withheld"; return true })
	if !strings.HasPrefix(rec.Message, unreached) || late {
		return late
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.unreached == nil {
		b.unreached = make(map[string]int)
	}
	if b.unreached[of]++; b.unreached[of] > 1 {
		b.run.violate("probesThatReachNobodyAreToldOnce", "%s has told so %d times of%s", b.name, b.unreached[of], of)
	}
	return true
}

func (b *logbook) logger() *slog.Logger { return slog.New(handler{b, ""}) }

type handler struct {
	b     *logbook
	attrs string
}

func (h handler) Enabled(_ context.Context, l slog.Level) bool {
	return l >= slog.LevelInfo || h.b.run.verbose
}

func (h handler) Handle(_ context.Context, rec slog.Record) error {
	if rec.Level >= slog.LevelInfo && !strings.HasSuffix(rec.Message, " panicked") && !strings.HasPrefix(rec.Message, "filter panicked") {
		h.b.lines.Add(1)
		if h.b.isLate(&rec, h.attrs) {
			h.b.late.Add(1)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s %s%s", h.b.name, rec.Level, rec.Message, h.attrs)
	rec.Attrs(func(a slog.Attr) bool { fmt.Fprintf(&b, " %s=%v", a.Key, a.Value); return true })
	h.b.run.noteText(b.String())
	return nil
}

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, a := range attrs {
		h.attrs += fmt.Sprintf(" %s=%v", a.Key, a.Value)
	}
	return h
}

func (h handler) WithGroup(string) slog.Handler { return h }

// In seed 731904 a process said after the last instance was let go that one more line of that kind had been withheld, and 20 minutes later of another service that
// probes reach nobody. Both are told late by design, and are nothing that goes on at rest.
func TestWhatIsToldLateIsNoNewsAtRest(t *testing.T) {
	r := &run{began: time.Now(), seen: make(map[string]int)}
	b := &logbook{run: r}
	log := b.logger().With("service", "/rpcx/Arith")
	log.Warn("letting go", "withheld", 1)
	log.Warn(unreached + ", so that …")
	log.With("service", "/rpcx/Other").Warn(unreached + ", so that …")
	if lines, late := b.lines.Load(), b.late.Load(); lines != 3 || late != 3 || len(r.violations) > 0 {
		t.Errorf("%d of %d lines are late, %v", late, lines, r.violations)
	}
	log.Warn("something else")
	if lines, late := b.lines.Load(), b.late.Load(); lines != 4 || late != 3 {
		t.Errorf("%d of %d lines are late", late, lines)
	}
	log.Warn(unreached + ", so that …")
	if len(r.violations) != 1 {
		t.Errorf("told twice: %v", r.violations)
	}
}
