package prometheus_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/metrics"
	"github.com/holdfast-go/holdfast/zkdiscovery/serverplugin"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	holdfast "github.com/holdfast-go/holdfast/zkdiscovery/prometheus"
)

// fleet is a client of services, a plugin and a selector, with an in-process ZooKeeper.
func fleet(tb testing.TB, services map[string]int) metrics.Sources {
	tb.Helper()
	zk := zktest.NewServer()
	tb.Cleanup(zk.Close)
	silent := slog.New(slog.DiscardHandler)
	for service, instances := range services {
		for i := range instances {
			must(tb, zk.Put(fmt.Sprintf("/rpcx/%s/tcp@127.1.%d.%d:8972", service, i/250, i%250), []byte("weight=5")))
		}
	}
	d, err := zkdiscovery.NewTemplate("/rpcx", []string{"zk:2181"}, zkdiscovery.WithDialer(zk.Dial), zkdiscovery.WithoutCache(), zkdiscovery.WithLogger(silent))
	must(tb, err)
	tb.Cleanup(d.Close)
	for service := range services {
		ctx, cancel := context.WithTimeout(tb.Context(), 30*time.Second)
		must(tb, d.Service(service).WaitLive(ctx))
		cancel()
	}
	p := serverplugin.NewZooKeeperRegisterPlugin(serverplugin.WithZKServiceAddress("tcp@127.0.0.1:1"), serverplugin.WithZKBasePath("rpcx"),
		serverplugin.WithZKServersAddress([]string{"zk:2181"}), serverplugin.WithDialer(zk.Dial), serverplugin.WithLogger(silent))
	must(tb, p.Start())
	tb.Cleanup(func() { _ = p.Stop() })
	must(tb, p.Register("Greeter", nil, ""))
	s, err := selector.New(selector.WithoutProbing())
	must(tb, err)
	tb.Cleanup(func() { _ = s.Close() })
	s.UpdateServer(map[string]string{"tcp@127.1.0.1:8972": ""})
	for s.Status().Servers[0].State != selector.Trial { // since it cannot be probed
		time.Sleep(time.Millisecond)
	}
	return metrics.Sources{
		Discoveries: map[string]*zkdiscovery.Discovery{"orders": d},
		Plugins:     map[string]*serverplugin.ZooKeeperRegisterPlugin{"orders": p},
		Selectors:   map[string]*selector.Selector{"orders": s},
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// registry refuses a collector that does not describe what it collects, or collects a series twice.
func registry(tb testing.TB, s metrics.Sources) *prometheus.Registry {
	tb.Helper()
	r := prometheus.NewPedanticRegistry()
	must(tb, r.Register(holdfast.New(s)))
	return r
}

func TestPromlintFindsNothing(t *testing.T) {
	s := fleet(t, map[string]int{"Arith": 2})
	s.Instances = true
	problems, err := testutil.GatherAndLint(registry(t, s))
	must(t, err)
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestTheTableIsWhatIsScraped(t *testing.T) {
	s := fleet(t, map[string]int{"Arith": 2, "Echo": 1})
	s.Instances = true
	rec := httptest.NewRecorder()
	promhttp.HandlerFor(registry(t, s), promhttp.HandlerOpts{}).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	page := rec.Body.String()
	for _, want := range []string{
		`holdfast_discovery_source{name="orders",service="/rpcx/Arith",source="live"} 1`,
		`holdfast_discovery_source{name="orders",service="/rpcx/Arith",source="stale"} 0`,
		`holdfast_discovery_instances{name="orders",service="/rpcx/Arith"} 2`,
		`holdfast_discovery_instances{name="orders",service="/rpcx/Echo"} 1`,
		`holdfast_discovery_connected{name="orders"} 1`,
		`holdfast_discovery_persistent_watches{name="orders"} 1`,
		`holdfast_discovery_batched_reads{name="orders"} 1`,
		`# TYPE holdfast_discovery_lists_total counter`,
		`# HELP holdfast_discovery_confirmed_timestamp_seconds When ZooKeeper last confirmed the list.`,
		`holdfast_registration_phase{name="orders",phase="registered",service="Greeter"}`,
		`holdfast_selector_server_state{instance="tcp@127.1.0.1:8972",name="orders",state="trial"} 1`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("%s is not in\n%s", want, page)
		}
	}
}

func TestHostileNamesAreHarmlessAndBounded(t *testing.T) {
	name := "<script>\u202e\x1b[31m\xff\n\"} 1\nup{job=\"x\"} 0 " + strings.Repeat("x", 1<<20)
	s := fleet(t, map[string]int{"<script>\u202e": 1})
	s.Discoveries[name], s.Discoveries[name+"y"] = s.Discoveries["orders"], s.Discoveries["orders"]
	rec := httptest.NewRecorder()
	promhttp.HandlerFor(registry(t, s), promhttp.HandlerOpts{}).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	page := rec.Body.String()
	if rec.Code != http.StatusOK || len(page) > 200<<10 || strings.Contains(page, "\nup{") || !strings.Contains(page, `service="/rpcx/<script>`) {
		t.Errorf("%d, %d bytes", rec.Code, len(page))
	}
}

func TestAClosedSourceIsToldAsItWas(t *testing.T) {
	s := fleet(t, map[string]int{"Arith": 2})
	r := registry(t, s)
	s.Discoveries["orders"].Close()
	must(t, s.Plugins["orders"].Stop())
	must(t, s.Selectors["orders"].Close())
	_, err := r.Gather()
	must(t, err)
}
