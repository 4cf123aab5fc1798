package serverplugin

import (
	"context"
	"errors"
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

func TestARefusedRemovalIsReportedToo(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin()
		b.register(p, "Arith", "")
		pass(time.Second)
		b.zk.FailNext(zktest.OpDelete, zktest.CodeNoAuth, 6)
		if err := p.Unregister("Arith"); !errors.Is(err, ErrUnconfirmed) {
			b.Error(err)
		}
		var op *OpError
		if st := p.Status(); len(st.Services) != 1 || st.Services[0].Phase != Unregistering || !errors.As(st.Services[0].Err, &op) || op.Op != "unregister" {
			b.Errorf("%+v", st)
		}
		pass(time.Minute)
		b.mustBeGone()
		if st := p.Status(); len(st.Services) != 0 {
			b.Errorf("%+v", st)
		}
	})
}
