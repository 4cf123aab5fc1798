package zkdiscovery_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// Hooks feed the metrics of one's own. (For Prometheus and OpenTelemetry there are packages zkdiscovery/prometheus and zkdiscovery/otel.)
func ExampleObserver() {
	zk, dir, end := ensemble()
	defer end()

	lists := make(chan zkdiscovery.Published, 100)
	d, err := zkdiscovery.New("/rpcx", "Arith", []string{zk.Addr()}, zkdiscovery.WithCacheDir(dir),
		zkdiscovery.WithObserver(zkdiscovery.Observer{
			Published: func(p zkdiscovery.Published) { lists <- p }, // a hook must return soon
		}))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.Close()
	p := <-lists
	fmt.Println(p.Service, p.Source, p.Instances)
	// Output: /rpcx/Arith live 1
}

// Where the service's servers speak TLS, the guard must, too: give it the configuration that rpcx's clients have.
func ExampleGuard() {
	zk, dir, end := ensemble()
	defer end()

	option := client.DefaultOption
	option.TLSConfig = &tls.Config{ServerName: "arith.example", MinVersion: tls.VersionTLS13}
	d, err := zkdiscovery.New("/rpcx", "Arith", []string{zk.Addr()}, zkdiscovery.WithCacheDir(dir),
		zkdiscovery.WithGuard(zkdiscovery.Guard{
			TLS:  option.TLSConfig,
			Hold: 10 * time.Minute, // for instances that do not answer and do not refuse
		}))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.Close()
	xclient := client.NewXClient("Arith", client.Failover, client.RandomSelect, d, option)
	defer xclient.Close()
	fmt.Println(d.Status().Instances, "instance,", d.Status().Held, "held")
	// Output: 1 instance, 0 held
}

// Status tells people and probes how everything is. Its String is one line for a log.
func ExampleDiscovery_Status() {
	zk, dir, end := ensemble()
	defer end()
	d, err := zkdiscovery.New("/rpcx", "Arith", []string{zk.Addr()}, zkdiscovery.WithCacheDir(dir))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.Close()

	st := d.Status()
	fmt.Println(st.Service, st.Source, st.Instances, st.Held)
	fmt.Println(st.Connected, st.Server == zk.Addr(), st.SessionTimeout)
	fmt.Println(st.CacheErr, st.LastErr)
	// Output:
	// /rpcx/Arith live 1 0
	// true true 10s
	// <nil> <nil>
}

// In an emergency an operator writes a list by hand. It wins over everything until the file is deleted.
func ExampleStatus_override() {
	zk, dir, end := ensemble()
	defer end()
	d, err := zkdiscovery.New("/rpcx", "Arith", []string{zk.Addr()}, zkdiscovery.WithCacheDir(dir))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.Close()
	lists := d.WatchService()
	defer d.RemoveWatcher(lists)
	fmt.Println(d.Snapshot().Source, (<-lists)[0].Key)

	file := d.Status().OverrideFile // …/rpcx/Arith~c1/override.json
	if err := os.WriteFile(file, []byte(`["tcp@127.0.0.9:8972"]`), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	list := <-lists
	fmt.Println(d.Snapshot().Source, list[0].Key)

	if err := os.Remove(file); err != nil {
		fmt.Println(err)
		return
	}
	list = <-lists
	fmt.Println(d.Snapshot().Source, list[0].Key)
	// Output:
	// live tcp@127.0.0.1:8972
	// override tcp@127.0.0.9:8972
	// live tcp@127.0.0.1:8972
}

// A test of a program of one's own: ZooKeeper dies under it, and comes back. WaitLive waits for the list that comes from ZooKeeper. For any other
// source watch the list and look at Snapshot, as waitFor does.
func ExampleDiscovery_WaitLive() {
	waitFor := func(t *testing.T, d *zkdiscovery.Discovery, want zkdiscovery.Source) {
		t.Helper()
		deadline := time.Now().Add(30 * time.Second)
		for d.Snapshot().Source != want {
			if time.Now().After(deadline) {
				t.Fatalf("the list is not %v: %v", want, d.Status())
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	_ = func(t *testing.T) { // TestTheProgramSurvivesAnOutage
		zk := zktest.Start(t)
		if err := zk.Put("/rpcx/Arith/tcp@127.0.0.1:8972", nil); err != nil {
			t.Fatal(err)
		}
		d, err := zkdiscovery.New("/rpcx", "Arith", []string{zk.Addr()}, zkdiscovery.WithCacheDir(t.TempDir()))
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()

		zk.Stop()
		waitFor(t, d, zkdiscovery.Stale)
		if n := len(d.GetServices()); n != 1 {
			t.Errorf("%d instances while ZooKeeper is away", n)
		}

		if err := zk.Start(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if err := d.WaitLive(ctx); err != nil {
			t.Error(err)
		}
	}
}
