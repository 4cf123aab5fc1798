package zkdiscovery

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// BenchmarkManyServices is how long 1,000 services of 130 instances on one template take to be live, beside as many plain reads: a list each, and
// all instances in one pipeline, which is what ZooKeeper and the wire need.
func BenchmarkManyServices(b *testing.B) {
	const services, instances = 1_000, 130
	e := zktest.StartEnsemble(b, 1)
	c := connect(b, e.Servers())
	f := &fleet{b: b, zk: c, servers: e.Servers()}
	f.create("/bench")
	for i := range services {
		path := fmt.Sprintf("/bench/Service%04d", i)
		f.create(path)
		var ops []any
		for j := range instances {
			ops = append(ops, &zk.CreateRequest{Path: fmt.Sprintf("%s/tcp@127.0.1.%d:8972", path, j), Data: []byte("weight=1&group=a"), Acl: zk.WorldACL(zk.PermAll)})
		}
		if _, err := c.Multi(ops...); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("reads", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			s := session.Open(session.Config{Servers: f.servers})
			for !s.State().Connected {
				time.Sleep(time.Millisecond)
			}
			b.StartTimer()
			var names []string
			for i := range services {
				service := fmt.Sprintf("Service%04d", i)
				l, err := s.List(b.Context(), "/bench/"+service)
				if err != nil {
					b.Fatal(err)
				}
				for _, name := range l.Names {
					names = append(names, service+"/"+name)
				}
			}
			if nodes, err := s.Read(b.Context(), "/bench", names, true); err != nil || len(nodes) != services*instances {
				b.Fatal(len(nodes), err)
			}
			b.StopTimer()
			s.Close()
			b.StartTimer()
		}
	})
	b.Run("live", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			d, err := NewTemplate("/bench", f.servers, WithoutCache())
			if err != nil {
				b.Fatal(err)
			}
			if err := d.WaitLive(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			var wg sync.WaitGroup
			for i := range services {
				wg.Go(func() {
					c, err := d.Clone(fmt.Sprintf("Service%04d", i))
					if err == nil {
						err = c.(*Discovery).WaitLive(context.Background())
					}
					if err != nil || len(c.GetServices()) != instances {
						b.Error(err)
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			if st := d.root.session.State(); st.Link != 1 {
				b.Errorf("%d connections", st.Link)
			}
			d.Close()
			b.StartTimer()
		}
	})
}
