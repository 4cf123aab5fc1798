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

// watches are those of one session that are outstanding. There is one at most per key, whoever asks. A session's links note what they have put
// in place, and set it again when a link replaces another.
type watches struct {
	mu sync.Mutex
	m  map[watchKey]bool // the outstanding ones; true for one that is doubted: the next request is to leave it once more
}

func newWatches() *watches { return &watches{m: make(map[watchKey]bool)} }

// lacks reports that the next request for k should leave the watch.
func (w *watches) lacks(k watchKey) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	doubted, placed := w.m[k]
	return doubted || !placed
}

func (w *watches) placed(k watchKey) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.m[k] = false
}

// gone notes that watches have fired.
func (w *watches) gone(keys ...watchKey) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, k := range keys {
		delete(w.m, k)
	}
}

// doubt makes the next requests leave the watches on path and its children once more.
func (w *watches) doubt(path string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for k := range w.m {
		if parent, _ := splitPath(k.path); k.path == path || parent == path {
			w.m[k] = true
		}
	}
}

func (w *watches) isPlaced(k watchKey) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, placed := w.m[k]
	return placed
}

func (w *watches) outstanding() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.m)
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
	for k := range w.m {
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
