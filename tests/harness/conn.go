package harness

import (
	"net"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
)

// connect opens a plain go-zookeeper connection: what a server or an operator has.
func connect(tb testing.TB, servers []string, dial zk.Dialer) *zk.Conn {
	tb.Helper()
	if dial == nil {
		dial = func(network, addr string, timeout time.Duration) (net.Conn, error) {
			c, err := net.DialTimeout(network, addr, timeout)
			if err != nil {
				return nil, err
			}
			return impatient{c}, nil
		}
	}
	c, _, err := zk.Connect(servers, 30*time.Second, zk.WithDialer(dial), zk.WithLogInfo(false), zk.WithLogger(silent{}))
	Must(tb, err)
	return c
}

// impatient is a connection whose handshake fails after a while. go-zookeeper waits ten times as long for its beginning as for anything else, here
// 200 s, and for its end without a limit: a server that is killed or stopped in the middle of it holds up a whole test.
type impatient struct{ net.Conn }

func (c impatient) SetReadDeadline(t time.Time) error {
	if t.IsZero() || time.Until(t) > time.Minute { // nothing else is waited for like that
		t = time.Now().Add(5 * time.Second)
	}
	return c.Conn.SetReadDeadline(t)
}

type silent struct{}

func (silent) Printf(string, ...any) {}

func creations(paths []string) (ops []any) {
	for _, p := range paths {
		ops = append(ops, &zk.CreateRequest{Path: p, Data: []byte("n=1"), Acl: zk.WorldACL(zk.PermAll)})
	}
	return ops
}

func deletions(paths []string) (ops []any) {
	for _, p := range paths {
		ops = append(ops, &zk.DeleteRequest{Path: p, Version: -1})
	}
	return ops
}

func transact(tb testing.TB, c *zk.Conn, ops []any) {
	tb.Helper()
	_, err := c.Multi(ops...)
	Must(tb, err)
}

// takeover is what a server does which finds its address taken by its predecessor.
func takeover(p, data string) []any {
	return []any{
		&zk.DeleteRequest{Path: p, Version: -1},
		&zk.CreateRequest{Path: p, Data: []byte(data), Acl: zk.WorldACL(zk.PermAll)},
	}
}
