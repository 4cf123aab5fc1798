package faq

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/tests/harness"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

var scenes = make(map[string]scene)

func init() {
	maps.Copy(scenes, clientScenes)
	maps.Copy(scenes, serverScenes)
}

// clientScenes are those of discoveries, cache files and selectors.
var clientScenes = map[string]scene{
	"an outage, and the session's end": {
		[]string{
			"INFO connected to ZooKeeper",
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
	"a base path that does not exist": {
		[]string{"WARN the path above the services does not exist: every list is empty until somebody creates it. Are chroot and base path right?"},
		func(t *harness.World, _ *zktest.Server) {
			t.Base = "/rcpx"
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
	"a disk that fails": {
		[]string{"ERROR cache file not written: a start during an outage would find an older one, or none"},
		func(t *harness.World, _ *zktest.Server) {
			t.Register("Arith", 0)
			t.Discover("Arith")
			harness.Pass(time.Minute)
			harness.Must(t, os.RemoveAll(t.Dir))
			harness.Must(t, os.WriteFile(t.Dir, nil, 0o600)) // no directory any more
			t.Register("Arith", 1)
			harness.Pass(time.Minute)
		},
	},
	"a cache directory below a file": {
		[]string{"ERROR no cache file: an outage at the next start will not find one"},
		func(t *harness.World, _ *zktest.Server) {
			file := filepath.Join(t.Dir, "file")
			harness.Must(t, os.WriteFile(file, nil, 0o600))
			t.Discover("Arith", zkdiscovery.WithCacheDir(filepath.Join(file, "cache")))
			harness.Pass(time.Minute)
		},
	},
	"a damaged file": {
		[]string{"WARN damaged file set aside"},
		func(t *harness.World, _ *zktest.Server) {
			t.Register("Arith", 0)
			d := t.Discover("Arith")
			harness.Pass(time.Minute)
			d.Close()
			harness.Must(t, os.WriteFile(d.Status().CacheFile, []byte("damaged"), 0o600))
			t.Discover("Arith")
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
	"more than half of the servers fail": {
		[]string{"WARN too many servers fail, so ejections are ignored"},
		func(t *harness.World, _ *zktest.Server) {
			s, err := selector.New(selector.WithoutProbing(), selector.WithLogger(t.Logbook.Logger()))
			harness.Must(t, err)
			d, err := client.NewMultipleServersDiscovery([]*client.KVPair{{Key: "tcp@" + nobody(t.T)}, {Key: "tcp@" + nobody(t.T)}})
			harness.Must(t, err)
			xc := selector.NewXClient("Arith", client.Failfast, d, client.DefaultOption, s)
			for range 10 {
				_ = double(xc) // it fails
				harness.Pass(time.Second)
			}
			harness.Must(t, xc.Close())
			harness.Must(t, s.Close())
		},
	},
}
