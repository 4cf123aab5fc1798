// Package watchers is the set of channels behind a ServiceDiscovery's WatchService: newest wins, nobody waits for anybody.
//
// It belongs to the discovery that publishes; users of Holdfast never see it.
package watchers

import (
	"sync"

	"github.com/smallnest/rpcx/client"
)

// List is what rpcx's watch channels carry. The pairs are shared by all who receive them and are never changed; the slice belongs to
// its receiver (XClient sorts it in place).
type List = []*client.KVPair

// Set is a published list and the channels that want to hear of it. The zero value is ready: nothing published, nobody watching.
// All methods may be called at once from anywhere; none blocks, since every channel has room for one list and only Set sends on it,
// under mu.
type Set struct {
	mu        sync.Mutex
	published bool
	list      List                   // never changed once it is here
	chans     map[chan List]struct{} // Set sends, the watcher's owner closes (XClient does), after Remove
}

// Publish makes list the current one and leaves it with every watcher, replacing what a watcher has not taken yet. Publish takes the
// slice over: the caller must not change it afterwards.
func (s *Set) Publish(list List) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.published, s.list = true, list
	for ch := range s.chans {
		offer(ch, list)
	}
}

// Current returns a slice of the caller's own, nil when nothing has been published yet.
func (s *Set) Current() List {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.published {
		return nil
	}
	return cloneNonNil(s.list)
}

// Watch returns a new channel which already holds the current list, if there is one.
func (s *Set) Watch() chan List {
	ch := make(chan List, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.chans == nil {
		s.chans = make(map[chan List]struct{})
	}
	s.chans[ch] = struct{}{}
	if s.published {
		offer(ch, s.list)
	}
	return ch
}

// Remove forgets ch: once it has returned, nothing is sent on ch, so its owner may close it. It reports whether ch was known; nil, an
// unknown channel and a second call are no errors.
func (s *Set) Remove(ch chan List) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, known := s.chans[ch]
	delete(s.chans, ch)
	return known
}

// Clear forgets every watcher without closing a channel. The list stays readable.
func (s *Set) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.chans = nil
}

// Len is the number of watchers.
func (s *Set) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.chans)
}

// offer leaves a copy of list in ch, in the place of one that was not taken; nobody has seen that one, so its memory serves again. It never
// blocks: ch has room for one, and only the holder of Set.mu sends.
func offer(ch chan List, list List) {
	select {
	case untaken := <-ch:
		clear(untaken) // a shorter list must not keep its pairs alive
		ch <- append(untaken[:0], list...)
	default:
		ch <- cloneNonNil(list)
	}
}

// cloneNonNil tells "no instance" from "nothing known": the copy of an empty list is empty, not nil.
func cloneNonNil(l List) List {
	return append(make(List, 0, len(l)), l...)
}
