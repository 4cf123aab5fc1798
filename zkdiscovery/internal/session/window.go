package session

import (
	"slices"
	"sync"
	"time"
)

// What may be under way on one connection at once, without batches. It is enough to keep a fast connection busy. It is little enough that an answer over a slow
// one does not wait long behind the others: 128 KiB take 2.7 s over 48 KB/s.
const (
	maxFlying   = 512       // requests
	maxExpected = 128 << 10 // bytes of their answers

	batch = 128 // requests in one write
	turn  = 16  // requests of one large exchange before it is the next one's turn
	small = 4   // an exchange of so many requests at most does not wait for its turn

	// A batch is one request, so there are fewer and larger answers with them: two of the largest keep a connection busy.
	maxBatch      = 500       // reads
	maxBatchBytes = 512 << 10 // of its answer
	maxBatchAsk   = 128 << 10 // bytes of the request: the server's limit is 1 MiB
)

// window holds what the library asks on one link: the requests that are under way, and the exchanges whose requests wait for room. It decides what
// is sent next: first small exchanges, such as a list, then some requests of each large one in turn.
type window struct {
	wake chan struct{} // room for one token: the sender may find something to send. Anybody puts it there, the sender takes it

	mu       sync.Mutex // guards what follows; an exchange's and the watches' are taken under it
	few      []*exchange
	many     []*exchange
	flying   []asked         // in the order in which they were sent
	expected int             // bytes of their answers
	asks     int32           // so many requests were sent
	lists    int             // bytes of a list's answer, lately
	nodes    int             // bytes of a node's answer, lately
	pings    []time.Duration // after signs.born: when the pings under way were sent

	extension  Extension
	batchBytes int                 // of a batch's answer, at most
	lasting    map[string]struct{} // paths that have a lasting watch over this link
	paths      []string            // of the batch that is being made
}

// asked is a request of the library's own that is under way.
type asked struct {
	xid       int32
	op        int32
	watch     bool // it is to leave one on path …
	forgotten bool // … which nobody wants any more
	expected  int  // bytes of the answer
	path      string
	x         *exchange // nil for the removal of watches
	i, n      int       // of x, from i on, n
}

// leftWatch reports whether the request that was answered with code has left a watch, and of what kind. One that fails leaves none, but for exists,
// which waits for a node that is missing. If that is there after all, it is a data watch.
func (a *asked) leftWatch(code int32) (kind watchKind, left bool) {
	switch kind = watchOf(a.op); {
	case !a.watch:
		return kind, false
	case kind != existWatch:
		return kind, code == 0
	case code == 0:
		return dataWatch, true
	}
	return kind, code == codeNoNode
}

// newWindow begins with guesses that are rather too large: the first answers correct them.
func newWindow() window {
	return window{
		wake: make(chan struct{}, 1), lists: 16 << 10, nodes: 1 << 10, batchBytes: maxBatchBytes, lasting: make(map[string]struct{}),
	}
}

// extend says what the server has.
func (w *window) extend(e Extension) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.extension = e
}

// wantsLasting reports whether a list of path relies on a lasting watch, and what is to be asked ahead of it for that.
func (w *window) wantsLasting(path string) (lasting bool, ahead []int32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.extension.Lasting {
		return false, nil
	}
	if _, there := w.lasting[path]; !there {
		ahead = []int32{opAddWatch}
	}
	return true, ahead
}

// isWatched reports whether a lasting watch tells of the data of path. The caller holds mu.
func (w *window) isWatched(path string) bool {
	if !w.extension.Lasting {
		return false
	}
	parent, _ := splitPath(path)
	_, above := w.lasting[parent]
	_, at := w.lasting[path]
	return above || at
}

// dropLasting has the lasting watch on path taken away, if there is one.
func (w *window) dropLasting(path string, ws *watches) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, there := w.lasting[path]; there {
		delete(w.lasting, path)
		ws.letGo(path)
		w.poke()
	}
}

// outstanding is the number of lasting watches.
func (w *window) outstanding() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.lasting)
}

// halve makes batches smaller, after an answer to one of n reads that was over the size limit.
func (w *window) halve(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.batchBytes = max(w.batchBytes/2, 1)
	w.nodes = max(w.nodes, 2*w.batchBytes/n)
}

// opOf is the kind of a request that is under way, 0 if there is none of that xid.
func (w *window) opOf(xid int32) int32 {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.flying {
		if w.flying[i].xid == xid {
			return w.flying[i].op
		}
	}
	return 0
}

// add makes the requests of x wait for room.
func (w *window) add(x *exchange) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if x.n <= small {
		w.few = append(w.few, x)
	} else {
		w.many = append(w.many, x)
	}
	w.poke()
}

func (w *window) poke() {
	select {
	case w.wake <- struct{}{}:
	default: // there is a token already
	}
}

// next appends the frames that are to be sent in one write, and notes them as under way. A request asks for the watch that its exchange wants if
// none is outstanding: a watch that fires before the request is answered tells so before the answer does. Where nothing else is to be sent, and the
// server knows how, released watches are removed.
func (w *window) next(frames []byte, ws *watches, removes bool) []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for n < batch {
		x := w.first()
		if x == nil {
			break
		}
		begin := x.sent
		for x.sent < x.n && x.sent-begin < turn && n < batch {
			a := w.request(x, ws)
			if !w.hasRoom(a.expected) {
				break
			}
			if a.watch || a.op == opAddWatch {
				ws.keep(a.path)
			}
			frames = w.send(frames, a)
			x.sent += a.n
			n++
		}
		if x.sent == begin {
			break // no room
		}
		w.served(x)
	}
	if removes && w.first() == nil {
		for _, path := range ws.takeReleased(min(batch-n, maxFlying-len(w.flying))) {
			frames = w.send(frames, asked{op: opRemove, path: path, n: 1, expected: w.size(opRemove)})
		}
	}
	return frames
}

// request is the next one of x: a batch, where the server has those and no read in it is to leave a watch. The caller holds mu.
func (w *window) request(x *exchange, ws *watches) asked {
	wants := func(op int32, path string) bool {
		switch {
		case !x.watch || op == opSync || op == opAddWatch:
			return false
		case op == opGetData && w.isWatched(path):
			return false
		}
		return ws.lacks(watchKey{path, watchOf(op)})
	}
	a := asked{op: x.opOf(x.sent), path: x.path(x.sent), x: x, i: x.sent, n: 1}
	a.watch = wants(a.op, a.path)
	a.forgotten = x.forgotten && a.op == opAddWatch
	w.paths = append(w.paths[:0], a.path)
	if a.op == opGetData && w.extension.Batches && !a.watch && x.n-x.sent > 1 {
		most := min(maxBatch, max(w.batchBytes/max(w.nodes, 1), 1), x.n-x.sent)
		for ask := len(a.path); a.n < most; a.n++ {
			path := x.path(x.sent + a.n)
			if ask += multiHeaderSize + 4 + len(path) + 1; ask > maxBatchAsk || wants(a.op, path) {
				break
			}
			w.paths = append(w.paths, path)
		}
		a.op = opMultiRead
	}
	a.expected = a.n * w.size(a.op)
	return a
}

// send appends the frame of a request and notes it as under way. The caller holds mu, and w.paths are a batch's.
func (w *window) send(frames []byte, a asked) []byte {
	a.xid = xidOwn - w.asks
	w.asks = (w.asks + 1) % (1 << 30)
	w.flying = append(w.flying, a)
	w.expected += a.expected
	if a.op == opMultiRead {
		return appendMultiRead(frames, a.xid, w.paths)
	}
	return appendRead(frames, a.xid, a.op, a.path, a.watch)
}

// forget has the watches on path and its children released that requests under way will leave, unless they are wanted, and no others left.
func (w *window) forget(path string, wanted func(path string) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	isBelow := func(p string) bool {
		parent, _ := splitPath(p)
		return (p == path || parent == path) && !wanted(p)
	}
	for i := range w.flying {
		a := &w.flying[i]
		a.forgotten = a.forgotten || a.watch && isBelow(a.path) || a.op == opAddWatch && a.path == path
	}
	for _, queue := range [...][]*exchange{w.few, w.many} {
		for _, x := range queue {
			p := x.path(x.sent)
			x.watch = x.watch && !isBelow(p)
			x.forgotten = x.forgotten || p == path
		}
	}
}

// first is the exchange whose turn it is, nil when nothing waits. Those that nobody waits for any more are dropped. The caller holds mu.
func (w *window) first() *exchange {
	for _, queue := range [...]*[]*exchange{&w.few, &w.many} {
		for len(*queue) > 0 {
			if x := (*queue)[0]; !x.isOver() {
				return x
			}
			(*queue)[0] = nil
			*queue = (*queue)[1:]
		}
	}
	return nil
}

// served takes the first exchange out of its queue, and puts it behind the others if it has more to send. The caller holds mu.
func (w *window) served(x *exchange) {
	queue := &w.many
	if x.n <= small {
		queue = &w.few
	}
	(*queue)[0] = nil
	*queue = (*queue)[1:]
	if x.sent < x.n {
		*queue = append(*queue, x)
	}
}

// hasRoom reports whether a request may be sent now. A single one always may, whatever its answer's size. The caller holds mu.
func (w *window) hasRoom(expected int) bool {
	return len(w.flying) == 0 || len(w.flying) < maxFlying && w.expected+expected <= w.most()
}

// most is how many bytes of answers may be expected at once. The caller holds mu.
func (w *window) most() int {
	if w.extension.Batches {
		return 2 * maxBatchBytes
	}
	return maxExpected
}

// size is how long an answer is expected to be. The caller holds mu.
func (w *window) size(op int32) int {
	switch op {
	case opChildren2:
		return w.lists
	case opGetData, opMultiRead:
		return w.nodes
	default:
		return 4 + replyHeader + statSize
	}
}

// answered takes out the oldest request under way, to which this must be the answer, since ZooKeeper keeps the order. The answer has so many
// bytes. The watch that the request has left is noted, before anybody can learn of the answer, and so before an event of that watch, or the next
// link, can come.
func (w *window) answered(xid int32, size int, code int32, ws *watches) (asked, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.flying) == 0 || w.flying[0].xid != xid {
		return asked{}, false
	}
	a := w.flying[0]
	w.flying[0] = asked{}
	w.flying = w.flying[1:]
	w.expected -= a.expected
	a.forgotten = a.forgotten && !w.leavesAgain(a.path) // who has taken the path up again wants what it has left, too
	switch a.op {
	case opChildren2:
		w.lists += (size - w.lists) / 8
	case opGetData:
		w.nodes += (size - w.nodes) / 8
	case opMultiRead:
		w.nodes += (max(size/a.n, 4+replyHeader+statSize) - w.nodes) / 2 // many that are gone say nothing about the others
	case opAddWatch:
		if code == 0 && !a.forgotten {
			w.lasting[a.path] = struct{}{}
		}
	}
	if kind, left := a.leftWatch(code); left {
		ws.placed(watchKey{a.path, kind})
	}
	if a.forgotten { // also where it has left none: one from before may be there, which was kept for its sake
		ws.letGo(a.path)
		w.poke()
	}
	// Half the window is sent at once rather than one request at a time.
	if len(w.flying) <= maxFlying/2 && w.expected <= w.most()/2 && (len(w.few)+len(w.many) > 0 || ws.anyReleased()) {
		w.poke()
	}
	return a, true
}

// leavesAgain reports whether a request under way is to leave a watch on path that somebody wants. The caller holds mu.
func (w *window) leavesAgain(path string) bool {
	return slices.ContainsFunc(w.flying, func(a asked) bool {
		return (a.watch || a.op == opAddWatch) && !a.forgotten && a.path == path
	})
}

// pinged notes that a ping is sent now.
func (w *window) pinged(at time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pings = append(w.pings, at)
}

// pingAnswered returns when the ping was sent that was answered now. Several may be under way.
func (w *window) pingAnswered() (at time.Duration, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.pings) == 0 {
		return 0, false
	}
	at = w.pings[0]
	w.pings = w.pings[1:]
	return at, true
}
