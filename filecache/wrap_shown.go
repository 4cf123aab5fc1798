package filecache

import (
	"fmt"
	"log/slog"
	"sync"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/internal/watchers"
)

// shown is what a wrapped discovery lists: what the filter leaves of its list. All methods may be called at once from anywhere.
type shown struct {
	set watchers.Set

	mu       sync.Mutex
	list     watchers.List // unfiltered; nil: nothing is known
	keep     filter        // nil: everything
	revision int           // of list and keep
}

// filter decides about one pair, a copy; it never panics.
type filter func(kv client.KVPair) bool

func (s *shown) setList(list watchers.List) {
	s.mu.Lock()
	s.list = list
	s.revision++
	s.mu.Unlock()
	s.publish()
}

func (s *shown) setFilter(keep filter) {
	s.mu.Lock()
	s.keep = keep
	s.revision++
	s.mu.Unlock()
	s.publish()
}

func (s *shown) currentFilter() filter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keep
}

// publish lists what the filter leaves, if that is news. The filter is the user's, so it runs outside the lock; if list or filter have changed
// meanwhile, what it has left is out of date and the work begins anew.
func (s *shown) publish() {
	for {
		s.mu.Lock()
		list, keep, revision := s.list, s.keep, s.revision
		s.mu.Unlock()
		left := keep.of(list)
		if s.publishAt(revision, left) {
			return
		}
	}
}

// publishAt reports whether revision is still the current one.
func (s *shown) publishAt(revision int, left watchers.List) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.revision != revision {
		return false
	}
	before := s.set.Current()
	switch unknown := s.list == nil; {
	case unknown && before == nil: // nothing to say yet
	case before == nil || !equal(before, left):
		s.set.Publish(left)
	}
	return true
}

// of returns what f keeps of list.
func (f filter) of(list watchers.List) watchers.List {
	left := make(watchers.List, 0, len(list))
	for _, kv := range list {
		if f == nil || f(*kv) {
			left = append(left, kv)
		}
	}
	return left
}

// harmless makes a user's filter safe to call: it sees copies, and one that panics has not spoken against the server.
func harmless(user client.ServiceDiscoveryFilter, logger *slog.Logger) filter {
	if user == nil {
		return nil
	}
	var once sync.Once
	return func(kv client.KVPair) (keep bool) {
		defer func() {
			if r := recover(); r != nil {
				keep = true
				once.Do(func() { logger.Error("the filter panics, which counts as keep", "key", kv.Key, "panic", fmt.Sprint(r)) })
			}
		}()
		return user(&kv)
	}
}
