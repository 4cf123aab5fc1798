package selector

import (
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// Observer is a set of hooks for metrics; nil ones are skipped. They are called one after the other on a goroutine of the Selector's, outside its
// locks, a little after the event. A hook must return soon, because probes wait for it, and must not call Close. One that panics is reported and
// goes on being called. Numbers (picks, calls in flight, latencies) are in Status.
type Observer struct {
	// Changed is called when a server's state changes, and when the time changes at which a server out of use is asked again.
	Changed func(Change)
	// Panic is called with true when so many servers fail that ejections are ignored, and with false when they count again.
	Panic func(on bool)
}

// Change is one change of a server's state.
type Change struct {
	Key      string
	From, To State
	Reason   Reason
	Until    time.Time // when it will be asked again; zero when there is no such time
}

// tell has the loop call f outside every lock. s.mu must be held.
func (s *Selector) tell(f func()) {
	if !s.closed {
		s.loop.news = append(s.loop.news, f)
		s.loop.poke()
	}
}

// tellChange tells of a change. An edge is one between a server that is used and one that is not.
func (s *Selector) tellChange(c Change, edge bool) {
	s.tell(func() {
		level := slog.LevelDebug
		if edge {
			level = slog.LevelInfo
		}
		attrs := []slog.Attr{slog.String("server", c.Key), slog.String("from", c.From.String()), slog.String("to", c.To.String())}
		if c.Reason != NoReason {
			attrs = append(attrs, slog.String("reason", c.Reason.String()))
		}
		if !c.Until.IsZero() {
			attrs = append(attrs, slog.Time("until", c.Until))
		}
		s.config.log.LogAttrs(s.loop.ctx, level, "server changed", attrs...)
		if s.config.observer.Changed != nil {
			s.config.observer.Changed(c)
		}
	})
}

func (s *Selector) tellPanic(on bool, c counts) {
	s.tell(func() {
		failing := slog.String("failing", fmt.Sprintf("%d of %d", c.failing, c.all))
		if on {
			s.config.log.Warn("too many servers fail, so ejections are ignored", failing)
		} else {
			s.config.log.Info("ejections count again", failing)
		}
		if s.config.observer.Panic != nil {
			s.config.observer.Panic(on)
		}
	})
}

// report tells once of metadata that was not understood.
func (s *Selector) report(strange []string) {
	if len(strange) == 0 {
		return
	}
	s.tell(func() {
		s.config.log.Warn("metadata not understood, defaults used", slog.Int("servers", len(strange)), slog.String("for_example", slices.Min(strange)))
	})
}

// call runs what may run the user's code. It may panic for every change: the logger's limiter counts that.
func (s *Selector) call(f func()) {
	defer func() {
		if r := recover(); r != nil {
			s.config.log.Error("a hook panicked", slog.String("panic", fmt.Sprint(r)))
		}
	}()
	f()
}
