package serverplugin

import (
	"cmp"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/rcrowley/go-metrics"

	"github.com/holdfast-go/holdfast/internal/logs"
)

// meters are the two that rpcx-zookeeper publishes, in the user's registry.
type meters struct {
	calls, connections told
}

// told is whether it was told that something else stands under a meter's name.
type told struct{ already atomic.Bool }

// of returns the meter of a name, made if there is none. It is nil where something else has that name, a counter for instance: that is told once,
// and ignored. go-metrics panics there.
func (t *told) of(r metrics.Registry, name string, log *slog.Logger) metrics.Meter {
	if r == nil {
		return nil
	}
	is := r.GetOrRegister(name, metrics.NewMeter)
	if m, ok := is.(metrics.Meter); ok {
		return m
	}
	if !t.already.Swap(true) {
		cmp.Or(log, logs.Default()).Warn("the registry has another kind of metric under a meter's name: it is not published", "name", name, "kind", fmt.Sprintf("%T", is))
	}
	return nil
}

// read returns what is published, as rpcx-zookeeper writes it.
func (m *meters) read(r metrics.Registry, log *slog.Logger) []param {
	params := make([]param, 0, 2)
	for _, p := range [...]struct {
		name string
		told *told
	}{{callsKey, &m.calls}, {connectionsKey, &m.connections}} {
		if meter := p.told.of(r, p.name, log); meter != nil {
			params = append(params, param{p.name, fmt.Sprintf("%.2f", meter.RateMean())})
		}
	}
	return params
}
