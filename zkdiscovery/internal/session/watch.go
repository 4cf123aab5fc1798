package session

import (
	"math/bits"
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
	mu    sync.Mutex
	below map[string]map[string]marks // the outstanding ones, by parent and path
	n     int                         // so many
	// released are the watches that nobody wants any more, by path, while the connection's server may have them.
	released map[string]marks
}

// marks are the watches on one path: a bit for each kind that is outstanding, and one for each that is doubted, so that the next request is to leave
// it once more.
type marks uint8

func (k watchKind) placed() marks  { return 1 << k }
func (k watchKind) doubted() marks { return 8 << k }

const allPlaced = marks(1<<dataWatch | 1<<childWatch | 1<<existWatch)

func newWatches() *watches {
	return &watches{below: make(map[string]map[string]marks), released: make(map[string]marks)}
}

func (w *watches) get(path string) marks {
	parent, _ := splitPath(path)
	return w.below[parent][path]
}

// set changes what is outstanding on path.
func (w *watches) set(path string, m marks) {
	parent, _ := splitPath(path)
	of := w.below[parent]
	w.n += bits.OnesCount8(uint8(m&allPlaced)) - bits.OnesCount8(uint8(of[path]&allPlaced))
	switch {
	case m != 0 && of == nil:
		w.below[parent] = map[string]marks{path: m}
	case m != 0:
		of[path] = m
	default:
		if delete(of, path); len(of) == 0 {
			delete(w.below, parent)
		}
	}
}

// lacks reports that the request for k that is to be sent should leave the watch.
func (w *watches) lacks(k watchKey) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := w.get(k.path)
	return m&k.kind.placed() == 0 || m&k.kind.doubted() != 0
}

func (w *watches) placed(k watchKey) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.set(k.path, w.get(k.path)&^k.kind.doubted()|k.kind.placed())
}

// gone notes that watches have fired.
func (w *watches) gone(keys ...watchKey) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, k := range keys {
		fired := k.kind.placed() | k.kind.doubted()
		if m := w.get(k.path); m != 0 {
			w.set(k.path, m&^fired)
		}
		if m, released := w.released[k.path]; released {
			w.released[k.path] = m &^ fired
		}
	}
}

// doubt makes the next requests leave the watches on path and its children once more.
func (w *watches) doubt(path string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if m := w.get(path); m != 0 {
		w.set(path, m|m&allPlaced<<3)
	}
	of := w.below[path]
	for child, m := range of {
		of[child] = m | m&allPlaced<<3
	}
}

// release takes the watches on path and its children, but for those that somebody wants, out of what is set again.
func (w *watches) release(path string, wanted func(path string) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	release := func(p string) {
		if !wanted(p) {
			w.toRelease(p)
		}
	}
	if w.get(path) != 0 {
		release(path)
	}
	for child := range w.below[path] {
		release(child)
	}
}

// letGo has all watches on path taken away, of which one stays until then.
func (w *watches) letGo(path string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.toRelease(path)
}

func (w *watches) toRelease(path string) {
	w.released[path] |= w.get(path)
	w.set(path, 0)
}

// keep is for a path on which a watch is about to be left: a removal that is sent behind that would take it away again. What would have been removed is
// there still.
func (w *watches) keep(path string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if m, released := w.released[path]; released {
		delete(w.released, path)
		w.set(path, w.get(path)|m)
	}
}

// clear forgets all watches: the connection has none, and none is to be set again.
func (w *watches) clear() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.below)
	clear(w.released)
	w.n = 0
}

func (w *watches) anyReleased() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.released) > 0
}

// takeReleased returns so many released paths at most, whose watches are to be taken away now.
func (w *watches) takeReleased(most int) (paths []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for path := range w.released {
		if len(paths) == most {
			break
		}
		paths = append(paths, path)
		delete(w.released, path)
	}
	return paths
}

// keepReleased forgets which watches nobody wants: they go with the connection.
func (w *watches) keepReleased() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.released)
}

func (w *watches) isPlaced(k watchKey) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.get(k.path)&k.kind.placed() != 0
}

func (w *watches) outstanding() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.n
}

// setWatchesLimit is how long a SetWatches request may be: as ZooKeeper's own client has it, well below the server's limit of 1 MiB.
const setWatchesLimit = 128 << 10

// setWatches returns the frames that set the outstanding watches again on a new connection, which has none; none when there are none.
func (w *watches) setWatches(zxid int64) (frames [][]byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.released)
	var paths [3][]string
	size := 0
	flush := func() {
		if size > 0 {
			frames = append(frames, setWatchesFrame(zxid, &paths))
			paths, size = [3][]string{}, 0
		}
	}
	for _, of := range w.below {
		for path, m := range of {
			for kind := range paths {
				if m&watchKind(kind).placed() == 0 {
					continue
				}
				if size+4+len(path) > setWatchesLimit {
					flush()
				}
				paths[kind] = append(paths[kind], path)
				size += 4 + len(path)
			}
		}
	}
	flush()
	return frames
}

func splitPath(path string) (parent, name string) {
	at := strings.LastIndexByte(path, '/')
	return path[:max(at, 0)], path[at+1:]
}
