package watchers

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"
	"go.uber.org/goleak"

	"github.com/holdfast-go/holdfast/tests/bubbles"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// numbered is a list that tells its number, of n servers.
func numbered(number, n int) List {
	list := make(List, n)
	for i := range list {
		list[i] = &client.KVPair{Key: fmt.Sprintf("tcp@127.0.%d.%d:8972", i>>8, i&255), Value: strconv.Itoa(number)}
	}
	return list
}

func numberOf(t *testing.T, list List) int {
	t.Helper()
	n, err := strconv.Atoi(list[0].Value)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func empty(ch chan List) bool {
	select {
	case <-ch:
		return false
	default:
		return true
	}
}

func TestNothingIsSentWhileNothingIsPublished(t *testing.T) {
	var s Set
	ch := s.Watch()
	if !empty(ch) || s.Current() != nil {
		t.Error("a list came from nowhere")
	}
}

func TestEmptyListIsNotNothing(t *testing.T) {
	var s Set
	early := s.Watch()
	s.Publish(nil)
	late := s.Watch()
	for _, list := range []List{<-early, <-late, s.Current()} {
		if list == nil || len(list) != 0 {
			t.Errorf("got %v, want an empty list that is not nil", list)
		}
	}
}

// L1: a published list never changes, and everybody has a slice of his own, which XClient sorts in place.
func TestEverybodyHasASliceOfHisOwn(t *testing.T) {
	var s Set
	early := s.Watch()
	s.Publish(numbered(1, 3))
	late := s.Watch()
	got := []List{<-early, <-late, s.Current()}
	for _, list := range got {
		slices.Reverse(list)
		list[0] = nil
		_ = append(list[:1], list[2:]...)
	}
	for i, want := range numbered(1, 3) {
		if kv := s.Current()[i]; kv == nil || *kv != *want {
			t.Errorf("what a receiver did to its list is seen by others: number %d is %v, want %v", i, kv, want)
		}
	}
	if got[0][1] != got[1][1] {
		t.Error("the pairs are copied, which costs memory for each watcher")
	}
}

// L2: the current list at once, then newer ones, the newest always.
func TestWatcherHasTheNewest(t *testing.T) {
	var s Set
	s.Publish(numbered(1, 1))
	ch := s.Watch()
	if n := numberOf(t, <-ch); n != 1 {
		t.Errorf("first number %d, want the current", n)
	}
	s.Publish(numbered(2, 1))
	s.Publish(numbered(3, 1))
	if n := numberOf(t, <-ch); n != 3 {
		t.Errorf("number %d, want the newest", n)
	}
	if !empty(ch) {
		t.Error("an old list follows the newest")
	}
}

// L2: a thousand watchers, half of which never take anything, while lists are published and read: each living one sees them in order and
// the last one in the end, and nobody waits for the dead.
func TestStuckWatchersDelayNobody(t *testing.T) {
	const watchers, lists = 1000, 200
	bubbles.Test(t, func(t *testing.T) {
		var s Set
		s.Publish(numbered(0, 1))
		var living sync.WaitGroup
		for i := range watchers {
			ch := s.Watch()
			if i%2 == 0 {
				continue // stuck
			}
			living.Go(func() {
				for last := -1; last < lists; {
					n := numberOf(t, <-ch)
					if n <= last {
						t.Errorf("number %d after %d", n, last)
					}
					last = n
				}
			})
		}
		began := time.Now()
		for n := range lists {
			s.Publish(numbered(n+1, 1))
		}
		if took := time.Since(began); took > 0 { // in a bubble time passes only while everybody waits
			t.Errorf("publishing waited %v", took)
		}
		living.Wait()
		if s.Len() != watchers {
			t.Errorf("%d watchers, want %d", s.Len(), watchers)
		}
	})
}

// L9, in small: who has received a list sees it, or a newer one, in Current.
func TestCurrentIsNeverBehindAWatcher(t *testing.T) {
	var s Set
	s.Publish(numbered(0, 1))
	ch := s.Watch()
	var done sync.WaitGroup
	done.Go(func() {
		for n := range 1000 {
			s.Publish(numbered(n+1, 1))
		}
	})
	for got := 0; got < 1000; {
		got = numberOf(t, <-ch)
		if current := numberOf(t, s.Current()); current < got {
			t.Fatalf("received %d, Current says %d", got, current)
		}
	}
	done.Wait()
}

// L3: once Remove has returned nothing is sent, so that XClient may close the channel, which it does at once.
func TestNothingIsSentAfterRemove(t *testing.T) {
	var s Set
	var stop atomic.Bool
	var done sync.WaitGroup
	for range 2 {
		done.Go(func() {
			for n := 0; !stop.Load(); n++ {
				s.Publish(numbered(n, 10)) // a send on a closed channel would panic
			}
		})
	}
	for range 4 {
		done.Go(func() {
			for range 500 {
				ch := s.Watch()
				if !s.Remove(ch) {
					t.Error("a watcher was not known")
				}
				close(ch)
			}
			stop.Store(true)
		})
	}
	done.Wait()
	if s.Len() != 0 {
		t.Errorf("%d watchers are left", s.Len())
	}
}

func TestRemovingWhatIsNotThereIsNoError(t *testing.T) {
	var s Set
	ch := s.Watch()
	if s.Remove(nil) || s.Remove(make(chan List)) || !s.Remove(ch) || s.Remove(ch) {
		t.Error("Remove does not know who watches")
	}
}

func TestClearForgetsEverybodyAndClosesNothing(t *testing.T) {
	var s Set
	s.Publish(numbered(1, 1))
	ch := s.Watch()
	<-ch
	s.Clear()
	s.Publish(numbered(2, 1))
	if !empty(ch) {
		t.Error("a list, or the end, arrived after Clear")
	}
	if s.Remove(ch) || s.Len() != 0 {
		t.Error("somebody is left")
	}
	if n := numberOf(t, s.Current()); n != 2 {
		t.Errorf("the current list is number %d", n)
	}
	if n := numberOf(t, <-s.Watch()); n != 2 { // and the set goes on
		t.Errorf("a new watcher has number %d", n)
	}
}

// BenchmarkPublish is what one published list of 1,000 servers costs when every watcher takes it, and when none does.
func BenchmarkPublish(b *testing.B) {
	for _, watchers := range []int{1, 100, 1000} {
		for _, taken := range []bool{true, false} {
			b.Run(fmt.Sprintf("watchers=%d/taken=%t", watchers, taken), func(b *testing.B) {
				var s Set
				chans := make([]chan List, watchers)
				for i := range chans {
					chans[i] = s.Watch()
				}
				list := numbered(1, 1000)
				b.ReportAllocs()
				for b.Loop() {
					s.Publish(list)
					for _, ch := range chans {
						if taken {
							<-ch
						}
					}
				}
			})
		}
	}
}

func BenchmarkCurrent(b *testing.B) {
	var s Set
	s.Publish(numbered(1, 1000))
	b.ReportAllocs()
	for b.Loop() {
		s.Current()
	}
}
