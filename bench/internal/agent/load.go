package agent

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/bench/internal/pace"
)

// Doubler is the service that is called.
type Doubler struct{}

// Double doubles.
func (Doubler) Double(_ context.Context, n *int, twice *int) error { *twice = 2 * *n; return nil }

// load calls the service rate times a second, whatever becomes of the calls, and tells of each bin when all its calls have had a bin's time. A call
// gives up after nine tenths of that. The first is due an interval after the discovery began to be opened. While it cannot be opened every call has
// failed, and it is tried again every second, as whatever restarts processes does. It ends with the process.
func load(a *agent, open func() (client.ServiceDiscovery, error), service string, rate int, length time.Duration) {
	var xc atomic.Pointer[client.XClient]
	go func() {
		for {
			d, err := open()
			if err == nil {
				opt := client.DefaultOption
				opt.ConnectTimeout = 200 * time.Millisecond
				opt.Heartbeat = false
				c := client.NewXClient(service, client.Failfast, client.RoundRobin, d, opt)
				xc.Store(&c)
				return
			}
			time.Sleep(time.Second)
		}
	}()
	began := time.Now()
	counted := pace.NewBins(began, length)
	interval := time.Second / time.Duration(rate)
	_ = pace.Every(context.Background(), began.Add(interval), began.Add(time.Hour), interval, func(due time.Time) { // no run takes an hour
		counted.Tell(time.Now(), func(at time.Time, ok, failed int) { a.say("tick", at.UnixMilli(), ok, failed) })
		counted.Due(due)
		c := xc.Load()
		if c == nil {
			return
		}
		go func() {
			ctx, cancel := context.WithDeadline(context.Background(), due.Add(length*9/10))
			defer cancel()
			n, twice := int(due.UnixMilli()), 0
			if err := (*c).Call(ctx, "Double", &n, &twice); err == nil && twice == 2*n {
				counted.Answered(due)
			}
		}()
	})
}
