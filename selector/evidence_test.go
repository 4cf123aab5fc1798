package selector

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"
	rpcx "github.com/smallnest/rpcx/server"

	"github.com/holdfast-go/holdfast/internal/blackhole"
)

// What is believed of servers, and on what evidence: on real servers.

// startNodes starts n servers.
func startNodes(tb testing.TB, n int) (nodes []*node, keys []string) {
	tb.Helper()
	for range n {
		nodes = append(nodes, startNode(tb))
		keys = append(keys, nodes[len(nodes)-1].key)
	}
	return nodes, keys
}

// callMany lets callers make n calls in all, and returns how many failed.
func callMany(n, callers int, call func() error) (failed int) {
	var left, bad atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if call() != nil {
					bad.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return int(bad.Load())
}

func greet(tb testing.TB, xc client.XClient) func() error {
	tb.Helper()
	return func() error { return xc.Call(tb.Context(), "Greet", &question, new(string)) }
}

// Row 1: of 1,000 Oneshots 1,000 went to the server on trial, for as long as it was.
func TestOneshotsBringAServerBackAndDoNotCrowdIt(t *testing.T) {
	for _, policy := range []Policy{P2C, WeightedRoundRobin, Random} {
		_, keys := startNodes(t, 10)
		s := mustNew(t, WithPolicy(policy))
		xc := Wrap(client.NewXClient("Kelp", client.Failfast, client.SelectByUser, newDiscovery(keys...), client.DefaultOption), s)
		defer xc.Close()
		ready(t, s)
		s.dialFailed(keys[0], nil)
		eventually(t, "it is on trial", func() bool { return s.of(t, keys[0]).State == Trial })
		before := s.of(t, keys[0]).Picks
		if failed := callMany(1000, 1, func() error { return xc.Oneshot(t.Context(), "Greet", &question) }); failed > 0 {
			t.Fatalf("%v: %d failed", policy, failed)
		}
		if n := s.of(t, keys[0]).Picks - before; n < 40 || n > 250 {
			t.Errorf("%v: of 1,000 Oneshots %d went to the one that was away, a tenth is 100", policy, n)
		}
	}
}

// Row 1: with rpcx's breaker open every call failed, although four servers were well.
func TestATrialThatABreakerForbidsStaysOneTrial(t *testing.T) {
	_, keys := startNodes(t, 4)
	address := newAddress()
	dead := "tcp@" + address
	o := client.DefaultOption
	o.GenBreaker = func() client.Breaker { return client.NewConsecCircuitBreaker(1, time.Minute) }
	s := mustNew(t, WithProbing(Probing{Probe: func(context.Context, string, string) error { return nil }}))
	xc := Wrap(client.NewXClient("Kelp", client.Failfast, client.SelectByUser, newDiscovery(append(keys, dead)...), o), s)
	defer xc.Close()
	ready(t, s)
	eventually(t, "it was dialled", func() bool { _ = greet(t, xc)(); return s.of(t, dead).State == Aside })
	eventually(t, "it is on trial", func() bool { return s.of(t, dead).State == Trial })
	if failed := callMany(1000, 1, greet(t, xc)); failed > 3 {
		t.Errorf("of 1,000 calls %d failed for a server that one call at a time may try", failed)
	}
}

// Row 2: of ten servers eight were dead, so the probes were doubted, and each call that went to one stalled all others: 114 calls in 15 s.
func TestHoweverManyCannotBeReachedTheyAreLeftAlone(t *testing.T) {
	racyInRPCX(t, "client.go:782 and :874")
	fleet, keys := startFleet(t)
	s := mustNew(t)
	xc := Wrap(client.NewXClient("Kelp", client.Failfast, client.SelectByUser, newDiscovery(keys...), client.DefaultOption), s)
	defer xc.Close()
	same := func() client.XClient { return xc }
	ready(t, s)
	callFor(t, time.Second/2, same)
	for i := range 8 {
		fleet[i].end()
		blackhole.Open(t, fleet[i].name)
	}
	eventually(t, "they are known to be dead", func() bool {
		_ = greet(t, xc)()
		aside := 0
		for _, one := range s.Status().Servers {
			if one.State == Aside {
				aside++
			}
		}
		return aside == 8
	})
	dials := sum(s).undialled
	l := callFor(t, 5*time.Second, same) // in which they are asked again
	if n := sum(s).undialled - dials; n > 0 || l.failed > 0 {
		t.Errorf("%d calls dialled the dead, %d failed", n, l.failed)
	}
}

// Row 3: the server whose connection had just broken stayed up, and all who waited dialled it one after the other: 29 calls in 5 s.
func TestAServerWhoseConnectionEndsIsAskedBeforeItIsDialled(t *testing.T) {
	racyInRPCX(t, "client.go:782 and :874")
	fleet, keys := startFleet(t)
	s := mustNew(t)
	xc := Wrap(client.NewXClient("Kelp", client.Failfast, client.SelectByUser, newDiscovery(keys...), client.DefaultOption), s)
	defer xc.Close()
	ready(t, s)
	same := func() client.XClient { return xc }
	callFor(t, time.Second, same)
	for i := range 4 {
		fleet[i].end()
		blackhole.Open(t, fleet[i].name)
	}
	l := callFor(t, 3*time.Second, same)
	if n := sum(s).undialled; n > 2 { // one or two may have been chosen when it happened
		t.Errorf("%d calls dialled the dead; %v", n, l)
	}
}

// Row 4: one connection that broke with twenty calls on it was twenty failures, and the server had no call for two minutes.
func TestABrokenConnectionCostsAServerItsShareForAMomentOnly(t *testing.T) {
	racyInRPCX(t, "client.go:782 and :874")
	nodes, keys := startNodes(t, 3)
	for _, n := range nodes {
		n.delay.Store(int64(10 * time.Millisecond))
	}
	xc, s := wrapped(t, client.Failfast, nil, keys...)
	ready(t, s)
	callMany(1000, 64, greet(t, xc))
	stop := make(chan struct{})
	var calling sync.WaitGroup
	calling.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				callMany(64, 64, greet(t, xc))
			}
		}
	})
	_ = xc.Call(t.Context(), "Drop", &question, new(string)) // one server breaks the connection with all that are on it
	close(stop)
	calling.Wait()
	var broken string
	for _, key := range keys {
		if accountOf(s, key).broken > 0 {
			broken = key
		}
	}
	callMany(6000, 64, greet(t, xc)) // a second
	before := s.of(t, broken).Picks
	callMany(3000, 64, greet(t, xc))
	if n := s.of(t, broken).Picks - before; n < 500 {
		t.Errorf("of 3,000 calls %d went there, a third is 1,000; it is %v", n, s.of(t, broken).State)
	}
}

// Row 5: rpcx ends the connection of a reply that it cannot decode, for everybody, and the servers were ejected for it.
func TestACallersWrongReplyTypeIsNotHeldAgainstServers(t *testing.T) {
	racyInRPCX(t, "client.go:782 and :874")
	nodes, keys := startNodes(t, 4)
	for _, n := range nodes {
		n.delay.Store(int64(20 * time.Millisecond))
	}
	xc, s := wrapped(t, client.Failfast, nil, keys...)
	ready(t, s)
	stop := make(chan struct{})
	var wrong sync.WaitGroup
	for range 4 {
		wrong.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					var reply int // the method answers with a string
					_ = xc.Call(t.Context(), "Greet", &question, &reply)
				}
			}
		})
	}
	callMany(6000, 32, greet(t, xc))
	close(stop)
	wrong.Wait()
	for _, one := range s.Status().Servers {
		if one.Ejected > 0 || one.Reason == CallsFailed {
			t.Errorf("%s was ejected %d times: %v", one.Key, one.Ejected, one.Reason)
		}
	}
}

// refusing is a plugin that ends connections to one server, as a failed handshake would. rpcx tells nobody of that.
type refusing struct{ address string }

func (r refusing) ConnCreated(c net.Conn) (net.Conn, error) {
	if c.RemoteAddr().String() == r.address {
		c.Close()
		return nil, errors.New("handshake failed")
	}
	return c, nil
}

// Row 6: a server that taught nothing was preferred for ever.
func TestAServerWhoseConnectionsAPluginRefusesIsPutAside(t *testing.T) {
	for _, mode := range []client.FailMode{client.Failfast, client.Failover} {
		nodes, keys := startNodes(t, 10)
		xc, s := wrapped(t, mode, nil, keys...)
		xc.SetPlugins(containing(refusing{nodes[3].name}))
		ready(t, s)
		if failed := callMany(2000, 1, greet(t, xc)); failed > 20 || mode == client.Failover && failed > 0 {
			t.Errorf("%v: %d of 2,000 calls failed", mode, failed)
		}
		if one := s.of(t, keys[3]); one.DialErrors == 0 {
			t.Errorf("%v: it is %v, of which %d dials are known to have failed", mode, one.State, one.DialErrors)
		}
	}
}

// Row 6: callers gave up 44 % of their calls, all at the same server.
func TestAServerAtWhichCallersGiveUpIsNotPreferred(t *testing.T) {
	racyInRPCX(t, "client.go:345 and :567")
	nodes, keys := startNodes(t, 5)
	xc, s := wrapped(t, client.Failfast, nil, keys...)
	ready(t, s)
	callMany(50, 1, greet(t, xc))
	nodes[0].stalls.Store(true)
	gaveUp := callMany(2000, 1, func() error {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		stop := time.AfterFunc(50*time.Millisecond, cancel)
		defer stop.Stop()
		return xc.Call(ctx, "Greet", &question, new(string))
	})
	if gaveUp > 40 { // and one a second looks whether it is better
		t.Errorf("callers gave up %d of 2,000 calls", gaveUp)
	}
}

// Row 11.
func TestSendRawNeverReturnsThreeNils(t *testing.T) {
	racyInRPCX(t, "client.go:241 and :755")
	n := startNode(t)
	for _, mode := range []client.FailMode{client.Failfast, client.Failover, client.Failtry} {
		for what, err := range map[string]error{"a service's error": client.NewServiceError("vetoed"), "any error": errors.New("vetoed")} {
			for _, oneway := range []bool{false, true} {
				xc, _ := wrapped(t, mode, nil, n.key)
				xc.SetPlugins(containing(preCall(func(context.Context) error { return err })))
				r := raw("Greet")
				r.SetOneway(oneway)
				if m, payload, err := xc.SendRaw(t.Context(), r); err == nil {
					t.Errorf("%v, a plugin refuses with %s, one-way %v: %v, %q, and no error", mode, what, oneway, m, payload)
				}
			}
		}
	}
}

func TestSendRawThatMakesNoAttemptSaysSo(t *testing.T) {
	n := startNode(t)
	o := client.DefaultOption
	o.Retries = -1 // with which rpcx makes none
	for _, mode := range []client.FailMode{client.Failover, client.Failtry} {
		xc := Wrap(client.NewXClient("Kelp", mode, client.SelectByUser, newDiscovery(n.key), o), mustNew(t))
		if m, payload, err := xc.SendRaw(t.Context(), raw("Greet")); err == nil {
			t.Errorf("%v: %v, %q, and no error", mode, m, payload)
		}
		_ = xc.Close()
	}
}

// Row 15.
func TestFailtryThatReachesAServerAfterAFailedDialIsASuccessOfIt(t *testing.T) {
	address := newAddress()
	key := "tcp@" + address
	s := mustNew(t, WithProbing(Probing{Probe: func(context.Context, string, string) error { return nil }}))
	o := client.DefaultOption
	o.RetryInterval, o.Retries = 50*time.Millisecond, 100
	xc := Wrap(client.NewXClient("Kelp", client.Failtry, client.SelectByUser, newDiscovery(key), o), s)
	defer xc.Close()
	ready(t, s)
	called := make(chan error, 1)
	go func() { called <- xc.Call(t.Context(), "Greet", &question, new(string)) }()
	eventually(t, "a dial has failed", func() bool { return s.of(t, key).DialErrors > 0 })
	startAt(t, address)
	if err := <-called; err != nil {
		t.Fatal(err)
	}
	if one := s.of(t, key); one.State != Up || one.Succeeded != 1 {
		t.Errorf("it has answered, and is %v with %d answers", one.State, one.Succeeded)
	}
}

// startAt starts a server at an address where nobody listens.
func startAt(t *testing.T, address string) {
	t.Helper()
	ln, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	k := &kelp{name: address, server: rpcx.NewServer(), release: make(chan struct{})}
	if err := k.server.RegisterName("Kelp", k, ""); err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() { _ = k.server.ServeListener("tcp", ln) })
	t.Cleanup(func() {
		_ = k.server.Close()
		ln.Close()
		served.Wait()
	})
}

// Row 15: what looks like no XClient must be none.
func TestAServiceThatCannotBeHadIsNil(t *testing.T) {
	d := &cloning{discovery: newDiscovery()}
	d.fails.Store(true)
	c := NewOneClient(client.Failfast, d, client.DefaultOption, nil)
	defer c.Close()
	if xc, err := c.Service("Kelp"); xc != nil || err == nil {
		t.Errorf("%v and %v", xc, err)
	}
}

// Row 15: each call of a service without a selector made a clone, and nobody closed one.
func TestAServiceWithoutASelectorHasOneCloneAndClosesIt(t *testing.T) {
	var made, closed atomic.Int64
	c := NewOneClient(client.Failfast, counting{newDiscovery(), &made, &closed}, client.DefaultOption, func(string, client.ServiceDiscovery) (*Selector, error) {
		return nil, errors.New("not yet")
	})
	call := func() error { return c.Call(t.Context(), "Kelp", "Greet", &question, new(string)) }
	if callMany(100, 1, call) != 100 || made.Load() != 1 {
		t.Errorf("%d clones for 100 calls", made.Load())
	}
	_ = c.Close()
	if callMany(100, 1, call) != 100 || made.Load() != 1 || closed.Load() != 1 {
		t.Errorf("after Close %d clones, %d closed", made.Load(), closed.Load())
	}
}

// counting is a discovery that counts its clones.
type counting struct {
	*discovery
	made, closed *atomic.Int64
}

func (d counting) Clone(string) (client.ServiceDiscovery, error) {
	d.made.Add(1)
	return counting{newDiscovery(), d.made, d.closed}, nil
}

func (d counting) Close() { d.closed.Add(1) }
