package scenario

import (
	"context"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/bench/internal/agent"
	"github.com/holdfast-go/holdfast/bench/internal/contender"
	"github.com/holdfast-go/holdfast/bench/internal/registry"
	"github.com/holdfast-go/holdfast/bench/internal/result"
	"github.com/holdfast-go/holdfast/bench/internal/stats"
	"github.com/holdfast-go/holdfast/bench/internal/wire"
)

// services has one client follow many services, as OneClient does: clones of a template.
var services = Scenario{
	Number: 7, Name: "services", Title: "one client of many services",
	Steps: func(Plan) int { return 2 },
	Run: func(ctx context.Context, e *Env) error {
		for i, name := range e.among(contender.Holdfast, contender.Peer) {
			e.Step(fmt.Sprintf("one client of %d services of %d instances: %s", e.Plan.Services, e.Plan.ServiceSize, name))
			if err := e.services(ctx, name, fmt.Sprintf("many-%d-", i)); err != nil {
				return err
			}
		}
		return nil
	},
}

func (e *Env) services(ctx context.Context, name, prefix string) error {
	kind := fmt.Sprintf("%d services × %d instances", e.Plan.Services, e.Plan.ServiceSize)
	record := func(measure string, unit result.Unit, note string, values ...float64) {
		e.record(result.Cell{
			Scenario: 7, Measure: measure, Case: kind, Contender: name, Unit: unit, Series: stats.Series{Values: values}, Note: note,
		})
	}
	var first *registry.Service
	for i := range e.Plan.Services {
		s, err := e.Registry.Service(fmt.Sprintf("%s%d", prefix, i), e.Plan.ServiceSize)
		if err != nil {
			return err
		}
		if i == 0 {
			first = s
		}
	}
	counter, err := wire.NewCounter(e.Servers[0])
	if err != nil {
		return err
	}
	defer counter.Close()
	p, err := e.Launcher.Start(ctx, name)
	if err != nil {
		return err
	}
	defer p.Close()
	took, err := e.open(ctx, p, agent.Open{
		Servers: []string{counter.Addr()}, Service: prefix, Services: e.Plan.Services, Want: e.Plan.Services * e.Plan.ServiceSize, Dir: e.dir(name),
	}, e.Plan.OpenLimit)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		e.record(result.Cell{
			Scenario: 7, Measure: "start", Case: kind, Contender: name, Unit: result.Time, Series: stats.Series{Failed: 1}, Note: err.Error(),
		})
		return nil
	}
	record("start", result.Time, "", float64(took))
	before, err := quiet(ctx, counter)
	if err != nil {
		return err
	}
	record("connections", result.Count, "", float64(before.Open))
	if err := e.atRest(ctx, p, counter, before, record); err != nil {
		return err
	}

	// A rolling update of one service.
	if before, err = quiet(ctx, counter); err != nil {
		return err
	}
	n := e.Plan.ServiceSize
	for i := range n {
		if err := first.Add(registry.Key(n+i), registry.Metadata); err != nil {
			return err
		}
		if err := first.Remove(registry.Key(i)); err != nil {
			return err
		}
		if err := pause(ctx, settle); err != nil {
			return err
		}
	}
	after, err := quiet(ctx, counter)
	if err != nil {
		return err
	}
	b := &burster{follower: &follower{Process: p, service: first}}
	right, err := b.converge(ctx, time.Second)
	if err == nil {
		err = b.agrees()
	}
	if err != nil {
		return err
	}
	note := ""
	if !right {
		note = "and the list is not ZooKeeper's at the end"
	}
	d := after.Since(before)
	record("requests per replaced instance, rolling update of one", result.Count, note, float64(d.Requests)/float64(n))
	record("bytes from ZooKeeper per replaced instance", result.Bytes, "", float64(d.ToClients)/float64(n))
	return nil
}

// atRest looks at a client that has nothing to do.
func (e *Env) atRest(ctx context.Context, p *agent.Process, counter *wire.Counter, before wire.Counts,
	record func(measure string, unit result.Unit, note string, values ...float64),
) error {
	bounded, cancel := context.WithTimeout(ctx, e.Plan.Rest+20*time.Second)
	defer cancel()
	stats, err := p.Stats(bounded)
	if err != nil {
		return err
	}
	was, err := p.CPU(bounded)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := pause(ctx, e.Plan.Rest); err != nil {
		return err
	}
	d := counter.Counts().Since(before)
	is, err := p.CPU(bounded)
	if err != nil {
		return err
	}
	record("goroutines", result.Count, "", float64(stats.Goroutines))
	record("heap", result.Bytes, "", float64(stats.Heap))
	// Not what it is for ever: Holdfast looks whether a watch was missed, first after 20 s, then more and more rarely, up to 15 minutes.
	record(fmt.Sprintf("processor in the first %v at rest, of one core", e.Plan.Rest), result.Share, "", (is-was).Seconds()/time.Since(began).Seconds())
	record(fmt.Sprintf("requests in the first %v at rest", e.Plan.Rest), result.Count, "", float64(d.Requests))
	return nil
}
