package guard

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/tests/harness"
	"github.com/holdfast-go/holdfast/zkdiscovery"
)

// O7 with real servers, a real XClient under load, and a real ZooKeeper that is killed and comes back empty.

func TestO7NoCallFailsWhenZooKeeperComesBackEmpty(t *testing.T) {
	play(t, client.Failfast, func(*drill) {}, func(o *drill) {
		took := o.comeBack(o.servers, 30*time.Second)
		for _, l := range []*harness.Load{o.load, o.bare} {
			calls, failures := l.Stop()
			o.Logf("%s: %d of %d calls failed; the servers took %v to register again", l.What, failures, calls, took.Round(time.Second))
			if calls < 1000 {
				o.Errorf("%s: %d calls are too few to show anything", l.What, calls)
			}
		}
		if n, first := o.load.Failures(); n > 0 {
			o.Errorf("%d calls failed: %v", n, first)
		}
		if n, _ := o.bare.Failures(); n == 0 {
			o.Error("no call has failed without the guard: this drill shows nothing")
		}
		o.watcher.NeverFewer(20)
		o.Lists(o.d, keys(o.servers))
	})
}

func TestO7WhoDiedDuringTheOutageIsOutWithinSeconds(t *testing.T) {
	play(t, client.Failover, func(o *drill) {
		for _, s := range o.servers[:8] {
			s.Stop()
		}
	}, func(o *drill) {
		took := o.Within(15*time.Second, "the eight are out", func() bool { return maps.Equal(harness.Listed(o.d.GetServices()), keys(o.servers[8:])) })
		o.Logf("8 dead of 20 are out %v after ZooKeeper has answered", took.Round(time.Millisecond))
		if took > 5*time.Second {
			o.Errorf("the dead are in the list for %v", took)
		}
		o.comeBack(o.servers[8:], 6*time.Second)
		for _, l := range []*harness.Load{o.load, o.bare} {
			calls, failures := l.Stop()
			o.Logf("%s, with failover: %d of %d calls failed", l.What, failures, calls)
		}
		o.watcher.NeverFewer(12)
		for _, list := range o.watcher.Heard() {
			for _, s := range o.servers[8:] {
				if _, there := list[s.Key]; !there {
					o.Fatalf("%s lives, and was out of the list", s.Key)
				}
			}
		}
	})
}

// left waits until ZooKeeper has so many instances of Arith left.
func left(w *harness.World, n int) {
	w.Helper()
	w.Eventually(fmt.Sprintf("ZooKeeper has %d instances", n), func() bool { return len(w.Children(w.Service("Arith"))) == n })
}

func TestO7ARealScaleDownIsFollowed(t *testing.T) {
	harness.OnRealZooKeeper(t, func(t *harness.World, zk *harness.RealZooKeeper) {
		zooKeepers := zk.Ensemble.Servers()
		most, two := startServers(t.T, 18, t.Base, zooKeepers), startServers(t.T, 2, t.Base, zooKeepers)
		var reached atomic.Bool
		probe := zkdiscovery.HeartbeatProbe(nil)
		d := t.Guarded("Arith", nil, zkdiscovery.Guard{Probe: func(ctx context.Context, network, address string) error {
			err := probe(ctx, network, address)
			reached.Store(reached.Load() || err == nil)
			return err
		}})
		t.Equal(d, "Arith")
		t.Eventually("a probe has reached one", reached.Load) // or those that are asked first may be killed, and silence would prove nothing
		if n := len(d.GetServices()); n != 20 {
			t.Fatalf("%d servers are listed, of 20", n)
		}
		for _, down := range []struct {
			to   int
			kill *serverProcess
		}{{2, most}, {0, two}} {
			down.kill.kill() // -9: ZooKeeper finds out when the sessions expire
			left(t, down.to)
			expired := time.Now()
			t.Equal(d, "Arith")
			took := time.Since(expired)
			t.Logf("the list has %d servers %v after the sessions of the others have expired", len(d.GetServices()), took.Round(time.Millisecond))
			if n := len(d.GetServices()); n != down.to || took > 5*time.Second {
				t.Errorf("%d servers are listed after %v, want %d", n, took, down.to)
			}
		}
	})
}

// Each deployment starts a new fleet and kills the old one, three times within the window.
func TestO7ARealFleetReplacedThreeTimesIsFollowed(t *testing.T) {
	harness.OnRealZooKeeper(t, func(t *harness.World, zk *harness.RealZooKeeper) {
		const size = 12
		zooKeepers := zk.Ensemble.Servers()
		fleet := startServers(t.T, size, t.Base, zooKeepers)
		d := t.Guarded("Arith", nil, zkdiscovery.Guard{Window: time.Minute, Probe: zkdiscovery.HeartbeatProbe(nil)})
		for round := range 3 {
			next := startServers(t.T, size, t.Base, zooKeepers)
			left(t, 2*size)
			fleet.kill() // -9: ZooKeeper finds out when the sessions expire
			fleet = next
			left(t, size)
			expired := time.Now()
			t.Equal(d, "Arith")
			took := time.Since(expired)
			t.Logf("round %d: the list is ZooKeeper's %v after the sessions of the old fleet have expired", round+1, took.Round(time.Millisecond))
			if took > time.Second || len(d.GetServices()) != size {
				t.Errorf("round %d: %d servers are listed after %v, want %d", round+1, len(d.GetServices()), took, size)
			}
			t.Held(d, 0)
		}
		if n := harness.Count(t.Logbook.Edges(), "are missing in the registry"); n > 0 {
			t.Errorf("%d times somebody was held", n)
		}
	})
}

func TestO7ADrainIsFollowedAtOnce(t *testing.T) {
	harness.OnRealZooKeeper(t, func(t *harness.World, zk *harness.RealZooKeeper) {
		var asked atomic.Int64
		servers := startServers(t.T, 20, t.Base, zk.Ensemble.Servers())
		d := t.Guarded("Arith", nil, zkdiscovery.Guard{Probe: func(context.Context, string, string) error { asked.Add(1); return nil }})
		t.Equal(d, "Arith")
		var drained sync.WaitGroup
		drained.Go(servers.drain)
		defer drained.Wait()
		left(t, 0)
		gone := time.Now()
		t.Equal(d, "Arith")
		took := time.Since(gone)
		t.Logf("the list is empty %v after the last of 20 has drained", took.Round(time.Millisecond))
		if n := len(d.GetServices()); n > 0 || asked.Load() > 0 || took > time.Second {
			t.Errorf("%d are listed after %v, %d probes", n, took, asked.Load())
		}
	})
}

func TestGuardTLSIsForTheProbe(t *testing.T) {
	certified := httptest.NewTLSServer(nil) // for its certificate
	defer certified.Close()
	pool := x509.NewCertPool()
	pool.AddCert(certified.Certificate())
	for name, rule := range map[string]struct {
		tls   *tls.Config
		stays bool
	}{
		"with": {&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}, true}, "without": {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			harness.OnRealZooKeeper(t, func(t *harness.World, _ *harness.RealZooKeeper) {
				s := harness.StartTLSBackend(t, certified.TLS.Clone())
				t.Put(t.Service("Arith")+"/"+s.Key, "")
				d, err := zkdiscovery.New(t.Base, "Arith", t.Servers(), append(t.Options(), zkdiscovery.WithoutCache(),
					zkdiscovery.WithLogger(t.Logbook.Logger()), zkdiscovery.WithGuard(zkdiscovery.Guard{TLS: rule.tls, HoldUnprobed: 2 * time.Second}))...)
				harness.Must(t, err)
				t.Cleanup(d.Close)
				t.Remove(t.Service("Arith") + "/" + s.Key)
				if !rule.stays { // its silence proves nothing, so it is held as one that cannot be asked, and a person is told why
					t.Eventually("it is held", func() bool { return len(d.Snapshot().Held) == 1 })
					t.Equal(d, "Arith")
					if n := harness.Count(t.Logbook.Edges(), "TLS?"); n == 0 {
						t.Errorf("nobody is told that it may be TLS: %q", t.Logbook.Edges())
					}
					return
				}
				t.Eventually("it is held", func() bool { return len(d.Snapshot().Held) == 1 })
				time.Sleep(4 * time.Second) // longer than two probes that fail: there is nothing else to wait for
				t.Held(d, 1)
			})
		})
	}
}

// A port that somebody else has taken since answers, but not as a server of ours does.
func TestGuardDialProbeIsContentWithAnythingThatListens(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	harness.Must(t, err)
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "220 mail.example ESMTP\r\n")
			_ = c.Close()
		}
	})
	defer accepting.Wait()
	defer ln.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := zkdiscovery.DialProbe()(ctx, "tcp", ln.Addr().String()); err != nil {
		t.Errorf("dial: %v", err)
	}
	if err := zkdiscovery.HeartbeatProbe(nil)(ctx, "tcp", ln.Addr().String()); err == nil {
		t.Error("heartbeat: a mail server is no rpcx server")
	}
}
