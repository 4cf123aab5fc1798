package filecache

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/tests/bubbles"
)

// pass lets d go by in a bubble, and what it sets off come to rest.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// refuses is the network of tests that are not about the guard: nobody is there.
func refuses(context.Context, string, string) error { return errors.New("connection refused") }

// inBubble runs a test of a wrapped discovery, which needs nothing of the outside but files.
func inBubble(t *testing.T, test func(t *testing.T, wrap func(d client.ServiceDiscovery, opts ...Option) client.ServiceDiscovery)) {
	t.Helper()
	dir := t.TempDir()
	bubbles.Test(t, func(t *testing.T) {
		test(t, func(d client.ServiceDiscovery, opts ...Option) client.ServiceDiscovery {
			w := mustWrap(t, d, dir, slices.Concat([]Option{WithPollingOnly(), WithGuard(Guard{Probe: refuses, HoldUnprobed: 3 * time.Second})}, opts)...)
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
		wantKeys(t, <-ch, "tcp@a:1", "tcp@b:1", "tcp@c:1") // the others are asked first
		pass(5 * time.Second)
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

// Hazard B4: only a list that is longer than all before it is stored, so after a loss the oldest, longest one comes back.
func TestEveryListIsStoredWhateverItsSize(t *testing.T) {
	inBubble(t, func(t *testing.T, wrap wrapFunc) {
		s := newSource("tcp@a:1", "tcp@b:1", "tcp@c:1")
		w := wrap(s)
		path := w.(*fileBacked).cache.Path()
		for _, keys := range [][]string{{"tcp@d:1", "tcp@e:1", "tcp@f:1"}, {"tcp@g:1"}} {
			s.say(keys...)
			pass(10 * saveGap)
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
	bubbles.Test(t, func(t *testing.T) {
		logs := &lines{}
		s := newSource("tcp@a:1")
		w := mustWrap(t, s, dir, WithPollingOnly(), WithLogger(logs.logger()), WithoutGuard())
		defer synctest.Wait()
		defer w.Close()
		synctest.Wait()
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		write(t, dir, "in the way")
		ch := w.WatchService()
		<-ch
		for range 50 {
			s.say("tcp@b:1")
			wantKeys(t, <-ch, "tcp@b:1")
			s.say("tcp@c:1")
			wantKeys(t, <-ch, "tcp@c:1")
			pass(10 * time.Second)
		}
		s.say("tcp@a:1") // what was saved last; and yet the next save must not be an older list's
		wantKeys(t, <-ch, "tcp@a:1")
		if n := logs.count("level=ERROR msg=\"cache file not written"); n != 1 {
			t.Fatalf("%d lines about one failure that lasts:\n%s", n, logs)
		}
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
		pass(maxRetry) // nothing new need come for it to be tried again
		if file, err := mustOpenWrapped(t, dir).Load(); err != nil {
			t.Fatal(err)
		} else {
			wantKeys(t, listOf(file), "tcp@a:1")
		}
		if logs.count("written again") != 1 {
			t.Fatalf("nobody says that the file is written again:\n%s", logs)
		}
	})
}

// mustOpenWrapped opens the file of what mustWrap has wrapped without a name.
func mustOpenWrapped(tb testing.TB, dir string) *Cache {
	tb.Helper()
	c, err := Open(dir, "filecache.source", defaultService)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}
