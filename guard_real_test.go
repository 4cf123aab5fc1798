package holdfast_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
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
	o.comeBack(o.servers)
	calls, failures := o.load.stop()
	t.Logf("with the guard: %d of %d calls failed", failures, calls)
	if failures > 0 || calls < 1000 {
		t.Errorf("%d of %d calls failed: %v", failures, calls, o.load.first.Load())
	}
	o.neverLess(o.watcher, 20)
	o.lists(o.d, keys(o.servers))
}

func TestO7CallsFailWithoutTheGuard(t *testing.T) {
	o := outage(t, client.Failfast, func(*drill) {}, zkdiscovery.WithoutGuard())
	o.comeBack(o.servers)
	calls, failures := o.load.stop()
	t.Logf("without the guard: %d of %d calls failed: %v", failures, calls, o.load.first.Load())
	if failures == 0 {
		t.Error("no call has failed: this drill shows nothing")
	}
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
	o.comeBack(o.servers[8:])
	calls, failures := o.load.stop()
	t.Logf("with failover %d of %d calls failed", failures, calls)
	o.neverLess(o.watcher, 12)
	for _, list := range o.watcher.heard() {
		for _, s := range o.servers[8:] {
			if _, there := list[s.key]; !there {
				t.Fatalf("%s lives, and was out of the list", s.key)
			}
		}
	}
}

func TestO7ARealScaleDownIsFollowed(t *testing.T) {
	onRealZooKeeper(t, func(t *world) {
		zooKeepers := single.get(t.T).Servers()
		var servers []*rpcxServer
		for range 20 {
			s := startServer(t.T, nil)
			s.register(zooKeepers, t.service("Arith"))
			servers = append(servers, s)
		}
		d := t.guarded("Arith", nil, zkdiscovery.Guard{Probe: zkdiscovery.HeartbeatProbe(nil)})
		t.equal(d, "Arith")
		for _, to := range []int{2, 0} {
			for _, s := range servers[to:] {
				s.kill()
			}
			began := time.Now()
			t.equal(d, "Arith")
			took := time.Since(began)
			t.Logf("the list follows the servers to %d within %v", to, took.Round(time.Millisecond))
			if n := len(d.GetServices()); n != to || took > 5*time.Second {
				t.Errorf("%d servers are listed after %v", n, took)
			}
			servers = servers[:to]
		}
	})
}

func TestO7ADrainIsFollowedAtOnce(t *testing.T) {
	onRealZooKeeper(t, func(t *world) {
		var asked atomic.Int64
		t.register("Arith", between(0, 20)...)
		d := t.guarded("Arith", nil, zkdiscovery.Guard{Probe: func(context.Context, string, string) error { asked.Add(1); return nil }})
		t.equal(d, "Arith")
		for i := range 20 {
			t.set(t.service("Arith")+"/"+instance(i), "state=inactive")
		}
		t.equal(d, "Arith")
		began := time.Now()
		t.lose("Arith", between(0, 20)...)
		t.equal(d, "Arith")
		t.Logf("the list is empty %v after the last has said goodbye", time.Since(began).Round(time.Millisecond))
		if n := len(d.GetServices()); n > 0 || asked.Load() > 0 {
			t.Errorf("%d are listed, %d probes", n, asked.Load())
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
