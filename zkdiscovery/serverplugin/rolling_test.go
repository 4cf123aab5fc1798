package serverplugin

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"
	"github.com/smallnest/rpcx/server"

	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// instance is one server of a fleet.
type instance struct {
	addr   string
	wait   time.Duration // for clients, in Drain
	server *server.Server
	plugin *ZooKeeperRegisterPlugin
	served chan struct{} // closed when Serve has returned
}

func (in *instance) start(ctx context.Context, zk []string, base string) error {
	in.server = server.NewServer()
	in.plugin = NewZooKeeperRegisterPlugin(WithZKServiceAddress("tcp@"+in.addr), WithZKServersAddress(zk), WithZKBasePath(base),
		WithServer(in.server), WithDrainWait(in.wait))
	if err := in.plugin.Start(); err != nil {
		return err
	}
	in.server.Plugins.Add(in.plugin)
	if err := in.server.RegisterName("Arith", new(Arith), "weight=1"); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	in.served = serving(func() error {
		err := in.server.Serve("tcp", in.addr)
		cancel(err) // a server that does not listen is never registered
		return err
	})
	if err := in.plugin.WaitRegistered(ctx); err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	return nil
}

// drained is how a server ends; abrupt is how it ends with rpcx's means alone.
func (in *instance) drained(ctx context.Context) error {
	err := in.plugin.Shutdown(ctx, in.server)
	<-in.served
	return err
}

func (in *instance) abrupt(ctx context.Context) error {
	err := errors.Join(in.server.Shutdown(ctx), in.plugin.Stop())
	<-in.served
	return err
}

// TestRollingRestartFailsNoCall restarts 20 servers, five at a time, under load, and once more without Drain for comparison.
func TestRollingRestartFailsNoCall(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 15 s")
	}
	e := zktest.StartEnsemble(t, 1)
	for _, tc := range []struct {
		name string
		end  func(*instance, context.Context) error
	}{{"with Drain", (*instance).drained}, {"without", (*instance).abrupt}} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.name == "without" && raceDetector {
				t.Skip("calls that fail race with rpcx's own Client.Close")
			}
			calls, failures := rollingRestart(t, e.Servers(), time.Second, tc.end, func() {})
			t.Logf("%d calls, %d failed", calls, len(failures))
			if tc.name == "without" {
				if len(failures) == 0 {
					t.Log("no call failed without Drain either: the load was too little to show what it is for")
				}
				return
			}
			for _, err := range failures {
				t.Error(err)
			}
		})
	}
}

// TestRollingRestartOutlivesTheLeader is the same while ZooKeeper's leader is killed in the middle.
func TestRollingRestartOutlivesTheLeader(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 20 s")
	}
	e := zktest.StartEnsemble(t, 3)
	ended := func(in *instance, ctx context.Context) error {
		err := in.drained(ctx)
		if errors.Is(err, ErrUnconfirmed) { // which says that ZooKeeper was away for that long; what counts is whether a call fails
			t.Log(err)
			return nil
		}
		return err
	}
	calls, failures := rollingRestart(t, e.Servers(), drainWait, ended, func() {
		leader, err := e.Leader()
		if err == nil {
			err = e.Kill(leader)
		}
		if err != nil {
			t.Error(err)
		}
	})
	t.Logf("%d calls, %d failed", calls, len(failures))
	for _, err := range failures {
		t.Error(err)
	}
}

// rollingRestart calls middle when half of the fleet is about to go.
func rollingRestart(t *testing.T, zk []string, wait time.Duration, end func(*instance, context.Context) error, middle func()) (calls int64, failures []error) {
	t.Helper()
	const servers, batch, callers = 20, 5, 8
	base := fmt.Sprint("/rolling", time.Now().UnixNano())
	fleet := make([]*instance, servers)
	each := func(from, to int, do func(in *instance) error) {
		t.Helper()
		var wg sync.WaitGroup
		for _, in := range fleet[from:to] {
			wg.Go(func() {
				if err := do(in); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	for i := range fleet {
		fleet[i] = &instance{addr: freeAddress(t), wait: wait}
	}
	each(0, servers, func(in *instance) error { return in.start(t.Context(), zk, base) })
	defer each(0, servers, func(in *instance) error { return in.abrupt(context.Background()) })

	d, err := zkdiscovery.New(base, "Arith", zk, zkdiscovery.WithoutCache())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	xc := client.NewXClient("Arith", client.Failfast, client.RandomSelect, d, client.DefaultOption)
	defer xc.Close()

	var mu sync.Mutex
	var count atomic.Int64
	var stopped atomic.Bool
	var load sync.WaitGroup
	for range callers {
		load.Go(func() {
			for !stopped.Load() {
				count.Add(1)
				var reply Reply
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second) // without Drain some hang
				err := xc.Call(ctx, "Mul", &Args{6, 7}, &reply)
				if cancel(); err != nil || reply.C != 42 {
					mu.Lock()
					failures = append(failures, fmt.Errorf("6 × 7 = %d, %w", reply.C, err))
					mu.Unlock()
				}
				time.Sleep(2 * time.Millisecond) // the load, not a wait
			}
		})
	}
	busyFor := func(calls int64) {
		for end := count.Load() + calls; count.Load() < end; {
			time.Sleep(time.Millisecond)
		}
	}
	for from := 0; from < servers; from += batch {
		busyFor(500)
		if from == servers/2 {
			middle()
		}
		each(from, from+batch, func(in *instance) error {
			return errors.Join(end(in, t.Context()), in.start(t.Context(), zk, base))
		})
	}
	busyFor(500)
	stopped.Store(true)
	load.Wait()
	return count.Load(), failures
}
