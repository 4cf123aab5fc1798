package lists

import (
	"flag"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/tests/harness"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

var clients = flag.Int("clients", 10, "clients of one service whose cost is counted, 4 MB each")

// replaced is how many instances of the service are replaced by others, one after the other.
const replaced = 10

// cost is what clients of a service of 1,000 instances cost ZooKeeper.
type cost struct {
	watches                   int
	startRequests, startBytes int64
	update                    update
}

// update is the cost of replacing instances.
type update struct{ requests, notifications, bytesOut, bytesIn int64 }

// What ten thousand clients cost ZooKeeper is ten thousand times what one costs: no client's cost depends on how many others there are.
func TestWhatClientsCostZooKeeperIsSoManyTimesWhatOneCosts(t *testing.T) {
	t.Setenv("HOLDFAST_WIRE", "")
	var rows []string
	for _, tc := range []struct {
		name string
		opt  zkdiscovery.Option // nil: the defaults
		most cost               // of one client
	}{
		{"3.6 and later", nil, cost{1, 8, 150_000, update{2, 2, 600, 250}}},
		{"before 3.6, or `WithoutWireExtension`", zkdiscovery.WithoutWireExtension(), cost{1001, 1004, 160_000, update{3, 3, 50_000, 250}}},
		{"`WithoutMetadataWatch`", zkdiscovery.WithoutMetadataWatch(), cost{1, 8, 150_000, update{3, 2, 50_000, 250}}},
	} {
		n, m := int64(*clients), tc.most
		one, many := counted(t, 1, tc.opt), counted(t, *clients, tc.opt)
		u := one.update
		if want := (update{u.requests * n, u.notifications * n, u.bytesOut * n, u.bytesIn * n}); many.update != want || many.watches != one.watches**clients {
			t.Errorf("%s: one client costs %+v, %d cost %+v", tc.name, one, n, many)
		}
		// A client's first questions depend on which of its goroutines comes first.
		if many.startRequests > m.startRequests*n || many.startBytes > m.startBytes*n {
			t.Errorf("%s: %d clients start with %d requests and %d bytes", tc.name, n, many.startRequests, many.startBytes)
		}
		if one.watches != m.watches || u.requests > m.update.requests*replaced || u.notifications > m.update.notifications*replaced ||
			u.bytesOut > m.update.bytesOut*replaced || u.bytesIn > m.update.bytesIn*replaced {
			t.Errorf("%s: a client costs %+v, of which each replaced instance may have %+v", tc.name, one, m.update)
		}
		tenThousand := func(of int64) float64 { return float64(of) * 10_000 / float64(n) }
		each := func(of int64) float64 { return tenThousand(of) / replaced }
		rows = append(rows, fmt.Sprintf("| %s | %.0f | %.0f | %.1f GB | %.0f | %.0f | %.1f MB | %.1f MB |", tc.name, tenThousand(int64(many.watches)),
			tenThousand(many.startRequests), tenThousand(many.startBytes)/1e9, each(many.update.requests), each(many.update.notifications),
			each(many.update.bytesOut)/1e6, each(many.update.bytesIn)/1e6))
	}
	t.Logf("ten thousand clients of 1,000 instances, counted with %d:\n%s", *clients, strings.Join(rows, "\n"))
}

// counted is what n clients cost.
func counted(t *testing.T, n int, opt zkdiscovery.Option) (c cost) {
	t.Helper()
	harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
		const instances = 1000
		for i := range instances {
			t.Put(t.Node("Arith", i), "weight=10&group=blue&state=active")
		}
		opts := append(t.Options(), zkdiscovery.WithoutCache(), zkdiscovery.WithLogger(slog.New(slog.DiscardHandler)))
		if opt != nil {
			opts = append(opts, opt)
		}
		all := make([]*zkdiscovery.Discovery, n)
		for i := range all {
			d, err := zkdiscovery.New(t.Base, "Arith", t.Servers(), opts...)
			harness.Must(t, err)
			all[i] = d
		}
		defer func() {
			var closing sync.WaitGroup
			for _, d := range all {
				closing.Go(d.Close)
			}
			closing.Wait()
		}()
		harness.Pass(time.Second)
		started := zk.Stats()
		c.watches, c.startRequests, c.startBytes = started.Watches, started.Total(), started.BytesOut
		for i := range replaced {
			t.Put(t.Node("Arith", instances+i), "weight=10&group=blue&state=active")
			harness.Pass(100 * time.Millisecond)
			harness.Must(t, zk.Delete(t.Node("Arith", i)))
			harness.Pass(100 * time.Millisecond)
		}
		for _, d := range all {
			t.Lists(d, t.Children(t.Service("Arith")))
		}
		st := zk.Stats().Since(started)
		c.update = update{st.Total(), st.Notifications, st.BytesOut, st.BytesIn}
	})
	return c
}
