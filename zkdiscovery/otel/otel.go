// Package otel gives Holdfast's metrics to OpenTelemetry.
//
//	stop, err := otel.Register(provider.Meter("holdfast"), metrics.Sources{
//		Discoveries: map[string]*zkdiscovery.Discovery{"orders": d},
//	})
//
// The metrics, their attributes and what they mean are in package metrics, [metrics.Table].
//
// This is a module of its own, so that OpenTelemetry is no dependency of Holdfast. It needs OpenTelemetry's API only, and no SDK.
package otel

import (
	"context"
	"fmt"

	"github.com/holdfast-go/holdfast/zkdiscovery/metrics"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Register has meter observe sources, which it copies, whenever metrics are collected. Nothing is kept in between, and nothing costs while nobody
// collects. stop ends it. Sources may be closed before: then their last state is told.
func Register(meter metric.Meter, sources metrics.Sources) (stop func() error, err error) {
	sources = sources.Clone()
	table := metrics.Table()
	observables := make([]metric.Observable, len(table))
	gauges := make([]metric.Float64Observable, len(table))
	for i, m := range table {
		if gauges[i], err = observable(meter, m); err != nil {
			return nil, fmt.Errorf("otel: %s: %w", m.Name, err)
		}
		observables[i] = gauges[i]
	}
	reg, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		sources.Collect(func(i int, value float64, labels []string) {
			attrs := make([]attribute.KeyValue, len(labels))
			for at, l := range labels {
				attrs[at] = attribute.String(table[i].Labels[at], l)
			}
			o.ObserveFloat64(gauges[i], value, metric.WithAttributeSet(attribute.NewSet(attrs...)))
		})
		return nil
	}, observables...)
	if err != nil {
		return nil, fmt.Errorf("otel: %w", err)
	}
	return reg.Unregister, nil
}

func observable(meter metric.Meter, m metrics.Metric) (metric.Float64Observable, error) {
	if m.Kind == metrics.Counter {
		return meter.Float64ObservableCounter(m.Name, metric.WithDescription(m.Help), metric.WithUnit(m.Unit))
	}
	return meter.Float64ObservableGauge(m.Name, metric.WithDescription(m.Help), metric.WithUnit(m.Unit))
}
