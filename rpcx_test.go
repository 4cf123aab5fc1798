package holdfast_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/zkdiscovery"
)

// rpcx's real clients with real servers, through what can happen to ZooKeeper.

const metadata = "weight=2&latitude=48.1&longitude=11.6"

// knownAtOnce are the modes that can be used where a list is known when the client is made; see callers.
func knownAtOnce() []client.SelectMode {
	if raceDetector {
		return slices.DeleteFunc(slices.Clone(modes), func(m client.SelectMode) bool { return m == client.Closest })
	}
	return modes
}

// everyNetwork plays a scenario on the in-process server and on a real one.
func everyNetwork(t *testing.T, scenario func(*world)) {
	t.Helper()
	t.Run("in process", func(t *testing.T) { onTheNetwork(t, scenario) })
	t.Run("on real ZooKeeper", func(t *testing.T) { onRealZooKeeper(t, scenario) })
}

func TestRpcxClientsThroughTheLifeOfZooKeeper(t *testing.T) {
	everyNetwork(t, func(t *world) {
		var backends []*backend
		path := func(b *backend) string { return t.service("Arith") + "/" + b.key }
		start := func() *backend {
			backends = append(backends, startBackend(t.T))
			return backends[len(backends)-1]
		}
		for range 3 {
			start()
		}

		// ZooKeeper is away when the programs start, and there is no file.
		t.stop()
		if _, err := zkdiscovery.New(t.base, "Arith", t.servers(), t.common([]zkdiscovery.Option{zkdiscovery.WithStartTimeout(200 * time.Millisecond)})...); !errors.Is(err, zkdiscovery.ErrNoSnapshot) {
			t.Fatalf("New returned %v", err)
		}
		d := t.discover("Arith", zkdiscovery.WithLazyStart(), zkdiscovery.WithStartTimeout(200*time.Millisecond))
		template := t.template()
		all := callers(t, "early", d, template, modes)
		t.nobody(all)

		// It comes, but nobody is registered yet.
		t.start()
		must(t.T, d.WaitLive(t.Context()))
		t.nobody(all)
		for _, b := range backends {
			t.put(path(b), metadata)
		}
		t.reach(all, backends...)

		// It is killed; clients that are made meanwhile start from what is known, or from the file.
		t.die()
		t.eventually("its death is noticed", func() bool { return d.Snapshot().Source == zkdiscovery.Stale })
		all = append(all, callers(t, "during the outage", d, template, knownAtOnce())...)
		t.reach(all, backends...)
		t.reach(fromTheFiles(t), backends...)
		t.rise()

		// A server leaves and another comes.
		gone := backends[0]
		t.remove(path(gone))
		b := start()
		t.put(path(b), metadata)
		t.reach(all, backends[1:]...)
		gone.stop()

		// One says that it is going to leave.
		t.set(path(b), "state=inactive&"+metadata)
		t.reach(all, backends[1:3]...)
		t.set(path(b), metadata)
		t.reach(all, backends[1:]...)

		// The ensemble is set up anew, empty; without the guard that is believed.
		t.wipe()
		t.nobody(all)
		for _, b := range backends[1:] {
			t.put(path(b), metadata)
		}
		t.reach(all, backends[1:]...)

		// The last instance goes, and comes again.
		for _, b := range backends[1:] {
			t.remove(path(b))
		}
		t.nobody(all)
		t.put(path(b), metadata)
		t.reach(all, b)
	})
}

// fromTheFiles are clients of a new process that starts while ZooKeeper is away.
func fromTheFiles(t *world) []caller {
	t.Helper()
	began := time.Now()
	d := t.discover("Arith")
	template := t.template()
	all := callers(t, "from the files", d, template, knownAtOnce())
	t.source(d, zkdiscovery.File)
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("starting while every server refuses has taken %v", took)
	}
	return all
}

// A OneClient's first call of a service takes its lock for as long as Clone lasts: what hangs there hangs every other service.
func TestRpcxOneClientIsNotHeldUpByAServiceThatIsNotThere(t *testing.T) {
	onTheNetwork(t, func(t *world) {
		b := startBackend(t.T)
		t.put(t.service("Arith")+"/"+b.key, metadata)
		template := t.template()
		must(t.T, template.WaitLive(t.Context()))
		one := client.NewOneClient(client.Failfast, client.RoundRobin, template, client.DefaultOption)
		defer one.Close()
		if err := one.Call(t.Context(), "Arith", "Mul", &Args{2, 3}, &Reply{}); err != nil {
			t.Fatal(err)
		}
		t.cut(true)
		for _, service := range []string{"Nowhere", "Never", "../escape", "", "a//b"} {
			began := time.Now()
			if err := one.Call(t.Context(), service, "Mul", &Args{2, 3}, &Reply{}); !errors.Is(err, client.ErrXClientNoServer) {
				t.Errorf("calling %q: %v", service, err)
			}
			if took := time.Since(began); took > time.Second {
				t.Errorf("calling %q has held the others up for %v", service, took)
			}
		}
		t.cut(false)
		t.put(t.service("Nowhere")+"/"+b.key, metadata)
		t.eventually("the service that came later is found", func() bool {
			err := one.Call(t.Context(), "Nowhere", "Mul", &Args{2, 3}, &Reply{})
			return err != nil && err.Error() == "rpcx: can't find service Nowhere" // says the server
		})
		template.Close()
		if err := one.Call(t.Context(), "Arith", "Mul", &Args{2, 3}, &Reply{}); err != nil {
			t.Errorf("the last list is no longer used after Close: %v", err)
		}
		if err := one.Call(t.Context(), "Late", "Mul", &Args{2, 3}, &Reply{}); !errors.Is(err, client.ErrXClientNoServer) {
			t.Errorf("a service that is asked for after Close: %v", err)
		}
	})
}

// rpcx closes no discovery: what its clients leave behind is let go by itself.
func TestRpcxClientsLeaveNothingBehind(t *testing.T) {
	onTheNetwork(t, func(t *world) {
		b := startBackend(t.T)
		t.put(t.service("Arith")+"/"+b.key, metadata)
		d := t.discover("Arith")
		for range 50 {
			xc := client.NewXClient("Arith", client.Failfast, client.RoundRobin, d, client.DefaultOption)
			if err := xc.Call(t.Context(), "Mul", &Args{2, 3}, &Reply{}); err != nil {
				t.Fatal(err)
			}
			_ = xc.Close()
			t.set(t.service("Arith")+"/"+b.key, metadata+"&x=y") // while the client goes
			t.set(t.service("Arith")+"/"+b.key, metadata)
		}
		t.eventually("no watcher is left", func() bool { return d.Status().Watchers == 0 })
	})
}

// WeightedICMP pings, which needs a right that containers seldom have; without an answer rpcx gives every server the weight 0 and panics.
func TestRpcxWeightedICMP(t *testing.T) {
	if _, err := client.Ping("127.0.0.1"); err != nil {
		t.Skipf("not allowed to ping: %v (sysctl net.ipv4.ping_group_range)", err)
	}
	onTheNetwork(t, func(t *world) {
		b := startBackend(t.T)
		d := t.discover("Arith")
		xc := client.NewXClient("Arith", client.Failfast, client.WeightedICMP, d, client.DefaultOption)
		defer xc.Close()
		all := []caller{{"XClient, WeightedICMP", func(ctx context.Context, args *Args, reply *Reply) error { return xc.Call(ctx, "Mul", args, reply) }}}
		t.nobody(all)
		t.put(t.service("Arith")+"/"+b.key, metadata)
		t.reach(all, b)
		t.stop()
		t.reach(all, b)
		t.start()
		t.remove(t.service("Arith") + "/" + b.key)
		t.nobody(all)
	})
}
