// Package storm lets real ZooKeeper processes die, stand still, forget and come back, while XClients call real rpcx servers that find each
// other through it. It runs on demand: make storm.
package storm

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"
	"github.com/smallnest/rpcx/server"
	"go.uber.org/goleak"

	"github.com/holdfast-go/holdfast/tests/harness"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/serverplugin"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

var (
	duration = flag.Duration("storm", 0, "how long it blows; 0: not at all")
	seed     = flag.Uint64("storm.seed", 0, "of what happens; 0: a random one, which is printed")
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(harness.Tests(m)) }

const (
	session = 4 * time.Second
	servers = 6
)

// gust is something that happens to the ensemble. It returns when that is over.
type gust struct {
	name string
	blow func(e *zktest.Ensemble, r *rand.Rand) error
}

func gusts() []gust {
	wait := func(from, upTo time.Duration, r *rand.Rand) {
		time.Sleep(from + time.Duration(r.Int64N(int64(upTo-from))))
	}
	leader := func(e *zktest.Ensemble) int {
		if i, err := e.Leader(); err == nil {
			return i
		}
		return 0
	}
	pause := func(i int, from, upTo time.Duration, e *zktest.Ensemble, r *rand.Rand) error {
		if err := e.Pause(i); err != nil {
			return err
		}
		wait(from, upTo, r)
		return e.Resume(i)
	}
	return []gust{
		{"kill -9 of any", func(e *zktest.Ensemble, r *rand.Rand) error {
			i := r.IntN(3)
			if err := e.Kill(i); err != nil {
				return err
			}
			wait(0, 2*session, r)
			return e.Restart(i)
		}},
		{"kill -9 of the leader", func(e *zktest.Ensemble, r *rand.Rand) error {
			i := leader(e)
			if err := e.Kill(i); err != nil {
				return err
			}
			wait(0, session, r)
			return e.Restart(i)
		}},
		{"SIGSTOP, shorter than a session", func(e *zktest.Ensemble, r *rand.Rand) error {
			return pause(r.IntN(3), 0, session/2, e, r)
		}},
		{"SIGSTOP of the leader, longer than a session", func(e *zktest.Ensemble, r *rand.Rand) error {
			return pause(leader(e), session, 3*session, e, r)
		}},
		{"all stopped, and started again", func(e *zktest.Ensemble, r *rand.Rand) error {
			if err := e.StopAll(); err != nil {
				return err
			}
			wait(0, 4*session, r)
			return e.StartAll()
		}},
		{"wiped", func(e *zktest.Ensemble, _ *rand.Rand) error { return e.Wipe() }},
		{"rolling restart", func(e *zktest.Ensemble, r *rand.Rand) error {
			for i := range 3 {
				if err := e.Restart(i); err != nil {
					return err
				}
				wait(0, time.Second, r)
			}
			return nil
		}},
	}
}

// instance is a real rpcx server that registers through the plugin.
func instance(t *testing.T, zk []string, log *slog.Logger, timeout time.Duration) (key string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	harness.Must(t, err)
	key = "tcp@" + ln.Addr().String()
	s := server.NewServer()
	p := serverplugin.NewZooKeeperRegisterPlugin(serverplugin.WithZKServersAddress(zk), serverplugin.WithZKBasePath("rpcx"),
		serverplugin.WithZKServiceAddress(key), serverplugin.WithSessionTimeout(timeout), serverplugin.WithLogger(log))
	harness.Must(t, p.Start())
	s.Plugins.Add(p)
	harness.Must(t, s.RegisterName("Arith", harness.Arith{Key: key}, ""))
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.ServeListener("tcp", ln) }) // it ends with an error when it is closed
	t.Cleanup(func() {
		_ = p.Stop()
		_ = s.Close()
		_ = ln.Close()
		serving.Wait()
	})
	return key
}

// wrong measures how long a list is not what it should be.
type wrong struct {
	since          time.Time // zero while it is right
	longest, total time.Duration
	times          int
}

func (w *wrong) look(right bool, now time.Time) {
	switch {
	case right && !w.since.IsZero():
		d := now.Sub(w.since)
		w.longest, w.total, w.since = max(w.longest, d), w.total+d, time.Time{}
	case !right && w.since.IsZero():
		w.since = now
		w.times++
	}
}

// No gust takes a server away, so the list should have all of them all the time, and no call should fail.
func TestStorm(t *testing.T) {
	if *duration == 0 {
		t.Skip("make storm")
	}
	if *seed == 0 {
		*seed = rand.Uint64N(1 << 32)
	}
	t.Logf("-storm.seed %d", *seed)
	r := rand.New(rand.NewPCG(*seed, 0))
	e := zktest.StartEnsemble(t, 3)
	log := slog.New(slog.DiscardHandler)
	want := make(map[string]bool)
	for range servers {
		want[instance(t, e.Servers(), log, session)] = true
	}
	discover := func(name string, opts ...zkdiscovery.Option) *zkdiscovery.Discovery {
		d, err := zkdiscovery.New("rpcx", "Arith", e.Servers(), append([]zkdiscovery.Option{
			zkdiscovery.WithCacheDir(t.TempDir()), zkdiscovery.WithSessionTimeout(session), zkdiscovery.WithLogger(log), zkdiscovery.WithLazyStart(),
		}, opts...)...)
		harness.Must(t, err)
		t.Cleanup(d.Close)
		_ = name
		return d
	}
	guarded, bare := discover("guarded"), discover("without guard", zkdiscovery.WithoutGuard())
	right := func(d *zkdiscovery.Discovery) bool {
		have := make(map[string]bool)
		for _, p := range d.GetServices() {
			have[p.Key] = true
		}
		return maps.Equal(have, want)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for !right(guarded) || !right(bare) {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("the list is not whole at the beginning: %v", guarded.Status())
		}
	}
	loads := map[string]*harness.Load{
		"guarded, failfast":       harness.UnderLoad(t, "guarded, failfast", guarded, client.Failfast),
		"guarded, failover":       harness.UnderLoad(t, "guarded, failover", guarded, client.Failover),
		"without guard, failfast": harness.UnderLoad(t, "without guard, failfast", bare, client.Failfast),
	}
	lists := map[string]*wrong{"guarded": {}, "without guard": {}}
	stop := make(chan struct{})
	var looking sync.WaitGroup
	looking.Go(func() {
		every := time.NewTicker(20 * time.Millisecond)
		defer every.Stop()
		for {
			select {
			case now := <-every.C:
				lists["guarded"].look(right(guarded), now)
				lists["without guard"].look(right(bare), now)
			case <-stop:
				return
			}
		}
	})
	blown := make(map[string]int)
	all := gusts()
	for end := time.Now().Add(*duration); time.Now().Before(end); {
		g := all[r.IntN(len(all))]
		blown[g.name]++
		harness.Must(t, g.blow(e, r))
		time.Sleep(time.Duration(r.Int64N(int64(2 * session)))) // the time between two gusts, not synchronisation
	}
	ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	harness.Must(t, guarded.WaitLive(ctx))
	harness.Must(t, bare.WaitLive(ctx))
	for !right(guarded) || !right(bare) {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("the list is not whole in the end: %v; %v", guarded.Status(), bare.Status())
		}
	}
	close(stop)
	looking.Wait()
	for name, n := range blown {
		fmt.Printf("storm: %3d × %s\n", n, name)
	}
	for name, w := range lists {
		w.look(true, time.Now())
		fmt.Printf("storm: list %-14s wrong %d times, %v at the longest, %v in all\n", name, w.times, w.longest.Round(time.Millisecond), w.total.Round(time.Millisecond))
	}
	for name, l := range loads {
		_, first := l.Failures()
		calls, failures := l.Stop()
		fmt.Printf("storm: %-24s %d calls, %d failed, %v\n", name, calls, failures, first)
	}
	if n, first := loads["guarded, failfast"].Failures(); n > 0 {
		t.Errorf("%d calls failed: %v", n, first)
	}
	if w := lists["guarded"]; w.times > 0 {
		t.Errorf("the guarded list was wrong %d times, %v at the longest", w.times, w.longest)
	}
}
