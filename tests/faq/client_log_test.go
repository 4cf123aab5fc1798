package faq

import (
	"context"
	"fmt"
	"maps"
	"os"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/tests/harness"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

var scenes = make(map[string]scene)

func init() {
	for _, of := range []map[string]scene{clientScenes, fileScenes, wrapScenes, serverScenes} {
		maps.Copy(scenes, of)
	}
}

// clientScenes are those of discoveries and selectors.
var clientScenes = map[string]scene{
	"an outage, and the session's end": {
		[]string{
			"INFO connected to ZooKeeper",
			"INFO list is live",
			"WARN connection to ZooKeeper lost",
			"WARN no ZooKeeper server usable, trying on",
			"WARN ZooKeeper cannot be asked, keeping the last list",
			"INFO ZooKeeper session given up, beginning a new one",
		},
		func(t *harness.World, _ *zktest.Server) {
			t.Register("Arith", 0)
			t.Discover("Arith")
			harness.Pass(time.Second)
			t.Stop()
			harness.Pass(time.Minute)
			t.Start()
			harness.Pass(time.Minute)
			t.Expire()
			harness.Pass(time.Minute)
		},
	},
	"a start during an outage": {
		[]string{"WARN ZooKeeper cannot be asked, list comes from the cache file"},
		func(t *harness.World, _ *zktest.Server) {
			t.Register("Arith", 0)
			t.LeaveFile("Arith")
			t.Stop()
			t.Discover("Arith")
			harness.Pass(time.Minute)
		},
	},
	"a client that may not list the path": {
		[]string{"WARN ZooKeeper does not give the list, keeping the last one and trying on"},
		func(t *harness.World, zk *zktest.Server) {
			t.Register("Arith", 0)
			t.Discover("Arith")
			harness.Must(t, zk.SetACL(t.Service("Arith"), []zktest.ACL{{Perms: 31, Scheme: "digest", ID: "somebody:else"}}))
			t.Expire()
			harness.Pass(time.Minute)
		},
	},
	"a base path that does not exist, until somebody creates it": {
		[]string{
			"WARN the path above the services does not exist: every list is empty until somebody creates it. Are chroot and base path right?",
			"INFO the path above the services exists now",
		},
		func(t *harness.World, _ *zktest.Server) {
			t.Discover("Arith")
			harness.Pass(time.Minute)
			t.Register("Arith", 0)
			harness.Pass(time.Minute)
		},
	},
	"a node that the client may not read, and one whose metadata are no query": {
		[]string{
			"WARN instances may not be read: listed with the metadata known last",
			"WARN metadata is not a URL query: rpcx ignores state and group in it",
		},
		func(t *harness.World, zk *zktest.Server) {
			t.Register("Arith", 0)
			harness.Must(t, zk.SetACL(t.Node("Arith", 0), []zktest.ACL{{Perms: 31, Scheme: "digest", ID: "somebody:else"}}))
			t.Put(t.Node("Arith", 1), `{"a":"b;c"}`)
			t.Discover("Arith")
			harness.Pass(time.Minute)
		},
	},
	"a ZooKeeper that was wiped out, and a server that has gone with it": {
		[]string{
			"WARN instances are missing in the registry, keeping those that answer when they are asked",
			"WARN letting go of instances that are missing in the registry and have not answered",
			"INFO no instance is held any more, the list is the registry's",
		},
		func(t *harness.World, _ *zktest.Server) {
			f := harness.NewFleet()
			t.Register("Arith", 0, 1, 2, 3)
			t.Guarded("Arith", f, zkdiscovery.Guard{})
			harness.Pass(time.Minute)
			f.Become(harness.Refuses, 0)
			t.WipeOut()
			harness.Pass(time.Minute)
			t.Register("Arith", 1, 2, 3)
			harness.Pass(time.Minute)
		},
	},
	"servers that no probe reaches": {
		[]string{"WARN probes reach no instance of this service, so that their silence proves nothing: a missing instance is kept for …"},
		func(t *harness.World, _ *zktest.Server) {
			f := harness.NewFleet()
			f.Become(harness.Refuses, 0, 1)
			t.Register("Arith", 0, 1)
			t.Guarded("Arith", f, zkdiscovery.Guard{})
			harness.Pass(time.Hour)
		},
	},
	"an operator's override": {
		[]string{
			"WARN list comes from the operator's override file, whatever ZooKeeper says, until that file is deleted",
			"ERROR the override file is not used",
			"WARN the operator's override file is gone",
		},
		func(t *harness.World, _ *zktest.Server) {
			t.Register("Arith", 0)
			file := t.Discover("Arith").Status().OverrideFile
			for _, text := range []string{`["tcp@127.9.9.1:1"]`, `["127.9.9.1"]`} {
				harness.Must(t, os.WriteFile(file, []byte(text), 0o600))
				harness.Pass(time.Minute)
			}
			harness.Must(t, os.Remove(file))
			harness.Pass(time.Minute)
		},
	},
	"an override that is deleted in an outage, without a cache file": {
		[]string{"WARN the override file is gone and nothing else is known, keeping its list"},
		func(t *harness.World, _ *zktest.Server) {
			t.Stop()
			file := t.Discover("Arith", zkdiscovery.WithLazyStart()).Status().OverrideFile
			harness.Must(t, os.WriteFile(file, []byte(`["tcp@127.9.9.1:1"]`), 0o600))
			harness.Pass(time.Minute)
			harness.Must(t, os.Remove(file))
			harness.Pass(time.Minute)
		},
	},
	"a ZooKeeper that forgets the watches": {
		[]string{"WARN found changes that no watch had told of, setting the watches again"},
		func(t *harness.World, zk *zktest.Server) {
			t.Register("Arith", 0)
			t.Discover("Arith")
			harness.Pass(time.Minute)
			zk.ForgetWatches()
			t.Register("Arith", 1)
			harness.Pass(time.Hour)
		},
	},
	"a server whose watches tell another path": {
		[]string{"WARN ZooKeeper's persistent watch does not tell what it should, watching each instance on this server for an hour"},
		func(t *harness.World, _ *zktest.Server) {
			keeper := zktest.NewServer(zktest.WithWatchPaths())
			t.Cleanup(keeper.Close)
			harness.Must(t, keeper.Put(t.Node("Arith", 0), nil))
			t.Discover("Arith", zkdiscovery.WithDialer(keeper.Dial))
			harness.Pass(time.Minute)
			harness.Must(t, keeper.Set(t.Node("Arith", 0), []byte("weight=2")))
			harness.Pass(time.Minute)
		},
	},
	"locks that come and go at the service's path": {
		[]string{"WARN skipping children whose name is not network@address", "withheld="},
		func(t *harness.World, _ *zktest.Server) {
			t.Register("Arith", 0)
			t.Discover("Arith")
			for i := range 50 {
				lock := fmt.Sprint(t.Service("Arith"), "/lock-", i)
				t.Put(lock, "")
				harness.Pass(10 * time.Second)
				t.Remove(lock)
				harness.Pass(10 * time.Second)
			}
		},
	},
	"functions of the program's that panic, and a clone after Close": {
		[]string{"ERROR filter panicked, keeping the instance", "ERROR observer hook panicked", "ERROR clone has no list, for ever"},
		func(t *harness.World, _ *zktest.Server) {
			t.Register("Arith", 0)
			d := t.Discover("Arith", zkdiscovery.WithObserver(zkdiscovery.Observer{Published: func(zkdiscovery.Published) { panic("mine") }}))
			d.SetFilter(func(*client.KVPair) bool { panic("mine") })
			harness.Pass(time.Minute)
			d.Close()
			d.Service("Arith")
		},
	},
	"servers that refuse, until there are others": {
		[]string{
			"WARN metadata not understood, defaults used",
			"WARN too many servers fail, so ejections are ignored",
			"INFO ejections count again",
			"ERROR a hook panicked",
		},
		func(t *harness.World, _ *zktest.Server) {
			s, err := selector.New(selector.WithoutProbing(), selector.WithLogger(t.Logbook.Logger()),
				selector.WithObserver(selector.Observer{Panic: func(bool) { panic("mine") }}))
			harness.Must(t, err)
			servers := []*client.KVPair{{Key: "tcp@" + nobody(t.T), Value: "weight=heavy"}, {Key: "tcp@" + nobody(t.T)}}
			d, err := client.NewMultipleServersDiscovery(servers)
			harness.Must(t, err)
			xc := selector.NewXClient("Arith", client.Failfast, d, client.DefaultOption, s)
			for range 10 {
				_ = double(xc) // it fails
				harness.Pass(time.Second)
			}
			for i := range 10 {
				servers = append(servers, &client.KVPair{Key: harness.Instance(i)})
			}
			d.Update(servers)
			harness.Pass(time.Minute)
			harness.Must(t, xc.Close())
			harness.Must(t, s.Close())
		},
	},
	"an XClient that another library has wrapped": {
		[]string{"WARN this XClient is not rpcx's own, so its fail mode and options are not known; use WrapAs"},
		func(t *harness.World, _ *zktest.Server) {
			s, err := selector.New(selector.WithoutProbing(), selector.WithLogger(t.Logbook.Logger()))
			harness.Must(t, err)
			d, err := client.NewMultipleServersDiscovery(nil)
			harness.Must(t, err)
			xc := selector.Wrap(struct{ client.XClient }{client.NewXClient("Arith", client.Failfast, client.SelectByUser, d, client.DefaultOption)}, s)
			harness.Must(t, xc.Close())
			harness.Must(t, s.Close())
		},
	},
	"a server that answers probes and refuses calls": {
		[]string{"INFO server changed"},
		func(t *harness.World, _ *zktest.Server) {
			answers := func(context.Context, string, string) error { return nil }
			s, err := selector.New(selector.WithProbing(selector.Probing{Probe: answers}), selector.WithLogger(t.Logbook.Logger()))
			harness.Must(t, err)
			d, err := client.NewMultipleServersDiscovery([]*client.KVPair{{Key: "tcp@" + nobody(t.T)}})
			harness.Must(t, err)
			xc := selector.NewXClient("Arith", client.Failfast, d, client.DefaultOption, s)
			harness.Pass(time.Minute)
			_ = double(xc) // it fails
			harness.Pass(time.Minute)
			harness.Must(t, xc.Close())
			harness.Must(t, s.Close())
		},
	},
}
