package agent

import (
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smallnest/rpcx/client"
)

// watchers receive lists as XClients do, each on a goroutine of its own. Expectations are of those of the first discovery.
type watchers struct {
	expected atomic.Pointer[expectation]
	all      []*watcher
	first    int           // how many of all watch the first discovery
	quit     chan struct{} // closed by close
	reading  sync.WaitGroup
}

type watcher struct {
	d    client.ServiceDiscovery
	ch   chan []*client.KVPair
	last atomic.Pointer[[]*client.KVPair] // the last list that arrived, nil before
}

// start has n watchers follow each discovery. The first stuck of each take nothing from their channels.
func (w *watchers) start(ds []client.ServiceDiscovery, n, stuck int) {
	w.quit = make(chan struct{})
	for of, d := range ds {
		for i := range n {
			one := &watcher{d: d, ch: d.WatchService()}
			if i >= stuck {
				w.all = append(w.all, one)
				w.reading.Go(func() { w.read(one, of == 0) })
			}
		}
		if of == 0 {
			w.first = len(w.all)
		}
	}
}

func (w *watchers) read(one *watcher, expects bool) {
	met := ""
	for {
		select {
		case list := <-one.ch:
			at := time.Now()
			one.last.Store(&list)
			if e := w.expected.Load(); expects && e != nil && e.id != met && e.holds(list) {
				met = e.id
				e.meet(at)
			}
		case <-w.quit:
			one.d.RemoveWatcher(one.ch)
			return
		}
	}
}

// list is what the first watcher knows: the last list that it received, or what it could ask for at first.
func (w *watchers) list() map[string]string {
	m := make(map[string]string)
	if len(w.all) == 0 {
		return m
	}
	list := w.all[0].d.GetServices()
	if last := w.all[0].last.Load(); last != nil {
		list = *last
	}
	for _, p := range list {
		m[p.Key] = p.Value
	}
	return m
}

func (w *watchers) expect(e *expectation) {
	e.left.Store(int32(w.first)) //nolint:gosec // never so many
	w.expected.Store(e)
}

func (w *watchers) close() {
	if w.quit != nil {
		close(w.quit)
		w.reading.Wait()
	}
	w.all, w.quit = nil, nil
	w.expected.Store(nil)
}

// expectation is what every watcher of the first discovery is to see once.
type expectation struct {
	id, key, want string
	met           func(id string, at time.Time)

	left atomic.Int32
	last atomic.Int64 // when the latest of them saw it, in nanoseconds since 1970
}

func (e *expectation) holds(list []*client.KVPair) bool {
	if e.want[0] == '#' {
		return e.want[1:] == strconv.Itoa(len(list))
	}
	for _, p := range list {
		if p.Key == e.key {
			return e.want == "in" || e.want == "="+p.Value
		}
	}
	return e.want == "out"
}

func (e *expectation) meet(at time.Time) {
	now := at.UnixNano()
	for was := e.last.Load(); was < now && !e.last.CompareAndSwap(was, now); was = e.last.Load() {
	}
	if e.left.Add(-1) == 0 {
		e.met(e.id, time.Unix(0, e.last.Load()))
	}
}
