package filecache

import (
	"slices"
	"sync"
	"testing"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/internal/watchers"
)

// source is a discovery that says what a test tells it to, with the manners of rpcx's: one slice for everybody, which they sort in place.
type source struct {
	mu      sync.Mutex
	list    watchers.List
	updates chan watchers.List
	clone   func(servicePath string) (client.ServiceDiscovery, error)

	gets, watches, removed, closed int
}

func newSource(keys ...string) *source {
	return &source{list: pairs(keys...), updates: make(chan watchers.List, 10)}
}

// say makes a change arrive as those of rpcx's discoveries do.
func (s *source) say(keys ...string) {
	s.mu.Lock()
	s.list = pairs(keys...)
	s.mu.Unlock()
	s.updates <- pairs(keys...)
}

func (s *source) GetServices() []*client.KVPair {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gets++
	return s.list
}

func (s *source) WatchService() chan []*client.KVPair {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watches++
	return s.updates
}

func (s *source) RemoveWatcher(chan []*client.KVPair) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removed++
}

func (s *source) Clone(servicePath string) (client.ServiceDiscovery, error) {
	return s.clone(servicePath)
}

func (s *source) SetFilter(client.ServiceDiscoveryFilter) {}

func (s *source) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed++
}

func pairs(keys ...string) watchers.List {
	list := make(watchers.List, len(keys))
	for i, k := range keys {
		list[i] = &client.KVPair{Key: k, Value: "weight=5"}
	}
	return list
}

func keysOf(list watchers.List) []string {
	keys := make([]string, len(list))
	for i, kv := range list {
		keys[i] = kv.Key
	}
	slices.Sort(keys)
	return keys
}

func wantKeys(tb testing.TB, list watchers.List, want ...string) {
	tb.Helper()
	if got := keysOf(list); !slices.Equal(got, want) {
		tb.Fatalf("the list is %q, want %q", got, want)
	}
}

func mustWrap(tb testing.TB, d client.ServiceDiscovery, dir string, opts ...Option) client.ServiceDiscovery {
	tb.Helper()
	w, err := Wrap(d, dir, append([]Option{WithLogger(logger(tb))}, opts...)...)
	if err != nil {
		tb.Fatal(err)
	}
	return w
}
