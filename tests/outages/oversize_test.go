package outages

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/tests/harness"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// An ensemble with one more node than a reply may have bytes is nothing that a test can build; a reply that claims to be too long will do.
func TestReplyOverTheSizeLimitKeepsTheListAndBacksOff(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
		t.Put(t.Node("Arith", 0), "n=0")
		var huge atomic.Bool
		way := harness.NewDialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := zk.Dial(ctx, network, addr)
			return &exaggerating{Conn: c, on: &huge}, err
		})
		d := t.Discover("Arith", zkdiscovery.WithDialer(way.Dial))
		lines, attempts := len(t.Logbook.Edges()), len(way.Attempts())
		huge.Store(true)
		t.Put(t.Node("Arith", 1), "n=0")
		harness.Pass(time.Hour)
		t.Source(d, zkdiscovery.Stale)
		t.Lists(d, map[string]string{harness.Instance(0): "n=0"})
		if n := len(way.Attempts()) - attempts; n > int(time.Hour/(2*time.Second)) {
			t.Errorf("%d connections in an hour: that is no backing off", n)
		}
		edges := t.Logbook.Edges()[lines:]
		if len(edges) > 20 || harness.Count(edges, "size limit") == 0 {
			t.Errorf("logged: %d lines, %q", len(edges), edges[:min(20, len(edges))])
		}
		if st := d.Status(); st.LastErr == nil || !strings.Contains(st.LastErr.Error(), "size limit") {
			t.Errorf("the status does not say so: %v", st.LastErr)
		}
		huge.Store(false)
		harness.Pass(2 * time.Minute)
		t.Source(d, zkdiscovery.Live)
		t.Lists(d, t.Children(t.Service("Arith")))
	})
}

// exaggerating claims for the replies to lists that they are too long, while on is set.
type exaggerating struct {
	net.Conn
	on   *atomic.Bool
	rest []byte // of the frame that is being read
}

func (c *exaggerating) Read(b []byte) (int, error) {
	if len(c.rest) == 0 {
		head := make([]byte, 4)
		if _, err := io.ReadFull(c.Conn, head); err != nil {
			return 0, err
		}
		frame := make([]byte, binary.BigEndian.Uint32(head))
		if _, err := io.ReadFull(c.Conn, frame); err != nil {
			return 0, err
		}
		if xid := int32(binary.BigEndian.Uint32(frame)); c.on.Load() && xid != -1 && len(frame) > 100 {
			binary.BigEndian.PutUint32(head, 1<<30)
		}
		c.rest = append(head, frame...)
	}
	n := copy(b, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}
