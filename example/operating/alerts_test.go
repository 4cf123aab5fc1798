// Package operating has what is to be loaded into Prometheus and Grafana, and the test that Prometheus understands it.
package operating

import (
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
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
const well = `load 1m
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

// firing evaluates a rule once a minute, as Prometheus does, and returns at which minutes it fires.
func firing(t *testing.T, rule rulefmt.Rule, load string) (minutes []int) {
	t.Helper()
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(rule.Expr)
	if err != nil {
		t.Fatal(err)
	}
	storage := promqltest.LoadedStorage(t, load)
	engine := promqltest.NewTestEngine(t, false, 0, 1e6)
	alert := rules.NewAlertingRule(rule.Alert, expr, time.Duration(rule.For), 0, labels.FromMap(rule.Labels), labels.FromMap(rule.Annotations),
		labels.EmptyLabels(), "", true, slog.New(slog.DiscardHandler))
	for minute := range 90 {
		if _, err := alert.Eval(t.Context(), 0, time.Unix(int64(minute)*60, 0), rules.EngineQueryFunc(engine, storage), &url.URL{}, 0); err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(alert.ActiveAlerts(), func(a *rules.Alert) bool { return a.State == rules.StateFiring }) {
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
			minutes := firing(t, rule, "load 1m\n  "+strings.TrimSpace(c.load)+"\n")
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
