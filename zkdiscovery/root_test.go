package zkdiscovery

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
)

// asking is a log handler that asks a Discovery whenever the library calls one of its methods.
type asking struct {
	slog.Handler
	ask func()
}

func (h asking) Enabled(ctx context.Context, l slog.Level) bool {
	h.ask()
	return h.Handler.Enabled(ctx, l)
}

func (h asking) Handle(ctx context.Context, r slog.Record) error {
	h.ask()
	return h.Handler.Handle(ctx, r)
}

func (h asking) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.ask()
	return asking{h.Handler.WithAttrs(attrs), h.ask}
}

func (h asking) WithGroup(name string) slog.Handler {
	h.ask()
	return asking{h.Handler.WithGroup(name), h.ask}
}

// C3. The logger of a service was made under the lock that a clone needs to be taken up again.
func TestNoMethodOfALogHandlerIsCalledUnderALock(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		var asked atomic.Int64
		var asks atomic.Pointer[Discovery]
		d := w.template(WithLogger(slog.New(asking{slog.DiscardHandler, func() {
			if c := asks.Load(); c != nil {
				asked.Add(1)
				c.GetServices()
				_ = c.Status()
			}
		}})))
		c := w.clone(d, "Arith")
		pass(3 * releaseIdle)
		if isHeld(c) {
			t.Fatal("not let go")
		}
		asks.Store(c)
		w.clone(d, "Other")
		w.lists(c, "tcp@a:1")
		w.zk.ExpireAll()
		pass(releaseIdle)
		w.clone(d, "a//b")
		if n := asked.Load(); n < 5 {
			t.Errorf("asked %d times only", n)
		}
	})
}
