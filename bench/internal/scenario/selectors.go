package scenario

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
	"github.com/smallnest/rpcx/client"
	"github.com/smallnest/rpcx/server"

	"github.com/holdfast-go/holdfast/bench/internal/contender"
	"github.com/holdfast-go/holdfast/bench/internal/pace"
	"github.com/holdfast-go/holdfast/bench/internal/result"
	"github.com/holdfast-go/holdfast/bench/internal/stats"
)

// selectors puts XClients with different selectors under load, all at once, each on twelve servers of its own of which six go wrong.
var selectors = Scenario{
	Number: 10, Name: "selectors", Title: "selectors: twelve servers; one is killed, one falls silent and accepts, one falls silent and does not accept, one takes 500 ms, one breaks 30 % of its connections, one returns errors",
	Steps: func(Plan) int { return 1 },
	Run: func(ctx context.Context, e *Env) error {
		e.Step("selectors in a failing fleet")
		return e.selectors(ctx)
	},
}

// The measures of selectors. A service's own error is an answer, not a failed call.
const (
	FailedCalls = "failed calls, fail-fast" // of all that were due
	CallLatency = "latency of answered calls"
)

const (
	selectorFleet  = 12
	selectorRate   = 100 // calls a second
	selectorWarmUp = time.Second
	callTimeout    = time.Second
)

func (e *Env) selectors(ctx context.Context) error {
	runs := []*selection{
		{name: contender.Holdfast, ours: true},
		{name: "rpcx RandomSelect", mode: client.RandomSelect},
		{name: "rpcx RoundRobin", mode: client.RoundRobin},
		{name: "rpcx WeightedRoundRobin", mode: client.WeightedRoundRobin},
	}
	var running sync.WaitGroup
	errs := make([]error, len(runs))
	for i, r := range runs {
		running.Go(func() { errs[i] = r.run(ctx, e.Plan.SelectorsFor) })
	}
	running.Wait()
	for _, r := range runs { // an interrupt has what was measured before
		cell := result.Cell{Scenario: 10, Measure: FailedCalls, Contender: r.name, Unit: result.Share}
		failed, all := r.failed.Load(), r.failed.Load()+int64(len(r.latency.Values))
		if all > 0 {
			cell.Series.Add(float64(failed) / float64(all))
			cell.Note = fmt.Sprintf("%d of %d", failed, all)
		}
		e.record(cell)
	}
	for _, r := range runs {
		e.record(result.Cell{Scenario: 10, Measure: CallLatency, Contender: r.name, Unit: result.Time, Series: r.latency})
	}
	return errors.Join(errs...)
}

// selection is one XClient with its fleet.
type selection struct {
	name string
	mode client.SelectMode
	ours bool

	failed  atomic.Int64
	mu      sync.Mutex
	latency stats.Series
}

func (r *selection) run(ctx context.Context, d time.Duration) error {
	f, err := newFailingFleet()
	defer f.stop()
	if err != nil {
		return err
	}
	discovery, err := client.NewMultipleServersDiscovery(f.pairs)
	if err != nil {
		return err
	}
	opt := client.DefaultOption
	opt.Heartbeat = false
	xc := client.NewXClient("Fleet", client.Failfast, r.mode, discovery, opt)
	if r.ours {
		s, err := selector.New()
		if err != nil {
			return err
		}
		xc = selector.Wrap(xc, s)
		defer func() { _ = s.Close() }() // the run is over
	}
	defer func() { _ = xc.Close() }() // connections were broken on purpose
	if err := r.load(ctx, xc, selectorWarmUp, false); err != nil {
		return err
	}
	if err := f.goWrong(ctx); err != nil {
		return err
	}
	return r.load(ctx, xc, d, true)
}

// load makes one call in each interval, however long calls take, and waits for the last. A call's time counts from when it was due; an answer after the
// call's timeout is none.
func (r *selection) load(ctx context.Context, xc client.XClient, d time.Duration, counts bool) error {
	var calls sync.WaitGroup
	defer calls.Wait()
	began := time.Now()
	const interval = time.Second / selectorRate
	return pace.Every(ctx, began, began.Add(d), interval, func(slot time.Time) {
		due := slot.Add(rand.N(interval)) // whose call comes behind whose is left to chance
		calls.Go(func() {
			time.Sleep(time.Until(due))
			bounded, cancel := context.WithDeadline(ctx, due.Add(callTimeout))
			defer cancel()
			var args, reply int
			err := xc.Call(bounded, "Ask", &args, &reply)
			took := time.Since(due)
			var refused client.ServiceError
			if !counts || ctx.Err() != nil { // an interrupt is no failure
				return
			}
			if took > callTimeout || err != nil && !errors.As(err, &refused) {
				r.failed.Add(1)
				return
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			r.latency.Add(float64(took))
		})
	})
}

// fleetServer is one server; what is wrong with it is set before or while it runs.
type fleetServer struct {
	server  *server.Server
	slow    atomic.Bool
	breaks  atomic.Bool
	refuses atomic.Bool
}

// Ask answers, if nothing is wrong.
func (s *fleetServer) Ask(ctx context.Context, _ *int, _ *int) error {
	switch {
	case s.slow.Load():
		t := time.NewTimer(500 * time.Millisecond)
		defer t.Stop()
		<-t.C
	case s.breaks.Load() && rand.Float64() < 0.3:
		return ctx.Value(server.RemoteConnContextKey).(net.Conn).Close()
	case s.refuses.Load():
		return errors.New("no")
	}
	return nil
}

// failingFleet is servers, two of them behind proxies.
type failingFleet struct {
	servers []*fleetServer
	silent  *zktest.Proxy // it will accept, and carry nothing
	gone    *zktest.Proxy // it will not even accept
	hole    *blackHole    // in its place
	pairs   []*client.KVPair
	serving sync.WaitGroup
}

func newFailingFleet() (*failingFleet, error) {
	f := new(failingFleet)
	for i := range selectorFleet {
		l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it returns at once
		if err != nil {
			return f, err
		}
		s := &fleetServer{server: server.NewServer()}
		if err := s.server.RegisterName("Fleet", s, ""); err != nil {
			return f, err
		}
		f.servers = append(f.servers, s)
		f.serving.Go(func() { _ = s.server.ServeListener("tcp", l) }) // it ends with an error when it is closed
		address := l.Addr().String()
		if i == 1 || i == 5 {
			proxy, err := zktest.NewProxy(address)
			if err != nil {
				return f, err
			}
			if address = proxy.Addr(); i == 1 {
				f.silent = proxy
			} else {
				f.gone = proxy
			}
		}
		f.pairs = append(f.pairs, &client.KVPair{Key: "tcp@" + address, Value: "weight=1"})
	}
	return f, nil
}

func (f *failingFleet) goWrong(ctx context.Context) (err error) {
	_ = f.servers[0].server.Close() // killed
	f.silent.Cut(true)
	f.gone.Cut(true) // what is connected hears nothing
	if err := f.gone.Refuse(true); err != nil {
		return err
	}
	if f.hole, err = newBlackHole(ctx, f.gone.Addr()); err != nil {
		return err
	}
	f.servers[2].slow.Store(true)
	f.servers[3].breaks.Store(true)
	f.servers[4].refuses.Store(true)
	return nil
}

func (f *failingFleet) stop() {
	f.hole.close()
	for _, p := range []*zktest.Proxy{f.silent, f.gone} {
		if p != nil {
			p.Close()
		}
	}
	for _, s := range f.servers {
		_ = s.server.Close() // once more for the one that was killed
	}
	f.serving.Wait()
}
