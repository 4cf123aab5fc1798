package session

import (
	"slices"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
)

// Change is what a hint says of a child.
type Change uint8

// A child may have Changed, or may be Gone; only reading tells.
const (
	Changed Change = iota + 1
	Gone
)

// Hints is what may have changed since they were taken last. They are hints: reading tells what is. A change of State is not among them;
// a subscriber that is poked looks at it too, since a new State.Session means that everything may have changed.
type Hints struct {
	List     bool              // the path's own node, or its list of children …
	Names    bool              // … and it was a watch on the children that told so
	Children map[string]Change // by name
	Members  int               // Subscription.Told after the last child that was created or deleted; 0: none was
	Since    time.Time         // State.Heard when the first of them was given: what happened before, they do not tell; zero where there are none
}

// Any reports whether anything was hinted.
func (h Hints) Any() bool { return h.List || h.Children != nil }

// Subscription collects the hints for one path and its children.
type Subscription struct {
	// C holds one token while there is something to look at: hints, or a change of the session's state. The session sends and never
	// closes it.
	C    <-chan struct{}
	c    chan struct{}
	s    *Session
	path string

	mu    sync.Mutex // guards what follows; taken under Session.mu, and nothing is taken under it
	hints Hints
	told  int
}

// Subscribe collects hints for path and its children from now on. A hint comes for a watch that a read has left, so the first reads come
// after Subscribe.
func (s *Session) Subscribe(path string) *Subscription {
	return s.SubscribeWith(make(chan struct{}, 1), path)
}

// SubscribeWith is Subscribe with a channel of the caller's, of capacity one, which may serve many subscriptions: a token in it says that one
// of them has hints, or that the session's state has changed.
func (s *Session) SubscribeWith(c chan struct{}, path string) *Subscription {
	sub := &Subscription{C: c, c: c, s: s, path: s.cfg.Chroot + path}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subs[sub.path] = append(s.subs[sub.path], sub)
	return sub
}

// Close ends the subscription. The watches on its path and the path's children that nobody else is subscribed to hear of are not set again on the
// next connection, and are taken away on a server that can do that (3.5).
func (sub *Subscription) Close() {
	s := sub.s
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.subs[sub.path]
	rest := slices.DeleteFunc(all, func(o *Subscription) bool { return o == sub })
	if s.subs[sub.path] = rest; len(rest) > 0 || len(all) == 0 {
		return
	}
	delete(s.subs, sub.path)
	if s.line == nil {
		return
	}
	wanted := func(path string) bool {
		parent, _ := splitPath(path)
		return len(s.subs[path])+len(s.subs[parent]) > 0
	}
	if k := s.line.newest(); k != nil { // which may not serve yet
		k.window.forget(sub.path, wanted)
		k.window.dropLasting(sub.path, s.line.watches)
		defer k.window.poke() // when they are released
	}
	s.line.watches.release(sub.path, wanted)
}

// Take returns the hints collected since the last Take.
func (sub *Subscription) Take() Hints {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	h := sub.hints
	sub.hints = Hints{}
	return h
}

// Told is so many times since Subscribe a lasting watch has told that a child was created or deleted.
func (sub *Subscription) Told() int {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	return sub.told
}

// note leaves hints, which came after the answer that heard is of.
func (sub *Subscription) note(heard time.Time, f func(*Hints)) {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	if !sub.hints.Any() {
		sub.hints.Since = heard
	}
	f(&sub.hints)
}

func (sub *Subscription) poke() {
	select {
	case sub.c <- struct{}{}:
	default: // one is there already
	}
}

// nodeEvent turns a watch event into hints.
func (s *Session) nodeEvent(l *line, ev zk.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.line != l {
		return
	}
	path := ev.Path
	switch ev.Type {
	case zk.EventNodeDataChanged:
		l.watches.gone(watchKey{path, dataWatch})
	case zk.EventNodeChildrenChanged:
		l.watches.gone(watchKey{path, childWatch})
	case zk.EventNodeCreated:
		l.watches.gone(watchKey{path, existWatch})
	case zk.EventNodeDeleted:
		l.watches.gone(watchKey{path, dataWatch}, watchKey{path, childWatch}, watchKey{path, existWatch})
	default:
		return
	}
	heard := s.heard()
	for _, sub := range s.subs[path] {
		sub.note(heard, func(h *Hints) { h.List, h.Names = true, h.Names || ev.Type == zk.EventNodeChildrenChanged })
		sub.poke()
	}
	parent, name := splitPath(path)
	lasting := s.link != nil && s.link.extension.Lasting
	// With the watch on the parent's children in place, its event is right behind: whoever is told of both at once asks once.
	follows := ev.Type == zk.EventNodeDeleted && l.watches.isPlaced(watchKey{parent, childWatch})
	for _, sub := range s.subs[parent] {
		sub.note(heard, func(h *Hints) {
			if h.Children == nil {
				h.Children = make(map[string]Change)
			}
			if lasting && ev.Type != zk.EventNodeDataChanged {
				sub.told++
				h.Members = sub.told
			}
			if ev.Type == zk.EventNodeDeleted {
				h.Children[name] = Gone
			} else if h.Children[name] != Gone { // which asks for more
				h.Children[name] = Changed
			}
		})
		if !follows {
			sub.poke()
		}
	}
}

// Outstanding is the number of watches that the session holds.
func (s *Session) Outstanding() int {
	s.mu.Lock()
	l, k := s.line, s.link
	s.mu.Unlock()
	if l == nil {
		return 0
	}
	n := l.watches.outstanding()
	if k != nil && k.line == l {
		n += k.window.outstanding()
	}
	return n
}

// Rearm makes the next reads of path and its children leave watches although some are outstanding: for when one was found not to have told.
// Those that are in place after all are left once more, which changes nothing, for nobody.
func (s *Session) Rearm(path string) {
	s.mu.Lock()
	l := s.line
	s.mu.Unlock()
	if l != nil {
		l.watches.doubt(s.cfg.Chroot + path)
	}
}
