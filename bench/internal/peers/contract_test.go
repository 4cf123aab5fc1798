package peers

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/rpcxio/libkv/store"
	peer "github.com/rpcxio/rpcx-zookeeper/client"
	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/tests/contract"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// discovery is rpcx-zookeeper's on a ZooKeeper that has exactly what set says.
func discovery(t *testing.T) (d client.ServiceDiscovery, set func(service string, list map[string]string)) {
	t.Helper()
	zk := zktest.NewServer(zktest.WithTick(100 * time.Millisecond))
	t.Cleanup(zk.Close)
	if err := zk.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
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
	return []contract.Option{
		contract.Broken("GetServicesReturnsASliceOfTheCallersOwn", "all callers share one slice, which XClient sorts in place"),
		contract.Broken("EveryWatcherReceivesASliceOfItsOwn", "all watchers share one slice"),
		contract.Broken("AWatcherHasTheCurrentListAtOnce", "a change between GetServices and WatchService is lost for ever"),
		contract.Broken("MetadataArrives", "it does not watch the data of instances (rpcx issue 820)"),
		contract.Unsteady("ASlowWatcherHasTheNewestInTheEnd", "metadata never arrives"),
		contract.Broken("FiltersWorkAtOnce", "a filter works from the next change on"),
		contract.Broken("ClonesInheritTheFilter", "Clone appends the service to the path, and the filter is not handed on"),
		contract.Broken("ClonesListTheirOwnService", "Clone appends the service to the path of the one that it is called on"),
		contract.Broken("ClosingACloneLeavesTheOthersAlone", "each clone closes the connection that all share"),
		contract.Broken("CloneNeverFails", "a service that nobody has registered yet is an error, over which OneClient panics"),
		contract.Broken("CloseMayBeCalledTwice", "it closes a closed channel, which ends the process"),
		contract.Broken("CloseLeavesWatchersChannelsOpen", "an owner that closes it again, as the check does in the end, ends the process"),
		contract.Broken("AfterCloseNothingPanics", "the same"),
		contract.Unsteady("NothingIsLeftAfterClose", "libkv's goroutine waits for ever for somebody to take its last list"),
		contract.Unsteady("XClientsShareIt", "metadata never arrives, and the slice that they sort is shared"),
		contract.Unsteady("PairsNeverChange", "updates between a read and its watch are lost"),
		contract.Unsteady("AllMethodsAtOnce", "the filter and the watchers have no lock"),
		contract.Unsteady("TheEmptyListArrives", "updates between a read and its watch are lost"),
		contract.Unsteady("BurstsEndComplete", "updates between a read and its watch are lost, and each list is sent on a goroutine of its own"),
		contract.Unsteady("ASlowWatcherDelaysNobody", "the same"),
		contract.Unsteady("ChangesArrive", "the same; what CacheDiscovery keeps has no lock"),
		contract.Unsteady("ListsAreInOrder", "each list is sent on a goroutine of its own"),
		contract.Unsteady("NothingIsSentWhenNothingHasChanged", "it sends what it reads"),
		contract.Unsteady("NothingIsSentAfterRemoveWatcher", "a goroutine that sends may be late, and its recover hides that"),
	}
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
