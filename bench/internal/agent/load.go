package agent

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/smallnest/rpcx/client"
)

// Doubler is the service that is called.
type Doubler struct{}

// Double doubles.
func (Doubler) Double(_ context.Context, n *int, twice *int) error { *twice = 2 * *n; return nil }

// bins counts calls by when they began.
type bins struct{ ok, failed [1 << 14]atomic.Int64 }

// load calls the service rate times a second, whatever becomes of the calls, and tells at the end of each bin what became of those of the bin
// before, which have had a whole bin's time. While the discovery cannot be opened every call has failed, and it is tried again every second, as
// whatever restarts processes does. It ends with the process.
func load(a *agent, open func() (client.ServiceDiscovery, error), service string, rate int, bin time.Duration) {
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
	var counted bins
	began := time.Now()
	told := 0
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for range tick.C {
		n := int(time.Since(began) / bin)
		if n >= len(counted.ok) {
			return
		}
		for ; told < n-1; told++ {
			a.say("tick", began.Add(time.Duration(told)*bin).UnixMilli(), counted.ok[told].Load(), counted.failed[told].Load())
		}
		c := xc.Load()
		if c == nil {
			counted.failed[n].Add(1)
			continue
		}
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), bin*9/10)
			defer cancel()
			var twice int
			if err := (*c).Call(ctx, "Double", &n, &twice); err != nil || twice != 2*n {
				counted.failed[n].Add(1)
				return
			}
			counted.ok[n].Add(1)
		}()
	}
}
