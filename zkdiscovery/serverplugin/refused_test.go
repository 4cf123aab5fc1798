package serverplugin

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

func TestARefusalIsReportedUntilItIsOver(t *testing.T) {
	inBubble(t, func(b bubble) {
		b.zk.FailNext(zktest.OpCreate, zktest.CodeNoAuth, 6)
		p := b.plugin()
		b.register(p, "Arith", "")
		pass(2 * time.Second)
		var op *OpError
		if st := p.Status(); !errors.As(st.Services[0].Err, &op) || op.Path != nodePath || p.Registered() {
			b.Errorf("%+v", st)
		}
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		defer cancel()
		if err := p.WaitRegistered(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "not authenticated") {
			b.Error(err)
		}
		if err := p.WaitRegistered(b.Context()); err != nil {
			b.Error(err)
		}
		b.mustOwn(p, "")
		if st := p.Status(); st.Services[0].Err != nil {
			b.Errorf("%+v", st)
		}
	})
}

func TestARefusedLookIsForgottenWhenOneSucceeds(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin()
		b.register(p, "Arith", "")
		pass(time.Second)
		b.zk.FailNext(zktest.OpGetData, -125, 2)
		b.zk.DropConnections() // a reconnect looks
		for p.Status().Services[0].Err == nil {
			pass(time.Millisecond)
		}
		pass(time.Minute)
		if st := p.Status(); st.Services[0].Err != nil || st.Writes != 1 {
			b.Errorf("%+v", st)
		}
		b.mustOwn(p, "")
	})
}

func TestARefusedLookIsForgottenByALoserToo(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin()
		b.register(p, "Arith", "")
		pass(time.Second)
		b.register(b.plugin(), "Arith", "")
		pass(time.Second)
		b.zk.FailNext(zktest.OpGetData, -125, 2)
		must(b, b.zk.Set(nodePath, []byte("by hand")))
		for p.Status().Services[0].Err == nil {
			pass(time.Millisecond)
		}
		pass(time.Minute)
		if st := p.Status(); st.Services[0].Err != nil || st.Services[0].Phase != Yielded {
			b.Errorf("%+v", st)
		}
	})
}

// The node can be read and belongs to the plugin, which may not write to it.
func TestARefusedWriteIsReportedWhileItIsRefused(t *testing.T) {
	inBubble(t, func(b bubble) {
		var log strings.Builder
		p := b.plugin(WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		b.register(p, "Arith", "a")
		pass(time.Second)
		b.zk.FailNext(zktest.OpSetData, zktest.CodeNoAuth, 1000)
		b.register(p, "Arith", "b")
		for range 100 {
			pass(300 * time.Millisecond)
			if st := p.Status(); st.Services[0].Err == nil || p.Registered() {
				b.Fatalf("%+v", st)
			}
		}
		b.zk.FailNext(zktest.OpSetData, zktest.CodeOK, 0)
		pass(time.Minute)
		b.mustOwn(p, "b")
		if st := p.Status(); st.Services[0].Err != nil {
			b.Errorf("%+v", st)
		}
		must(b, p.Stop())
		if n := strings.Count(log.String(), "ZooKeeper refuses"); n != 1 {
			b.Errorf("%d lines:\n%s", n, log.String())
		}
	})
}

func TestARefusedRemovalIsReportedToo(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin()
		b.register(p, "Arith", "")
		b.register(p, "Echo", "")
		pass(time.Second)
		b.zk.FailNext(zktest.OpDelete, zktest.CodeNoAuth, 6)
		if err := p.Unregister("Arith"); !errors.Is(err, ErrUnconfirmed) {
			b.Error(err)
		}
		var op *OpError
		if st := p.Status(); !st.Registered || len(st.Services) != 2 || st.Services[0].Phase != Unregistering || !errors.As(st.Services[0].Err, &op) || op.Op != "unregister" {
			b.Errorf("%+v", st)
		}
		pass(time.Minute)
		b.mustBeGone()
		if st := p.Status(); len(st.Services) != 1 {
			b.Errorf("%+v", st)
		}
	})
}
