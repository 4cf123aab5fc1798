package zkdiscovery

import (
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"
)

// hooks keeps what an Observer was told.
type hooks struct {
	mu          sync.Mutex
	published   []Published
	connections []ConnectionChange
	saved       []Saved
}

// observer calls also with every event, outside every lock of the test's.
func (h *hooks) observer(also func()) Observer {
	note := func(f func()) {
		h.mu.Lock()
		f()
		h.mu.Unlock()
		also()
	}
	return Observer{
		Published:  func(p Published) { note(func() { h.published = append(h.published, p) }) },
		Connection: func(c ConnectionChange) { note(func() { h.connections = append(h.connections, c) }) },
		Saved:      func(s Saved) { note(func() { h.saved = append(h.saved, s) }) },
	}
}

func TestAnObserverHearsOfListsConnectionsAndFiles(t *testing.T) {
	inBubble(t, func(w *world) {
		var h hooks
		w.put("Arith", "tcp@a:1", "")
		d := w.discover("Arith", WithObserver(h.observer(func() {})))
		d.WatchService()
		w.put("Arith", "tcp@b:1", "")
		pass(10 * time.Second)
		w.breakFile(d)
		w.put("Arith", "tcp@c:1", "")
		pass(5 * time.Second)
		w.zk.Stop()
		pass(time.Second)
		w.do(w.zk.Start())
		pass(10 * time.Second)
		w.zk.ExpireAll()
		pass(10 * time.Second)
		w.mendFile(d)
		d.Close()

		path := d.view.path
		if want := []Published{{path, Live, 1, 1, 0}, {path, Live, 2, 2, 1}, {path, Live, 3, 3, 1}}; !slices.Equal(h.published, want) {
			t.Errorf("published %v, want %v", h.published, want)
		}
		type connection struct{ connected, newSession, why bool }
		var got []connection
		for _, c := range h.connections {
			got = append(got, connection{c.Connected, c.NewSession, c.Err != nil})
			if c.Server != "zk:2181" {
				t.Errorf("server %q", c.Server)
			}
		}
		want := []connection{{true, true, false}, {false, false, true}, {true, false, true}, {false, false, true}, {true, true, true}}
		if !slices.Equal(got, want) {
			t.Errorf("connections (up, new session, with reason) %v, want %v", got, want)
		}
		failed := 0
		for _, s := range h.saved {
			if s.Service != path || s.Instances < 1 || s.Instances > 3 || s.Took < 0 {
				t.Errorf("saved %+v", s)
			}
			if s.Err != nil {
				failed++
			}
		}
		if failed == 0 || failed == len(h.saved) {
			t.Errorf("%d of %d writes failed, want some", failed, len(h.saved))
		}
	})
}

func TestAHookMayCallEverythingAndPanic(t *testing.T) {
	inBubble(t, func(w *world) {
		var h hooks
		var mu sync.Mutex
		var d *Discovery
		w.put("Arith", "tcp@a:1", "")
		got := w.discover("Arith", WithObserver(h.observer(func() {
			mu.Lock()
			d := d
			mu.Unlock()
			if d != nil {
				d.GetServices()
				d.RemoveWatcher(d.WatchService())
				_ = d.Snapshot()
				_ = d.Status()
			}
			panic("mistake")
		})))
		mu.Lock()
		d = got
		mu.Unlock()
		for i := range 5 {
			w.put("Arith", "tcp@b:1", string(rune('a'+i)))
			pass(2 * time.Second)
		}
		w.zk.ExpireAll()
		pass(10 * time.Second)
		d.Close()
		w.source(d, Stale)
		w.lists(d, "tcp@a:1,tcp@b:1")
		if len(h.published) != 6 || len(h.connections) != 3 || len(h.saved) < 2 {
			t.Errorf("hooks called %d, %d and %d times", len(h.published), len(h.connections), len(h.saved))
		}
		if n := len(w.log.with(slog.LevelError, "observer hook panicked", "panic=mistake")); n == 0 {
			t.Error("not reported")
		}
	})
}
