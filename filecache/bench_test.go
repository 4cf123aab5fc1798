package filecache

import (
	"fmt"
	"testing"
	"time"
)

var sizes = []int{100, 1_000, 10_000}

func BenchmarkSave(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprintf("servers=%d", n), func(b *testing.B) {
			c := mustOpen(b, b.TempDir())
			// Two lists in turn: each Save really replaces the list and keeps the predecessor.
			lists := [2]Snapshot{many(n, "weight=5"), many(n, "weight=6")}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				s := lists[i%2]
				s.Zxid = int64(i)
				mustSave(b, c, s)
			}
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	for _, n := range append(sizes, 5_000) {
		b.Run(fmt.Sprintf("servers=%d", n), func(b *testing.B) {
			c := mustOpen(b, b.TempDir())
			mustSave(b, c, many(n, "weight=5&group=blue&version=1.2.3"))
			b.ReportAllocs()
			for b.Loop() {
				if s, err := c.Load(); err != nil || len(s.Servers) != n {
					b.Fatal(len(s.Servers), err)
				}
			}
		})
	}
}

// BenchmarkWatchAtRest is what a look at an unchanged directory costs; each Watch does it every 5 s.
func BenchmarkWatchAtRest(b *testing.B) {
	c := mustOpen(b, b.TempDir())
	mustSave(b, c, many(1_000, "weight=5"))
	w := c.newWatch(func(Snapshot) {})
	now := time.Now()
	w.compare(now)
	w.compare(now.Add(coarsest))
	b.ReportAllocs()
	for b.Loop() {
		w.compare(now.Add(2 * coarsest))
	}
}

// many is a snapshot of n servers.
func many(n int, value string) Snapshot {
	s := Snapshot{Lineage: "one", AsOf: time.Now(), Servers: make([]Server, n)}
	for i := range s.Servers {
		s.Servers[i] = Server{Key: fmt.Sprintf("tcp@10.%d.%d.%d:8972", i>>16, i>>8&255, i&255), Value: value}
	}
	return s
}
