package zkdiscovery

import (
	"bytes"
	"context"
	"encoding/binary"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// unwatched connects to a ZooKeeper that leaves no watch while losing is set, although the client asks for it.
func unwatched(zk *zktest.Server, losing *atomic.Bool) Option {
	return WithDialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := zk.Dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return unwatching{c, losing}, nil
	})
}

type unwatching struct {
	net.Conn
	losing *atomic.Bool
}

// Write sends frames: length, xid, opcode (4 bytes each), and, at the end of a read, whether it is to leave a watch.
func (c unwatching) Write(b []byte) (int, error) {
	const getData, getChildren2 = 4, 12
	if !c.losing.Load() {
		return c.Conn.Write(b)
	}
	b = bytes.Clone(b)
	for rest := b; len(rest) > 12; {
		frame := rest[:4+binary.BigEndian.Uint32(rest)]
		if op := binary.BigEndian.Uint32(frame[8:]); op == getData || op == getChildren2 {
			frame[len(frame)-1] = 0
		}
		rest = rest[len(frame):]
	}
	return c.Conn.Write(b)
}

// No server has been seen to lose watches; should one, a look at rest notices, and then they are all set again.
func TestWatchesThatAreMissingAreNoticedAndSetAgain(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "weight=1")
		var losing atomic.Bool
		losing.Store(true)
		d := w.discover("Arith", unwatched(w.zk, &losing), WithoutWireExtension())
		losing.Store(false)
		if n := w.zk.Stats().Watches; n > 0 {
			t.Fatalf("%d watches", n)
		}
		w.put("Arith", "tcp@b:1", "weight=1")
		pass(10 * time.Second)
		w.lists(d, "tcp@a:1") // nobody has told
		pass(20 * time.Second)
		w.lists(d, "tcp@a:1,tcp@b:1")
		if st := d.Status(); st.Mended != 1 || len(w.log.with(slog.LevelWarn, "no watch had told of", "service=/rpcx/Arith")) != 1 {
			t.Errorf("mended %d, log %q", st.Mended, w.log.from(slog.LevelWarn))
		}
		if n := w.zk.Stats().Watches; n != 3 {
			t.Errorf("%d watches, want one on the list and one on each instance", n)
		}
		w.put("Arith", "tcp@a:1", "weight=2")
		w.put("Arith", "tcp@c:1", "weight=1")
		pass(publishGap)
		w.lists(d, "tcp@a:1,tcp@b:1,tcp@c:1")
		if got := d.GetServices()[0].Value; got != "weight=2" {
			t.Errorf("metadata %q", got)
		}
	})
}

func TestTheFirstListOfASessionIsAskedForBehindASync(t *testing.T) {
	inBubble(t, func(w *world) {
		d := w.discover("Arith")
		syncs := func(when string, want int64) {
			t.Helper()
			w.source(d, Live)
			if n := w.zk.Stats().Requests[zktest.OpSync]; int64(n) != want {
				t.Errorf("%s: %d syncs, want %d", when, n, want)
			}
		}
		syncs("at first", 1)
		w.put("Arith", "tcp@a:1", "")
		pass(time.Second)
		syncs("after a change", 1)
		w.zk.DropConnections()
		pass(10 * time.Second)
		syncs("over another connection", 1)
		w.zk.ExpireAll()
		pass(10 * time.Second)
		syncs("in another session", 2)
	})
}

// That is no answer of ZooKeeper's: the next connection is asked at once.
func TestAQuestionThatTheConnectionDidNotOutliveIsAskedAgain(t *testing.T) {
	for _, op := range []zktest.Op{zktest.OpSync, zktest.OpGetChildren2, zktest.OpGetData} {
		t.Run(op.String(), func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.put("Arith", "tcp@a:1", "")
				d := w.discover("Arith")
				for range 3 {
					pass(time.Minute)
					w.zk.CutBefore(op, 1)
					w.zk.ExpireAll()
					connections := d.Status().Connections
					for d.Status().Connections < connections+2 {
						pass(10 * time.Millisecond)
					}
					w.source(d, Live)
				}
				if lines := w.log.with(slog.LevelDebug, "does not give the list"); len(lines) > 0 {
					t.Errorf("it has given no other answer, and yet: %q", lines)
				}
			})
		})
	}
}
