package zkdiscovery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strconv"
	"testing"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/internal/belief"
)

// BenchmarkStart is New, from nothing to the live list.
func BenchmarkStart(b *testing.B) {
	for _, n := range []int{1_000, 5_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			f := newFleet(b, n)
			for b.Loop() {
				d := f.discover(f.servers, WithoutCache())
				if got := len(d.GetServices()); got != n {
					b.Fatalf("%d instances of %d", got, n)
				}
				b.StopTimer()
				d.Close()
				b.StartTimer()
			}
		})
	}
}

// BenchmarkStartFromFile is New while every server refuses.
func BenchmarkStartFromFile(b *testing.B) {
	const n = 5_000
	f := newFleet(b, n)
	dir := b.TempDir()
	d := f.discover(f.servers, WithCacheDir(dir), WithEnsembleName("bench"))
	d.Close() // which writes the file
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	refusing := ln.Addr().String()
	_ = ln.Close()
	for b.Loop() {
		d := f.discover([]string{refusing}, WithCacheDir(dir), WithEnsembleName("bench"))
		if got := len(d.GetServices()); got != n {
			b.Fatalf("%d instances of %d", got, n)
		}
		b.StopTimer()
		d.Close()
		b.StartTimer()
	}
}

// unconnected is a Discovery whose lists come from the benchmark.
func unconnected(b *testing.B) *Discovery {
	b.Helper()
	nobody := func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("nobody there") }
	d, err := NewTemplate("/bench", []string{"nobody:2181"}, WithDialer(nobody), WithoutCache())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(d.Close)
	return d
}

// BenchmarkPublish is one change of 1,000 instances to so many watchers, without ZooKeeper.
func BenchmarkPublish(b *testing.B) {
	for _, watchers := range []int{1, 100, 1_000} {
		b.Run(strconv.Itoa(watchers), func(b *testing.B) {
			d := unconnected(b)
			lists := [2]*list{}
			for i := range lists {
				pairs := make([]*client.KVPair, 1_000)
				for j := range pairs {
					pairs[j] = &client.KVPair{Key: fmt.Sprintf("tcp@127.0.0.1:%05d", j), Value: strconv.Itoa(i)}
				}
				lists[i] = &list{Shown: belief.Shown{Pairs: pairs}}
			}
			for range watchers {
				d.view.watchers.Watch()
			}
			seq := int64(0)
			b.ReportAllocs()
			for b.Loop() {
				seq++
				l := *lists[seq%2]
				l.seq = seq
				deliver(d, &l)
			}
		})
	}
}

// BenchmarkGetServices is what NewXClient calls, at 1,000 instances.
func BenchmarkGetServices(b *testing.B) {
	d := unconnected(b)
	pairs := make([]*client.KVPair, 1_000)
	for j := range pairs {
		pairs[j] = &client.KVPair{Key: fmt.Sprintf("tcp@127.0.0.1:%05d", j)}
	}
	deliver(d, &list{Shown: belief.Shown{Pairs: pairs}, seq: 1})
	b.ReportAllocs()
	for b.Loop() {
		d.GetServices()
	}
}

// BenchmarkMemory is what 5,000 mirrored instances keep, the connection's own buffers left out, and how many goroutines.
func BenchmarkMemory(b *testing.B) {
	const n = 5_000
	f := newFleet(b, n)
	empty := f.path + "Empty"
	f.create(empty)
	for b.Loop() {
		with := func(service string) (heap uint64, goroutines int) {
			d, err := New("/bench", service, f.servers, WithoutCache())
			if err != nil {
				b.Fatal(err)
			}
			defer d.Close()
			runtime.GC()
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return m.HeapAlloc, runtime.NumGoroutine()
		}
		none, g0 := with("ArithEmpty")
		all, g1 := with("Arith")
		b.ReportMetric(float64(int64(all)-int64(none))/n, "B/instance")
		b.ReportMetric(float64(g1-g0), "more-goroutines")
	}
}
