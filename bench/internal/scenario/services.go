package scenario

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/bench/internal/agent"
	"github.com/holdfast-go/holdfast/bench/internal/contender"
	"github.com/holdfast-go/holdfast/bench/internal/registry"
	"github.com/holdfast-go/holdfast/bench/internal/result"
	"github.com/holdfast-go/holdfast/bench/internal/wire"
)

// services has one client follow many services, as OneClient does: clones of a template. Round by round each contender starts in a fresh process, and
// one of its services is replaced. In the end all of them are at rest at once.
var services = Scenario{
	Number: 7, Name: "services", Title: "one client of many services",
	Steps: func(p Plan) int { return p.ServiceRounds + 1 },
	Run: func(ctx context.Context, e *Env) error {
		all := make(map[string]*clientOfMany)
		names := e.among(contender.Holdfast, contender.Peer)
		defer func() { // an interrupt has what was measured before
			for _, name := range names {
				if c := all[name]; c != nil {
					e.recordAll(&c.tally)
				}
			}
		}()
		for i, name := range names {
			below := fmt.Sprintf("many-%d", i)
			first, err := e.registerServices(below, e.Plan.Services, e.Plan.ServiceSize)
			if err != nil {
				return err
			}
			all[name] = newClientOfMany(7, name, below, first, e.Plan.Services, e.Plan.ServiceSize)
		}
		for round := range e.Plan.ServiceRounds {
			e.Step(fmt.Sprintf("one client of %d services of %d instances: round %d", e.Plan.Services, e.Plan.ServiceSize, round+1))
			for _, name := range inTurn(names, round) {
				if err := all[name].round(ctx, e); err != nil {
					return err
				}
			}
		}
		e.Step(fmt.Sprintf("clients of %d services at rest", e.Plan.Services))
		return e.restOfMany(ctx, all)
	},
}

// clientOfMany is a contender with the services that it follows, and with what was seen of it.
type clientOfMany struct {
	tally
	below          string // the services' path, below the run's: rpcx-zookeeper's template reads everything there
	services, size int
	first          *registry.Service // which changes
	oldest         int               // of its instances
	failed         bool
}

func newClientOfMany(scenario int, name, below string, first *registry.Service, services, size int) *clientOfMany {
	c := &clientOfMany{below: below, services: services, size: size, first: first}
	c.like = result.Cell{Scenario: scenario, Contender: name, Case: fmt.Sprintf("%d services × %d instances", services, size)}
	return c
}

// registerServices registers s0, s1 and so on below a path of their own, and returns the first.
func (e *Env) registerServices(below string, services, size int) (first *registry.Service, err error) {
	for i := range services {
		s, err := e.Registry.Service(fmt.Sprintf("%s/s%d", below, i), size)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			first = s
		}
	}
	return first, nil
}

// following is a client of many services in its process, with a count of what it says.
type following struct {
	*agent.Process
	counter *wire.Counter
	before  wire.Counts // when it had become quiet
}

func (f *following) Close() {
	f.Process.Close()
	f.counter.Close()
}

// start starts the client and waits until it is quiet. It returns nil without an error when the contender cannot, which is noted.
func (c *clientOfMany) start(ctx context.Context, e *Env) (*following, error) {
	counter, err := wire.NewCounter(e.Servers[0])
	if err != nil {
		return nil, err
	}
	p, err := e.Launcher.Start(ctx, c.like.Contender)
	if err != nil {
		counter.Close()
		return nil, err
	}
	f := &following{Process: p, counter: counter}
	took, err := e.open(ctx, p, agent.Open{
		Servers: []string{counter.Addr()}, Base: e.base() + "/" + c.below, Service: "s", Services: c.services, Want: c.services * c.size, Dir: e.dir(c.like.Contender),
	}, e.Plan.OpenLimit)
	if err == nil {
		f.before, err = quiet(ctx, counter)
	}
	if err != nil {
		f.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		c.failed = true
		c.fail("start", result.Time, err)
		return nil, nil //nolint:nilnil // as documented
	}
	c.add("start", result.Time, float64(took))
	return f, nil
}

func (c *clientOfMany) round(ctx context.Context, e *Env) error {
	if c.failed {
		return nil
	}
	f, err := c.start(ctx, e)
	if f == nil {
		return err
	}
	defer f.Close()
	if err := c.keeps(ctx, f); err != nil {
		return err
	}
	return c.update(ctx, f)
}

// keeps looks at what a client has that has just started.
func (c *clientOfMany) keeps(ctx context.Context, f *following) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	keeps, err := f.Stats(ctx)
	if err != nil {
		return err
	}
	c.add("connections", result.Count, float64(f.before.Open))
	c.add("goroutines", result.Count, float64(keeps.Goroutines))
	c.add("heap", result.Bytes, float64(keeps.Heap))
	return nil
}

// update replaces every instance of the first service, as a rolling update does.
func (c *clientOfMany) update(ctx context.Context, f *following) error {
	before, err := quiet(ctx, f.counter)
	if err != nil {
		return err
	}
	n := c.size
	for range n {
		if err := c.first.Add(registry.Key(c.oldest+n), registry.Metadata); err != nil {
			return err
		}
		if err := c.first.Remove(registry.Key(c.oldest)); err != nil {
			return err
		}
		c.oldest++
		if err := pause(ctx, settle); err != nil {
			return err
		}
	}
	after, err := quiet(ctx, f.counter)
	if err != nil {
		return err
	}
	b := &burster{follower: &follower{Process: f.Process, service: c.first}}
	right, err := b.converge(ctx, time.Second)
	if err == nil {
		err = b.agrees()
	}
	if err != nil {
		return err
	}
	const requests = "requests per replaced instance, rolling update of one"
	d := after.Since(before)
	c.add(requests, result.Count, float64(d.Requests)/float64(n))
	c.add("bytes from ZooKeeper per replaced instance", result.Bytes, float64(d.ToClients)/float64(n))
	if !right {
		c.cell(requests, result.Count).Note = "and the list is not ZooKeeper's at the end"
	}
	return nil
}

// restOfMany looks at all clients at once when they have nothing to do: none takes anything from another then.
func (e *Env) restOfMany(ctx context.Context, all map[string]*clientOfMany) error {
	var resting sync.WaitGroup
	defer resting.Wait()
	errs := make(chan error, len(all))
	var started []func() error
	for _, c := range all {
		if c.failed {
			continue
		}
		f, err := c.start(ctx, e)
		if err != nil {
			return err
		}
		if f != nil {
			defer f.Close()
			started = append(started, func() error { return c.rest(ctx, f, e.Plan.Rest) })
		}
	}
	for _, rest := range started {
		resting.Go(func() { errs <- rest() })
	}
	resting.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// rest looks for a while at a client that has nothing to do. What it does then is not what it does for ever: Holdfast looks whether a watch was missed,
// first after 20 s, then more and more rarely, up to 15 minutes.
func (c *clientOfMany) rest(ctx context.Context, f *following, d time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, d+20*time.Second)
	defer cancel()
	was, err := f.Used(ctx)
	if err != nil {
		return err
	}
	before, began := f.counter.Counts(), time.Now()
	if err := pause(ctx, d); err != nil {
		return err
	}
	requests, took := f.counter.Counts().Since(before).Requests, time.Since(began)
	is, err := f.Used(ctx)
	if err != nil {
		return err
	}
	over := fmt.Sprintf("in the first %v at rest", d)
	c.add("processor "+over+", of one core", result.Share, (is.CPU-was.CPU).Seconds()/took.Seconds())
	c.add("requests "+over, result.Count, float64(requests))
	return nil
}
