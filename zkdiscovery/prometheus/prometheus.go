// Package prometheus lets Prometheus scrape Holdfast.
//
//	prometheus.MustRegister(holdfast.New(metrics.Sources{
//		Discoveries: map[string]*zkdiscovery.Discovery{"orders": d},
//	}))
//
// The metrics, their labels and what they mean are in package metrics, [metrics.Table]; holdfast.discovery.lists is holdfast_discovery_lists_total
// here. Alert rules and a dashboard for them are in example/operating.
//
// This is a module of its own, so that Prometheus' client is no dependency of Holdfast.
package prometheus

import (
	"github.com/holdfast-go/holdfast/zkdiscovery/metrics"
	"github.com/prometheus/client_golang/prometheus"
)

var _ prometheus.Collector = (*Collector)(nil)

// Collector is a prometheus.Collector of any number of discoveries, plugins and selectors. It keeps nothing, and costs nothing while nobody scrapes.
// Its methods may be called at once from anywhere.
type Collector struct {
	sources metrics.Sources
	descs   []*prometheus.Desc // by the metric's index in metrics.Table
	kinds   []prometheus.ValueType
}

// New returns a Collector of sources, which it copies. Sources may be closed before or after it: then their last state is told.
func New(sources metrics.Sources) *Collector {
	c := &Collector{sources: sources.Clone()}
	for _, m := range metrics.Table() {
		c.descs = append(c.descs, prometheus.NewDesc(m.Prometheus(), m.Help, m.Labels, nil))
		kind := prometheus.GaugeValue
		if m.Kind == metrics.Counter {
			kind = prometheus.CounterValue
		}
		c.kinds = append(c.kinds, kind)
	}
	return c
}

// Describe sends the descriptions of all metrics.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
}

// Collect sends the metrics of this moment. It holds no lock meanwhile.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	c.sources.Collect(func(i int, value float64, labels []string) {
		m, err := prometheus.NewConstMetric(c.descs[i], c.kinds[i], value, labels...)
		if err != nil {
			m = prometheus.NewInvalidMetric(c.descs[i], err)
		}
		ch <- m
	})
}
