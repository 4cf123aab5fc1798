package harness

import (
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/holdfast-go/holdfast/internal/impatient"
)

// connect opens a plain go-zookeeper connection: what a server or an operator has.
func connect(tb testing.TB, servers []string, dial zk.Dialer) *zk.Conn {
	tb.Helper()
	if dial == nil {
		dial = impatient.Dial
	}
	c, _, err := zk.Connect(servers, 30*time.Second, zk.WithDialer(dial), zk.WithLogInfo(false), zk.WithLogger(silent{}))
	Must(tb, err)
	return c
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
