package filecache

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/internal/watchers"
	"github.com/holdfast-go/holdfast/tests/bubbles"
)

// What a registry's code may do, and what must not come of it.

// locked is a source with one lock for everything, as rpcx's have. The lock is a channel, so that a bubble knows who waits for it.
type locked struct {
	*source
	lock  chan struct{}
	under func(method string) // runs under the lock
}

func newLocked(under func(method string), keys ...string) *locked {
	l := &locked{source: newSource(keys...), lock: make(chan struct{}, 1), under: under}
	l.updates = make(chan watchers.List) // nobody else's hands are free while it is full
	return l
}

func (l *locked) in(method string) (out func()) {
	l.lock <- struct{}{}
	l.under(method)
	return func() { <-l.lock }
}

func (l *locked) GetServices() []*client.KVPair {
	defer l.in("GetServices")()
	return l.source.GetServices()
}

func (l *locked) WatchService() chan []*client.KVPair {
	defer l.in("WatchService")()
	return l.source.WatchService()
}

func (l *locked) RemoveWatcher(ch chan []*client.KVPair) {
	defer l.in("RemoveWatcher")()
	l.source.RemoveWatcher(ch)
}

func (l *locked) Close() {
	defer l.in("Close")()
	l.source.Close()
}

// handOver says a list under the lock, while somebody watches.
func (l *locked) handOver(keys ...string) {
	defer l.in("handOver")()
	if l.watches > l.removed {
		l.say(keys...)
	}
}

// closing closes w, and returns how long that takes, a minute at most.
func closing(w client.ServiceDiscovery) time.Duration {
	began := time.Now()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		w.Close()
	}()
	select {
	case <-closed:
	case <-time.After(time.Minute):
	}
	return time.Since(began)
}

// C1: also while the registry's code holds a lock that the rest of it needs. What waits for that is done when it answers after all.
func TestCloseLeavesWhicheverCallDoesNotReturn(t *testing.T) {
	for _, silent := range []string{"WatchService", "GetServices", "RemoveWatcher", "Close"} {
		t.Run(silent, func(t *testing.T) {
			dir := t.TempDir()
			bubbles.Test(t, func(t *testing.T) {
				answer := make(chan struct{})
				s := newLocked(func(method string) {
					if method == silent {
						<-answer
					}
				}, "tcp@a:1")
				logs := &lines{}
				w := mustWrap(t, s, dir, WithPollingOnly(), WithLogger(logs.logger()), WithoutGuard())
				took := closing(w)
				if n := logs.count("does not return"); took != silentEnd || n != 1 {
					t.Errorf("Close has taken %v, want %v; %d lines say so:\n%s", took, silentEnd, n, logs)
				}
				go s.handOver("tcp@b:1")
				synctest.Wait()
				close(answer)
				synctest.Wait() // the bubble fails if a goroutine is left
				if s.closed != 1 || s.removed != 1 {
					t.Errorf("closed %d times, watcher removed %d times, want once each", s.closed, s.removed)
				}
			})
		})
	}
}

func TestCloseTakesWhatTheSourceHandsOverUnderItsLock(t *testing.T) {
	dir := t.TempDir()
	bubbles.Test(t, func(t *testing.T) {
		s := newLocked(func(string) {}, "tcp@a:1")
		logs := &lines{}
		w := mustWrap(t, s, dir, WithPollingOnly(), WithLogger(logs.logger()), WithoutGuard())
		w.(*fileBacked).cancel() // as Close does, and then
		synctest.Wait()
		go s.handOver("tcp@b:1")
		synctest.Wait()
		if took := closing(w); took > 0 || logs.count("does not return") > 0 {
			t.Errorf("Close has taken %v:\n%s", took, logs)
		}
	})
}
