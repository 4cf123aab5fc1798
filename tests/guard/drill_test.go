package guard

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/tests/harness"
	"github.com/holdfast-go/holdfast/zkdiscovery"
)

// drill is an outage of a ZooKeeper of its own, with twenty servers and two clients under load.
type drill struct {
	*harness.World
	servers []*harness.Backend
	d       *zkdiscovery.Discovery
	watcher *harness.Replica
	load    *harness.Load          // on d …
	obeying *zkdiscovery.Discovery // one without the guard …
	bare    *harness.Load          // … and on that
}

// play is what every drill begins with: ZooKeeper is killed for longer than the sessions, kill is called, and ZooKeeper comes back empty. Then
// rest is called.
func play(t *testing.T, mode client.FailMode, kill, rest func(*drill)) {
	t.Helper()
	harness.OnOwnZooKeeper(t, func(t *harness.World, zk *harness.RealZooKeeper) {
		o := &drill{World: t}
		for range 20 {
			s := harness.StartBackend(t)
			s.Register(zk.Ensemble.Servers(), t.Service("Arith"))
			o.servers = append(o.servers, s)
		}
		discover := func(guard zkdiscovery.Option) *zkdiscovery.Discovery {
			d, err := zkdiscovery.New(t.Base, "Arith", zk.Ensemble.Servers(), zkdiscovery.WithCacheDir(t.TempDir()),
				zkdiscovery.WithLogger(t.Logbook.Logger()), zkdiscovery.WithSessionTimeout(harness.RealSession), guard)
			harness.Must(t, err)
			t.Cleanup(d.Close)
			if n := len(d.GetServices()); n != 20 {
				t.Fatalf("%d servers are listed, of 20", n)
			}
			return d
		}
		o.d, o.obeying = discover(zkdiscovery.WithGuard(zkdiscovery.Guard{})), discover(zkdiscovery.WithoutGuard())
		o.watcher = t.Follow(o.d)
		o.load, o.bare = harness.UnderLoad(t.T, "with the guard", o.d, mode), harness.UnderLoad(t.T, "without the guard", o.obeying, mode)

		t.Die()
		for _, s := range o.servers {
			s.EndSession()
		}
		t.Within(30*time.Second, "the connection is lost", func() bool { return o.d.Snapshot().Source == zkdiscovery.Stale })
		time.Sleep(harness.RealSession + time.Second) // the outage itself
		kill(o)
		t.Wipe()
		t.Within(30*time.Second, "ZooKeeper answers", func() bool { return o.d.Snapshot().Source == zkdiscovery.Live })
		rest(o)
	})
}

// comeBack registers servers again when both clients have asked ZooKeeper, each when it pleases within that time, and returns how long it took
// until nobody was held any more.
func (o *drill) comeBack(servers []*harness.Backend, within time.Duration) time.Duration {
	o.Helper()
	o.Within(30*time.Second, "the other client has asked, too", func() bool { return o.obeying.Snapshot().Source == zkdiscovery.Live })
	began := time.Now()
	var all sync.WaitGroup
	for _, s := range servers {
		after := rand.N(within)
		all.Go(func() {
			time.Sleep(after)
			s.Register(o.ZooKeeper.(*harness.RealZooKeeper).Ensemble.Servers(), o.Service("Arith"))
		})
	}
	all.Wait()
	o.Within(20*time.Second, "the list is ZooKeeper's", func() bool {
		return len(o.d.Snapshot().Held) == 0 && len(o.d.GetServices()) == len(servers)
	})
	return time.Since(began)
}

func keys(servers []*harness.Backend) map[string]string {
	m := make(map[string]string)
	for _, s := range servers {
		m[s.Key] = ""
	}
	return m
}
