package session

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// BenchmarkRead reads all children of a node, which leaves a watch on each the first time.
func BenchmarkRead(b *testing.B) {
	e := zktest.StartEnsemble(b, 1)
	for _, n := range []int{1000, 5000} {
		s, other := real(b, e, Config{})
		names := populate(b, other, n)
		b.Run(fmt.Sprintf("first/children=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for b.Loop() {
				b.StopTimer()
				s.mu.Lock()
				s.line.watches = newWatches()
				s.mu.Unlock()
				b.StartTimer()
				if _, err := s.Read(b.Context(), "/app", names, true); err != nil {
					b.Fatal(err)
				}
			}
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(after.Mallocs-before.Mallocs)/float64(b.N*n), "allocs/child")
		})
		b.Run(fmt.Sprintf("again/children=%d", n), func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Read(b.Context(), "/app", names, true); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("list/children=%d", n), func(b *testing.B) {
			for b.Loop() {
				if _, err := s.List(b.Context(), "/app"); err != nil {
					b.Fatal(err)
				}
			}
		})
		for batch := 0; batch < n; batch += 500 {
			var ops []Op
			for _, name := range names[batch : batch+500] {
				ops = append(ops, Delete{Path: "/app/" + name, Version: -1})
			}
			write(b, other, ops...)
		}
		write(b, other, Delete{Path: "/app", Version: -1})
	}
}

// BenchmarkReadOverADelay shows what pipelining is for: a round trip of 2 ms.
func BenchmarkReadOverADelay(b *testing.B) {
	e := zktest.StartEnsemble(b, 1)
	proxy, err := zktest.NewProxy(e.Servers()[0])
	must(b, err)
	defer proxy.Close()
	proxy.Delay(2 * time.Millisecond)
	s, other := real(b, e, Config{Servers: []string{proxy.Addr()}})
	defer s.Close() // before the proxy
	names := populate(b, other, 1000)
	for b.Loop() {
		if _, err := s.Read(b.Context(), "/app", names, true); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOutstandingWatch measures the memory of one.
func BenchmarkOutstandingWatch(b *testing.B) {
	const n = 100_000
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		w := newWatches()
		for i := range n {
			w.placed(watchKey{fmt.Sprintf("/rpcx/Arith/tcp@10.0.%d.%d:8972", i/256, i%256), dataWatch})
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "B/watch")
		runtime.KeepAlive(w)
	}
}
