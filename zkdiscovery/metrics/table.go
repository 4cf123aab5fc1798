package metrics

import (
	"fmt"
	"strings"

	"github.com/holdfast-go/holdfast/internal/words"
)

// Kind says how a metric moves.
type Kind uint8

// The kinds.
const (
	Gauge   Kind = iota // goes up and down
	Counter             // only grows, and begins anew when what it counts does
)

var kindNames = []string{"gauge", "counter"}

// String is the kind in lower case.
func (k Kind) String() string { return words.Name(kindNames, "kind", k) }

// MarshalText returns the kind in lower case.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText sets the kind that text names. An unknown name is an error.
func (k *Kind) UnmarshalText(text []byte) error { return words.Parse(kindNames, "kind", text, k) }

// Metric is one row of the table.
type Metric struct {
	Name   string   // as OpenTelemetry has names: "holdfast.discovery.lists"
	Unit   string   // as UCUM has units: "s", "{list}"; "" for a state that is 0 or 1
	Help   string   // one sentence
	Labels []string // in the order in which Collect gives their values; the first is "name"
	Kind   Kind
}

// Prometheus is the metric's name as Prometheus has names: "holdfast_discovery_lists_total".
func (m Metric) Prometheus() string {
	name := strings.ReplaceAll(m.Name, ".", "_")
	if m.Unit == "s" {
		name += "_seconds"
	}
	if m.Kind == Counter {
		name += "_total"
	}
	return name
}

// Table returns all metrics, in the order of the sources. The slice is the caller's own.
func Table() []Metric {
	var all []Metric
	for _, r := range discoveryRows {
		all = append(all, r.Metric)
	}
	for _, r := range pluginRows {
		all = append(all, r.Metric)
	}
	for _, r := range selectorRows {
		all = append(all, r.Metric)
	}
	return all
}

// row is a metric with what reads its values from the Status of a source. The name is put before the labels that emit is given.
type row[S any] struct {
	Metric
	read func(st *S, emit func(value float64, labels ...string))
}

// gauge is a row of something that goes up and down; its labels follow "name".
func gauge[S any](name, unit, help string, read func(st *S, emit func(float64, ...string)), labels ...string) row[S] {
	return row[S]{Metric{name, unit, help, append([]string{"name"}, labels...), Gauge}, read}
}

func counter[S any](name, unit, help string, read func(st *S, emit func(float64, ...string)), labels ...string) row[S] {
	return row[S]{Metric{name, unit, help, append([]string{"name"}, labels...), Counter}, read}
}

func bit(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// states emits a gauge for each word of an enum.
func states[E interface {
	words.Enum
	fmt.Stringer
}](is E, last E, emit func(float64, ...string), label string) {
	labels := [...]string{label, ""}
	for e := E(0); e <= last; e++ {
		labels[1] = e.String()
		emit(bit(e == is), labels[:]...)
	}
}
