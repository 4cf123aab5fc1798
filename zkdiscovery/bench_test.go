package zkdiscovery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

var sizes = []int{10, 100, 1_000, 5_000}

// fleet is a service with n instances on a real ZooKeeper, and a client that changes it.
type fleet struct {
	b       *testing.B
	zk      *zk.Conn
	servers []string
	path    string
}

func newFleet(b *testing.B, n int) *fleet {
	b.Helper()
	e := zktest.StartEnsemble(b, 1)
	c, _, err := zk.Connect(e.Servers(), 30*time.Second, zk.WithLogInfo(false))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.Close)
	f := &fleet{b: b, zk: c, servers: e.Servers(), path: "/bench/Arith"}
	for _, p := range []string{"/bench", f.path} {
		f.create(p)
	}
	for i := 0; i < n; i += 100 {
		var ops []any
		for j := i; j < min(i+100, n); j++ {
			ops = append(ops, &zk.CreateRequest{Path: f.instance(j), Data: []byte("weight=1&group=a"), Acl: zk.WorldACL(zk.PermAll)})
		}
		if _, err := c.Multi(ops...); err != nil {
			b.Fatal(err)
		}
	}
	return f
}

func (f *fleet) instance(i int) string {
	return fmt.Sprintf("%s/tcp@127.%d.%d.%d:8972", f.path, 1+i/62_500, i/250%250, i%250+1)
}

func (f *fleet) create(path string) {
	f.b.Helper()
	if _, err := f.zk.Create(path, []byte("weight=1&group=a"), 0, zk.WorldACL(zk.PermAll)); err != nil {
		f.b.Fatal(err)
	}
}

func (f *fleet) discover(servers []string, opts ...Option) *Discovery {
	f.b.Helper()
	d, err := New("/bench", "Arith", servers, opts...)
	if err != nil {
		f.b.Fatal(err)
	}
	return d
}

// BenchmarkChange measures from before the change is sent to ZooKeeper until a watcher has it: the writer's round trip is in it.
func BenchmarkChange(b *testing.B) {
	for _, n := range sizes {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			f := newFleet(b, n)
			d := f.discover(f.servers, WithoutCache(), WithoutGuard())
			defer d.Close()
			ch := d.WatchService()
			<-ch
			extra := f.instance(n)
			kinds := []struct {
				name   string
				change func(i int) error
				undo   func() error
			}{
				{"add", func(int) error {
					_, err := f.zk.Create(extra, []byte("weight=2"), 0, zk.WorldACL(zk.PermAll))
					return err
				}, func() error { return f.zk.Delete(extra, -1) }},
				{"metadata", func(i int) error {
					_, err := f.zk.Set(f.instance(0), []byte("weight="+strconv.Itoa(i+5)), -1)
					return err
				}, nil},
				{"remove", func(int) error { return f.zk.Delete(f.instance(1), -1) }, func() error {
					_, err := f.zk.Create(f.instance(1), nil, 0, zk.WorldACL(zk.PermAll))
					return err
				}},
			}
			for _, k := range kinds {
				b.Run(k.name, func(b *testing.B) {
					var took, wrote []time.Duration
					i := 0
					for b.Loop() {
						i++
						time.Sleep(2 * publishGap) // the leading edge, as it is when changes are rare
						began := time.Now()
						if err := k.change(i); err != nil {
							b.Fatal(err)
						}
						wrote = append(wrote, time.Since(began))
						<-ch
						took = append(took, time.Since(began))
						if k.undo != nil {
							if err := k.undo(); err != nil {
								b.Fatal(err)
							}
							<-ch
						}
					}
					report(b, took)
					slices.Sort(wrote)
					b.ReportMetric(wrote[len(wrote)/2].Seconds()*1e3, "write-p50-ms")
				})
			}
		})
	}
}

func report(b *testing.B, took []time.Duration) {
	b.Helper()
	slices.Sort(took)
	b.ReportMetric(0, "ns/op") // which has the pauses in it
	b.ReportMetric(took[len(took)/2].Seconds()*1e3, "p50-ms")
	b.ReportMetric(took[len(took)*99/100].Seconds()*1e3, "p99-ms")
}

// BenchmarkDelayed is an added instance through a proxy with a round trip of 2 ms.
func BenchmarkDelayed(b *testing.B) {
	const n, roundTrip = 1_000, 2 * time.Millisecond
	f := newFleet(b, n)
	proxy, err := zktest.NewProxy(f.servers[0])
	if err != nil {
		b.Fatal(err)
	}
	defer proxy.Close()
	proxy.Delay(roundTrip)
	var start []time.Duration
	b.Run("start", func(b *testing.B) {
		for b.Loop() {
			began := time.Now()
			d := f.discover([]string{proxy.Addr()}, WithoutCache())
			start = append(start, time.Since(began))
			d.Close()
		}
		report(b, start)
	})
	b.Run("add", func(b *testing.B) {
		d := f.discover([]string{proxy.Addr()}, WithoutCache(), WithoutGuard())
		defer d.Close()
		ch := d.WatchService()
		<-ch
		var took []time.Duration
		for b.Loop() {
			time.Sleep(2 * publishGap)
			began := time.Now()
			f.create(f.instance(n))
			<-ch
			took = append(took, time.Since(began))
			if err := f.zk.Delete(f.instance(n), -1); err != nil {
				b.Fatal(err)
			}
			<-ch
		}
		report(b, took)
		b.ReportMetric(float64(took[len(took)/2])/float64(roundTrip), "round-trips")
	})
}

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
				lists[i] = &list{pairs: pairs}
			}
			for range watchers {
				d.set.Watch()
			}
			seq := int64(0)
			b.ReportAllocs()
			for b.Loop() {
				seq++
				l := *lists[seq%2]
				l.seq = seq
				d.deliver(&l)
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
	d.deliver(&list{pairs: pairs, seq: 1})
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
