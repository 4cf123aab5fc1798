package zkdiscovery

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

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
	c := connect(b, e.Servers())
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

func (f *fleet) remove(path string) {
	f.b.Helper()
	if err := f.zk.Delete(path, -1); err != nil {
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

// BenchmarkFloor is an added instance as BenchmarkChange measures it, for the least that a client can do which leaves its reads to
// go-zookeeper: wait for the event, list the names, get the new one's data. BenchmarkChange is to be compared with it.
func BenchmarkFloor(b *testing.B) {
	for _, n := range sizes {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			f := newFleet(b, n)
			c := connect(b, f.servers)
			var took []time.Duration
			for b.Loop() {
				event := f.watch(c)
				time.Sleep(2 * publishGap)
				took = append(took, f.seenBy(c, event, f.instance(n)))
				f.remove(f.instance(n))
			}
			report(b, took)
		})
	}
}

func connect(b *testing.B, servers []string) *zk.Conn {
	b.Helper()
	c, _, err := zk.Connect(servers, 30*time.Second, zk.WithLogInfo(false))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.Close)
	return c
}

func (f *fleet) watch(c *zk.Conn) <-chan zk.Event {
	f.b.Helper()
	_, _, event, err := c.ChildrenW(f.path)
	if err != nil {
		f.b.Fatal(err)
	}
	return event
}

// seenBy adds an instance and returns how long c, which waits for event, takes to know it.
func (f *fleet) seenBy(c *zk.Conn, event <-chan zk.Event, instance string) time.Duration {
	f.b.Helper()
	began := time.Now()
	f.create(instance)
	<-event
	f.watch(c)
	if _, _, _, err := c.GetW(instance); err != nil {
		f.b.Fatal(err)
	}
	return time.Since(began)
}

// BenchmarkDelayed goes through a proxy that delays each direction by 1 ms: a start, an added instance, and the same for the least that a
// client can do. What a round trip really takes through that proxy is measured too: timers are not exact.
func BenchmarkDelayed(b *testing.B) {
	const n, delay = 1_000, 2 * time.Millisecond
	f := newFleet(b, n)
	proxy, err := zktest.NewProxy(f.servers[0])
	if err != nil {
		b.Fatal(err)
	}
	defer proxy.Close()
	proxy.Delay(delay)
	proxied := []string{proxy.Addr()}
	c := connect(b, proxied)
	var trips []time.Duration
	b.Run("roundtrip", func(b *testing.B) {
		trips = nil
		for b.Loop() {
			began := time.Now()
			if _, _, err := c.Exists(f.path); err != nil {
				b.Fatal(err)
			}
			trips = append(trips, time.Since(began))
		}
		report(b, trips)
	})
	inTrips := func(b *testing.B, took []time.Duration) {
		report(b, took)
		b.ReportMetric(float64(took[len(took)/2])/float64(trips[len(trips)/2]), "round-trips")
	}
	b.Run("start", func(b *testing.B) {
		var took []time.Duration
		for b.Loop() {
			began := time.Now()
			d := f.discover(proxied, WithoutCache())
			took = append(took, time.Since(began))
			d.Close()
		}
		inTrips(b, took)
	})
	b.Run("add", func(b *testing.B) {
		d := f.discover(proxied, WithoutCache(), WithoutGuard())
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
			f.remove(f.instance(n))
			<-ch
		}
		inTrips(b, took)
	})
	b.Run("floor", func(b *testing.B) {
		var took []time.Duration
		for b.Loop() {
			event := f.watch(c)
			time.Sleep(2 * publishGap)
			took = append(took, f.seenBy(c, event, f.instance(n)))
			f.remove(f.instance(n))
		}
		inTrips(b, took)
	})
}
