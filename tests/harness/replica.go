package harness

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/smallnest/rpcx/client"
)

// Replica is a watcher that keeps up: what a program knows that only listens, and every list that it has ever received.
type Replica struct {
	t    *testing.T
	d    client.ServiceDiscovery
	ch   chan []*client.KVPair
	done chan struct{} // closed when the reader has ended
	once sync.Once

	mu      sync.Mutex
	history []map[string]string
}

// Follow begins to listen to d. The test ends it, if Stop does not.
func (w *World) Follow(d client.ServiceDiscovery) *Replica {
	w.Helper()
	r := &Replica{t: w.T, d: d, ch: d.WatchService(), done: make(chan struct{})}
	go func() {
		defer close(r.done)
		for pairs := range r.ch {
			if !slices.IsSortedFunc(pairs, func(a, b *client.KVPair) int { return strings.Compare(a.Key, b.Key) }) {
				r.t.Errorf("a list is not sorted by key: %v", Listed(pairs))
			}
			r.mu.Lock()
			r.history = append(r.history, Listed(pairs))
			r.mu.Unlock()
		}
	}()
	w.Cleanup(r.Stop)
	return r
}

// Stop ends it as XClient does: what is sent after RemoveWatcher has returned panics. It may be called twice.
func (r *Replica) Stop() {
	r.once.Do(func() {
		r.d.RemoveWatcher(r.ch)
		close(r.ch)
		<-r.done
	})
}

// Heard is every list so far.
func (r *Replica) Heard() []map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.history)
}

// Last is the last list, nil when there was none.
func (r *Replica) Last() map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.history) == 0 {
		return nil
	}
	return r.history[len(r.history)-1]
}

// Ascending fails the test unless the counter in an instance's metadata, n=1, n=2 and so on, has never gone back. It returns how many values the
// counter had.
func (r *Replica) Ascending(key string) (values int) {
	r.t.Helper()
	last := -1
	for _, list := range r.Heard() {
		if list[key] == "" {
			continue
		}
		n, err := strconv.Atoi(list[key][len("n="):])
		Must(r.t, err)
		if n < last {
			r.t.Errorf("a watcher that had heard of n=%d was told n=%d after it", last, n)
		}
		if n > last {
			values++
		}
		last = n
	}
	return values
}

// NeverFewer fails the test if a list had fewer than n instances.
func (r *Replica) NeverFewer(n int) {
	r.t.Helper()
	for i, list := range r.Heard() {
		if len(list) < n {
			r.t.Fatalf("list %d has %d instances, fewer than %d: %v", i, len(list), n, slices.Sorted(maps.Keys(list)))
		}
	}
}
