package filecache

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/internal/drive"
	"github.com/holdfast-go/holdfast/internal/watchers"
)

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

func isDead(context.Context) error            { return errors.New("connection refused") }
func isBlackHole(ctx context.Context) error   { <-ctx.Done(); return ctx.Err() }
func cannotBeAsked(ctx context.Context) error { return errors.ErrUnsupported }

func (f *fleet) become(fate func(context.Context) error, keys ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, key := range keys {
		f.fate[key] = fate
	}
}

func (f *fleet) probe(ctx context.Context, network, address string) error {
	key := network + "@" + address
	f.mu.Lock()
	f.asked[key] = append(f.asked[key], time.Now())
	maps.DeleteFunc(f.under, func(c context.Context, _ bool) bool { return c.Err() != nil })
	f.under[ctx] = true
	f.most = max(f.most, len(f.under))
	fate := f.fate[key]
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

// probes is how often anybody was asked, and the shortest time between two probes of one server.
func (f *fleet) probes() (n int, shortest time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	shortest = time.Hour
	for _, at := range f.asked {
		n += len(at)
		for i := 1; i < len(at); i++ {
			shortest = min(shortest, at[i].Sub(at[i-1]))
		}
	}
	return n, shortest
}

// named are n servers' keys, sorted.
func named(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("tcp@127.0.0.1:%05d", i)
	}
	return keys
}

// guarded is a wrapped discovery in a bubble, and all that a watcher has heard of it.
type guarded struct {
	t     *testing.T
	fleet *fleet
	s     *source
	client.ServiceDiscovery
	logs  *lines
	heard []watchers.List // by take
	ch    chan []*client.KVPair
}

// guard plays a scenario of the guard's; wrap begins with a source that lists keys.
func inGuardedBubble(t *testing.T, test func(t *testing.T, f *fleet, wrap func(g Guard, keys ...string) *guarded)) {
	t.Helper()
	inBubble(t, func(t *testing.T, wrap wrapFunc) {
		f := newFleet()
		test(t, f, func(g Guard, keys ...string) *guarded {
			if g.Probe == nil {
				g.Probe = f.probe
			}
			w := &guarded{t: t, fleet: f, s: newSource(keys...), logs: &lines{}}
			w.ServiceDiscovery = wrap(w.s, WithGuard(g), WithLogger(w.logs.logger()))
			w.ch = w.WatchService()
			return w
		})
	})
}

// say makes the source list keys, and lets d pass, in which every list is noted.
func (w *guarded) say(d time.Duration, keys ...string) {
	w.s.say(keys...)
	w.pass(d)
}

func (w *guarded) pass(d time.Duration) {
	for end := time.Now().Add(d); ; {
		synctest.Wait()
		select {
		case list := <-w.ch:
			w.heard = append(w.heard, list)
		default:
		}
		if !time.Now().Before(end) {
			return
		}
		time.Sleep(min(time.Until(end), max(d/10_000, drive.PublishGap/2)))
	}
}

func (w *guarded) lists(keys []string) {
	w.t.Helper()
	wantKeys(w.t, w.GetServices(), keys...)
}

// neverLess fails the test if a list had fewer than n.
func (w *guarded) neverLess(n int) {
	w.t.Helper()
	for _, list := range w.heard {
		if len(list) < n {
			w.t.Fatalf("a list had %d servers, fewer than %d", len(list), n)
		}
	}
}

// file is what the file has, and of whom it says since when they are held.
func (w *guarded) file() (keys []string, held map[string]time.Time) {
	w.t.Helper()
	s, err := w.ServiceDiscovery.(*fileBacked).cache.Load()
	if err != nil {
		w.t.Fatal(err)
	}
	held = make(map[string]time.Time)
	for _, server := range s.Servers {
		keys = append(keys, server.Key)
		if !server.HeldSince.IsZero() {
			held[server.Key] = server.HeldSince
		}
	}
	return keys, held
}
