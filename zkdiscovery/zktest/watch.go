package zktest

// watcher is a connection, as far as watches are concerned.
type watcher uint64

// watchKind says which changes a watch waits for. A watch for existence is one for data on a node that need not be there.
type watchKind uint8

const (
	watchData watchKind = iota
	watchChildren
)

type watchKey struct {
	kind watchKind
	path string
}

// watchTable is who waits for what. Every watch fires once; asking twice before that is asking once. The zero value is ready.
type watchTable struct {
	waiting map[watchKey][]watcher
	of      map[watcher]map[watchKey]struct{}
	size    int
}

// add reports whether the watch is new.
func (t *watchTable) add(w watcher, kind watchKind, path string) bool {
	key := watchKey{kind, path}
	if _, dup := t.of[w][key]; dup {
		return false
	}
	if t.waiting == nil {
		t.waiting, t.of = make(map[watchKey][]watcher), make(map[watcher]map[watchKey]struct{})
	}
	if t.of[w] == nil {
		t.of[w] = make(map[watchKey]struct{})
	}
	t.of[w][key] = struct{}{}
	t.waiting[key] = append(t.waiting[key], w)
	t.size++
	return true
}

// fire takes out the watches that ev answers and returns whom to tell, each once: whoever watches both the data and the children of a
// node that is deleted hears of it once, and both watches are gone.
func (t *watchTable) fire(ev event) []watcher {
	switch ev.kind {
	case eventChildrenChanged:
		return t.take(watchKey{watchChildren, ev.path})
	case eventDeleted:
		told := t.take(watchKey{watchData, ev.path})
		also := t.take(watchKey{watchChildren, ev.path})
		if len(told) == 0 {
			return also
		}
		seen := make(map[watcher]struct{}, len(told))
		for _, w := range told {
			seen[w] = struct{}{}
		}
		for _, w := range also {
			if _, dup := seen[w]; !dup {
				told = append(told, w)
			}
		}
		return told
	default:
		return t.take(watchKey{watchData, ev.path})
	}
}

func (t *watchTable) take(key watchKey) []watcher {
	list := t.waiting[key]
	delete(t.waiting, key)
	for _, w := range list {
		t.forget(w, key)
	}
	return list
}

// drop forgets a connection.
func (t *watchTable) drop(w watcher) {
	for key := range t.of[w] {
		t.remove(w, key)
	}
}

// remove takes one watch of a connection away and reports whether there was one.
func (t *watchTable) remove(w watcher, key watchKey) bool {
	if _, there := t.of[w][key]; !there {
		return false
	}
	rest := t.waiting[key]
	for i := range rest {
		if rest[i] == w {
			rest[i] = rest[len(rest)-1]
			rest = rest[:len(rest)-1]
			break
		}
	}
	if t.waiting[key] = rest; len(rest) == 0 {
		delete(t.waiting, key)
	}
	t.forget(w, key)
	return true
}

func (t *watchTable) forget(w watcher, key watchKey) {
	delete(t.of[w], key)
	if len(t.of[w]) == 0 {
		delete(t.of, w)
	}
	t.size--
}
