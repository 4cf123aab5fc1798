package session

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// moved counts what goes over a connection: each is a wake-up, here or there.
type moved struct {
	net.Conn
	reads, writes *atomic.Int64
}

func (c moved) Read(b []byte) (int, error)  { n, err := c.Conn.Read(b); c.reads.Add(1); return n, err }
func (c moved) Write(b []byte) (int, error) { c.writes.Add(1); return c.Conn.Write(b) }

// At rest a session costs what go-zookeeper costs by itself: a ping and its answer, at the same intervals, whatever the server has.
func TestAtRestASessionCostsWhatGoZookeeperCosts(t *testing.T) {
	const hour = time.Hour
	alone := func(zk *zktest.Server, timeout time.Duration) (reads, writes int64) {
		var r, w atomic.Int64
		c := goZookeeper(t, zk, timeout, &r, &w)
		defer c.Close()
		settle(time.Second)
		reads, writes = r.Load(), w.Load()
		settle(hour)
		return r.Load() - reads, w.Load() - writes
	}
	for _, version := range []zktest.Version{zktest.Version34, zktest.Version38, zktest.Version39} {
		for _, ext := range []Extension{{}, {true, true}} {
			bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
				names := fill(t, zk, 100)
				wantReads, wantWrites := alone(zk, 10*time.Second)
				if wantWrites < 3600/4 {
					t.Fatalf("go-zookeeper writes %d times in an hour", wantWrites)
				}
				var reads, writes atomic.Int64
				cfg.Dial = wrapping(zk.Dial, func(c net.Conn) net.Conn { return moved{c, &reads, &writes} })
				cfg.Extension = ext
				s := connected(t, cfg)
				sub := s.Subscribe("/app")
				defer sub.Close()
				mirrored(t, s)
				settle(time.Second)
				r, w, before := reads.Load(), writes.Load(), zk.Stats()
				settle(hour)
				if r, w = reads.Load()-r, writes.Load()-w; r > wantReads || w > wantWrites {
					t.Errorf("%v, %+v: %d reads and %d writes in an hour, go-zookeeper alone has %d and %d", version, ext, r, w, wantReads, wantWrites)
				}
				if st := zk.Stats().Since(before); st.Total() > 0 || st.Notifications > 0 {
					t.Errorf("%v, %+v: %v", version, ext, st.Requests)
				}
				must(t, zk.Set("/app/"+names[0], []byte("b")))
				settle(0)
				if h := sub.Take(); !h.Any() {
					t.Errorf("%v, %+v: and is told nothing", version, ext)
				}
			}, zktest.WithVersion(version))
		}
	}
}

// goZookeeper is a plain connection.
func goZookeeper(t *testing.T, server *zktest.Server, timeout time.Duration, reads, writes *atomic.Int64) *zk.Conn {
	t.Helper()
	c, _, err := zk.Connect([]string{"127.0.0.1:2181"}, timeout, zk.WithLogInfo(false), zk.WithDialer(func(network, addr string, _ time.Duration) (net.Conn, error) {
		c, err := server.Dial(context.Background(), network, addr)
		return moved{c, reads, writes}, err
	}))
	must(t, err)
	return c
}
