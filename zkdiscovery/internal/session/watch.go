package session

import (
	"encoding/binary"
	"strings"
	"sync"
)

// watchKind tells ZooKeeper's three kinds of one-shot watch apart.
type watchKind uint8

const (
	dataWatch watchKind = iota
	childWatch
	existWatch // on a path that is missing
)

type watchKey struct {
	path string // with the chroot
	kind watchKind
}

// watches are those of one session: which are outstanding, and which the requests under way are to leave. There is one at most per key,
// whoever asks. A session's links put them in place, and set them again when a link replaces another.
type watches struct {
	mu sync.Mutex
	m  map[watchKey]watchEntry
}

type watchEntry struct {
	placed bool
	askers int32 // requests under way that want it
}

func newWatches() *watches { return &watches{m: make(map[watchKey]watchEntry)} }

// want asks for a watch to be left by a request for k that is about to be made, unless one is outstanding: if that one fires before the
// request is answered, its hint arrives before the answer does. Call the result when the request has ended.
func (w *watches) want(k watchKey) (done func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := w.m[k]
	if e.placed {
		return func() {}
	}
	e.askers++
	w.m[k] = e
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		e := w.m[k]
		e.askers--
		w.keep(k, e)
	}
}

func (w *watches) keep(k watchKey, e watchEntry) {
	if e == (watchEntry{}) {
		delete(w.m, k)
	} else {
		w.m[k] = e
	}
}

// wanted reports whether the request for k that is being sent is to leave a watch.
func (w *watches) wanted(k watchKey) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := w.m[k]
	return e.askers > 0 && !e.placed
}

func (w *watches) placed(k watchKey) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := w.m[k]
	e.placed = true
	w.m[k] = e
}

// gone notes that watches have fired, or are not to be relied on.
func (w *watches) gone(keys ...watchKey) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, k := range keys {
		e := w.m[k]
		e.placed = false
		w.keep(k, e)
	}
}

// goneBelow notes that the watches on path and its children are not to be relied on.
func (w *watches) goneBelow(path string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for k, e := range w.m {
		if parent, _ := splitPath(k.path); k.path == path || parent == path {
			e.placed = false
			w.keep(k, e)
		}
	}
}

func (w *watches) outstanding() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.m {
		if e.placed {
			n++
		}
	}
	return n
}

// setWatchesLimit is how long a SetWatches request may be: as ZooKeeper's own client has it, well below the server's limit of 1 MiB.
const setWatchesLimit = 128 << 10

// appendSetWatches appends as many SetWatches requests (header; zxid 8; then the paths of data, exist and child watches, each a count and
// strings) as the outstanding watches need; none when there are none.
func (w *watches) appendSetWatches(f []byte, zxid int64) []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	var paths [3][]string
	size := 0
	for k, e := range w.m {
		if !e.placed {
			continue
		}
		paths[k.kind] = append(paths[k.kind], k.path)
		if size += 4 + len(k.path); size > setWatchesLimit {
			f = appendSetWatches(f, zxid, paths)
			paths, size = [3][]string{}, 0
		}
	}
	if size > 0 {
		f = appendSetWatches(f, zxid, paths)
	}
	return f
}

func appendSetWatches(f []byte, zxid int64, paths [3][]string) []byte {
	be := binary.BigEndian
	at := len(f)
	xid := int32(xidSetWatches)
	f = be.AppendUint32(f, 0) // the length, below
	f = be.AppendUint32(f, uint32(xid))
	f = be.AppendUint32(f, opSetWatches)
	f = be.AppendUint64(f, uint64(zxid))
	for _, kind := range []watchKind{dataWatch, existWatch, childWatch} {
		f = be.AppendUint32(f, uint32(len(paths[kind])))
		for _, p := range paths[kind] {
			f = append(be.AppendUint32(f, uint32(len(p))), p...)
		}
	}
	be.PutUint32(f[at:], uint32(len(f)-at-4))
	return f
}

func splitPath(path string) (parent, name string) {
	at := strings.LastIndexByte(path, '/')
	return path[:max(at, 0)], path[at+1:]
}
