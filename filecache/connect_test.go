package filecache

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/tests/bubbles"
)

// F5: the constructor of a discovery fails while its registry is away.
func TestConnectServesTheFileUntilTheRegistryIsThere(t *testing.T) {
	dir := t.TempDir()
	bubbles.Test(t, func(t *testing.T) {
		var away atomic.Bool
		var tried atomic.Int64
		s := newSource("tcp@a:1", "tcp@b:1")
		connect := func(logs *lines) client.ServiceDiscovery {
			t.Helper()
			w, err := Connect(func() (client.ServiceDiscovery, error) {
				tried.Add(1)
				if away.Load() {
					return nil, errors.New("registry away")
				}
				return s, nil
			}, dir, WithPollingOnly(), WithService("Who"), WithLogger(logs.logger()), WithGuard(Guard{Probe: refuses}))
			if err != nil {
				t.Fatal(err)
			}
			return w
		}
		logs := &lines{}
		w := connect(logs)
		wantKeys(t, w.GetServices(), "tcp@a:1", "tcp@b:1")
		if c := w.(*fileBacked).cache; !strings.Contains(c.Path(), "registry") {
			t.Errorf("the file is %s", c.Path())
		}
		w.Close()
		if s.closed != 1 || s.removed != 1 {
			t.Errorf("closed %d times, watcher removed %d times", s.closed, s.removed)
		}

		away.Store(true)
		tried.Store(0)
		w = connect(logs)
		defer w.Close()
		wantKeys(t, w.GetServices(), "tcp@a:1", "tcp@b:1")
		ch := w.WatchService()
		<-ch
		clone, err := w.Clone("Other") // which needs what is not there yet
		if err != nil || len(clone.GetServices()) != 0 {
			t.Errorf("clone lists %v, %v", clone.GetServices(), err)
		}
		pass(time.Hour)
		if n := tried.Load(); n < 60 || n > 140 {
			t.Errorf("tried %d times in an hour, want growing pauses up to a minute", n)
		}
		if n := logs.count("level=WARN"); n != 2 { // of the clone, too
			t.Errorf("%d warnings in an hour:\n%s", n, logs)
		}
		s = newSource("tcp@a:1", "tcp@c:1")
		s.clone = func(string) (client.ServiceDiscovery, error) { return newSource("tcp@other:1"), nil }
		away.Store(false)
		pass(2 * maxConnectDelay)
		wantKeys(t, w.GetServices(), "tcp@a:1", "tcp@c:1")
		wantKeys(t, clone.GetServices(), "tcp@other:1")
	})
}

func TestConnectRefusesWhatCannotWork(t *testing.T) {
	if _, err := Connect(nil, "", WithMaxAge(-1)); err == nil || !strings.Contains(err.Error(), "nothing to connect") ||
		!strings.Contains(err.Error(), "directory") || !strings.Contains(err.Error(), "WithMaxAge(-1ns)") {
		t.Errorf("error %v", err)
	}
	if _, err := Open(t.TempDir(), "e", "s", WithEnsemble("x")); err == nil || !strings.Contains(err.Error(), `WithEnsemble("x")`) {
		t.Errorf("Open takes what is only for Wrap: %v", err)
	}
}

// silentSource is a discovery whose registry does not answer until it is told to.
type silentSource struct {
	*source
	answer chan struct{}
}

func (s *silentSource) GetServices() []*client.KVPair {
	<-s.answer
	return s.source.GetServices()
}

// F5, hazard C3: OneClient calls Clone under its lock, so it must not wait for a silent registry for long, nor must GetServices. What the
// registry says when it answers is used.
func TestASilentRegistryIsNotWaitedForLong(t *testing.T) {
	dir := t.TempDir()
	bubbles.Test(t, func(t *testing.T) {
		start := func(d client.ServiceDiscovery) client.ServiceDiscovery {
			began := time.Now()
			w := mustWrap(t, d, dir, WithPollingOnly(), WithEnsemble("etcd"), WithGuard(Guard{Probe: refuses}))
			if took := time.Since(began); took > silent {
				t.Errorf("Wrap has taken %v", took)
			}
			return w
		}
		cloned := newSource("tcp@c:1")
		s := newSource("tcp@a:1")
		s.clone = func(string) (client.ServiceDiscovery, error) { return cloned, nil }
		w := start(s)
		if _, err := w.Clone("C"); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		w.Close()

		answer := make(chan struct{})
		s = newSource("tcp@a:1", "tcp@a:2")
		s.clone = func(string) (client.ServiceDiscovery, error) {
			<-answer
			return newSource("tcp@c:1", "tcp@c:2"), nil
		}
		w = start(&silentSource{s, answer})
		wantKeys(t, w.GetServices(), "tcp@a:1") // the file's
		began := time.Now()
		clone, err := w.Clone("C")
		if took := time.Since(began); took > silent || err != nil {
			t.Errorf("Clone has taken %v, %v", took, err)
		}
		wantKeys(t, clone.GetServices(), "tcp@c:1")
		ch := clone.WatchService()
		<-ch
		pass(time.Minute)
		close(answer)
		wantKeys(t, <-ch, "tcp@c:1", "tcp@c:2")
		synctest.Wait()
		wantKeys(t, w.GetServices(), "tcp@a:1", "tcp@a:2")
		w.Close()
		synctest.Wait()
	})
}

// C1: what a registry that does not answer returns after all, when everything was closed, is closed too.
func TestCloseLeavesACallThatDoesNotReturn(t *testing.T) {
	dir := t.TempDir()
	bubbles.Test(t, func(t *testing.T) {
		answer := make(chan struct{})
		late := newSource("tcp@a:1")
		logs := &lines{}
		w, err := Connect(func() (client.ServiceDiscovery, error) { <-answer; return late, nil }, dir, WithPollingOnly(), WithLogger(logs.logger()))
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		w.Close()
		if took := time.Since(began); took > silentEnd || logs.count("does not return") != 1 {
			t.Errorf("Close has taken %v:\n%s", took, logs)
		}
		close(answer)
		synctest.Wait()
		if late.closed != 1 || late.watches != 0 {
			t.Errorf("closed %d times, watched %d times", late.closed, late.watches)
		}
	})
}

// F5: what the discovery says last is in the file, whatever the clock does between two lists.
func TestASmallStepOfTheClockLosesNoList(t *testing.T) {
	inBubble(t, func(t *testing.T, wrap wrapFunc) {
		s := newSource("tcp@a:1")
		w := wrap(s)
		defer w.Close()
		c := w.(*fileBacked).cache
		theirs, err := Open(c.dir, c.id.text, c.service)
		if err != nil {
			t.Fatal(err)
		}
		for i, ahead := range []time.Duration{500 * time.Millisecond, 10 * time.Second, time.Hour} {
			pass(time.Minute)
			file, err := theirs.Load() // as it would be if the clock were set back now
			if err != nil {
				t.Fatal(err)
			}
			file.AsOf = file.AsOf.Add(time.Minute + ahead)
			mustSave(t, theirs, file)
			pass(100 * time.Millisecond)
			key := string(rune('b'+i)) + ":1"
			s.say("tcp@" + key)
			pass(time.Minute)
			if file, err = theirs.Load(); err != nil {
				t.Fatal(err)
			}
			wantKeys(t, listOf(file), "tcp@"+key)
		}
	})
}

// Of two processes that share a file, the one whose registry has spoken last has the word, also if the other has saved more often.
func TestTheLastWordIsInTheFile(t *testing.T) {
	inBubble(t, func(t *testing.T, wrap wrapFunc) {
		one, two := newSource("tcp@a:1"), newSource("tcp@a:1")
		w := wrap(one)
		defer w.Close()
		v := wrap(two)
		defer v.Close()
		for range 5 {
			one.say("tcp@a:1", "tcp@b:1")
			pass(2 * saveGap)
			one.say("tcp@a:1", "tcp@c:1")
			pass(2 * saveGap)
		}
		two.say("tcp@a:1", "tcp@d:1")
		pass(10 * saveGap)
		file, err := w.(*fileBacked).cache.Load()
		if err != nil {
			t.Fatal(err)
		}
		wantKeys(t, listOf(file), "tcp@a:1", "tcp@d:1")
	})
}

// Processes that hear the same all the time, as those of registries that are polled, do not write in turns.
func TestProcessesThatHearTheSameDoNotWriteInTurns(t *testing.T) {
	inBubble(t, func(t *testing.T, wrap wrapFunc) {
		one, two := newSource("tcp@a:1"), newSource("tcp@a:1")
		w := wrap(one)
		defer w.Close()
		v := wrap(two)
		defer v.Close()
		saves := func() int64 {
			return w.(*fileBacked).keeper.Status().Saves + v.(*fileBacked).keeper.Status().Saves
		}
		one.say("tcp@a:1", "tcp@b:1")
		two.say("tcp@a:1", "tcp@b:1")
		pass(time.Minute)
		before := saves()
		for range 3600 {
			one.say("tcp@a:1", "tcp@b:1")
			two.say("tcp@a:1", "tcp@b:1")
			pass(time.Second)
			touch(t, w.(*fileBacked).cache.Path()) // the bubble's hour is not the disk's
		}
		if n := saves() - before; n > 10 {
			t.Errorf("%d writes of one list in an hour", n)
		}
		file, err := w.(*fileBacked).cache.Load()
		if err != nil || time.Since(file.AsOf) > lastRestamp*12/10 {
			t.Errorf("the file says that its list is of %v, %v", file.AsOf, err)
		}
	})
}

// F4: also Wrap's.
func TestTheRemovedFileOfAQuietServiceIsWrittenAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, wrap wrapFunc) {
		w := wrap(newSource("tcp@a:1"))
		c := w.(*fileBacked).cache
		pass(time.Minute)
		remove(t, c.Path())
		pass(2 * pollInterval)
		if _, err := c.Load(); err != nil {
			t.Error(err)
		}
		remove(t, c.Path())
		w.Close()
		if _, err := c.Load(); err != nil {
			t.Error(err)
		}
	})
}
