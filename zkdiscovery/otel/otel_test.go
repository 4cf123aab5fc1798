package otel_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/metrics"
	"github.com/holdfast-go/holdfast/zkdiscovery/serverplugin"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/holdfast-go/holdfast/zkdiscovery/otel"
)

func TestTheTableIsWhatIsCollected(t *testing.T) {
	zk := zktest.NewServer()
	defer zk.Close()
	must(t, zk.Put("/rpcx/Arith/tcp@a:1", nil))
	silent := slog.New(slog.DiscardHandler)
	d, err := zkdiscovery.New("/rpcx", "Arith", []string{"zk:2181"}, zkdiscovery.WithDialer(zk.Dial), zkdiscovery.WithoutCache(), zkdiscovery.WithLogger(silent))
	must(t, err)
	defer d.Close()
	p := serverplugin.NewZooKeeperRegisterPlugin(serverplugin.WithZKServiceAddress("tcp@127.0.0.1:1"), serverplugin.WithZKBasePath("rpcx"),
		serverplugin.WithZKServersAddress([]string{"zk:2181"}), serverplugin.WithDialer(zk.Dial), serverplugin.WithLogger(silent))
	must(t, p.Register("Greeter", nil, ""))
	defer func() { _ = p.Stop() }()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	must(t, p.WaitRegistered(ctx))
	s, err := selector.New(selector.WithoutProbing())
	must(t, err)
	defer func() { _ = s.Close() }()
	s.UpdateServer(map[string]string{"tcp@a:1": ""})

	reader := sdk.NewManualReader()
	stop, err := otel.Register(sdk.NewMeterProvider(sdk.WithReader(reader)).Meter("test"), metrics.Sources{
		Discoveries: map[string]*zkdiscovery.Discovery{"orders": d},
		Plugins:     map[string]*serverplugin.ZooKeeperRegisterPlugin{"orders": p},
		Selectors:   map[string]*selector.Selector{"orders": s},
		Instances:   true,
	})
	must(t, err)
	got := collect(t, reader)
	for _, m := range metrics.Table() {
		found, there := got[m.Name]
		_, sum := found.Data.(metricdata.Sum[float64])
		if m.Name == "holdfast.discovery.cache.saved.timestamp" {
			continue // there is no cache
		}
		if !there || found.Unit != m.Unit || found.Description != m.Help || sum != (m.Kind == metrics.Counter) {
			t.Errorf("%s: %v, %+v", m.Name, there, found)
		}
	}
	points := got["holdfast.discovery.source"].Data.(metricdata.Gauge[float64]).DataPoints
	for _, point := range points {
		source, _ := point.Attributes.Value("source")
		service, _ := point.Attributes.Value("service")
		if (source.AsString() == "live") != (point.Value == 1) || service.AsString() != "/rpcx/Arith" {
			t.Errorf("%v %v: %v", service, source, point.Value)
		}
	}
	if len(points) != 5 {
		t.Errorf("%d sources", len(points))
	}
	must(t, stop())
	if got := collect(t, reader); len(got) != 0 {
		t.Errorf("after stop: %d metrics", len(got))
	}
}

func collect(t *testing.T, reader *sdk.ManualReader) map[string]metricdata.Metrics {
	t.Helper()
	var all metricdata.ResourceMetrics
	must(t, reader.Collect(t.Context(), &all))
	byName := make(map[string]metricdata.Metrics)
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			byName[m.Name] = m
		}
	}
	return byName
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
