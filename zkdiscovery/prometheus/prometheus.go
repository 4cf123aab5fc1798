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
	"strings"

	"github.com/holdfast-go/holdfast/zkdiscovery/metrics"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// maxLabels is how many labels a metric has at most whose labels are made once.
const maxLabels = 4

var _ prometheus.Collector = (*Collector)(nil)

// Collector is a prometheus.Collector of any number of discoveries, plugins and selectors. It keeps nothing, and costs nothing while nobody scrapes.
// Its methods may be called at once from anywhere.
type Collector struct {
	sources metrics.Sources
	descs   []*prometheus.Desc // by the metric's index in metrics.Table
	kinds   []prometheus.ValueType
	names   []string // of the labels, of each metric
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
		c.names = append(c.names, strings.Join(m.Labels, ","))
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
	// Of thousands of services most metrics have the same labels: these are made once.
	type key struct {
		names  string
		values [maxLabels]string
	}
	known := make(map[key][]*dto.LabelPair)
	c.sources.Collect(func(i int, value float64, labels []string) {
		k := key{names: c.names[i]}
		copy(k.values[:], labels)
		pairs := known[k]
		if pairs == nil || len(labels) > maxLabels {
			pairs = prometheus.MakeLabelPairs(c.descs[i], labels)
			known[k] = pairs
		}
		ch <- &sample{c.descs[i], c.kinds[i], value, pairs}
	})
}

// sample is a metric at one moment.
type sample struct {
	desc   *prometheus.Desc
	kind   prometheus.ValueType
	value  float64
	labels []*dto.LabelPair
}

func (s *sample) Desc() *prometheus.Desc { return s.desc }

func (s *sample) Write(m *dto.Metric) error {
	m.Label = s.labels
	if s.kind == prometheus.CounterValue {
		m.Counter = &dto.Counter{Value: &s.value}
	} else {
		m.Gauge = &dto.Gauge{Value: &s.value}
	}
	return nil
}
