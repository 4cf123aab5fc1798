package peers

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/tests/contract"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
	"github.com/rpcxio/libkv/store"
	peer "github.com/rpcxio/rpcx-zookeeper/client"
	"github.com/smallnest/rpcx/client"
)

// discovery is rpcx-zookeeper's on a ZooKeeper that has exactly what set says.
func discovery(t *testing.T) (d client.ServiceDiscovery, set func(service string, list map[string]string)) {
	t.Helper()
	zk := zktest.Start(t, zktest.WithTick(100*time.Millisecond))
	for _, service := range []string{"Arith", "Other"} { // its constructor fails without
		if err := zk.Put("/rpcx/"+service, nil); err != nil {
			t.Fatal(err)
		}
	}
	d, err := peer.NewZookeeperDiscovery("/rpcx", "Arith", []string{zk.Addr()}, &store.Config{ConnectionTimeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return d, func(service string, list map[string]string) {
		path := "/rpcx/" + service
		children, _ := zk.Children(path) // no node: none
		for _, c := range children {
			if _, ok := list[c]; !ok {
				_ = zk.Delete(path + "/" + c)
			}
		}
		for k, value := range list {
			if n, err := zk.Get(path + "/" + k); err != nil || string(n.Data) != value {
				_ = zk.Put(path+"/"+k, []byte(value))
			}
		}
	}
}

// wrong is what both get wrong: the second adds its own to the first.
func wrong() []contract.Option {
	opts := []contract.Option{
		contract.Broken("GetServicesReturnsASliceOfTheCallersOwn", "all callers share one slice, which XClient sorts in place"),
		contract.Broken("EveryWatcherReceivesASliceOfItsOwn", "all watchers share one slice"),
		contract.Broken("AWatcherHasTheCurrentListAtOnce", "a change between GetServices and WatchService is lost for ever"),
		contract.Broken("MetadataArrives", "it does not watch the data of instances (rpcx issue 820)"),
	}
	// Whatever else a check looks for, it begins with a list that must arrive, and updates between a read and its watch are lost. What a metadata change
	// should lead to never comes, and nothing that all its goroutines use has a lock.
	for _, c := range contract.Checks() {
		opts = append(opts, contract.Unsteady(c.Name, "updates are lost, and what is shared has no lock"))
	}
	return opts
}

func TestRPCXZookeeper(t *testing.T) {
	contract.Run(t, func(t *testing.T) contract.Subject {
		d, set := discovery(t)
		return contract.Subject{Discovery: d, Set: set, Patience: time.Second}
	}, wrong()...)
}

func TestCacheDiscovery(t *testing.T) {
	contract.Run(t, func(t *testing.T) contract.Subject {
		d, set := discovery(t)
		return contract.Subject{Discovery: client.CacheDiscovery(0, filepath.Join(t.TempDir(), "discovery.json"), d), Set: set, Patience: time.Second}
	}, wrong()...)
}
