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
	"slices"
	"strings"

	"github.com/holdfast-go/holdfast/zkdiscovery/metrics"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

var _ prometheus.Collector = (*Collector)(nil)

// Collector is a prometheus.Collector of any number of discoveries, plugins and selectors. It keeps nothing, and costs nothing while nobody scrapes.
// Its methods may be called at once from anywhere.
type Collector struct {
	sources metrics.Sources
	rows    []row // by the metric's index in metrics.Table
}

// row is a metric.
type row struct {
	desc   *prometheus.Desc
	kind   prometheus.ValueType
	labels []label
}

// label is one of a metric's, in the order of names, which Prometheus wants.
type label struct {
	name string
	at   int // among those that are collected
}

// New returns a Collector of sources, which it copies. Sources may be closed before or after it: then their last state is told.
func New(sources metrics.Sources) *Collector {
	c := &Collector{sources: sources.Clone()}
	for _, m := range metrics.Table() {
		r := row{desc: prometheus.NewDesc(m.Prometheus(), m.Help, m.Labels, nil), kind: prometheus.GaugeValue}
		if m.Kind == metrics.Counter {
			r.kind = prometheus.CounterValue
		}
		for at, name := range m.Labels {
			r.labels = append(r.labels, label{name, at})
		}
		slices.SortFunc(r.labels, func(a, b label) int { return strings.Compare(a.name, b.name) })
		c.rows = append(c.rows, r)
	}
	return c
}

// Describe sends the descriptions of all metrics.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, r := range c.rows {
		ch <- r.desc
	}
}

// Collect sends the metrics of this moment. It holds no lock meanwhile.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	// A service is in some twenty samples: its label is made once, and samples many at a time.
	made := make(map[string]map[string]*dto.LabelPair)
	var samples []sample
	var pairs []*dto.LabelPair
	c.sources.Collect(func(i int, value float64, values []string) {
		r := &c.rows[i]
		n := len(r.labels)
		if len(samples) == 0 {
			samples = make([]sample, atOnce)
		}
		if len(pairs) < n {
			pairs = make([]*dto.LabelPair, max(n, atOnce))
		}
		s := &samples[0]
		*s = sample{r, value, pairs[:n:n]}
		samples, pairs = samples[1:], pairs[n:]
		for j, l := range r.labels {
			s.labels[j] = pairOf(made, l.name, values[l.at])
		}
		ch <- s
	})
}

const atOnce = 256

// pairOf makes a label, once.
func pairOf(made map[string]map[string]*dto.LabelPair, name, value string) *dto.LabelPair {
	byValue := made[name]
	if byValue == nil {
		byValue = make(map[string]*dto.LabelPair)
		made[name] = byValue
	}
	pair := byValue[value]
	if pair == nil {
		pair = &dto.LabelPair{Name: new(name), Value: new(value)}
		byValue[value] = pair
	}
	return pair
}

// sample is a metric at one moment.
type sample struct {
	row    *row
	value  float64
	labels []*dto.LabelPair
}

func (s *sample) Desc() *prometheus.Desc { return s.row.desc }

func (s *sample) Write(m *dto.Metric) error {
	m.Label = s.labels
	if s.row.kind == prometheus.CounterValue {
		m.Counter = &dto.Counter{Value: &s.value}
	} else {
		m.Gauge = &dto.Gauge{Value: &s.value}
	}
	return nil
}
