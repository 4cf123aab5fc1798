// Package operating has what is to be loaded into Prometheus and Grafana, and the test that Prometheus understands it.
package operating

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

// fires says for each alert what is scraped once a minute, and at which minute the alert does not fire yet, and does. The series are
// written by hand, one minute per value: the worst of what each alert is for. That the metrics themselves change is shown in zkdiscovery/metrics.
var fires = map[string]struct {
	load       string
	quiet, due int
}{
	"HoldfastListStale":       {`holdfast_discovery_source{name="orders",service="/rpcx/Arith",source="stale"} 0x4 1x30`, 14, 16},
	"HoldfastListFromFile":    {`holdfast_discovery_source{name="orders",service="/rpcx/Arith",source="file"} 1x30`, 4, 6},
	"HoldfastNoList":          {`holdfast_discovery_source{name="orders",service="/rpcx/Arith",source="none"} 1x30`, 4, 6},
	"HoldfastOverrideInForce": {`holdfast_discovery_source{name="orders",service="/rpcx/Arith",source="override"} 1x90`, 59, 61},
	"HoldfastListOld": {`
  holdfast_discovery_source{name="orders",service="/rpcx/Arith",source="stale"} 1x90
  holdfast_discovery_source{name="orders",service="/rpcx/Arith",source="override"} 0x90
  holdfast_discovery_confirmed_timestamp_seconds{name="orders",service="/rpcx/Arith"} 60x90`, 65, 67},
	"HoldfastListEmpty": {`
  holdfast_discovery_source{name="orders",service="/rpcx/Arith",source="live"} 1x30
  holdfast_discovery_instances{name="orders",service="/rpcx/Arith"} 0x30`, 4, 6},
	"HoldfastInstancesHeld":   {`holdfast_discovery_held{name="orders",service="/rpcx/Arith"} 0x4 3x30`, 19, 21},
	"HoldfastBasePathMissing": {`holdfast_discovery_path_missing{name="orders"} 1x30`, 4, 6},
	"HoldfastReconnecting":    {`holdfast_discovery_connections_total{name="orders"} 1x20 2+2x40`, 30, 40},
	"HoldfastWatchesLost":     {`holdfast_discovery_mended_total{name="orders",service="/rpcx/Arith"} 0x10 1x30`, 10, 12},
	"HoldfastCacheNotWritten": {`holdfast_discovery_cache_failing{name="orders",service="/rpcx/Arith"} 1x30`, 14, 16},
	"HoldfastNotRegistered":   {`holdfast_registration_registered{name="orders"} 1x4 0x30`, 9, 11},
	"HoldfastAddressLost":     {`holdfast_registration_phase{name="orders",service="Arith",phase="yielded"} 1x30`, 4, 6},
	"HoldfastServersFail":     {`holdfast_selector_panic{name="orders"} 1x30`, 1, 3},
}

// well is a whole hour in which nothing is wrong.
const well = `
  holdfast_discovery_source{name="orders",service="/rpcx/Arith",source="live"} 1x90
  holdfast_discovery_source{name="orders",service="/rpcx/Arith",source="stale"} 0x90
  holdfast_discovery_source{name="orders",service="/rpcx/Arith",source="file"} 0x90
  holdfast_discovery_source{name="orders",service="/rpcx/Arith",source="override"} 0x90
  holdfast_discovery_source{name="orders",service="/rpcx/Arith",source="none"} 0x90
  holdfast_discovery_confirmed_timestamp_seconds{name="orders",service="/rpcx/Arith"} 0+60x90
  holdfast_discovery_instances{name="orders",service="/rpcx/Arith"} 3x90
  holdfast_discovery_held{name="orders",service="/rpcx/Arith"} 0x90
  holdfast_discovery_path_missing{name="orders"} 0x90
  holdfast_discovery_connections_total{name="orders"} 1x40 2x50
  holdfast_discovery_mended_total{name="orders",service="/rpcx/Arith"} 0x90
  holdfast_discovery_cache_failing{name="orders",service="/rpcx/Arith"} 0x90
  holdfast_registration_registered{name="orders"} 1x90
  holdfast_registration_phase{name="orders",service="Arith",phase="yielded"} 0x90
  holdfast_selector_panic{name="orders"} 0x90
`

func alerts(t *testing.T) []rulefmt.Rule {
	t.Helper()
	groups, errs := rulefmt.ParseFile("alerts.yaml", false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	for _, err := range errs {
		t.Error(err)
	}
	if groups == nil || len(groups.Groups) == 0 {
		t.Fatal("no rules")
	}
	var all []rulefmt.Rule
	for _, g := range groups.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// scraped is what was scraped, each line a series in the notation of Prometheus's own tests, a value a minute. It is read by Prometheus's parser.
func scraped(t *testing.T, load string) storage.Queryable {
	t.Helper()
	var all []storage.Series
	for line := range strings.Lines(load) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		metric, values, err := parser.NewParser(parser.Options{}).ParseSeriesDesc(line)
		if err != nil {
			t.Fatal(err)
		}
		one := promql.Series{Metric: metric}
		for minute, v := range values {
			if !v.Omitted {
				one.Floats = append(one.Floats, promql.FPoint{T: int64(minute) * 60_000, F: v.Value})
			}
		}
		all = append(all, promql.NewStorageSeries(one))
	}
	return &storage.MockQueryable{MockQuerier: &storage.MockQuerier{
		SelectMockFunction: func(_ bool, _ *storage.SelectHints, wanted ...*labels.Matcher) storage.SeriesSet {
			return &found{series: slices.DeleteFunc(slices.Clone(all), func(s storage.Series) bool {
				return slices.ContainsFunc(wanted, func(m *labels.Matcher) bool { return !m.Matches(s.Labels().Get(m.Name)) })
			})}
		},
	}}
}

// found is a set of series.
type found struct {
	series []storage.Series
	next   int
}

func (f *found) Next() bool                        { f.next++; return f.next <= len(f.series) }
func (f *found) At() storage.Series                { return f.series[f.next-1] }
func (f *found) Err() error                        { return nil }
func (f *found) Warnings() annotations.Annotations { return nil }

// firing has Prometheus's engine evaluate a rule once a minute, and returns at which minutes it fires: one of its series has been there for as long as
// "for" says. Prometheus's package rules does the same, and needs the clients of every cloud, minutes of compiling.
func firing(t *testing.T, rule rulefmt.Rule, load string) (minutes []int) {
	t.Helper()
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute})
	defer engine.Close()
	data := scraped(t, load)
	since := make(map[string]time.Time) // by the labels of a series
	for minute := range 90 {
		now := time.Unix(int64(minute)*60, 0)
		query, err := engine.NewInstantQuery(t.Context(), data, nil, rule.Expr, now)
		if err != nil {
			t.Fatal(err)
		}
		result, err := query.Exec(t.Context()).Vector()
		if err != nil {
			t.Fatal(err)
		}
		was := since
		since = make(map[string]time.Time)
		fires := false
		for _, sample := range result {
			key := sample.Metric.String()
			begun, pending := was[key]
			if !pending {
				begun = now
			}
			since[key] = begun
			fires = fires || now.Sub(begun) >= time.Duration(rule.For)
		}
		query.Close()
		if fires {
			minutes = append(minutes, minute)
		}
	}
	return minutes
}

func TestEveryAlertFiresWhenItsTimeHasComeAndNotBefore(t *testing.T) {
	known := make(map[string]bool)
	for _, rule := range alerts(t) {
		known[rule.Alert] = true
		t.Run(rule.Alert, func(t *testing.T) {
			c, ok := fires[rule.Alert]
			if !ok {
				t.Fatal("nothing provokes it")
			}
			minutes := firing(t, rule, c.load)
			if slices.Contains(minutes, c.quiet) || !slices.Contains(minutes, c.due) {
				t.Errorf("fires at minutes %v, want not %d, and %d", minutes, c.quiet, c.due)
			}
			if minutes := firing(t, rule, well); len(minutes) > 0 {
				t.Errorf("fires at minutes %v although all is well", minutes)
			}
			for _, key := range []string{"summary", "description"} {
				if rule.Annotations[key] == "" {
					t.Errorf("no %s", key)
				}
			}
			if s := rule.Labels["severity"]; s != "info" && s != "warning" && s != "critical" {
				t.Errorf("severity %q", s)
			}
		})
	}
	for name := range fires {
		if !known[name] {
			t.Errorf("there is no alert %s", name)
		}
	}
}
