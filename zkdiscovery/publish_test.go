package zkdiscovery

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// There is nothing else to turn to when an override is deleted during an outage that began before the start.
func TestAnOverridesListStaysWhenNothingElseIsKnown(t *testing.T) {
	inBubble(t, func(w *world) {
		w.zk.Stop()
		d := w.discover("Arith", WithLazyStart())
		ch := d.WatchService()
		w.do(os.WriteFile(d.Status().OverrideFile, []byte(`["tcp@a:1"]`), 0o600))
		pass(10 * time.Second)
		w.source(d, Override)
		if got := keys(<-ch); got != "tcp@a:1" {
			t.Errorf("the watcher has %q", got)
		}
		w.do(os.Remove(d.Status().OverrideFile))
		pass(10 * time.Second)
		w.source(d, None)
		w.lists(d, "tcp@a:1")
		if lines := w.log.with(0, "override file is gone", "service=/rpcx/Arith"); len(lines) != 1 {
			t.Errorf("reported: %q", lines)
		}
		w.put("Arith", "tcp@b:1", "")
		w.do(w.zk.Start())
		pass(20 * time.Second)
		w.source(d, Live)
		if got := keys(<-ch); got != "tcp@b:1" {
			t.Errorf("the watcher has %q", got)
		}
	})
}

func TestNewSaysWhyNeitherZooKeeperNorTheFileCouldServe(t *testing.T) {
	inBubble(t, func(w *world) {
		w.zk.Stop()
		_, err := New("/rpcx", "Arith", []string{"zk:2181"}, w.options()...)
		wantError(t, err, ErrNoSnapshot, "/rpcx/Arith", "zk:2181", "refused", "cache: ", "file does not exist")
		_, err = New("/rpcx", "Arith", []string{"zk:2181"}, w.options(withoutCacheDir(), WithoutCache())...)
		wantError(t, err, ErrNoSnapshot, "WithoutCache")
		w.do(w.zk.Start())
		w.zk.Silence(true)
		_, err = New("/rpcx", "Arith", []string{"zk:2181"}, w.options()...)
		wantError(t, err, ErrNoSnapshot, "no answer within 3s", "file does not exist")
		w.zk.Silence(false)
		w.zk.Delay(2 * time.Second)
		_, err = New("/rpcx", "Arith", []string{"zk:2181"}, w.options(WithoutWireExtension())...)
		wantError(t, err, ErrNoSnapshot, "connected to zk:2181, but the list is not read within 3s", "file does not exist")
	})
}

// The first attempt was refused, the second connected, and then ZooKeeper had something else to say: that is the reason, and no longer the
// refusal.
func TestTheReasonForNoListIsWhatZooKeeperSaysNow(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		w.zk.FailNext(zktest.OpGetChildren2, zktest.CodeNoAuth, 1<<20)
		booting := func() Option {
			var attempts atomic.Int64
			return WithDialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
				if attempts.Add(1) == 1 {
					return nil, errors.New("refused")
				}
				return w.zk.Dial(ctx, network, addr)
			})
		}
		_, err := New("/rpcx", "Arith", []string{"zk:2181"}, w.options(booting())...)
		wantError(t, err, session.ErrNoAuth, "ZooKeeper at zk:2181: ")
		if strings.Contains(err.Error(), "refused") {
			t.Errorf("the error tells of an attempt before the connection: %v", err)
		}

		d := w.discover("Arith", booting(), WithLazyStart())
		ctx, cancel := context.WithTimeout(w.Context(), time.Second)
		defer cancel()
		err = d.WaitLive(ctx)
		wantError(t, err, session.ErrNoAuth, "wait for /rpcx/Arith")
		wantError(t, err, context.DeadlineExceeded)
	})
}
