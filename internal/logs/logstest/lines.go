// Package logstest lets tests read what went to slog.Default.
package logstest

import (
	"log"
	"log/slog"
	"strings"
	"sync"
	"testing"
)

// Lines is a log, a line of text for each record. Its methods may be called at once from anywhere.
type Lines struct {
	mu  sync.Mutex
	all strings.Builder
}

// Default makes slog.Default a logger of every level to the Lines that it returns, until the test ends. Tests that call it must not run in
// parallel.
func Default(tb testing.TB) *Lines {
	tb.Helper()
	was, out, flags := slog.Default(), log.Writer(), log.Flags()
	tb.Cleanup(func() {
		slog.SetDefault(was)
		log.SetOutput(out) // slog.SetDefault has taken it
		log.SetFlags(flags)
	})
	l := &Lines{}
	slog.SetDefault(slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug - 4})))
	return l
}

// Write implements io.Writer.
func (l *Lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

// With returns the lines that contain all of parts.
func (l *Lines) With(parts ...string) (lines []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
next:
	for line := range strings.Lines(l.all.String()) {
		for _, part := range parts {
			if !strings.Contains(line, part) {
				continue next
			}
		}
		lines = append(lines, line)
	}
	return lines
}

// WantOnly fails the test unless there is a line at Warn that contains part, and none at all below Warn.
func (l *Lines) WantOnly(tb testing.TB, part string) {
	tb.Helper()
	if len(l.With("level=WARN", part)) == 0 || len(l.With("level=INFO")) > 0 || len(l.With("level=DEBUG")) > 0 {
		tb.Errorf("slog.Default got, not only at Warn or without %q:\n%s", part, strings.Join(l.With(), ""))
	}
}
