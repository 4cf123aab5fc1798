package zktest

import (
	"fmt"
	"sync"
	"testing"
)

// BenchmarkChange is one creation below a parent with so many children, and the deletion of the node; its cost must not grow with them.
func BenchmarkChange(b *testing.B) {
	for _, children := range []int{10, 5000} {
		b.Run(fmt.Sprintf("children=%d", children), func(b *testing.B) {
			s := benchServer(b, children)
			w := openWire(b, s.Addr())
			r, d := create("/service/new", persistent), remove("/service/new", -1)
			for b.Loop() {
				w.must(b, &r)
				w.must(b, &d)
			}
		})
	}
}

// BenchmarkTell is one change that a thousand connections hear of, list the 5000 children, and watch again.
func BenchmarkTell(b *testing.B) {
	const clients, children = 1000, 5000
	s := benchServer(b, children)
	list := request{kind: OpGetChildren2, path: "/service", watch: true}
	wires := make([]*wire, clients)
	for i := range wires {
		wires[i] = openWire(b, s.Addr())
		wires[i].must(b, &list)
	}
	for b.Loop() {
		if err := s.Create("/service/new", nil); err != nil {
			b.Fatal(err)
		}
		var wg sync.WaitGroup
		for _, w := range wires {
			wg.Go(func() {
				if a, err := w.answer(); err != nil || a.xid != xidEvent {
					b.Error(a.xid, err)
				}
				if _, err := w.call(list.kind, list.encode()); err != nil {
					b.Error(err)
				}
			})
		}
		wg.Wait()
		if err := s.Delete("/service/new"); err != nil {
			b.Fatal(err)
		}
		for _, w := range wires {
			if _, err := w.answer(); err != nil {
				b.Fatal(err)
			}
			if _, err := w.call(list.kind, list.encode()); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func benchServer(b *testing.B, children int) *Server {
	b.Helper()
	s := Start(b)
	for i := range children {
		if err := s.Put(fmt.Sprintf("/service/tcp@127.0.%d.%d:8972", i/250, i%250), []byte("weight=1")); err != nil {
			b.Fatal(err)
		}
	}
	return s
}
