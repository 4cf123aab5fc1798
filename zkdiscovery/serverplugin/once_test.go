package serverplugin

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// TestEverythingAtOnce calls every method from everywhere, for the race detector, and ends.
func TestEverythingAtOnce(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin(WithDrainWait(time.Millisecond))
		soon := func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(context.Background(), 5*time.Millisecond)
		}
		calls := []func(name string){
			func(name string) { _ = p.Register(name, nil, "weight=1") },
			func(name string) { _ = p.RegisterFunction(name, "f", nil, "") },
			func(name string) { _ = p.Unregister(name) },
			func(string) { _ = p.Start() },
			func(string) { p.Registered(); p.Ready() },
			func(name string) { _ = p.SetMetadata(name, "weight=2") },
			func(name string) { _ = p.ClearOperator(name) },
			func(name string) { _ = b.zk.Set("/rpcx/"+name+"/"+address, []byte("weight=3")) },
			func(string) {
				st := p.Status()
				_ = st.String()
				for _, sv := range st.Services {
					if st.Registered && sv.Phase != Registered && sv.Phase != Unregistering {
						b.Errorf("registered, and not: %+v", st)
					}
				}
			},
			func(string) { ctx, cancel := soon(); _ = p.WaitRegistered(ctx); cancel() },
			func(string) { ctx, cancel := soon(); _ = p.Drain(ctx); cancel() },
			func(string) { _, _ = p.PreCall(context.Background(), "", "", nil) },
		}
		ended := make(chan struct{})
		const callers = 8
		for i := range callers {
			go func() {
				for n := range 100 {
					for j := range calls {
						calls[(i+j*5)%len(calls)](fmt.Sprint("Service", n%3))
					}
				}
				ended <- struct{}{}
			}()
		}
		go func() {
			for range 20 {
				time.Sleep(20 * time.Millisecond)
				b.zk.DropConnections()
				time.Sleep(20 * time.Millisecond)
				b.zk.ExpireAll()
			}
			for range 3 {
				go func() { _ = p.Stop(); ended <- struct{}{} }()
			}
		}()
		for range callers + 3 {
			<-ended
		}
		if st := p.Status(); p.Registered() || len(st.Services) > 0 {
			b.Error(st)
		}
		for path, n := range b.zk.Tree() {
			if n.Stat.EphemeralOwner != 0 {
				b.Errorf("%s is still there", path)
			}
		}
	})
}
