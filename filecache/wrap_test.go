package filecache

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smallnest/rpcx/client"
)

// pass lets d go by in a bubble, and what it sets off come to rest.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// inBubble runs a test of a wrapped discovery, which needs nothing of the outside but files.
func inBubble(t *testing.T, test func(t *testing.T, wrap func(d client.ServiceDiscovery, opts ...Option) client.ServiceDiscovery)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		test(t, func(d client.ServiceDiscovery, opts ...Option) client.ServiceDiscovery {
			w := mustWrap(t, d, dir, append(opts, WithPollingOnly())...)
			synctest.Wait()
			return w
		})
		synctest.Wait()
	})
}

type wrapFunc = func(d client.ServiceDiscovery, opts ...Option) client.ServiceDiscovery

// Hazard B1: rpcx's CacheDiscovery reads its file and throws the result away.
func TestRestartWithoutRegistryServesTheFile(t *testing.T) {
	inBubble(t, func(t *testing.T, wrap wrapFunc) {
		wrap(newSource("tcp@a:1", "tcp@b:1")).Close()

		again := newSource()
		w := wrap(again)
		defer w.Close()
		wantKeys(t, w.GetServices(), "tcp@a:1", "tcp@b:1")
		ch := w.WatchService()
		wantKeys(t, <-ch, "tcp@a:1", "tcp@b:1")

		pass(time.Hour) // silence is not news
		wantKeys(t, w.GetServices(), "tcp@a:1", "tcp@b:1")
		again.say("tcp@c:1")
		wantKeys(t, <-ch, "tcp@c:1")
	})
}

// Hazard B2: a value or a close from below after XClient has closed its channel ends the process.
func TestNothingBelowOrAboveCanMakeItPanic(t *testing.T) {
	inBubble(t, func(t *testing.T, wrap wrapFunc) {
		s := newSource("tcp@a:1")
		w := wrap(s)
		ch := w.WatchService()
		s.updates <- pairs("tcp@b:1") // under way while XClient closes
		w.RemoveWatcher(ch)
		close(ch)
		synctest.Wait()
		wantKeys(t, w.GetServices(), "tcp@b:1")

		close(s.updates) // by its owner: nothing more will come, and nobody must spin on it
		pass(time.Hour)
		wantKeys(t, w.GetServices(), "tcp@b:1")

		w.RemoveWatcher(nil)
		w.RemoveWatcher(make(chan []*client.KVPair))
		w.RemoveWatcher(ch)
		w.Close()
		w.Close()
		wantKeys(t, w.GetServices(), "tcp@b:1")
	})
}

// Hazard B3: one empty list from below, and every client is without servers.
func TestEmptyListIsBelievedOnlyAfterAWhile(t *testing.T) {
	inBubble(t, func(t *testing.T, wrap wrapFunc) {
		s := newSource("tcp@a:1")
		w := wrap(s)
		ch := w.WatchService()
		<-ch

		s.say()
		pass(holdEmpty - time.Second)
		wantKeys(t, w.GetServices(), "tcp@a:1")
		s.say("tcp@b:1") // they are back: all is forgotten
		wantKeys(t, <-ch, "tcp@b:1")
		pass(time.Hour)
		wantKeys(t, w.GetServices(), "tcp@b:1")

		s.say()
		pass(holdEmpty / 2)
		s.say() // saying it again does not make it later
		pass(holdEmpty/2 + time.Second)
		wantKeys(t, w.GetServices())
		wantKeys(t, <-ch)
		w.Close()

		empty := wrap(newSource())
		defer empty.Close()
		if list := empty.GetServices(); list == nil || len(list) != 0 {
			t.Fatalf("the file says %v, want the empty list which was believed in the end", list)
		}
	})
}

// Hazard B4: only a list that is longer than all before it is stored, so after a loss the oldest, longest one comes back.
func TestEveryListIsStoredWhateverItsSize(t *testing.T) {
	inBubble(t, func(t *testing.T, wrap wrapFunc) {
		s := newSource("tcp@a:1", "tcp@b:1", "tcp@c:1")
		w := wrap(s)
		path := w.(*fileBacked).cache.Path()
		for _, keys := range [][]string{{"tcp@d:1", "tcp@e:1", "tcp@f:1"}, {"tcp@g:1"}} {
			s.say(keys...)
			pass(2 * saveSpacing)
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			file, err := decode(data)
			if err != nil {
				t.Fatal(err)
			}
			wantKeys(t, listOf(file), keys...)
		}
		w.Close()
		w = wrap(newSource())
		defer w.Close()
		wantKeys(t, w.GetServices(), "tcp@g:1")
	})
}

// Hazard B5: Clone is the embedded discovery's, so OneClient never sees the cache. And when the registry is away Clone fails, whereupon
// OneClient.Close dereferences nil (C4).
func TestCloneHasAFileOfItsOwnAndNeedsNoRegistry(t *testing.T) {
	inBubble(t, func(t *testing.T, wrap wrapFunc) {
		down := errors.New("registry away")
		services := map[string]*source{"/rpcx/A": newSource("tcp@a:1"), "/rpcx/B": newSource("tcp@b:1")}
		template := newSource()
		var away atomic.Bool
		template.clone = func(servicePath string) (client.ServiceDiscovery, error) {
			if away.Load() {
				return nil, down
			}
			return services[servicePath], nil
		}
		w := wrap(template)
		for path, want := range map[string]string{"/rpcx/A": "tcp@a:1", "/rpcx/B": "tcp@b:1"} {
			clone, err := w.Clone(path)
			if err != nil {
				t.Fatal(err)
			}
			wantKeys(t, clone.GetServices(), want)
		}
		w.Close() // ends the clones
		for path, s := range services {
			if s.closed != 1 || s.removed != 1 {
				t.Fatalf("%s: closed %d times, watcher removed %d times, want once each", path, s.closed, s.removed)
			}
		}

		away.Store(true)
		services["/rpcx/A"] = newSource("tcp@a:1", "tcp@a:2")
		w = wrap(template)
		defer w.Close()
		clone, err := w.Clone("/rpcx/A")
		if err != nil {
			t.Fatal(err)
		}
		ch := clone.WatchService()
		wantKeys(t, <-ch, "tcp@a:1") // the file's
		pass(10 * time.Minute)
		away.Store(false)
		pass(maxConnectDelay)
		wantKeys(t, <-ch, "tcp@a:1", "tcp@a:2")
		clone.Close()
	})
}

// Hazard B6: a goroutine is lost with each XClient; a discovery without updates (Peer2Peer) loses one at once.
func TestSourceIsAskedOnceWhateverComesAndGoes(t *testing.T) {
	inBubble(t, func(t *testing.T, wrap wrapFunc) {
		s := newSource("tcp@a:1")
		w := wrap(s)
		for range 50 {
			ch := w.WatchService()
			<-ch
			w.RemoveWatcher(ch)
			close(ch)
		}
		w.Close()
		if s.gets != 1 || s.watches != 1 || s.removed != 1 || s.closed != 1 {
			t.Fatalf("%d gets, %d watches, %d removed, %d closed: want one of each", s.gets, s.watches, s.removed, s.closed)
		}

		silent := newSource("tcp@a:1")
		silent.updates = nil
		w = wrap(silent)
		wantKeys(t, w.GetServices(), "tcp@a:1")
		pass(time.Hour)
		w.Close() // the bubble fails if a goroutine is left
	})
}

// Hazard B7: one file for all services, written in place, its errors ignored, and a read-only disk panics.
func TestFileTroubleChangesNothingElse(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	synctest.Test(t, func(t *testing.T) {
		logs := &lines{}
		s := newSource("tcp@a:1")
		w := mustWrap(t, s, dir, WithPollingOnly(), WithLogger(logs.logger()))
		defer synctest.Wait()
		defer w.Close()
		synctest.Wait()
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		write(t, dir, "in the way")
		ch := w.WatchService()
		<-ch
		for range 50 { // less than restampSpacing, after which anything is saved
			s.say("tcp@b:1")
			wantKeys(t, <-ch, "tcp@b:1")
			s.say("tcp@c:1")
			wantKeys(t, <-ch, "tcp@c:1")
			pass(10 * time.Second)
		}
		s.say("tcp@a:1") // what was saved last; and yet the next save must not be an older list's
		wantKeys(t, <-ch, "tcp@a:1")
		if n := logs.count("cannot be saved"); n != 1 {
			t.Fatalf("%d lines about one failure that lasts:\n%s", n, logs)
		}
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
		pass(saveRetry) // nothing new need come for it to be tried again
		if file, err := mustOpenWrapped(t, dir).Load(); err != nil {
			t.Fatal(err)
		} else {
			wantKeys(t, listOf(file), "tcp@a:1")
		}
		if logs.count("saved again") != 1 {
			t.Fatalf("nobody says that the file is written again:\n%s", logs)
		}
	})
}

// mustOpenWrapped opens the file of what mustWrap has wrapped without a name.
func mustOpenWrapped(tb testing.TB, dir string) *Cache {
	tb.Helper()
	c, err := Open(dir, "*filecache.source", defaultService)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func TestFilterTakesEffectAtOnceAndIsInherited(t *testing.T) {
	inBubble(t, func(t *testing.T, wrap wrapFunc) {
		s := newSource("tcp@a:1", "tcp@b:1")
		s.clone = func(string) (client.ServiceDiscovery, error) { return newSource("tcp@a:2", "tcp@b:2"), nil }
		w := wrap(s)
		defer w.Close()
		ch := w.WatchService()
		<-ch
		noB := func(kv *client.KVPair) bool {
			kv.Value = "spoilt" // a copy
			return !strings.Contains(kv.Key, "b")
		}
		w.SetFilter(noB)
		wantKeys(t, w.GetServices(), "tcp@a:1")
		if list := <-ch; len(list) != 1 || list[0].Value != "weight=5" {
			t.Fatalf("the watcher has %v", keysOf(list))
		}
		s.say("tcp@a:1", "tcp@b:1", "tcp@c:1")
		wantKeys(t, <-ch, "tcp@a:1", "tcp@c:1")

		clone, err := w.Clone("other")
		if err != nil {
			t.Fatal(err)
		}
		wantKeys(t, clone.GetServices(), "tcp@a:2")

		w.SetFilter(func(*client.KVPair) bool { panic("filter") })
		wantKeys(t, <-ch, "tcp@a:1", "tcp@b:1", "tcp@c:1")
		w.SetFilter(func(kv *client.KVPair) bool { return len(w.GetServices()) > 0 }) // may ask: no lock is held
		w.SetFilter(nil)

		pass(2 * saveSpacing)
		file, err := w.(*fileBacked).cache.Load()
		if err != nil {
			t.Fatal(err)
		}
		wantKeys(t, listOf(file), "tcp@a:1", "tcp@b:1", "tcp@c:1") // stored unfiltered
	})
}

// A filter that takes its time must not bring back what has been replaced meanwhile.
func TestSlowFilterDoesNotUndoALaterOne(t *testing.T) {
	inBubble(t, func(t *testing.T, wrap wrapFunc) {
		w := wrap(newSource("tcp@a:1", "tcp@b:1"))
		defer w.Close()
		release := make(chan struct{})
		go w.SetFilter(func(*client.KVPair) bool { <-release; return false })
		synctest.Wait()
		w.SetFilter(func(kv *client.KVPair) bool { return kv.Key == "tcp@b:1" })
		wantKeys(t, w.GetServices(), "tcp@b:1")
		close(release)
		synctest.Wait()
		wantKeys(t, w.GetServices(), "tcp@b:1")
	})
}

func TestOverrideStandsAboveTheSource(t *testing.T) {
	inBubble(t, func(t *testing.T, wrap wrapFunc) {
		s := newSource("tcp@a:1")
		w := wrap(s)
		path := w.(*fileBacked).cache.OverridePath()
		ch := w.WatchService()
		<-ch
		write(t, path, `["tcp@9.9.9.9:1"]`)
		pass(2 * pollInterval)
		wantKeys(t, <-ch, "tcp@9.9.9.9:1")
		s.say("tcp@b:1")
		pass(2 * pollInterval)
		wantKeys(t, w.GetServices(), "tcp@9.9.9.9:1")
		w.Close()

		again := newSource("tcp@b:1")
		w = wrap(again)
		defer w.Close()
		wantKeys(t, w.GetServices(), "tcp@9.9.9.9:1") // from the first moment
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		pass(2 * pollInterval)
		wantKeys(t, w.GetServices(), "tcp@b:1")
		file, err := w.(*fileBacked).cache.Load()
		if err != nil {
			t.Fatal(err)
		}
		wantKeys(t, listOf(file), "tcp@b:1") // the override is never stored
	})
}

// C1: all methods at once, from anywhere, and Close among them.
func TestEverythingAtOnce(t *testing.T) {
	s := newSource("tcp@a:1")
	s.clone = func(string) (client.ServiceDiscovery, error) { return newSource("tcp@b:1"), nil }
	w := mustWrap(t, s, t.TempDir())
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 20 {
				ch := w.WatchService()
				w.SetFilter(func(kv *client.KVPair) bool { return n%2 == 0 })
				_ = w.GetServices()
				clone, err := w.Clone(fmt.Sprintf("/rpcx/%d", n%3))
				if err != nil {
					t.Error(err)
					continue
				}
				cch := clone.WatchService()
				if n%4 != 0 {
					clone.RemoveWatcher(cch)
					clone.Close()
				}
				w.RemoveWatcher(ch)
				close(ch)
				if i == 0 && n == 10 {
					w.Close()
				}
			}
		})
	}
	wg.Wait()
	w.Close()
	if w.GetServices() == nil {
		t.Error("the last list is gone")
	}
}

func TestNothingIsSaidTwice(t *testing.T) {
	inBubble(t, func(t *testing.T, wrap wrapFunc) {
		s := newSource("tcp@a:1", "tcp@b:1")
		w := wrap(s)
		defer w.Close()
		ch := w.WatchService()
		<-ch
		s.updates <- pairs("tcp@b:1", "tcp@a:1") // the same in another order
		synctest.Wait()
		select {
		case list := <-ch:
			t.Fatalf("told again: %q", keysOf(list))
		default:
		}
	})
}

func TestListsBelongToTheirReceivers(t *testing.T) {
	inBubble(t, func(t *testing.T, wrap wrapFunc) {
		s := newSource("tcp@a:1", "tcp@b:1")
		w := wrap(s)
		defer w.Close()
		one, two := w.WatchService(), w.WatchService()
		a, b, c := <-one, <-two, w.GetServices()
		slices.Reverse(a)
		b[0] = nil
		clear(c)
		s.list[0].Key = "changed below"
		wantKeys(t, w.GetServices(), "tcp@a:1", "tcp@b:1")
	})
}

// A clock that was ahead when the file was written must not keep later lists out of it.
func TestClockSetBackDoesNotStopTheSaves(t *testing.T) {
	inBubble(t, func(t *testing.T, wrap wrapFunc) {
		s := newSource("tcp@a:1")
		w := wrap(s)
		cache := w.(*fileBacked).cache
		future := Snapshot{AsOf: time.Now().Add(1000 * time.Hour), Servers: []Server{{Key: "tcp@old:1"}}}
		mustSave(t, cache, future)
		s.say("tcp@b:1")
		pass(2 * saveSpacing)
		file, err := cache.Load()
		if err != nil {
			t.Fatal(err)
		}
		wantKeys(t, listOf(file), "tcp@b:1")
		w.Close()
	})
}

func TestClosedTemplateClonesSomethingInert(t *testing.T) {
	inBubble(t, func(t *testing.T, wrap wrapFunc) {
		w := wrap(newSource("tcp@a:1"))
		w.Close()
		clone, err := w.Clone("/rpcx/A")
		if err != nil || clone == nil {
			t.Fatalf("clone %v, %v: OneClient cannot bear nil", clone, err)
		}
		if list := clone.GetServices(); len(list) != 0 {
			t.Fatalf("it lists %q", keysOf(list))
		}
		ch := clone.WatchService()
		clone.RemoveWatcher(ch)
		clone.SetFilter(nil)
		clone.Close()
	})
}

func TestWrapRefusesWhatCannotWork(t *testing.T) {
	_, err := Wrap(nil, "", WithMaxAge(-time.Second))
	for _, part := range []string{"nothing to wrap", "directory", "WithMaxAge(-1s)"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error %v does not mention %q", err, part)
		}
	}
}
