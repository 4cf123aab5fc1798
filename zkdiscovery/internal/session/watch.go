package session

import (
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
	placed  bool
	doubted bool  // placed, but the next request is to leave it once more
	askers  int32 // requests under way that want it
}

// lacking reports that a request should leave the watch.
func (e watchEntry) lacking() bool { return !e.placed || e.doubted }

func newWatches() *watches { return &watches{m: make(map[watchKey]watchEntry)} }

// want asks for a watch to be left by a request for k that is about to be made, and reports that; unwant must follow when the request has
// ended. It does nothing if one is outstanding: if that one fires before the request is answered, its hint arrives before the answer does.
func (w *watches) want(k watchKey) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := w.m[k]
	if !e.lacking() {
		return false
	}
	e.askers++
	w.m[k] = e
	return true
}

func (w *watches) unwant(k watchKey) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := w.m[k]
	e.askers--
	w.keep(k, e)
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
	return e.askers > 0 && e.lacking()
}

func (w *watches) placed(k watchKey) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := w.m[k]
	e.placed, e.doubted = true, false
	w.m[k] = e
}

// gone notes that watches have fired.
func (w *watches) gone(keys ...watchKey) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, k := range keys {
		e := w.m[k]
		e.placed, e.doubted = false, false
		w.keep(k, e)
	}
}

// doubt makes the next requests leave the watches on path and its children once more.
func (w *watches) doubt(path string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for k, e := range w.m {
		if parent, _ := splitPath(k.path); e.placed && (k.path == path || parent == path) {
			e.doubted = true
			w.m[k] = e
		}
	}
}

func (w *watches) isPlaced(k watchKey) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.m[k].placed
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

// setWatches returns the frames that set the outstanding watches again; none when there are none.
func (w *watches) setWatches(zxid int64) (frames [][]byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var paths [3][]string
	size := 0
	flush := func() {
		if size > 0 {
			frames = append(frames, setWatchesFrame(zxid, &paths))
			paths, size = [3][]string{}, 0
		}
	}
	for k, e := range w.m {
		if !e.placed {
			continue
		}
		if size+4+len(k.path) > setWatchesLimit {
			flush()
		}
		paths[k.kind] = append(paths[k.kind], k.path)
		size += 4 + len(k.path)
	}
	flush()
	return frames
}

func splitPath(path string) (parent, name string) {
	at := strings.LastIndexByte(path, '/')
	return path[:max(at, 0)], path[at+1:]
}
