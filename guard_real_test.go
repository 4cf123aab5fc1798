package holdfast_test

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

	"github.com/holdfast-go/holdfast/zkdiscovery"
)

// O7 with real servers, a real XClient under load, and a real ZooKeeper that is killed and comes back empty.

func TestO7NoCallFailsWhenZooKeeperComesBackEmpty(t *testing.T) {
	o := outage(t, client.Failfast, func(*drill) {})
	took := o.comeBack(o.servers, 30*time.Second)
	for _, l := range []*load{o.load, o.bare} {
		calls, failures := l.stop()
		t.Logf("%s: %d of %d calls failed; the servers took %v to register again", l.what, failures, calls, took.Round(time.Second))
		if calls < 1000 {
			t.Errorf("%s: %d calls are too few to show anything", l.what, calls)
		}
	}
	if n := o.load.failures.Load(); n > 0 {
		t.Errorf("%d calls failed: %v", n, o.load.first.Load())
	}
	if o.bare.failures.Load() == 0 {
		t.Error("no call has failed without the guard: this drill shows nothing")
	}
	o.neverLess(o.watcher, 20)
	o.lists(o.d, keys(o.servers))
}

func TestO7WhoDiedDuringTheOutageIsOutWithinSeconds(t *testing.T) {
	o := outage(t, client.Failover, func(o *drill) {
		for _, s := range o.servers[:8] {
			s.kill()
		}
	})
	took := o.until("the eight are out", 15*time.Second, func() bool { return maps.Equal(listed(o.d.GetServices()), keys(o.servers[8:])) })
	t.Logf("8 dead of 20 are out %v after ZooKeeper has answered", took.Round(time.Millisecond))
	if took > 5*time.Second {
		t.Errorf("the dead are in the list for %v", took)
	}
	o.comeBack(o.servers[8:], 6*time.Second)
	for _, l := range []*load{o.load, o.bare} {
		calls, failures := l.stop()
		t.Logf("%s, with failover: %d of %d calls failed", l.what, failures, calls)
	}
	o.neverLess(o.watcher, 12)
	for _, list := range o.watcher.heard() {
		for _, s := range o.servers[8:] {
			if _, there := list[s.key]; !there {
				t.Fatalf("%s lives, and was out of the list", s.key)
			}
		}
	}
}

// left waits until ZooKeeper has so many instances of the service left.
func (w *world) left(service string, n int) {
	w.Helper()
	w.eventually(fmt.Sprintf("ZooKeeper has %d instances of %s", n, service), func() bool { return len(w.children(w.service(service))) == n })
}

func TestO7ARealScaleDownIsFollowed(t *testing.T) {
	onRealZooKeeper(t, func(t *world) {
		zooKeepers := single.get(t.T).Servers()
		most, two := startServers(t.T, 18, t.base, zooKeepers), startServers(t.T, 2, t.base, zooKeepers)
		d := t.guarded("Arith", nil, zkdiscovery.Guard{Probe: zkdiscovery.HeartbeatProbe(nil)})
		t.equal(d, "Arith")
		if n := len(d.GetServices()); n != 20 {
			t.Fatalf("%d servers are listed, of 20", n)
		}
		for _, down := range []struct {
			to   int
			kill *serverProcess
		}{{2, most}, {0, two}} {
			down.kill.kill() // -9: ZooKeeper finds out when the sessions expire
			t.left("Arith", down.to)
			expired := time.Now()
			t.equal(d, "Arith")
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
	onRealZooKeeper(t, func(t *world) {
		const size = 12
		zooKeepers := single.get(t.T).Servers()
		fleet := startServers(t.T, size, t.base, zooKeepers)
		d := t.guarded("Arith", nil, zkdiscovery.Guard{Window: time.Minute, Probe: zkdiscovery.HeartbeatProbe(nil)})
		for round := range 3 {
			next := startServers(t.T, size, t.base, zooKeepers)
			t.left("Arith", 2*size)
			fleet.kill() // -9: ZooKeeper finds out when the sessions expire
			fleet = next
			t.left("Arith", size)
			expired := time.Now()
			t.equal(d, "Arith")
			took := time.Since(expired)
			t.Logf("round %d: the list is ZooKeeper's %v after the sessions of the old fleet have expired", round+1, took.Round(time.Millisecond))
			if took > time.Second || len(d.GetServices()) != size {
				t.Errorf("round %d: %d servers are listed after %v, want %d", round+1, len(d.GetServices()), took, size)
			}
			t.held(d, 0)
		}
		if n := count(t.log.edges(), "has lost many"); n > 0 {
			t.Errorf("%d times somebody was held", n)
		}
	})
}

func TestO7ADrainIsFollowedAtOnce(t *testing.T) {
	onRealZooKeeper(t, func(t *world) {
		var asked atomic.Int64
		servers := startServers(t.T, 20, t.base, single.get(t.T).Servers())
		d := t.guarded("Arith", nil, zkdiscovery.Guard{Probe: func(context.Context, string, string) error { asked.Add(1); return nil }})
		t.equal(d, "Arith")
		var drained sync.WaitGroup
		drained.Go(servers.drain)
		defer drained.Wait()
		t.left("Arith", 0)
		gone := time.Now()
		t.equal(d, "Arith")
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
			onRealZooKeeper(t, func(t *world) {
				s := startServer(t.T, certified.TLS.Clone())
				t.put(t.service("Arith")+"/"+s.key, "")
				d, err := zkdiscovery.New(t.base, "Arith", t.servers(), append(t.options(), zkdiscovery.WithoutCache(),
					zkdiscovery.WithLogger(t.log.logger()), zkdiscovery.WithGuard(zkdiscovery.Guard{TLS: rule.tls}))...)
				must(t.T, err)
				t.Cleanup(d.Close)
				t.remove(t.service("Arith") + "/" + s.key)
				if !rule.stays {
					t.equal(d, "Arith")
					return
				}
				t.eventually("it is held", func() bool { return len(d.Snapshot().Held) == 1 })
				time.Sleep(4 * time.Second) // longer than two probes that fail: there is nothing else to wait for
				t.held(d, 1)
			})
		})
	}
}

// A port that somebody else has taken since answers, but not as a server of ours does.
func TestGuardDialProbeIsContentWithAnythingThatListens(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
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
