package serverplugin

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// slow is a process's way to ZooKeeper that can be held up: nothing that is sent gets through then.
type slow struct {
	zk   *zktest.Server
	gate chan struct{} // room for one: a token is in it while something is sent, and while all is held up
}

func (s *slow) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := s.zk.Dial(ctx, network, addr)
	return slowConn{c, s}, err
}

func (s *slow) hold()    { s.gate <- struct{}{} }
func (s *slow) release() { <-s.gate }

type slowConn struct {
	net.Conn
	way *slow
}

func (c slowConn) Write(b []byte) (int, error) {
	c.way.hold()
	defer c.way.release()
	return c.Conn.Write(b)
}

// TestWhatComesLateHurtsNobody is of promises R2 and R3: what an old process decided about its own node, ZooKeeper may receive when a newer
// process has the address.
func TestWhatComesLateHurtsNobody(t *testing.T) {
	for what, decide := range map[string]func(b bubble, old *ZooKeeperRegisterPlugin, way *slow){
		"a removal": func(_ bubble, old *ZooKeeperRegisterPlugin, way *slow) {
			way.hold()
			go func() { _ = old.Unregister("Arith") }()
		},
		"a write": func(b bubble, old *ZooKeeperRegisterPlugin, way *slow) {
			way.hold()
			go func() { _ = old.Drain(b.Context()) }()
		},
		"a takeover of what somebody has put there": func(b bubble, _ *ZooKeeperRegisterPlugin, way *slow) {
			const roundTrip = 100 * time.Millisecond
			way.hold()
			must(b, b.zk.Delete(nodePath))
			must(b, b.zk.Put(nodePath, []byte("by hand")))
			b.zk.Delay(roundTrip)
			way.release()
			pass(roundTrip / 2)
			way.hold() // the old process has asked what is there, and has no answer yet
			pass(roundTrip)
			b.zk.Delay(0)
		},
	} {
		t.Run(what, func(t *testing.T) {
			inBubble(t, func(b bubble) {
				way := &slow{zk: b.zk, gate: make(chan struct{}, 1)}
				old, p := b.plugin(WithDialer(way.dial)), b.plugin()
				b.register(old, "Arith", "weight=1")
				pass(time.Second)
				decide(b, old, way)
				pass(0)
				b.register(p, "Arith", "weight=2")
				pass(0)
				b.mustOwn(p, "weight=2")
				was, _ := b.zk.Get(nodePath)
				sent := b.zk.Stats()
				way.release()
				pass(10 * time.Second)
				if n, err := b.zk.Get(nodePath); err != nil || n.Stat != was.Stat {
					b.Errorf("the node was %+v, and is %+v, %v", was, n, err)
				}
				b.mustOwn(p, "weight=2")
				if n := b.zk.Stats().Since(sent).Requests; n[zktest.OpDelete]+n[zktest.OpSetData]+n[zktest.OpMulti] == 0 {
					b.Errorf("nothing came late: %v", n)
				}
			})
		})
	}
}
