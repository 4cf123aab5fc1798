package selector

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/smallnest/rpcx/client"
	"github.com/smallnest/rpcx/protocol"
	"github.com/smallnest/rpcx/share"
)

func TestAPoolSharesWhatItsMembersKnow(t *testing.T) {
	a, b := startNode(t), startNode(t)
	s := mustNew(t)
	p := NewXClientPool(4, "Kelp", client.Failfast, newDiscovery(a.key, b.key), client.DefaultOption, s)
	w := &witness{}
	p.SetPlugins(containing(w))
	const calls = 50
	var callers sync.WaitGroup
	for range 4 {
		xc := p.Get() // one for each caller: see racyInRPCX
		callers.Go(func() {
			for range calls {
				if err := xc.Call(t.Context(), "Greet", &question, new(string)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	callers.Wait()
	if got := sum(s); got != (account{ok: 4 * calls}) {
		t.Errorf("the selector was told %+v, want %d answers", got, 4*calls)
	}
	if len(w.take()) == 0 || p.GetPlugins().All()[0] != client.Plugin(w) {
		t.Error("the pool's plugins are not its members'")
	}
	p.Close()
	if err := p.Get().Call(t.Context(), "Greet", &question, new(string)); !errors.Is(err, client.ErrXClientShutdown) {
		t.Error("a call of a closed pool:", err)
	}
	if n := len(s.views.open); n > 0 {
		t.Errorf("the selector still has %d closed XClients", n)
	}
}

func TestAuthReachesEveryMember(t *testing.T) {
	n := startNode(t)
	n.server.AuthFunc = func(_ context.Context, _ *protocol.Message, token string) error {
		if token != "kelp" {
			return errors.New("who are you?")
		}
		return nil
	}
	// Failover: rpcx's server closes the connection of whom it does not know, perhaps when the next call is on its way.
	xclients := NewXClientPool(2, "Kelp", client.Failover, newDiscovery(n.key), client.DefaultOption, mustNew(t))
	defer xclients.Close()
	oneclients := NewOneClientPool(2, client.Failover, newDiscovery(n.key), client.DefaultOption, nil)
	defer oneclients.Close()
	call := func() (errs []error) {
		for range 2 {
			errs = append(errs, xclients.Get().Call(t.Context(), "Greet", &question, new(string)),
				oneclients.Get().Call(t.Context(), "Kelp", "Greet", &question, new(string)))
		}
		return errs
	}
	for _, err := range call() {
		if err == nil {
			t.Error("a call without a token has succeeded")
		}
	}
	xclients.Auth("kelp")
	oneclients.Auth("kelp")
	for _, err := range call() {
		if err != nil {
			t.Error(err)
		}
	}
	before := NewOneClient(client.Failover, newDiscovery(n.key), client.DefaultOption, nil)
	defer before.Close()
	before.Auth("kelp")
	if err := before.Call(t.Context(), "Kelp", "Greet", &question, new(string)); err != nil {
		t.Error("with a token from before the first call:", err)
	}
}

func TestOneClientHasASelectorForEachService(t *testing.T) {
	n := startNode(t, "Other")
	var mu sync.Mutex
	made := map[string]*Selector{}
	c := NewOneClient(client.Failfast, newDiscovery(n.key), client.DefaultOption, func(servicePath string, d client.ServiceDiscovery) (*Selector, error) {
		if len(d.GetServices()) != 1 {
			t.Errorf("the selector of %s is made for another discovery", servicePath)
		}
		s, err := New()
		mu.Lock()
		defer mu.Unlock()
		made[servicePath] = s
		return s, err
	})
	w := &witness{}
	c.SetPlugins(containing(w))
	ctx, done := t.Context(), make(chan *client.Call, 1)
	for _, call := range []func() error{
		func() error { return c.Call(ctx, "Kelp", "Greet", &question, new(string)) },
		func() error { return c.Call(ctx, "Other", "Greet", &question, new(string)) },
		func() error {
			if _, err := c.Go(ctx, "Kelp", "Greet", &question, new(string), done); err != nil {
				return err
			}
			return (<-done).Error
		},
		func() error { _, _, err := c.SendRaw(ctx, raw("Greet")); return err },
		func() error { return c.Oneshot(ctx, "Kelp", "Greet", &question) },
		func() error { return c.Broadcast(ctx, "Kelp", "Greet", &question, new(string)) },
		func() error { return c.Fork(ctx, "Kelp", "Greet", &question, new(string)) },
		func() error { _, err := c.Inform(ctx, "Kelp", "Greet", &question, new(string)); return err },
	} {
		if err := call(); err != nil {
			t.Error(err)
		}
	}
	told(t, made["Kelp"], n.key, account{ok: 4, written: 1})
	told(t, made["Other"], n.key, account{ok: 1})
	if len(w.take()) == 0 || c.GetPlugins().All()[0] != client.Plugin(w) {
		t.Error("the OneClient's plugins are not its services'")
	}
	_ = c.Close()
	for _, path := range []string{"Kelp", "Third"} {
		if err := c.Call(ctx, path, "Greet", &question, new(string)); !errors.Is(err, client.ErrXClientShutdown) {
			t.Errorf("a call of a closed OneClient's %s: %v", path, err)
		}
	}
}

// In rpcx a discovery that cannot be cloned leaves a nil XClient behind, on which Close panics, and every other service waits meanwhile.
func TestAServiceThatCannotBeHadFailsAloneAndIsTriedAgain(t *testing.T) {
	n := startNode(t)
	d := &cloning{discovery: newDiscovery(n.key), slow: make(chan struct{})}
	var broken atomic.Bool
	c := NewOneClient(client.Failfast, d, client.DefaultOption, func(string, client.ServiceDiscovery) (*Selector, error) {
		if broken.Load() {
			return nil, nil
		}
		return New()
	})
	d.fails.Store(true)
	call := func(path string) error { return c.Call(t.Context(), path, "Greet", &question, new(string)) }
	if err := call("Kelp"); err == nil || err.Error() != "no clone" {
		t.Error("a call without a discovery:", err)
	}
	d.fails.Store(false)
	broken.Store(true)
	if err := call("Kelp"); err == nil {
		t.Error("a call without a selector has succeeded")
	}
	broken.Store(false)

	slow := make(chan error, 1)
	go func() { slow <- call("slow") }()
	if err := call("Kelp"); err != nil {
		t.Error("the service is not tried again:", err)
	}
	close(d.slow)
	if err := <-slow; err == nil {
		t.Error("the server does not know the slow service, but has answered")
	}
	_ = c.Close()
}

// cloning is a discovery whose Clone fails, or takes until slow is closed.
type cloning struct {
	*discovery
	fails atomic.Bool
	slow  chan struct{}
}

func (d *cloning) Clone(servicePath string) (client.ServiceDiscovery, error) {
	if servicePath == "slow" {
		<-d.slow
	}
	if d.fails.Load() {
		return nil, errors.New("no clone")
	}
	return d.discovery.Clone(servicePath)
}

func TestAPoolOfOneClientsSharesASelectorForEachService(t *testing.T) {
	n := startNode(t)
	var made atomic.Int64
	var s atomic.Pointer[Selector]
	p := NewOneClientPool(3, client.Failfast, newDiscovery(n.key), client.DefaultOption, func(string, client.ServiceDiscovery) (*Selector, error) {
		made.Add(1)
		one, err := New()
		s.Store(one)
		return one, err
	})
	w := &witness{}
	p.SetPlugins(containing(w))
	for range 6 {
		if err := p.Get().Call(t.Context(), "Kelp", "Greet", &question, new(string)); err != nil {
			t.Fatal(err)
		}
	}
	if made.Load() != 1 {
		t.Errorf("%d selectors were made for one service", made.Load())
	}
	told(t, s.Load(), n.key, account{ok: 6})
	if len(w.take()) == 0 || p.GetPlugins().All()[0] != client.Plugin(w) {
		t.Error("the pool's plugins are not its members'")
	}
	_ = p.Get().Close()  // which is not the caller's to do
	if s.Load().closed { // nobody else is at it

		t.Error("a member has closed what it shares")
	}
	p.Close()
	if err := p.Get().Call(t.Context(), "Kelp", "Greet", &question, new(string)); !errors.Is(err, client.ErrXClientShutdown) {
		t.Error("a call of a closed pool:", err)
	}
	if _, err := p.selectors.of(t.Context(), share.StreamServiceName, func() (*Selector, error) { return New() }); err == nil {
		t.Error("a closed pool makes selectors")
	}
}
