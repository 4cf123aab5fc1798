package harness

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"
)

// Load is an XClient that four callers use all the time.
type Load struct {
	What string

	calls, failures atomic.Int64
	first           atomic.Value // the first failure
	xc              client.XClient
	stopped         chan struct{} // closed by Stop
	callers         sync.WaitGroup
}

// UnderLoad makes an XClient on d and calls Arith until Stop is called.
func UnderLoad(t *testing.T, what string, d client.ServiceDiscovery, mode client.FailMode) *Load {
	t.Helper()
	opt := client.DefaultOption
	opt.Heartbeat = false
	l := &Load{What: what, xc: client.NewXClient("Arith", mode, client.RoundRobin, d, opt), stopped: make(chan struct{})}
	for range 4 {
		l.callers.Go(func() {
			pause := time.NewTicker(5 * time.Millisecond)
			defer pause.Stop()
			for n := 0; ; n++ {
				select {
				case <-l.stopped:
					return
				case <-pause.C:
				}
				reply := &Reply{}
				l.calls.Add(1)
				if err := l.xc.Call(t.Context(), "Mul", &Args{n, 2}, reply); err != nil || reply.C != 2*n {
					if l.failures.Add(1) == 1 {
						l.first.Store(fmt.Sprint(err))
					}
				}
			}
		})
	}
	return l
}

// Stop ends the load, and tells how many of how many calls have failed.
func (l *Load) Stop() (calls, failures int64) {
	close(l.stopped)
	l.callers.Wait()
	_ = l.xc.Close() // tells of connections that were dead already
	return l.calls.Load(), l.failures.Load()
}

// Failures is how many calls have failed so far, and the first of them; nil when none has.
func (l *Load) Failures() (n int64, first any) { return l.failures.Load(), l.first.Load() }
