package serverplugin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/holdfast-go/holdfast/internal/impatient"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// realZooKeeper is a test on a real one, with a base path of its own.
type realZooKeeper struct {
	*testing.T
	ensemble *zktest.Ensemble
	conn     *zk.Conn // of somebody who looks, and interferes by hand
	base     string
}

func (r realZooKeeper) node() string { return r.base + "/Arith/" + address }

// TestOnRealZooKeeper is what bubble tests show, once more.
func TestOnRealZooKeeper(t *testing.T) {
	e := zktest.StartEnsemble(t, 1)
	conn, events, err := zk.Connect(e.Servers(), 30*time.Second, zk.WithLogInfo(false), zk.WithLogger(quiet{}), zk.WithDialer(impatient.Dial))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		conn.Close()
		for range events { // its goroutines are gone when this is closed
		}
	}()
	for i, tc := range []struct {
		name string
		test func(realZooKeeper)
	}{
		{"kill -9 and restart on the same address", testKillAndRestart},
		{"an old process that wakes up late", testLateProcess},
		{"takeovers that readers do not see", testTakeoversAreAtomic},
		{"a network cut longer than the session", testNetworkCut},
		{"changes by hand", testChangesByHand},
		{"an operator drains with ZooKeeper's shell", testOperatorDrains},
		{"500 services", testFiveHundredServices},
		{"metadata at the limit", testLongMetadata},
		{"credentials", testCredentials},
		{"stop while ZooKeeper hangs", testStopWhilePaused},
		{"away at the start, and wiped", testAwayAndWiped},
	} {
		t.Run(tc.name, func(t *testing.T) { tc.test(realZooKeeper{t, e, conn, fmt.Sprint("/base", i)}) })
	}
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}

// plugin starts one with a session of 4 s.
func (r realZooKeeper) plugin(opts ...ZooKeeperOpt) *ZooKeeperRegisterPlugin {
	r.Helper()
	p := NewZooKeeperRegisterPlugin(append([]ZooKeeperOpt{
		WithZKServiceAddress(address), WithZKServersAddress(r.ensemble.Servers()), WithZKBasePath(r.base), WithSessionTimeout(childSession),
	}, opts...)...)
	if err := p.Start(); err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { _ = p.Stop() })
	return p
}

// soon waits until ok.
func (r realZooKeeper) soon(what string, ok func() bool) {
	r.Helper()
	for deadline := time.Now().Add(childSession + 30*time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.Fatal("still not: ", what)
		}
	}
}

func (r realZooKeeper) register(p *ZooKeeperRegisterPlugin, metadata string) {
	r.Helper()
	if err := p.Register("Arith", nil, metadata); err != nil {
		r.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
	defer cancel()
	if err := p.WaitRegistered(ctx); err != nil {
		r.Fatalf("%v: %+v", err, p.Status())
	}
	if !r.owns(p, metadata) {
		data, st, err := r.conn.Get(r.node())
		r.Fatalf("registered, but not in ZooKeeper: %+v, where %q stands, %+v, %v", p.Status(), data, st, err)
	}
}

// owns reports whether the node belongs to p and says data.
func (r realZooKeeper) owns(p *ZooKeeperRegisterPlugin, data string) bool {
	got, st, err := r.conn.Get(r.node())
	return err == nil && string(got) == data && st.EphemeralOwner == p.Status().SessionID && st.EphemeralOwner != 0 && p.Registered()
}

// watch reads the node all the time until the returned function is called: missing or without metadata, it is a failure. So is a list of a
// client's that lacks it. The function waits until the client has seen the metadata that are the last.
func (r realZooKeeper) watch() (stop func(last string)) {
	r.Helper()
	d, err := zkdiscovery.New(r.base, "Arith", r.ensemble.Servers(), zkdiscovery.WithoutCache(), zkdiscovery.WithoutGuard())
	if err != nil {
		r.Fatal(err)
	}
	ch := d.WatchService()
	var wg sync.WaitGroup
	var seen atomic.Value
	wg.Go(func() {
		for list := range ch {
			if len(list) != 1 || list[0].Key != address || list[0].Value == "" {
				r.Errorf("a client sees %v", list)
				continue
			}
			seen.Store(list[0].Value)
		}
	})
	var stopped atomic.Bool
	wg.Go(func() {
		for !stopped.Load() {
			if data, _, err := r.conn.Get(r.node()); err != nil || len(data) == 0 {
				r.Errorf("a reader sees %q, %v", data, err)
				return
			}
		}
	})
	return func(last string) {
		defer func() {
			stopped.Store(true)
			d.RemoveWatcher(ch)
			close(ch)
			wg.Wait()
			d.Close()
		}()
		r.soon("a client sees "+last, func() bool { return seen.Load() == last })
	}
}

// testFiveHundredServices compares with 1,000 writes in the pipeline of a client that does nothing else.
func testFiveHundredServices(r realZooKeeper) {
	const services = 500
	if _, err := r.conn.Create(r.base, nil, 0, zk.WorldACL(zk.PermAll)); err != nil {
		r.Fatal(err)
	}
	inParallel := func(n int, do func(i int) error) time.Duration {
		start := time.Now()
		var next atomic.Int64
		var wg sync.WaitGroup
		for range pipelined {
			wg.Go(func() {
				for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
					if err := do(i); err != nil {
						r.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		return time.Since(start)
	}
	inParallel(services, func(i int) error { // the parents are there when a server has run before
		_, err := r.conn.Create(fmt.Sprint(r.base, "/Service", i), nil, 0, zk.WorldACL(zk.PermAll))
		return err
	})
	plain, took := time.Hour, time.Hour // the best of some rounds: the machine does other things too
	for range 5 {
		plain = min(plain, inParallel(2*services, func(i int) error {
			_, err := r.conn.Create(fmt.Sprint(r.base, "/plain", i), []byte("weight=3"), zk.FlagEphemeral, zk.WorldACL(zk.PermAll))
			return err
		}))
		inParallel(2*services, func(i int) error { return r.conn.Delete(fmt.Sprint(r.base, "/plain", i), -1) })

		p := r.plugin()
		r.soon("connected", func() bool { return p.Status().Connected })
		start := time.Now()
		for i := range services {
			if err := p.Register(fmt.Sprint("Service", i), nil, "weight=3"); err != nil {
				r.Fatal(err)
			}
		}
		if err := p.WaitRegistered(r.Context()); err != nil {
			r.Fatal(err)
		}
		took = min(took, time.Since(start))
		if st := p.Status(); st.Connections != 1 || st.Writes != services {
			r.Errorf("%+v", st.Counters)
		}
		_ = p.Stop()
	}
	r.Logf("%d services registered in %v; 1,000 creates pipelined by go-zookeeper took %v", services, took, plain)
	if took > plain && !raceDetector { // which slows down this side only
		r.Error("longer than 1,000 requests") // a fifth of it, on a machine that does nothing else
	}
}

func testLongMetadata(r realZooKeeper) {
	old, p := r.plugin(), r.plugin()
	r.register(old, strings.Repeat("x", maxMetadata))
	r.register(p, strings.Repeat("y", maxMetadata))
	if n := p.Status().Connections + old.Status().Connections; n != 2 {
		r.Errorf("%d connections: ZooKeeper has dropped some", n)
	}
}

func testCredentials(r realZooKeeper) {
	auth := WithAuth("digest", []byte("user:secret"))
	old, stranger, p := r.plugin(auth), r.plugin(), r.plugin(auth)
	if err := errors.Join(old.Register("Arith", nil, "a"), old.WaitRegistered(r.Context())); err != nil {
		r.Fatal(err)
	}
	if _, _, err := r.conn.Get(r.node()); !errors.Is(err, zk.ErrNoAuth) {
		r.Errorf("a stranger reads it: %v", err)
	}
	if err := r.conn.AddAuth("digest", []byte("user:secret")); err != nil { // since 3.8.4 and 3.9.2 a stranger may not even ask whether it exists
		r.Fatal(err)
	}
	_, before, err := r.conn.Exists(r.node())
	if err != nil {
		r.Fatal(err)
	}
	if err := stranger.Register("Arith", nil, "b"); err != nil {
		r.Fatal(err)
	}
	r.soon("the stranger is refused", func() bool {
		s := stranger.Status()
		return s.Connected && len(s.Services) == 1 && s.Services[0].Err != nil
	})
	if _, now, err := r.conn.Exists(r.node()); err != nil || now.EphemeralOwner != before.EphemeralOwner {
		r.Error("the stranger has taken over")
	}
	if err := errors.Join(p.Register("Arith", nil, "c"), p.WaitRegistered(r.Context())); err != nil {
		r.Fatal(err)
	}
	r.soon("the old one yields", func() bool { return old.Status().Services[0].Phase == Yielded })
}

func testStopWhilePaused(r realZooKeeper) {
	p := r.plugin()
	r.register(p, "a")
	if err := r.ensemble.Pause(0); errors.Is(err, errors.ErrUnsupported) {
		r.Skip(err)
	} else if err != nil {
		r.Fatal(err)
	}
	start := time.Now()
	if err := p.Unregister("Arith"); !errors.Is(err, ErrUnconfirmed) {
		r.Error(err)
	}
	unregistered := time.Since(start)
	if err := p.Stop(); err != nil {
		r.Error(err)
	}
	if stopped := time.Since(start) - unregistered; unregistered > 2*time.Second || stopped > 2*time.Second { // a second each, on an idle machine
		r.Errorf("Unregister took %v, Stop took %v", unregistered, stopped)
	}
	if err := r.ensemble.Resume(0); err != nil {
		r.Fatal(err)
	}
	r.soon("the node is gone", func() bool { ok, _, err := r.conn.Exists(r.node()); return err == nil && !ok })
}
