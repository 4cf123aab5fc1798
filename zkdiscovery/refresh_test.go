package zkdiscovery

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/internal/belief"
	"github.com/holdfast-go/holdfast/tests/bubbles"
)

// A filter that counts, or keeps a map, was called by the service's loop and by SetFilter at once.
func TestAFilterIsCalledOnceAtATime(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		d := w.discover("Arith")
		var in, most, calls atomic.Int64
		slow := func(*client.KVPair) bool {
			if n := in.Add(1); n > most.Load() {
				most.Store(n)
			}
			calls.Add(1)
			time.Sleep(time.Millisecond)
			in.Add(-1)
			return true
		}
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				for range 20 {
					d.SetFilter(slow)
					time.Sleep(7 * time.Millisecond)
				}
			})
		}
		for i := range 50 {
			w.put("Arith", fmt.Sprintf("tcp@b%02d:1", i), "")
			pass(11 * time.Millisecond)
		}
		wg.Wait()
		pass(time.Minute)
		if most.Load() != 1 || calls.Load() < 200 {
			t.Errorf("called %d times, %d at once", calls.Load(), most.Load())
		}
		if n := len(d.GetServices()); n != 51 {
			t.Errorf("%d instances are listed", n)
		}
	})
}

// L8, also where the filter of before is at work on another goroutine.
func TestSetFilterTakesEffectBeforeItReturnsWhileAFilterIsAtWork(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		w.put("Arith", "tcp@b:1", "")
		d := w.discover("Arith")
		atWork := make(chan struct{}, 1)
		d.SetFilter(func(*client.KVPair) bool {
			select {
			case atWork <- struct{}{}:
			default:
			}
			time.Sleep(time.Second)
			return true
		})
		<-atWork
		w.put("Arith", "tcp@c:1", "")
		<-atWork // on the loop's goroutine
		began := time.Now()
		d.SetFilter(func(p *client.KVPair) bool { return p.Key == "tcp@b:1" })
		w.lists(d, "tcp@b:1")
		if took := time.Since(began); took == 0 || took > 3*time.Second {
			t.Errorf("SetFilter has taken %v, want as long as the filter of before works", took)
		}
	})
}

// A filter may ask its Discovery for anything, and so may what it calls. It finds the list of before.
func TestAFilterMayCallEveryMethodOfItsDiscovery(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		w.put("Other", "tcp@o:1", "")
		d := w.clone(w.template(), "Arith")
		var found []string
		next := func(p *client.KVPair) bool { return p.Key != "tcp@a:1" }
		nosy := func(p *client.KVPair) bool {
			if p.Key == "tcp@o:1" { // in the clone, which has inherited the filter
				return true
			}
			ctx, cancel := context.WithTimeout(w.Context(), time.Second)
			defer cancel()
			if err := d.WaitLive(ctx); err != nil {
				t.Errorf("WaitLive: %v", err)
			}
			_, _ = d.Snapshot(), d.Status()
			d.RemoveWatcher(d.WatchService())
			if got := keys(w.clone(d, "Other").GetServices()); got != "" && got != "tcp@o:1" {
				t.Errorf("a clone lists %s", got)
			}
			d.SetFilter(next)
			found = append(found, keys(d.GetServices()))
			return true
		}
		began := time.Now()
		d.SetFilter(nosy)
		w.lists(d, "")
		if len(found) != 1 || found[0] != "tcp@a:1" {
			t.Errorf("it found %q, want the list of before", found)
		}
		d.SetFilter(nil)
		found = nil
		d.SetFilter(func(p *client.KVPair) bool {
			if p.Key == "tcp@b:1" {
				return nosy(p)
			}
			return true
		})
		w.put("Arith", "tcp@b:1", "") // now on the loop's goroutine
		pass(5 * time.Second)
		w.lists(d, "tcp@b:1")
		if len(found) != 1 || found[0] != "tcp@a:1" {
			t.Errorf("it found %q, want the list of before", found)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("that has taken %v", took)
		}
	})
}

// Two filters that set each other's Discovery's filter, both at work: neither waits for the other.
func TestFiltersThatSetEachOthersFilterDoNotWaitForEachOther(t *testing.T) {
	bubbles.Test(t, func(t *testing.T) {
		a, b := alone(t), alone(t)
		of := func(other *Discovery) client.ServiceDiscoveryFilter {
			return func(*client.KVPair) bool {
				time.Sleep(time.Second) // until the other is at work, too
				other.SetFilter(func(*client.KVPair) bool { return false })
				return true
			}
		}
		var wg sync.WaitGroup
		for d, other := range map[*Discovery]*Discovery{a: b, b: a} {
			deliver(d, &list{Shown: belief.Shown{Pairs: pairsOf("", "tcp@a:1")}, seq: 1})
			wg.Go(func() { d.SetFilter(of(other)) })
		}
		wg.Wait()
		for _, d := range []*Discovery{a, b} {
			if got := keys(d.GetServices()); got != "" {
				t.Errorf("listed: %s, want what the newest filter keeps", got)
			}
			d.Close()
		}
		synctest.Wait()
	})
}

func TestAHookMaySetTheFilter(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		w.put("Arith", "tcp@b:1", "")
		var d *Discovery
		d = w.template(WithObserver(Observer{Published: func(p Published) {
			if d != nil && p.Instances == 2 {
				d.SetFilter(func(p *client.KVPair) bool { return p.Key == "tcp@a:1" })
			}
		}}))
		d = w.clone(d, "Arith")
		d.SetFilter(func(*client.KVPair) bool { return false })
		d.SetFilter(nil)
		w.lists(d, "tcp@a:1")
	})
}

// t.FailNow in a filter, for instance.
func TestAFilterThatEndsItsGoroutineHoldsUpNobody(t *testing.T) {
	bubbles.Test(t, func(t *testing.T) {
		d := alone(t)
		deliver(d, &list{Shown: belief.Shown{Pairs: pairsOf("", "tcp@a:1", "tcp@b:1")}, seq: 1})
		go d.SetFilter(func(*client.KVPair) bool {
			time.Sleep(time.Second)
			runtime.Goexit()
			return true
		})
		time.Sleep(time.Millisecond)
		d.SetFilter(func(p *client.KVPair) bool { return p.Key == "tcp@b:1" })
		if got := keys(d.GetServices()); got != "tcp@b:1" {
			t.Errorf("listed: %s", got)
		}
		d.Close()
		synctest.Wait()
	})
}

// However deep below the filter the call is.
func TestWhoIsInsideARefreshIsFoundAtAnyDepth(t *testing.T) {
	d := alone(t)
	deliver(d, &list{Shown: belief.Shown{Pairs: pairsOf("", "tcp@a:1")}, seq: 1})
	var down func(n int) bool
	down = func(n int) bool {
		if n > 0 {
			return down(n-1) || strings.Contains(strconv.Itoa(n), "-")
		}
		return isInsideRefresh()
	}
	for _, depth := range []int{0, 10, 100, 1000} {
		inside := false
		d.SetFilter(func(*client.KVPair) bool { inside = down(depth); return true })
		if !inside || down(depth) {
			t.Errorf("depth %d: inside %v, outside %v", depth, inside, down(depth))
		}
	}
}

// A loop that waits for a filter on another goroutine must not keep Close waiting for it.
func TestCloseDoesNotWaitForAFilterThatSetFilterRuns(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		d := w.discover("Arith")
		release := make(chan struct{})
		go d.SetFilter(func(*client.KVPair) bool { <-release; return true })
		pass(time.Millisecond)
		w.put("Arith", "tcp@b:1", "")
		pass(time.Second)
		began := time.Now()
		d.Close()
		if took := time.Since(began); took > time.Second {
			t.Errorf("Close has taken %v", took)
		}
		close(release)
		synctest.Wait()
		w.lists(d, "tcp@a:1")
	})
}
