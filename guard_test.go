package holdfast_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// O7: a sudden loss of many or all instances is suspected, not obeyed. What a real outage does to real servers is in guard_real_test.go.

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

func TestO7AnOutageOfTheRegistryIsNoneOfTheService(t *testing.T) {
	inBubble(t, func(t *world, zk *zktest.Server) {
		f := newFleet()
		all := t.register("Arith", between(0, 20)...)
		d := t.guarded("Arith", f, zkdiscovery.Guard{})
		watcher := follow(t.T, d)
		pass(time.Minute)
		before, err := t.file("Arith")
		must(t.T, err)
		if n, _, _ := f.probes(); n > 0 {
			t.Errorf("%d probes although nobody is held", n)
		}

		wipeOut(t, zk)
		pass(15 * time.Second)
		t.source(d, zkdiscovery.Live)
		t.lists(d, all)
		t.held(d, 20)
		if since := t.heldInFile("Arith"); len(since) != 20 {
			t.Errorf("the file says of %d that they are held", len(since))
		}
		if s, _ := t.file("Arith"); s.Era != before.Era || s.Lineage != before.Lineage {
			t.Errorf("the new history is in the file (era %d, was %d) before it was accepted", s.Era, before.Era)
		}
		for i := range 20 { // the servers come back, at their leisure
			pass(1500 * time.Millisecond)
			t.register("Arith", i)
		}
		pass(time.Second)
		t.lists(d, all)
		t.held(d, 0)
		t.neverLess(watcher, 20)
		pass(5 * time.Second)
		if s, err := t.file("Arith"); err != nil || s.Era <= before.Era || len(t.heldInFile("Arith")) > 0 || len(s.Servers) != 20 {
			t.Errorf("afterwards the file has era %d (was %d), %d instances, %d held: %v", s.Era, before.Era, len(s.Servers), len(t.heldInFile("Arith")), err)
		}
		edges := t.log.edges()
		if begin, end := count(edges, "has lost many"), count(edges, "nobody is held any more"); begin != 1 || end != 1 {
			t.Errorf("%d lines say that a hold begins and %d that it ends: %q", begin, end, edges)
		}
		probes, _, _ := f.probes()
		pass(time.Hour)
		if n, _, _ := f.probes(); n > probes {
			t.Errorf("%d probes after nobody was held any more", n-probes)
		}
	})
}

func TestO7WithoutTheGuardAnOutageOfTheRegistryIsObeyed(t *testing.T) {
	inBubble(t, func(t *world, zk *zktest.Server) {
		t.register("Arith", between(0, 20)...)
		d := t.discover("Arith")
		wipeOut(t, zk)
		pass(15 * time.Second)
		t.source(d, zkdiscovery.Live)
		t.lists(d, map[string]string{})
	})
}

func TestO7TheDeadAreOutWithinSecondsAndTheOthersStay(t *testing.T) {
	inBubble(t, func(t *world, zk *zktest.Server) {
		f := newFleet()
		all := t.register("Arith", between(0, 20)...)
		d := t.guarded("Arith", f, zkdiscovery.Guard{})
		watcher := follow(t.T, d)
		f.become(refuses, between(0, 4)...)
		f.become(isBlackHole, between(4, 8)...)
		for i := range 8 {
			delete(all, instance(i))
		}
		wipeOut(t, zk)
		t.eventually("ZooKeeper answers", func() bool { return d.Snapshot().Source == zkdiscovery.Live })
		pass(5 * time.Second)
		t.lists(d, all)
		t.held(d, 12)
		t.neverLess(watcher, 12)
		pass(24 * time.Hour) // servers that do not come back to ZooKeeper by themselves: there are such
		t.lists(d, all)
		if s, err := t.file("Arith"); err != nil || len(s.Servers) != 20 || time.Since(s.AsOf) > 20*time.Minute {
			t.Errorf("while somebody is held the file has %d instances of 20, confirmed %v ago: %v", len(s.Servers), time.Since(s.AsOf), err)
		}
		newcomer := t.register("Arith", 100)
		pass(5 * time.Second)
		maps.Copy(all, newcomer)
		t.lists(d, all)
		if t.saved("Arith")[instance(100)] == "" {
			t.Error("an addition is not in the file because somebody is held")
		}
		f.become(refuses, between(8, 20)...)
		pass(15 * time.Second)
		t.lists(d, newcomer)
		t.held(d, 0)
		if diff := t.saved("Arith"); !maps.Equal(diff, newcomer) {
			t.Errorf("nobody is held, and the file has %v", diff)
		}
	})
}

func TestO7ALossIsHeldHoweverItComes(t *testing.T) {
	for name, loss := range map[string]func(*world, *zktest.Server){
		"at once":                 func(t *world, _ *zktest.Server) { t.lose("Arith", between(0, 20)...) },
		"with the sessions":       func(t *world, zk *zktest.Server) { t.lose("Arith", between(1, 20)...); zk.ExpireAll() },
		"with the path":           func(t *world, _ *zktest.Server) { t.lose("Arith", between(0, 20)...); t.remove(t.service("Arith")) },
		"all but one":             func(t *world, _ *zktest.Server) { t.lose("Arith", between(0, 19)...) },
		"by a backup":             func(_ *world, zk *zktest.Server) { zk.Rollback() },
		"in a trickle":            func(t *world, _ *zktest.Server) { trickle(t, 20, 300*time.Millisecond) },
		"one after a reconnect":   func(t *world, zk *zktest.Server) { zk.DropConnections(); pass(3 * time.Second); t.lose("Arith", 7) },
		"by a wipe, one is there": func(t *world, zk *zktest.Server) { t.stop(); zk.Wipe(); t.register("Arith", 3); t.start() },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *world, zk *zktest.Server) {
				f := newFleet()
				t.put(t.service("Arith"), "")
				zk.Checkpoint()
				all := t.register("Arith", between(0, 20)...)
				d := t.guarded("Arith", f, zkdiscovery.Guard{})
				watcher := follow(t.T, d)
				pass(time.Minute)
				loss(t, zk)
				pass(30 * time.Second)
				t.source(d, zkdiscovery.Live)
				t.lists(d, all)
				t.held(d, 20-len(t.children(t.service("Arith"))))
				pass(time.Hour)
				floor := 20
				if name == "in a trickle" {
					floor = 10 // until it is seen to be more than half
				}
				t.neverLess(watcher, floor)
				t.lists(d, all)
				f.become(refuses, between(0, 20)...)
				pass(20 * time.Second)
				t.lists(d, t.children(t.service("Arith")))
				t.held(d, 0)
			})
		})
	}
}

// trickle removes n, one by one.
func trickle(w *world, n int, every time.Duration) {
	for i := range n {
		w.lose("Arith", i)
		pass(every)
	}
}

func TestO7FewAndGoodbyesPassAtOnce(t *testing.T) {
	inBubble(t, func(t *world, _ *zktest.Server) {
		f := newFleet()
		t.register("Arith", between(0, 20)...)
		d := t.guarded("Arith", f, zkdiscovery.Guard{})
		pass(time.Minute)
		t.lose("Arith", between(0, 9)...)
		pass(time.Second)
		t.lists(d, t.children(t.service("Arith")))
		pass(time.Minute)
		for i := 9; i < 20; i++ { // a drain
			t.set(t.service("Arith")+"/"+instance(i), "state=inactive")
		}
		pass(time.Second)
		t.lose("Arith", between(9, 20)...)
		pass(time.Second)
		t.lists(d, map[string]string{})
		if n, _, _ := f.probes(); n > 0 {
			t.Errorf("%d probes", n)
		}
		if saved := t.saved("Arith"); len(saved) > 0 {
			t.Errorf("the file has %v", saved)
		}
	})
}

func TestO7ACrashLoopDoesNotRenewAHold(t *testing.T) {
	inBubble(t, func(t *world, _ *zktest.Server) {
		f := newFleet()
		f.become(cannotBeAsked, between(0, 4)...)
		all := t.register("Arith", between(0, 4)...)
		d := t.guarded("Arith", f, zkdiscovery.Guard{})
		pass(time.Minute)
		t.lose("Arith", between(0, 4)...)
		pass(5 * time.Second)
		t.lists(d, all)
		since := t.heldInFile("Arith")
		for range 4 {
			d.Close()
			d = t.guarded("Arith", f, zkdiscovery.Guard{})
			pass(15 * time.Second)
			if now := t.heldInFile("Arith"); len(now) > 0 && !maps.EqualFunc(since, now, time.Time.Equal) {
				t.Errorf("held since %v, and after a restart since %v", since, now)
			}
		}
		pass(15 * time.Second)
		t.lists(d, map[string]string{})
		if saved := t.saved("Arith"); len(saved) > 0 {
			t.Errorf("the file has %v still", saved)
		}
	})
}

func TestO7AStartRightAfterAWipeKeepsWhoAnswersAndTheFile(t *testing.T) {
	inBubble(t, func(t *world, zk *zktest.Server) {
		f := newFleet()
		all := t.register("Arith", between(0, 20)...)
		withFile(t, "Arith")
		zk.Wipe()
		f.become(refuses, between(0, 5)...)
		f.become(isBlackHole, between(5, 10)...)
		for i := range 10 {
			delete(all, instance(i))
		}
		var mu sync.Mutex
		shortest := 20
		d := t.guarded("Arith", f, zkdiscovery.Guard{}, zkdiscovery.WithObserver(zkdiscovery.Observer{Saved: func(s zkdiscovery.Saved) {
			mu.Lock()
			defer mu.Unlock()
			shortest = min(shortest, s.Instances)
		}}))
		watcher := follow(t.T, d)
		pass(5 * time.Second)
		t.source(d, zkdiscovery.Live)
		t.lists(d, all)
		t.held(d, 10)
		for _, list := range watcher.heard() {
			for i := range 10 {
				if _, there := list[instance(i)]; there {
					t.Fatalf("%s has never answered and is in the list", instance(i))
				}
			}
		}
		pass(time.Hour)
		t.lists(d, all)
		mu.Lock()
		defer mu.Unlock()
		if shortest < 20 {
			t.Errorf("a list of %d was saved over one of 20 while somebody is held", shortest)
		}
		if saved := t.saved("Arith"); len(saved) != 20 {
			t.Errorf("the file has %d", len(saved))
		}
	})
}

func TestO7AStartFromTheFileKeepsItsListWhenZooKeeperComesBackEmpty(t *testing.T) {
	for name, comeBack := range map[string]func(*world, *zktest.Server){
		"wiped":   func(_ *world, zk *zktest.Server) { zk.Wipe() },
		"expired": func(t *world, _ *zktest.Server) { t.lose("Arith", between(0, 20)...) },
		"one is gone": func(t *world, _ *zktest.Server) {
			t.lose("Arith", 3)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *world, zk *zktest.Server) {
				f := newFleet()
				all := t.register("Arith", between(0, 20)...)
				withFile(t, "Arith")
				t.stop()
				d := t.guarded("Arith", f, zkdiscovery.Guard{})
				t.source(d, zkdiscovery.File)
				watcher := follow(t.T, d)
				pass(time.Hour)
				comeBack(t, zk)
				t.start()
				pass(time.Minute)
				t.source(d, zkdiscovery.Live)
				t.lists(d, all)
				t.held(d, 20-len(t.children(t.service("Arith"))))
				t.neverLess(watcher, 20)
			})
		})
	}
}

func TestO7TheEndOfAnOverrideIsNoLoss(t *testing.T) {
	inBubble(t, func(t *world, _ *zktest.Server) {
		f := newFleet()
		all := t.register("Arith", between(0, 2)...)
		d := t.guarded("Arith", f, zkdiscovery.Guard{})
		pass(time.Minute)
		override := d.Status().OverrideFile
		must(t.T, os.WriteFile(override, []byte(`{"servers": [{"key": "tcp@127.0.0.9:1"}, {"key": "tcp@127.0.0.9:2"}, {"key": "tcp@127.0.0.9:3"}]}`), 0o600))
		pass(time.Minute)
		t.source(d, zkdiscovery.Override)
		must(t.T, os.Remove(override))
		pass(time.Minute)
		t.source(d, zkdiscovery.Live)
		t.lists(d, all)
		if n, _, _ := f.probes(); n > 0 {
			t.Errorf("%d probes", n)
		}
	})
}

func TestO7TheDeadOfAnOldFileAreNeverListed(t *testing.T) {
	inBubble(t, func(t *world, zk *zktest.Server) {
		f := newFleet()
		t.register("Arith", between(0, 20)...)
		withFile(t, "Arith")
		pass(30 * 24 * time.Hour)
		t.lose("Arith", between(0, 20)...)
		f.become(refuses, between(0, 10)...)
		f.become(isBlackHole, between(10, 20)...)
		t.register("Arith", between(20, 25)...)
		for _, history := range []func(){func() {}, func() { zk.Wipe(); t.register("Arith", between(20, 25)...) }} {
			history()
			d := t.guarded("Arith", f, zkdiscovery.Guard{})
			watcher := follow(t.T, d)
			pass(time.Hour)
			for _, list := range watcher.heard() {
				if !maps.Equal(list, t.children(t.service("Arith"))) {
					t.Errorf("listed: %v", list)
				}
			}
			if saved := t.saved("Arith"); len(saved) != 5 {
				t.Errorf("the file has %d of five", len(saved))
			}
			watcher.stop()
			d.Close()
		}
	})
}

func TestO7AProbeThatPanicsOrHangsIsNoAnswer(t *testing.T) {
	for name, misbehave := range map[string]func(release <-chan struct{}) error{
		"panics": func(<-chan struct{}) error { panic("probe") },
		"hangs":  func(release <-chan struct{}) error { <-release; return nil },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *world, _ *zktest.Server) {
				release := make(chan struct{})
				f := newFleet()
				f.become(func(context.Context) error { return misbehave(release) }, between(0, 10)...)
				all := t.register("Arith", between(0, 20)...)
				d := t.guarded("Arith", f, zkdiscovery.Guard{})
				t.lose("Arith", between(0, 20)...)
				for i := range 10 {
					delete(all, instance(i))
				}
				pass(10 * time.Second)
				t.lists(d, all)
				t.register("Arith", 30)
				pass(time.Second)
				all[instance(30)] = "n=1"
				t.lists(d, all)
				began := time.Now()
				d.Close()
				if took := time.Since(began); took > 0 {
					t.Errorf("Close waits %v for a probe", took)
				}
				close(release)
			})
		})
	}
}
