package scenario

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/bench/internal/contender"
	"github.com/holdfast-go/holdfast/bench/internal/registry"
	"github.com/holdfast-go/holdfast/bench/internal/result"
)

// scale has one client follow more and more services, clones of one template, and looks at a service that is larger than an answer of ZooKeeper's
// should be. It takes long, and so it runs only when it is asked for.
var scale = Scenario{
	Number: 12, Name: "scale", Apart: true, Title: "scale: one client of more and more services, and a service of very many instances",
	Steps: func(p Plan) int { return len(p.ScaleServices) + 2 },
	Run: func(ctx context.Context, e *Env) error {
		p := e.Plan
		e.Step(fmt.Sprintf("%d services of %d instances are registered", slices.Max(p.ScaleServices), p.ScaleSize))
		first, err := e.registerServices(scaleBelow, slices.Max(p.ScaleServices), p.ScaleSize)
		if err != nil {
			return err
		}
		for _, services := range p.ScaleServices {
			e.Step(fmt.Sprintf("one client of %d services", services))
			if err := e.scaleTo(ctx, services, first); err != nil {
				return err
			}
		}
		e.Step(fmt.Sprintf("a service of %d instances", p.ScaleInstances))
		large := condition{n: p.ScaleInstances}
		if err := e.startUp(ctx, 12, large); err != nil {
			return err
		}
		names := slices.DeleteFunc(e.changers(large), func(name string) bool { return name == contender.CacheDiscovery }) // which is rpcx-zookeeper here
		return e.change(ctx, 12, large, names)
	},
}

const scaleBelow = "scale"

func (e *Env) scaleTo(ctx context.Context, services int, first *registry.Service) error {
	names := e.among(contender.Holdfast, contender.Peer)
	all := make(map[string]*clientOfMany)
	for _, name := range names {
		all[name] = newClientOfMany(12, name, scaleBelow, first, services, e.Plan.ScaleSize)
	}
	defer func() { // an interrupt has what was measured before
		for _, name := range names {
			e.recordAll(&all[name].tally)
		}
	}()
	for round := range e.Plan.ScaleRounds {
		for _, name := range inTurn(names, round) {
			if err := all[name].scaleRound(ctx, e); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *clientOfMany) scaleRound(ctx context.Context, e *Env) error {
	if c.failed {
		return nil
	}
	f, err := c.start(ctx, e)
	if f == nil {
		return err
	}
	defer f.Close()
	c.add("requests of the start", result.Count, float64(f.before.Requests))
	if err := c.keeps(ctx, f); err != nil {
		return err
	}
	if err := c.rest(ctx, f, e.Plan.ScaleRest); err != nil {
		return err
	}
	key := registry.Key(c.size)
	for range scaleChanges {
		for _, step := range []struct {
			measure, want string
			do            func() error
		}{
			{Added + " to one of them", "in", func() error { return c.first.Add(key, registry.Metadata) }},
			{Removed + " from one of them", "out", func() error { return c.first.Remove(key) }},
		} {
			took, ok, err := e.fanOutOnce(ctx, &follower{Process: f.Process, service: c.first}, key, step.want, step.do)
			if err != nil {
				return err
			}
			if ok {
				c.add(step.measure, result.Time, float64(took))
			} else {
				c.cell(step.measure, result.Time).Series.Never++
			}
		}
	}
	return nil
}

// scaleChanges is how many instances are added to one of the services, and removed again, in a round.
const scaleChanges = 5

// far has everybody on a line that is slow, long and lossy. It takes long, too.
var far = Scenario{
	Number: 13, Name: "far", Apart: true, Title: "slow and far: " + farLine,
	Steps: func(p Plan) int { return 2 * len(p.FarSizes) },
	Run: func(ctx context.Context, e *Env) error {
		for _, n := range e.Plan.FarSizes {
			c := condition{n: n, roundTrip: farRoundTrip, far: true}
			e.Step(fmt.Sprintf("start over a slow line: %d instances", n))
			if err := e.startUp(ctx, 13, c); err != nil {
				return err
			}
			e.Step(fmt.Sprintf("changes over a slow line: %d instances", n))
			if err := e.change(ctx, 13, c, e.changers(c)); err != nil {
				return err
			}
		}
		return nil
	},
}

const (
	farLine      = "48 KB/s, 300 ms, 1 % of the segments wait a round trip for their second sending"
	farRate      = 48_000
	farRoundTrip = 300 * time.Millisecond
	farLoss      = 0.01
)
