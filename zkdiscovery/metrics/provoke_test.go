package metrics

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smallnest/rpcx/client"
	"github.com/smallnest/rpcx/server"

	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/tests/bubbles"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/serverplugin"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// seen notes which metrics have changed.
type seen struct {
	sources Sources
	last    map[string]float64
	changed map[string]bool
}

func watch(s Sources) *seen {
	n := &seen{sources: s.Clone(), changed: make(map[string]bool)}
	n.look()
	clear(n.changed)
	return n
}

func (n *seen) look() {
	now := make(map[string]float64)
	table := Table()
	n.sources.Collect(func(i int, value float64, labels []string) {
		m := table[i]
		series := fmt.Sprint(m.Name, labels)
		if len(labels) != len(m.Labels) {
			panic(series)
		}
		if was, known := n.last[series]; known && was != value || !known && strings.HasSuffix(m.Name, "timestamp") {
			n.changed[m.Name] = true
		}
		now[series] = value
	})
	n.last = now
}

// has reports whether every metric with that prefix has changed.
func (n *seen) has(prefix string) bool {
	return !slices.ContainsFunc(Table(), func(m Metric) bool { return strings.HasPrefix(m.Name, prefix) && !n.changed[m.Name] })
}

// all fails the test for every metric with that prefix which has not changed.
func (n *seen) all(t *testing.T, prefix string) {
	t.Helper()
	n.look()
	for _, m := range Table() {
		if strings.HasPrefix(m.Name, prefix) && !n.changed[m.Name] {
			t.Errorf("%s has not changed", m.Name)
		}
	}
}

func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func do(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestEveryMetricOfADiscoveryChangesWhenItIsProvoked(t *testing.T) {
	dir := t.TempDir()
	bubbles.Test(t, func(t *testing.T) {
		defer synctest.Wait()
		zk := zktest.NewServer()
		defer zk.Close()
		zk.Stop()
		d, err := zkdiscovery.NewTemplate("/rpcx", []string{"zk:2181"}, zkdiscovery.WithDialer(zk.Dial), zkdiscovery.WithCacheDir(dir),
			zkdiscovery.WithCachePolling(), zkdiscovery.WithLogger(slog.New(slog.DiscardHandler)),
			zkdiscovery.WithGuard(zkdiscovery.Guard{Probe: func(context.Context, string, string) error { return nil }}))
		do(t, err)
		defer d.Close()
		n := watch(Sources{Discoveries: map[string]*zkdiscovery.Discovery{"orders": d, "none": nil}})
		do(t, zk.Start())
		pass(10 * time.Second)
		c := d.Service("Arith")
		pass(time.Second)
		n.look() // the base path does not exist
		for _, key := range []string{"tcp@a:1", "tcp@b:1", "lock"} {
			do(t, zk.Put("/rpcx/Arith/"+key, nil))
		}
		pass(30 * time.Second)
		n.look()
		c.WatchService()
		do(t, zk.Put("/rpcx/Arith/tcp@c:1", nil))
		pass(10 * time.Second)
		n.look()
		for _, key := range []string{"tcp@a:1", "tcp@b:1"} {
			do(t, zk.Delete("/rpcx/Arith/"+key))
		}
		pass(10 * time.Second)
		n.look() // held
		file := filepath.Dir(c.Status().CacheFile)
		do(t, os.Rename(file, file+"-away"))
		do(t, os.WriteFile(file, nil, 0o600))
		do(t, zk.Put("/rpcx/Arith/tcp@d:1", nil))
		pass(10 * time.Second)
		n.look() // not saved
		zk.ForgetWatches()
		do(t, zk.Put("/rpcx/Arith/tcp@e:1", nil))
		pass(time.Hour)
		n.look() // mended
		zk.Stop()
		pass(time.Minute)
		n.look()
		do(t, zk.Start())
		pass(time.Minute)
		zk.ExpireAll()
		pass(time.Minute)
		n.all(t, "holdfast.discovery.")
		do(t, os.Remove(file))
		do(t, os.Rename(file+"-away", file))
	})
}

// What is made use of depends on the server's version, and on what the program allows.
func TestTheMetricsTellWhatIsMadeUseOfOnTheServer(t *testing.T) {
	for name, tc := range map[string]struct {
		server  []zktest.Option
		options []zkdiscovery.Option
		want    float64
	}{
		"3.8":      {nil, nil, 1},
		"3.4":      {[]zktest.Option{zktest.WithVersion(zktest.Version34)}, nil, 0},
		"switched": {nil, []zkdiscovery.Option{zkdiscovery.WithoutWireExtension()}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubbles.Test(t, func(t *testing.T) {
				defer synctest.Wait()
				zk := zktest.NewServer(tc.server...)
				defer zk.Close()
				d, err := zkdiscovery.NewTemplate("/rpcx", []string{"zk:2181"}, append(tc.options, zkdiscovery.WithDialer(zk.Dial),
					zkdiscovery.WithoutCache(), zkdiscovery.WithLogger(slog.New(slog.DiscardHandler)))...)
				do(t, err)
				defer d.Close()
				pass(time.Second)
				told := func() map[string]float64 {
					all := make(map[string]float64)
					Sources{Discoveries: map[string]*zkdiscovery.Discovery{"orders": d}}.Collect(func(i int, value float64, _ []string) {
						all[Table()[i].Name] = value
					})
					return all
				}
				if now := told(); now["holdfast.discovery.connected"] != 1 || now["holdfast.discovery.persistent_watches"] != tc.want ||
					now["holdfast.discovery.batched_reads"] != tc.want {
					t.Errorf("want %v: %v", tc.want, now)
				}
				zk.Stop()
				pass(time.Second)
				if now := told(); now["holdfast.discovery.persistent_watches"] != 0 || now["holdfast.discovery.batched_reads"] != 0 {
					t.Errorf("without a connection: %v", now)
				}
			})
		})
	}
}

func TestEveryMetricOfARegistrationChangesWhenItIsProvoked(t *testing.T) {
	bubbles.Test(t, func(t *testing.T) {
		defer synctest.Wait()
		zk := zktest.NewServer()
		defer zk.Close()
		p := serverplugin.NewZooKeeperRegisterPlugin(serverplugin.WithZKServiceAddress("tcp@a:1"), serverplugin.WithZKBasePath("rpcx"),
			serverplugin.WithZKServersAddress([]string{"zk:2181"}), serverplugin.WithDialer(zk.Dial),
			serverplugin.WithLogger(slog.New(slog.DiscardHandler)))
		do(t, p.Start())
		defer func() { _ = p.Stop() }()
		n := watch(Sources{Plugins: map[string]*serverplugin.ZooKeeperRegisterPlugin{"orders": p, "none": nil}})
		do(t, zk.Put("/rpcx/Arith/tcp@a:1", nil)) // somebody's, to be taken over
		do(t, p.Register("Arith", nil, ""))
		n.look()
		pass(10 * time.Second)
		n.look()
		zk.FailNext(zktest.OpMulti, zktest.CodeNoAuth, 1<<30)
		zk.FailNext(zktest.OpCreate, zktest.CodeNoAuth, 1<<30)
		do(t, zk.Delete("/rpcx/Arith/tcp@a:1"))
		pass(10 * time.Second)
		n.look()
		zk.FailNext(zktest.OpMulti, 0, 0)
		zk.FailNext(zktest.OpCreate, 0, 0)
		zk.Stop()
		pass(time.Minute)
		n.look()
		do(t, zk.Start())
		pass(time.Minute)
		zk.ExpireAll()
		pass(time.Minute)
		n.all(t, "holdfast.registration.")
	})
}

// Echo is the service of the test below.
type Echo struct{ release chan struct{} }

// Call answers at once.
func (*Echo) Call(_ context.Context, _ *bool, reply *bool) error {
	*reply = true
	return nil
}

// Wait answers when it is released.
func (e *Echo) Wait(context.Context, *bool, *bool) error {
	<-e.release
	return nil
}

func TestEveryMetricOfASelectorChangesWhenItIsProvoked(t *testing.T) {
	echo := &Echo{release: make(chan struct{})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	do(t, err)
	srv := server.NewServer()
	do(t, srv.RegisterName("Echo", echo, ""))
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = srv.ServeListener("tcp", l) // it ends with Close
	}()
	defer func() { _ = srv.Close(); <-served }()
	pairs := []*client.KVPair{{Key: "tcp@" + l.Addr().String()}}
	for range 2 {
		dead, err := net.Listen("tcp", "127.0.0.1:0")
		do(t, err)
		pairs = append(pairs, &client.KVPair{Key: "tcp@" + dead.Addr().String()})
		do(t, dead.Close())
	}
	var live atomic.Bool
	live.Store(true)
	s, err := selector.New(selector.WithLive(live.Load), selector.WithRetryBudget(0, 1), selector.WithoutProbing(),
		selector.WithEjection(selector.Ejection{DialBase: time.Millisecond, DialMax: 2 * time.Millisecond}),
		selector.WithLogger(slog.New(slog.DiscardHandler)))
	do(t, err)
	defer func() { _ = s.Close() }()
	d, err := client.NewMultipleServersDiscovery(pairs)
	do(t, err)
	option := client.DefaultOption
	option.RetryInterval = time.Millisecond
	xc := selector.Wrap(client.NewXClient("Echo", client.Failover, client.SelectByUser, d, option), s)
	defer func() { _ = xc.Close() }()
	n := watch(Sources{Selectors: map[string]*selector.Selector{"orders": s, "none": nil}, Instances: true})
	var waits sync.WaitGroup
	defer waits.Wait()
	defer close(echo.release)
	waits.Go(func() {
		var arg, reply bool
		_ = xc.Call(t.Context(), "Wait", &arg, &reply) // it may meet a dead server
	})
	live.Store(false)
	for deadline := time.Now().Add(20 * time.Second); !n.has("holdfast.selector.") && time.Now().Before(deadline); n.look() {
		var arg, reply bool
		_ = xc.Call(t.Context(), "Call", &arg, &reply) // it may meet a dead server
	}
	n.all(t, "holdfast.selector.")

	without := Sources{Selectors: map[string]*selector.Selector{"orders": s}}
	without.Collect(func(i int, _ float64, labels []string) {
		if strings.Contains(fmt.Sprint(labels), "127.0.0.1") {
			t.Errorf("%s%q has an address", Table()[i].Name, labels)
		}
	})
}
