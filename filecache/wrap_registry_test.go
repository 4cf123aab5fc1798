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

// panicking is a source of which some methods panic.
type panicking struct {
	*source
	in string
}

func (p *panicking) may(method string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if method == p.in || p.in == "everything" {
		panic("out of order: " + method)
	}
}

func (p *panicking) GetServices() []*client.KVPair {
	p.may("GetServices")
	return p.source.GetServices()
}

func (p *panicking) WatchService() chan []*client.KVPair {
	p.may("WatchService")
	return p.source.WatchService()
}

func (p *panicking) RemoveWatcher(ch chan []*client.KVPair) {
	p.may("RemoveWatcher")
	p.source.RemoveWatcher(ch)
}

func (p *panicking) Clone(string) (client.ServiceDiscovery, error) {
	p.may("Clone")
	return newSource("tcp@clone:1"), nil
}

func (p *panicking) Close() {
	p.source.Close()
	p.may("Close")
}

// C1: a panic on a goroutine of Wrap's would be the end of the process.
func TestAPanicOfTheRegistrysCodeIsTheErrorOfThatCall(t *testing.T) {
	for in, want := range map[string]struct {
		list   []string // of the discovery, which says b in the end
		panics int      // that are told at Error
	}{
		"WatchService":  {[]string{"tcp@a:1"}, 1},
		"GetServices":   {[]string{"tcp@b:1"}, 2}, // asked again, after two changes in a row
		"RemoveWatcher": {[]string{"tcp@b:1"}, 1},
		"Close":         {[]string{"tcp@b:1"}, 1},
		"Clone":         {[]string{"tcp@b:1"}, 0}, // told at Warn, and tried again
		"everything":    {[]string{}, 3},
	} {
		t.Run(in, func(t *testing.T) {
			dir := t.TempDir()
			bubbles.Test(t, func(t *testing.T) {
				s := &panicking{newSource("tcp@a:1"), in}
				logs := &lines{}
				w := mustWrap(t, s, dir, WithPollingOnly(), WithLogger(logs.logger()), WithoutGuard())
				clone, err := w.Clone("Other")
				if err != nil {
					t.Errorf("Clone: %v", err)
				}
				s.say("tcp@c:1")
				s.say("tcp@b:1")
				pass(time.Minute)
				wantKeys(t, w.GetServices(), want.list...)
				if in == "Clone" { // it is well again
					s.mu.Lock()
					s.in = ""
					s.mu.Unlock()
				}
				pass(2 * maxConnectDelay)
				if in != "everything" {
					wantKeys(t, clone.GetServices(), "tcp@clone:1")
				}
				if took := closing(w); took > 0 || s.closed != 1 {
					t.Errorf("Close has taken %v, the source was closed %d times", took, s.closed)
				}
				if n := logs.count("level=ERROR msg=\"a call of the registry's panics\""); n != want.panics {
					t.Errorf("%d lines say that a call panics, want %d:\n%s", n, want.panics, logs)
				}
			})
		})
	}
}

// A constructor whose error nobody has looked at returns a nil pointer, which is a discovery by its type.
func TestAConstructorThatPanicsOrReturnsANilPointerIsCalledAgain(t *testing.T) {
	for name, open := range map[string]func() (client.ServiceDiscovery, error){
		"panics":      func() (client.ServiceDiscovery, error) { panic("cannot create store") },
		"nil pointer": func() (client.ServiceDiscovery, error) { var s *source; return s, nil },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			bubbles.Test(t, func(t *testing.T) {
				attempts := 0
				w, err := Connect(func() (client.ServiceDiscovery, error) {
					if attempts++; attempts < 3 {
						return open()
					}
					return newSource("tcp@a:1"), nil
				}, dir, WithPollingOnly(), WithLogger(logger(t)), WithoutGuard())
				if err != nil {
					t.Fatal(err)
				}
				defer w.Close()
				pass(time.Minute)
				wantKeys(t, w.GetServices(), "tcp@a:1")
			})
		})
	}
}
