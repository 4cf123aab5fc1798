package filecache_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/filecache"
)

// A discovery saves what its registry says, and loads it when the registry is away.
func Example() {
	dir, err := os.MkdirTemp("", "filecache")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	cache, err := filecache.Open(dir, "zk1:2181,zk2:2181", "/prod/rpcx/Arith", filecache.WithMaxAge(24*time.Hour))
	if err != nil {
		panic(err)
	}
	defer cache.Close()

	if _, err := cache.Load(); errors.Is(err, fs.ErrNotExist) {
		fmt.Println("nothing yet")
	}
	err = cache.Save(filecache.Snapshot{
		Zxid: 4294967299, AsOf: time.Now(),
		Servers: []filecache.Server{{Key: "tcp@127.0.0.1:8972", Value: "weight=5"}, {Key: "tcp@127.0.0.2:8972", Value: "weight=1"}},
	})
	if err != nil {
		panic(err)
	}
	err = cache.Save(filecache.Snapshot{Zxid: 4294967298, AsOf: time.Now()}) // from a server that lags behind
	fmt.Println("refused:", errors.Is(err, filecache.ErrNewer))

	// After a restart:
	snapshot, err := cache.Load()
	if err != nil {
		panic(err)
	}
	for _, s := range snapshot.Servers {
		fmt.Println(s.Key, s.Value)
	}
	file, err := filepath.Rel(dir, cache.Path())
	fmt.Println(file, err)
	// Output:
	// nothing yet
	// refused: true
	// tcp@127.0.0.1:8972 weight=5
	// tcp@127.0.0.2:8972 weight=1
	// zk1_2181,zk2_2181/prod/rpcx/Arith~c1/list.json <nil>
}

// An operator puts a list beside the file, and everybody who watches has it at once.
func ExampleCache_Watch() {
	dir, err := os.MkdirTemp("", "filecache")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	cache, err := filecache.Open(dir, "zk1:2181", "/prod/rpcx/Arith")
	if err != nil {
		panic(err)
	}
	defer cache.Close()

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	changes := cache.Watch(ctx)

	if err := os.WriteFile(cache.OverridePath(), []byte(`["tcp@127.0.0.9:8972"]`), 0o600); err != nil {
		panic(err)
	}
	s := <-changes
	fmt.Println("override:", s.Override, s.Servers[0].Key)
	if err := os.Remove(cache.OverridePath()); err != nil {
		panic(err)
	}
	s = <-changes
	fmt.Println("override:", s.Override)
	// Output:
	// override: true tcp@127.0.0.9:8972
	// override: false
}

// Any discovery of rpcx goes on with its file while its registry is away.
func ExampleWrap() {
	dir, err := os.MkdirTemp("", "filecache")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	start := func(registry ...*client.KVPair) {
		// A discovery for etcd, consul, nacos…; this one lists what it is given.
		d, err := client.NewMultipleServersDiscovery(registry)
		if err != nil {
			panic(err)
		}
		wrapped, err := filecache.Wrap(d, dir, filecache.WithService("Arith"))
		if err != nil {
			panic(err)
		}
		defer wrapped.Close()
		for _, kv := range wrapped.GetServices() {
			fmt.Println(kv.Key)
		}
	}
	start(&client.KVPair{Key: "tcp@127.0.0.1:8972"})
	start() // the registry is away
	// Output:
	// tcp@127.0.0.1:8972
	// tcp@127.0.0.1:8972
}

// With etcd, and every other registry whose constructor fails while the registry is away. For rpcx-etcd, open is
//
//	func() (client.ServiceDiscovery, error) {
//		return etcdclient.NewEtcdV3Discovery("/rpcx", "Arith", []string{"etcd1:2379"}, false, nil)
//	}
func ExampleConnect_etcd() {
	dir, err := os.MkdirTemp("", "filecache")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	start := func(open func() (client.ServiceDiscovery, error)) {
		d, err := filecache.Connect(open, dir, filecache.WithEnsemble("etcd"), filecache.WithService("Arith"),
			filecache.WithLogger(slog.New(slog.DiscardHandler)))
		if err != nil {
			fmt.Println(err) // a mistake in the arguments
			return
		}
		defer d.Close()
		for _, kv := range d.GetServices() {
			fmt.Println(kv.Key)
		}
	}
	start(func() (client.ServiceDiscovery, error) { // etcd answers
		return client.NewMultipleServersDiscovery([]*client.KVPair{{Key: "tcp@127.0.0.1:8972"}})
	})
	start(func() (client.ServiceDiscovery, error) { // etcd is away
		return nil, errors.New("context deadline exceeded")
	})
	// Output:
	// tcp@127.0.0.1:8972
	// tcp@127.0.0.1:8972
}
