package harness

import (
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/tests/bubbles"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// World is where a scenario takes place: its test, and what it acts on. Name it t, so that the test around it is out of reach: inside a bubble
// only the bubble's own test may be used.
type World struct {
	*testing.T
	ZooKeeper
	Base    string // path of all services
	Dir     string // of the cache files
	Logbook *Logbook
}

// WithoutZooKeeper is a world in which there is nothing to connect to.
func WithoutZooKeeper(t *testing.T) *World {
	t.Helper()
	return newWorld(t, nil, "/rpcx")
}

func newWorld(t *testing.T, zk ZooKeeper, base string) *World {
	t.Helper()
	return &World{T: t, ZooKeeper: zk, Base: base, Dir: t.TempDir(), Logbook: newLogbook(t)}
}

// Everywhere plays a scenario in a bubble and on a real ZooKeeper.
func Everywhere(t *testing.T, scenario func(*World)) {
	t.Helper()
	t.Run("in a bubble", func(t *testing.T) {
		InBubble(t, func(t *World, _ *zktest.Server) { scenario(t) })
	})
	t.Run("on real ZooKeeper", func(t *testing.T) {
		OnRealZooKeeper(t, func(t *World, _ *RealZooKeeper) { scenario(t) })
	})
}

// InBubble plays a scenario on the in-process server. It ends with everything closed; synctest fails it if a goroutine is left.
func InBubble(t *testing.T, scenario func(*World, *zktest.Server)) {
	t.Helper()
	bubbles.Test(t, func(t *testing.T) {
		zk := zktest.NewServer()
		t.Cleanup(zk.Close)
		scenario(newWorld(t, &InProcess{t: t, server: zk}, "/rpcx"), zk)
	})
}

// OnTheNetwork plays a scenario on the in-process server, outside a bubble. Sessions last 2 s.
func OnTheNetwork(t *testing.T, scenario func(*World)) {
	t.Helper()
	zk := zktest.Start(t, zktest.WithTick(100*time.Millisecond))
	scenario(newWorld(t, &overTCP{InProcess{t: t, server: zk}}, "/rpcx"))
}

// OnRealZooKeeper plays a scenario on the shared real server, below a base path of its own and through a proxy of its own.
func OnRealZooKeeper(t *testing.T, scenario func(*World, *RealZooKeeper)) {
	t.Helper()
	onReal(t, single.get(t), scenario)
}

// OnRealEnsemble is OnRealZooKeeper with the shared ensemble of three servers, each behind a proxy of its own.
func OnRealEnsemble(t *testing.T, scenario func(*World, *RealZooKeeper)) {
	t.Helper()
	onReal(t, triple.get(t), scenario)
}

// OnOwnZooKeeper is OnRealZooKeeper with a server that no other test uses. It takes seconds to start.
func OnOwnZooKeeper(t *testing.T, scenario func(*World, *RealZooKeeper)) {
	t.Helper()
	onReal(t, zktest.StartEnsemble(t, 1), scenario)
}

var scenarios atomic.Int64

func onReal(t *testing.T, e *zktest.Ensemble, scenario func(*World, *RealZooKeeper)) {
	t.Helper()
	zk := newReal(t, e)
	w := newWorld(t, zk, fmt.Sprintf("/holdfast/%d", scenarios.Add(1)))
	t.Cleanup(func() { zk.removeAll(w.Base) })
	scenario(w, zk)
}

// Pass lets time pass in a bubble, and then everything that it has set off come to rest.
func Pass(d time.Duration) { time.Sleep(d); synctest.Wait() }

// Must ends the test with an error that is not nil.
func Must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// Service is the path of a service.
func (w *World) Service(name string) string { return w.Base + "/" + name }

// Node is the path of a service's i-th instance.
func (w *World) Node(service string, i int) string { return w.Service(service) + "/" + Instance(i) }

// Register makes the nodes of some instances, as their servers would, and returns what a list of them is.
func (w *World) Register(service string, instances ...int) map[string]string {
	w.Helper()
	list := make(map[string]string)
	for _, i := range instances {
		w.Put(w.Node(service, i), "n=1")
		list[Instance(i)] = "n=1"
	}
	return list
}

// Lose removes the nodes of some instances in one transaction.
func (w *World) Lose(service string, instances ...int) {
	w.Helper()
	paths := make([]string, len(instances))
	for i, n := range instances {
		paths[i] = w.Node(service, n)
	}
	w.Remove(paths...)
}

// Common are the options of every discovery of this world, and opts. The guard, which holds what ZooKeeper no longer lists, is off: World.Guarded
// has it.
func (w *World) Common(opts ...zkdiscovery.Option) []zkdiscovery.Option {
	return slices.Concat(w.Options(), []zkdiscovery.Option{
		zkdiscovery.WithCacheDir(w.Dir), zkdiscovery.WithLogger(w.Logbook.Logger()), zkdiscovery.WithoutGuard(),
	}, opts)
}

// Discover is zkdiscovery.New, closed with the test.
func (w *World) Discover(service string, opts ...zkdiscovery.Option) *zkdiscovery.Discovery {
	w.Helper()
	d, err := zkdiscovery.New(w.Base, service, w.Servers(), w.Common(opts...)...)
	Must(w, err)
	w.Cleanup(d.Close)
	return d
}

// Guarded is zkdiscovery.New with the guard, closed with the test. Where g has no Probe, the fleet is asked.
func (w *World) Guarded(service string, f *Fleet, g zkdiscovery.Guard, opts ...zkdiscovery.Option) *zkdiscovery.Discovery {
	w.Helper()
	if g.Probe == nil {
		g.Probe = f.Probe
	}
	d, err := zkdiscovery.New(w.Base, service, w.Servers(), slices.Concat(w.Options(), []zkdiscovery.Option{
		zkdiscovery.WithCacheDir(w.Dir), zkdiscovery.WithLogger(w.Logbook.Logger()), zkdiscovery.WithGuard(g),
	}, opts)...)
	Must(w, err)
	w.Cleanup(d.Close)
	return d
}

// Template is zkdiscovery.NewTemplate, closed with the test.
func (w *World) Template(opts ...zkdiscovery.Option) *zkdiscovery.Discovery {
	w.Helper()
	d, err := zkdiscovery.NewTemplate(w.Base, w.Servers(), w.Common(opts...)...)
	Must(w, err)
	w.Cleanup(d.Close)
	return d
}

// Clone is d.Clone, as a Discovery.
func (w *World) Clone(d client.ServiceDiscovery, service string) *zkdiscovery.Discovery {
	w.Helper()
	c, err := d.Clone(service)
	Must(w, err)
	return c.(*zkdiscovery.Discovery)
}

// Eventually waits until ok. In a bubble that is exact; elsewhere it polls, with a deadline.
func (w *World) Eventually(what string, ok func() bool) {
	w.Helper()
	w.Within(w.Patience(), what, ok)
}

// Within is Eventually with a limit of its own. It returns how long it took.
func (w *World) Within(limit time.Duration, what string, ok func() bool) time.Duration {
	w.Helper()
	began := time.Now()
	if !w.until(limit, ok) {
		w.Fatalf("not within %v: %s", limit, what)
	}
	return time.Since(began)
}

func (w *World) until(limit time.Duration, ok func() bool) bool {
	for end := time.Now().Add(limit); !ok(); w.Wait() {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// Equal waits until d lists what ZooKeeper has, live.
func (w *World) Equal(d *zkdiscovery.Discovery, service string) {
	w.Helper()
	want := w.Children(w.Service(service))
	if !w.until(w.Patience(), func() bool {
		return d.Snapshot().Source == zkdiscovery.Live && maps.Equal(Listed(d.GetServices()), want)
	}) {
		w.Fatalf("after %v the list is not ZooKeeper's (-ZooKeeper +list):\n%s\n%v", w.Patience(),
			cmp.Diff(want, Listed(d.GetServices())), d.Status())
	}
}

// Lists fails the test unless d lists exactly want, now.
func (w *World) Lists(d client.ServiceDiscovery, want map[string]string) {
	w.Helper()
	if diff := cmp.Diff(want, Listed(d.GetServices())); diff != "" {
		w.Fatalf("list (-want +got):\n%s", diff)
	}
}

// Source fails the test unless d's list comes from want, now.
func (w *World) Source(d *zkdiscovery.Discovery, want zkdiscovery.Source) {
	w.Helper()
	if got := d.Snapshot().Source; got != want {
		w.Fatalf("source is %v, want %v: %v", got, want, d.Status())
	}
}

// Held fails the test unless n are held, now, by the snapshot and the status.
func (w *World) Held(d *zkdiscovery.Discovery, n int) {
	w.Helper()
	if got, st := len(d.Snapshot().Held), d.Status(); got != n || st.Held != n {
		w.Fatalf("%d held, the status says %d, want %d: %v", got, st.Held, n, st)
	}
}

// WipeOut is an outage that is longer than every session and ends with a ZooKeeper that knows nothing. It is for scenarios in a bubble.
func (w *World) WipeOut() {
	w.Stop()
	Pass(time.Minute)
	w.Wipe()
	w.Start()
}
