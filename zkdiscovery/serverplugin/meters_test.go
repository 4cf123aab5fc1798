package serverplugin

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/rcrowley/go-metrics"
)

// P4: a program that has a counter called "calls" in its registry was ended by its first call.
func TestAnotherKindOfMetricIsToldOnceAndIgnored(t *testing.T) {
	inBubble(t, func(b bubble) {
		var log strings.Builder
		registry := metrics.NewRegistry()
		counter := metrics.NewRegisteredCounter("calls", registry)
		p := b.plugin(WithZKMetrics(registry), WithZkUpdateInterval(time.Second), WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		b.register(p, "Arith", "weight=3")
		for range 10 {
			pass(time.Second)
			_, _ = p.PreCall(b.Context(), "Arith", "Mul", nil)
			_, _ = p.HandleConnAccept(nil)
		}
		if v := b.published(p); v.Has("calls") || !v.Has("connections") || counter.Count() != 0 {
			b.Errorf("%v, %d", v, counter.Count())
		}
		must(b, p.Stop())
		if n := strings.Count(log.String(), `level=WARN msg="the registry has another kind of metric under a meter's name: it is not published"`); n != 1 || !strings.Contains(log.String(), "name=calls") {
			b.Errorf("%d lines:\n%s", n, log.String())
		}
	})
}
