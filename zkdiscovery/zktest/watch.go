package zktest

import "strings"

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

// watchMode says how long a watch stays, and how far it sees. One connection may have several on one path in ZooKeeper 3.9, and one before that.
type watchMode uint8

const (
	watchOnce       watchMode = 1 << iota // fires once
	watchPersistent                       // stays
	watchRecursive                        // stays, and tells of everything below the path; of children, each tells itself
)

const watchLasting = watchPersistent | watchRecursive

// watchTable is who waits for what. Asking twice for the same is asking once. The zero value is ready; it is a table of ZooKeeper 3.6 to 3.8.
type watchTable struct {
	several   bool // modes on one path, as in ZooKeeper 3.9
	waiting   map[watchKey][]watcher
	of        map[watcher]map[watchKey]watchMode
	size      int // a lasting one counts as one, not as one for data and one for children
	recursive int // in all, of both kinds
}

// newWatchTable is an empty table of version v.
func newWatchTable(v Version) watchTable { return watchTable{several: v >= Version39} }

// add reports whether the watch is new.
func (t *watchTable) add(w watcher, kind watchKind, path string) bool {
	return t.addMode(w, watchKey{kind, path}, watchOnce)
}

// addLasting adds a watch that stays. Up to 3.8 a recursive one stands among those on children as well.
func (t *watchTable) addLasting(w watcher, path string, mode watchMode) bool {
	isNew := t.addMode(w, watchKey{watchData, path}, mode)
	if mode != watchRecursive || !t.several {
		t.addMode(w, watchKey{watchChildren, path}, mode)
	}
	return isNew
}

func (t *watchTable) addMode(w watcher, key watchKey, mode watchMode) (isNew bool) {
	was := t.of[w][key]
	if t.several {
		mode |= was
	}
	if mode == was {
		return false
	}
	if t.waiting == nil {
		t.waiting, t.of = make(map[watchKey][]watcher), make(map[watcher]map[watchKey]watchMode)
	}
	if t.of[w] == nil {
		t.of[w] = make(map[watchKey]watchMode)
	}
	if was == 0 {
		t.waiting[key] = append(t.waiting[key], w)
	}
	t.count(key, was, -1)
	t.count(key, mode, 1)
	t.of[w][key] = mode
	return true
}

func (t *watchTable) count(key watchKey, mode watchMode, by int) {
	if mode&watchOnce != 0 {
		t.size += by
	}
	if mode&watchLasting != 0 && key.kind == watchData {
		t.size += by
	}
	if mode&watchRecursive != 0 {
		t.recursive += by
	}
}

// told is somebody who is to be told of an event, and the path of the watch that waited for it.
type told struct {
	watcher
	path string
}

// fire takes out the watches that ev answers, unless they stay, and returns the watchers to tell, each once: one that watches both the data and the
// children of a node that is deleted hears of it once, and both watches are gone.
func (t *watchTable) fire(ev event) []told {
	switch ev.kind {
	case eventChildrenChanged:
		return t.take(nil, watchKey{watchChildren, ev.path}, false)
	case eventDeleted:
		list := t.take(nil, watchKey{watchData, ev.path}, true)
		return t.take(list, watchKey{watchChildren, ev.path}, true)
	default:
		return t.take(nil, watchKey{watchData, ev.path}, true)
	}
}

// take adds those to list who wait for key, and takes out the watches that fire once. Recursive ones tell where recursive says so, those on the
// node's ancestors too.
func (t *watchTable) take(list []told, key watchKey, recursive bool) []told {
	known := len(list) > 0 // or nobody is in it twice
	rest := t.waiting[key][:0:0]
	for _, w := range t.waiting[key] {
		mode := t.of[w][key]
		if mode&watchLasting != 0 {
			rest = append(rest, w)
		}
		if mode == watchRecursive && !recursive {
			continue
		}
		if who := (told{w, key.path}); known {
			list = tellOnce(list, who)
		} else {
			list = append(list, who)
		}
		if mode&watchOnce != 0 {
			t.forget(w, key, watchOnce)
		}
	}
	if len(rest) > 0 {
		t.waiting[key] = rest
	} else {
		delete(t.waiting, key)
	}
	for recursive && t.recursive > 0 && len(key.path) > 1 {
		key.path = orRoot(key.path[:strings.LastIndexByte(key.path, '/')])
		for _, w := range t.waiting[key] {
			if t.of[w][key]&watchRecursive != 0 {
				list = tellOnce(list, told{w, key.path})
			}
		}
	}
	return list
}

func tellOnce(list []told, w told) []told {
	for _, t := range list {
		if t.watcher == w.watcher {
			return list
		}
	}
	return append(list, w)
}

// drop forgets a connection.
func (t *watchTable) drop(w watcher) {
	for key := range t.of[w] {
		t.remove(w, key)
	}
}

// remove takes the watches of a connection on a key away and reports whether there was one.
func (t *watchTable) remove(w watcher, key watchKey) bool {
	return t.removeModes(w, key, watchOnce|watchLasting)
}

// removeModes is remove for some modes.
func (t *watchTable) removeModes(w watcher, key watchKey, modes watchMode) bool {
	was := t.of[w][key]
	if was&modes == 0 {
		return false
	}
	if was&^modes == 0 {
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
	}
	t.forget(w, key, was&modes)
	return true
}

// forget takes modes, which are there, away.
func (t *watchTable) forget(w watcher, key watchKey, modes watchMode) {
	t.count(key, modes, -1)
	if t.of[w][key] &^= modes; t.of[w][key] != 0 {
		return
	}
	delete(t.of[w], key)
	if len(t.of[w]) == 0 {
		delete(t.of, w)
	}
}
