package rpcx

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/tests/harness"
	"github.com/holdfast-go/holdfast/zkdiscovery"
)

// knownAtOnce are the modes that can be used where a list is known when the client is made; see callers.
func knownAtOnce() []client.SelectMode {
	if harness.RaceDetector {
		return slices.DeleteFunc(slices.Clone(modes), func(m client.SelectMode) bool { return m == client.Closest })
	}
	return modes
}

// everyNetwork plays a scenario on the in-process server and on a real one.
func everyNetwork(t *testing.T, scenario func(*harness.World)) {
	t.Helper()
	t.Run("in process", func(t *testing.T) { harness.OnTheNetwork(t, scenario) })
	t.Run("on real ZooKeeper", func(t *testing.T) {
		harness.OnRealZooKeeper(t, func(t *harness.World, _ *harness.RealZooKeeper) { scenario(t) })
	})
}

func TestRpcxClientsThroughTheLifeOfZooKeeper(t *testing.T) {
	everyNetwork(t, func(t *harness.World) {
		var backends []*harness.Backend
		path := func(b *harness.Backend) string { return t.Service("Arith") + "/" + b.Key }
		start := func() *harness.Backend {
			backends = append(backends, harness.StartBackend(t))
			return backends[len(backends)-1]
		}
		for range 3 {
			start()
		}

		// ZooKeeper is away when the programs start, and there is no file.
		t.Stop()
		if _, err := zkdiscovery.New(t.Base, "Arith", t.Servers(), t.Common(zkdiscovery.WithStartTimeout(200*time.Millisecond))...); !errors.Is(err, zkdiscovery.ErrNoSnapshot) {
			t.Fatalf("New returned %v", err)
		}
		d := t.Discover("Arith", zkdiscovery.WithLazyStart(), zkdiscovery.WithStartTimeout(200*time.Millisecond))
		template := t.Template()
		all := callers(t, "early", d, template, modes)
		nobody(t, all)

		// It comes, but nobody is registered yet.
		t.Start()
		harness.Must(t, d.WaitLive(t.Context()))
		nobody(t, all)
		for _, b := range backends {
			t.Put(path(b), harness.Metadata)
		}
		reach(t, all, backends...)

		// It is killed; clients that are made meanwhile start from what is known, or from the file.
		t.Die()
		t.Eventually("its death is noticed", func() bool { return d.Snapshot().Source == zkdiscovery.Stale })
		all = append(all, callers(t, "during the outage", d, template, knownAtOnce())...)
		reach(t, all, backends...)
		reach(t, fromTheFiles(t), backends...)
		t.Rise()

		// A server leaves and another comes.
		gone := backends[0]
		t.Remove(path(gone))
		b := start()
		t.Put(path(b), harness.Metadata)
		reach(t, all, backends[1:]...)
		gone.Stop()

		// One says that it is going to leave.
		t.Set(path(b), "state=inactive&"+harness.Metadata)
		reach(t, all, backends[1:3]...)
		t.Set(path(b), harness.Metadata)
		reach(t, all, backends[1:]...)

		// The ensemble is set up anew, empty; without the guard that is believed.
		t.Wipe()
		nobody(t, all)
		for _, b := range backends[1:] {
			t.Put(path(b), harness.Metadata)
		}
		reach(t, all, backends[1:]...)

		// The last instance goes, and comes again.
		for _, b := range backends[1:] {
			t.Remove(path(b))
		}
		nobody(t, all)
		t.Put(path(b), harness.Metadata)
		reach(t, all, b)
	})
}

// fromTheFiles are clients of a new process that starts while ZooKeeper is away.
func fromTheFiles(t *harness.World) []caller {
	t.Helper()
	began := time.Now()
	d := t.Discover("Arith")
	template := t.Template()
	all := callers(t, "from the files", d, template, knownAtOnce())
	t.Source(d, zkdiscovery.File)
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("starting while every server refuses has taken %v", took)
	}
	return all
}

// A OneClient's first call of a service takes its lock for as long as Clone lasts: what hangs there hangs every other service.
func TestRpcxOneClientIsNotHeldUpByAServiceThatIsNotThere(t *testing.T) {
	harness.OnTheNetwork(t, func(t *harness.World) {
		b := harness.StartBackend(t)
		t.Put(t.Service("Arith")+"/"+b.Key, harness.Metadata)
		template := t.Template()
		harness.Must(t, template.WaitLive(t.Context()))
		one := client.NewOneClient(client.Failfast, client.RoundRobin, template, client.DefaultOption)
		defer one.Close()
		if err := one.Call(t.Context(), "Arith", "Mul", &harness.Args{A: 2, B: 3}, &harness.Reply{}); err != nil {
			t.Fatal(err)
		}
		t.Cut(true)
		for _, service := range []string{"Nowhere", "Never", "../escape", "", "a//b"} {
			began := time.Now()
			if err := one.Call(t.Context(), service, "Mul", &harness.Args{A: 2, B: 3}, &harness.Reply{}); !errors.Is(err, client.ErrXClientNoServer) {
				t.Errorf("calling %q: %v", service, err)
			}
			limit := time.Second
			if service == "Nowhere" {
				limit += 3 * time.Second // the start timeout, which one service may wait for in vain
			}
			if took := time.Since(began); took > limit {
				t.Errorf("calling %q has held the others up for %v", service, took)
			}
		}
		t.Cut(false)
		t.Put(t.Service("Nowhere")+"/"+b.Key, harness.Metadata)
		t.Eventually("the service that came later is found", func() bool {
			err := one.Call(t.Context(), "Nowhere", "Mul", &harness.Args{A: 2, B: 3}, &harness.Reply{})
			return err != nil && err.Error() == "rpcx: can't find service Nowhere" // says the server
		})
		template.Close()
		if err := one.Call(t.Context(), "Arith", "Mul", &harness.Args{A: 2, B: 3}, &harness.Reply{}); err != nil {
			t.Errorf("the last list is no longer used after Close: %v", err)
		}
		if err := one.Call(t.Context(), "Late", "Mul", &harness.Args{A: 2, B: 3}, &harness.Reply{}); !errors.Is(err, client.ErrXClientNoServer) {
			t.Errorf("a service that is asked for after Close: %v", err)
		}
	})
}

// rpcx closes no discovery: what its clients leave behind is let go by itself.
func TestRpcxClientsLeaveNothingBehind(t *testing.T) {
	harness.OnTheNetwork(t, func(t *harness.World) {
		b := harness.StartBackend(t)
		t.Put(t.Service("Arith")+"/"+b.Key, harness.Metadata)
		d := t.Discover("Arith")
		for range 50 {
			xc := client.NewXClient("Arith", client.Failfast, client.RoundRobin, d, client.DefaultOption)
			if err := xc.Call(t.Context(), "Mul", &harness.Args{A: 2, B: 3}, &harness.Reply{}); err != nil {
				t.Fatal(err)
			}
			_ = xc.Close()
			t.Set(t.Service("Arith")+"/"+b.Key, harness.Metadata+"&x=y") // while the client goes
			t.Set(t.Service("Arith")+"/"+b.Key, harness.Metadata)
		}
		t.Eventually("no watcher is left", func() bool { return d.Status().Watchers == 0 })
	})
}

// WeightedICMP pings, which needs a right that containers seldom have; without an answer rpcx gives every server the weight 0 and panics.
func TestRpcxWeightedICMP(t *testing.T) {
	if _, err := client.Ping("127.0.0.1"); err != nil {
		t.Skipf("not allowed to ping: %v (sysctl net.ipv4.ping_group_range)", err)
	}
	harness.OnTheNetwork(t, func(t *harness.World) {
		b := harness.StartBackend(t)
		d := t.Discover("Arith")
		xc := client.NewXClient("Arith", client.Failfast, client.WeightedICMP, d, client.DefaultOption)
		defer xc.Close()
		all := []caller{{"XClient, WeightedICMP", func(ctx context.Context, args *harness.Args, reply *harness.Reply) error {
			return xc.Call(ctx, "Mul", args, reply)
		}}}
		nobody(t, all)
		t.Put(t.Service("Arith")+"/"+b.Key, harness.Metadata)
		reach(t, all, b)
		t.Stop()
		reach(t, all, b)
		t.Start()
		t.Remove(t.Service("Arith") + "/" + b.Key)
		nobody(t, all)
	})
}
