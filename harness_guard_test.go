package holdfast_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// What the guard's tests have in common: instances that answer probes as they are told, and ways to lose them.

// fleet is who answers the guard's probes, and what was asked.
type fleet struct {
	mu    sync.Mutex
	fate  map[string]func(context.Context) error // by address; nil: answers
	asked map[string][]time.Time
	under map[context.Context]bool // the probes that somebody waits for
	most  int                      // of them at once
}

func newFleet() *fleet {
	return &fleet{fate: make(map[string]func(context.Context) error), asked: make(map[string][]time.Time), under: make(map[context.Context]bool)}
}

var errRefused = errors.New("connection refused")

func refuses(context.Context) error { return errRefused }

func isBlackHole(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

func cannotBeAsked(context.Context) error {
	return fmt.Errorf("no such network: %w", errors.ErrUnsupported)
}

// become decides what the i-th instances do when they are asked from now on.
func (f *fleet) become(fate func(context.Context) error, instances ...int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, i := range instances {
		f.fate[strings.TrimPrefix(instance(i), "tcp@")] = fate
	}
}

func (f *fleet) probe(ctx context.Context, network, address string) error {
	f.mu.Lock()
	key := network + "@" + address
	f.asked[key] = append(f.asked[key], time.Now())
	maps.DeleteFunc(f.under, func(c context.Context, _ bool) bool { return c.Err() != nil })
	f.under[ctx] = true
	f.most = max(f.most, len(f.under))
	fate := f.fate[address]
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.under, ctx)
	}()
	if fate == nil {
		return nil
	}
	return fate(ctx)
}

// probes is how often anybody was asked, how many at once, and the shortest time between two probes of one instance.
func (f *fleet) probes() (n, atOnce int, shortest time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	shortest = time.Hour
	for _, at := range f.asked {
		n += len(at)
		for i := 1; i < len(at); i++ {
			shortest = min(shortest, at[i].Sub(at[i-1]))
		}
	}
	return n, f.most, shortest
}

// between are the numbers from from to to-1.
func between(from, to int) (numbers []int) {
	for i := from; i < to; i++ {
		numbers = append(numbers, i)
	}
	return numbers
}

// register makes the instances' nodes, which is what servers do.
func (w *world) register(service string, instances ...int) map[string]string {
	w.Helper()
	list := make(map[string]string)
	for _, i := range instances {
		w.put(w.service(service)+"/"+instance(i), "n=1")
		list[instance(i)] = "n=1"
	}
	return list
}

// lose removes them.
func (w *world) lose(service string, instances ...int) {
	w.Helper()
	paths := make([]string, len(instances))
	for i, n := range instances {
		paths[i] = w.service(service) + "/" + instance(n)
	}
	w.remove(paths...)
}

// guarded is zkdiscovery.New with the guard, closed with the test. A nil Probe asks the fleet.
func (w *world) guarded(service string, f *fleet, g zkdiscovery.Guard, opts ...zkdiscovery.Option) *zkdiscovery.Discovery {
	w.Helper()
	if g.Probe == nil {
		g.Probe = f.probe
	}
	d, err := zkdiscovery.New(w.base, service, w.servers(), slices.Concat(w.options(), []zkdiscovery.Option{
		zkdiscovery.WithCacheDir(w.dir), zkdiscovery.WithLogger(w.log.logger()), zkdiscovery.WithGuard(g),
	}, opts)...)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(d.Close)
	return d
}

// held fails the test unless n are held, now, by the snapshot and the status.
func (w *world) held(d *zkdiscovery.Discovery, n int) {
	w.Helper()
	if got, st := len(d.Snapshot().Held), d.Status(); got != n || st.Held != n {
		w.Fatalf("%d held, the status says %d, want %d: %v", got, st.Held, n, st)
	}
}

// heldInFile is since when the file says that whom is held.
func (w *world) heldInFile(service string) map[string]time.Time {
	w.Helper()
	s, err := w.file(service)
	must(w.T, err)
	held := make(map[string]time.Time)
	for _, server := range s.Servers {
		if !server.HeldSince.IsZero() {
			held[server.Key] = server.HeldSince
		}
	}
	return held
}

// wipeOut is an outage that is longer than every session and ends with a ZooKeeper that knows nothing.
func wipeOut(w *world, zk *zktest.Server) {
	w.stop()
	pass(time.Minute)
	zk.Wipe()
	w.start()
}

// neverLess fails the test if a watcher has heard of a list with fewer than n.
func (w *world) neverLess(r *replica, n int) {
	w.Helper()
	for i, list := range r.heard() {
		if len(list) < n {
			w.Fatalf("list %d has %d instances, fewer than %d: %v", i, len(list), n, slices.Sorted(maps.Keys(list)))
		}
	}
}

// trickle removes n, one by one.
func trickle(w *world, n int, every time.Duration) {
	for i := range n {
		w.lose("Arith", i)
		pass(every)
	}
}
