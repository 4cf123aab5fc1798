package filecache

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smallnest/rpcx/client"
)

// wrap_test.go has the hazards of rpcx's CacheDiscovery; here is what else a wrapped discovery promises.

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

		pass(2 * saveGap)
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
	w := mustWrap(t, s, t.TempDir(), WithGuard(Guard{Probe: refuses}))
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
		future := Snapshot{Era: 1, Zxid: 100, AsOf: time.Now().Add(1000 * time.Hour), Servers: []Server{{Key: "tcp@old:1"}}}
		mustSave(t, cache, future)
		s.say("tcp@b:1")
		pass(2 * saveGap)
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

func TestFileIsNamedAfterTheService(t *testing.T) {
	inBubble(t, func(t *testing.T, wrap wrapFunc) {
		for want, opts := range map[string][]Option{
			"filecache.source/default/list.json": nil,
			"filecache.source/Who~c1/list.json":  {WithService("Who")},
			"etcd-2/Who~c1/list.json":            {WithService("Who"), WithEnsemble("etcd-2")},
		} {
			w := wrap(newSource("tcp@a:1"), opts...)
			c := w.(*fileBacked).cache
			if got, err := filepath.Rel(c.dir, c.Path()); err != nil || filepath.ToSlash(got) != want {
				t.Errorf("the file is %s, want %s, %v", got, want, err)
			}
			w.Close()
		}
	})
}

func TestWrapRefusesWhatCannotWork(t *testing.T) {
	for want, opts := range map[string][]Option{
		"nothing to wrap":                  nil,
		"directory":                        nil,
		"WithMaxAge(-1s)":                  {WithMaxAge(-time.Second)},
		"Share 1.5: must be in (0, 1]":     {WithGuard(Guard{Share: 1.5, Hold: -1})},
		"Hold -1ns: must not be negative":  {WithGuard(Guard{Share: 1.5, Hold: -1})},
		"Parallel 1001":                    {WithGuard(Guard{Parallel: 1001})},
		"WithoutGuard contradicts WithGua": {WithGuard(Guard{}), WithoutGuard()},
	} {
		if _, err := Wrap(nil, "", opts...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not mention %q", err, want)
		}
	}
	if _, err := Wrap((*source)(nil), t.TempDir()); err == nil || !strings.Contains(err.Error(), "nothing to wrap") {
		t.Errorf("Wrap takes a nil pointer: %v", err)
	}
	for _, opt := range []Option{WithGuard(Guard{}), WithoutGuard(), WithService("Who")} {
		if _, err := Open(t.TempDir(), "", "Who", opt); err == nil || !strings.Contains(err.Error(), "for Wrap") {
			t.Errorf("Open takes what is only for Wrap: %v", err)
		}
	}
}

func TestOfAKeyThatIsListedTwiceTheLastCounts(t *testing.T) {
	inBubble(t, func(t *testing.T, wrap wrapFunc) {
		s := newSource("tcp@a:1", "tcp@b:1", "tcp@a:1")
		s.list[2].Value = "weight=9"
		w := wrap(s)
		defer w.Close()
		wantKeys(t, w.GetServices(), "tcp@a:1", "tcp@b:1")
		if got := w.GetServices()[0].Value; got != "weight=9" {
			t.Errorf("metadata %q", got)
		}
		s.say("tcp@b:1", "tcp@b:1") // once is enough: nobody was lost
		synctest.Wait()
		wantKeys(t, w.GetServices(), "tcp@b:1")
	})
}
