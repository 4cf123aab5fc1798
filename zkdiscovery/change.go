package zkdiscovery

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/internal/words"
)

// maxChanges is how many changes are remembered, of all services of one connection together.
const maxChanges = 100

// Change is something that became different in the list of one service, before any filter. Instances that change in the same way at the same time are one Change.
type Change struct {
	At        time.Time
	Service   string // znode path
	Kind      ChangeKind
	Instances int    // so many did; of SourceChanged, so many are in the list
	First     string // the key of the first of them; "" for SourceChanged
	Source    Source // of the list from then on
}

// ChangeKind says what has changed.
type ChangeKind uint8

// The kinds.
const (
	SourceChanged ChangeKind = iota // the list comes from somewhere else
	Added                           // instances came
	Removed                         // instances went
	Edited                          // their metadata changed, in more than calls and connections
	HoldBegan                       // ZooKeeper lists them no more, and the guard keeps them
	HoldEnded                       // ZooKeeper lists them again
)

var changeKindNames = []string{"source", "added", "removed", "edited", "held", "back"}

// String is the kind in one word.
func (k ChangeKind) String() string { return words.Name(changeKindNames, "change", k) }

// MarshalText returns the kind in one word: "added".
func (k ChangeKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText sets the kind that text names. An unknown name is an error.
func (k *ChangeKind) UnmarshalText(text []byte) error {
	return words.Parse(changeKindNames, "change", text, k)
}

// MarshalJSON writes Change as Status.MarshalJSON writes a Status.
func (c Change) MarshalJSON() ([]byte, error) { return words.JSON(c) }

// Changes returns the newest changes of all services that have the connection of d, oldest first, 100 at most. The slice is the caller's own. It
// does not block, and does not count as a use of d (see RemoveWatcher).
func (d *Discovery) Changes() []Change { return d.root.changes.newest() }

// timeline keeps the newest changes.
type timeline struct {
	mu  sync.Mutex
	all []Change
}

func (t *timeline) newest() []Change {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.all)
}

func (t *timeline) add(news []Change) {
	if len(news) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = append(t.all, news...)
	if over := len(t.all) - maxChanges; over > 0 {
		t.all = slices.Delete(t.all, 0, over)
	}
}

// changesFrom compares two lists of a service. was may be nil.
func changesFrom(was, is *list, service string, now time.Time) []Change {
	var none list
	of := func(kind ChangeKind) Change {
		return Change{At: now, Service: service, Kind: kind, Source: Source(is.Source)}
	}
	source := of(SourceChanged)
	if was == nil {
		was = &none
	}
	if was.Source != is.Source {
		source.Instances = len(is.Pairs)
	}
	added, removed, edited, began, ended := of(Added), of(Removed), of(Edited), of(HoldBegan), of(HoldEnded)
	if was != &none { // of a first list it goes without saying
		walk(was.Pairs, is.Pairs, func(p *client.KVPair) string { return p.Key }, removed.count, added.count, func(a, b *client.KVPair) {
			if a.Value != b.Value {
				edited.count(b.Key)
			}
		})
	}
	walk(was.Held, is.Held, func(key string) string { return key }, func(key string) {
		_, listed := slices.BinarySearchFunc(is.Pairs, key, func(p *client.KVPair, key string) int { return strings.Compare(p.Key, key) })
		if listed {
			ended.count(key)
		}
	}, began.count, func(string, string) {})
	var news []Change
	if was.Source != is.Source {
		news = append(news, source)
	}
	for _, c := range []Change{added, removed, edited, began, ended} {
		if c.Instances > 0 {
			news = append(news, c)
		}
	}
	return news
}

func (c *Change) count(key string) {
	if c.Instances++; c.Instances == 1 {
		c.First = key
	}
}

// walk goes through two sorted lists and tells what is in the first only, in the second only, and, as another value with the same key, in both. What is
// the same in both it passes over without a look at the key: where few of many instances change, that is nearly everything.
func walk[E comparable](was, is []E, key func(E) string, gone, came func(string), both func(E, E)) {
	for len(was) > 0 || len(is) > 0 {
		switch {
		case len(was) > 0 && len(is) > 0 && was[0] == is[0]:
			was, is = was[1:], is[1:]
		case len(is) == 0 || len(was) > 0 && key(was[0]) < key(is[0]):
			gone(key(was[0]))
			was = was[1:]
		case len(was) == 0 || key(is[0]) < key(was[0]):
			came(key(is[0]))
			is = is[1:]
		default:
			both(was[0], is[0])
			was, is = was[1:], is[1:]
		}
	}
}
