package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/bench/internal/agent"
	"github.com/holdfast-go/holdfast/bench/internal/contender"
	"github.com/holdfast-go/holdfast/bench/internal/registry"
	"github.com/holdfast-go/holdfast/bench/internal/result"
	"github.com/holdfast-go/holdfast/bench/internal/stats"
	"github.com/holdfast-go/holdfast/bench/internal/wire"
)

// cost counts on the wire what a change costs ZooKeeper, and looks at what a follower keeps.
var cost = Scenario{
	Number: 2, Name: "cost", Title: "what a change costs, counted on the wire, and what a follower keeps",
	Sizes: true,
	Steps: func(p Plan) int { return len(p.Sizes) },
	Run: func(ctx context.Context, e *Env) error {
		for _, n := range e.Plan.Sizes {
			e.Step(fmt.Sprintf("requests and bytes per change: %d instances", n))
			if err := e.costs(ctx, n); err != nil {
				return err
			}
		}
		return nil
	},
}

// The measures of cost. The first two are followed by the kind of change.
const (
	Requests      = "requests, "
	FromServer    = "bytes from ZooKeeper, "
	StartRequests = "requests of the start, after the handshake"
	HeapEach      = "heap per instance"
	Goroutines    = "goroutines, of Java threads"
	CPUEach       = "processor time of the client per change"
	AllocEach     = "memory that the client allocates per change"
	CPURest       = "processor time of the client per second at rest"
	AllocRest     = "memory that the client allocates per second at rest"
)

// costs counts for all contenders at once: it measures no time.
func (e *Env) costs(ctx context.Context, n int) error {
	names := e.among(contender.Holdfast, contender.Peer, contender.Curator, contender.DubboGo, contender.Floor, contender.BareFloor)
	names = slices.DeleteFunc(names, func(name string) bool { return e.Plan.isTooMuchFor(name, condition{n: n}) })
	recorded := make([]Env, len(names)) // each with results of its own, so that they come in order
	errs := make([]error, len(names))
	var counting sync.WaitGroup
	for i, name := range names {
		recorded[i] = *e
		recorded[i].Results = new(result.Results)
		counting.Go(func() { errs[i] = recorded[i].cost(ctx, name, n) })
	}
	counting.Wait()
	for _, r := range recorded {
		e.Results.Cells = append(e.Results.Cells, r.Results.Cells...)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if n == slices.Max(e.Plan.Sizes) {
		return e.uses(ctx, append(names, contender.Uncached), n)
	}
	return nil
}

func (e *Env) cost(ctx context.Context, name string, n int) error {
	counter, err := wire.NewCounter(e.Servers[0])
	if err != nil {
		return err
	}
	defer counter.Close()
	fail := func(measure string, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		e.record(result.Cell{
			Scenario: 2, Measure: measure, Instances: n, Contender: name, Unit: result.Count,
			Series: stats.Series{Failed: 1}, Note: err.Error(),
		})
		return nil
	}
	f, err := e.follow(ctx, name, fmt.Sprintf("cost-%d-%s", n, pathName(name)), n, agent.Open{Servers: []string{counter.Addr()}, Dir: e.dir(name)})
	if err != nil {
		return fail(Requests+Added, err)
	}
	defer f.Close()
	before, err := quietFor(ctx, counter, f.breath())
	if err != nil {
		return fail(Requests+Added, err)
	}
	e.record(result.Cell{
		Scenario: 2, Measure: StartRequests, Instances: n, Contender: name, Unit: result.Count,
		Series: stats.Series{Values: []float64{float64(before.Requests)}},
	})
	if measure, err := e.countChanges(ctx, f, counter, before, n); err != nil {
		return fail(measure, err)
	}
	return e.keeps(ctx, f, name, n)
}

// countChanges counts what each kind of change costs. An error comes with what was to be measured.
func (e *Env) countChanges(ctx context.Context, f *follower, counter *wire.Counter, before wire.Counts, n int) (measure string, err error) {
	extra, other := registry.Key(n), registry.Key(n/2)
	requests, bytes := make(map[string]*stats.Series), make(map[string]*stats.Series)
	for _, kind := range kindsOfChange {
		requests[kind], bytes[kind] = new(stats.Series), new(stats.Series)
	}
	defer func() { // an interrupt has what was counted before
		for _, kind := range kindsOfChange {
			cell := result.Cell{Scenario: 2, Measure: Requests + kind, Instances: n, Contender: f.Contender, Unit: result.Count, Series: *requests[kind]}
			if requests[kind].Len() == 0 {
				continue
			}
			if kind == Changed && cell.Series.Summary().Max == 0 {
				cell.Note = "it does not notice such changes"
			}
			e.record(cell)
			e.record(result.Cell{Scenario: 2, Measure: FromServer + kind, Instances: n, Contender: f.Contender, Unit: result.Bytes, Series: *bytes[kind]})
		}
	}()
	for round := range e.Plan.CostChanges {
		metadata := fmt.Sprintf("%s&round=%d", registry.Metadata, round)
		for _, step := range []struct {
			kind, key, want string
			do              func() error
		}{
			{Added, extra, "in", func() error { return f.service.Add(extra, registry.Metadata) }},
			{Changed, other, "=" + metadata, func() error { return f.service.Set(other, metadata) }},
			{Removed, extra, "out", func() error { return f.service.Remove(extra) }},
		} {
			seen, err := f.Expect(ctx, step.key, step.want)
			if err != nil {
				return Requests + step.kind, err
			}
			if err := step.do(); err != nil {
				return Requests + step.kind, err
			}
			// A contender that a busy machine has not let act yet is quiet, too: what it does then would count for the next change.
			if _, _, err := await(ctx, seen, time.Now(), f.changeLimit(condition{n: n}, step.kind)); err != nil {
				return Requests + step.kind, err
			}
			after, err := quietFor(ctx, counter, f.breath())
			if err != nil {
				return Requests + step.kind, err
			}
			d := after.Since(before)
			before = after
			requests[step.kind].Add(float64(d.Requests))
			bytes[step.kind].Add(float64(d.ToClients - d.Pings*pingReply))
		}
	}
	return "", nil
}

// pingReply is the length of the answer to a ping, whole.
const pingReply = 20

// breath is a pause in what a contender asks for that is no end of it. Who reads one instance after the other pauses when the machine is busy.
func (f *follower) breath() time.Duration {
	if f.Contender == contender.DubboGo {
		return 300 * time.Millisecond
	}
	return usualBreath
}

const usualBreath = 60 * time.Millisecond

func quiet(ctx context.Context, c *wire.Counter) (wire.Counts, error) {
	return quietFor(ctx, c, usualBreath)
}

// quietFor waits until nothing but pings has passed for a while.
func quietFor(ctx context.Context, c *wire.Counter, while time.Duration) (wire.Counts, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		before := c.Counts()
		if err := pause(ctx, while); err != nil {
			return before, err
		}
		d := c.Counts().Since(before)
		if d.Requests == 0 && d.ToClients == d.Pings*pingReply {
			return before, nil
		}
	}
}

// untilWritten is when a follower that keeps a file has written it: a list that is being written is in memory once more.
const untilWritten = 2 * time.Second

// keeps asks a follower's process.
func (f *follower) keeps(ctx context.Context) (agent.Stats, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return f.Stats(ctx)
}

// keeps looks at a follower's goroutines and, of the greatest size, where it shows, at its heap, in comparison with a follower of none in a
// process of its own.
func (e *Env) keeps(ctx context.Context, f *follower, name string, n int) error {
	if err := pause(ctx, untilWritten); err != nil {
		return err
	}
	full, err := f.keeps(ctx)
	if err != nil {
		return err
	}
	e.record(result.Cell{
		Scenario: 2, Measure: Goroutines, Instances: n, Contender: name, Unit: result.Count,
		Series: stats.Series{Values: []float64{float64(full.Goroutines)}},
	})
	// The difference of two Javas says less than what this harness keeps in one of them.
	if n != slices.Max(e.Plan.Sizes) || name == contender.Curator {
		return nil
	}
	none, err := e.follow(ctx, name, fmt.Sprintf("cost-0-of-%d-%s", n, pathName(name)), 0, agent.Open{Dir: e.dir(name)})
	if err != nil {
		return err
	}
	defer none.Close()
	empty, err := none.keeps(ctx)
	if err != nil {
		return err
	}
	e.record(result.Cell{
		Scenario: 2, Measure: HeapEach, Instances: n, Contender: name, Unit: result.Bytes,
		Series: stats.Series{Values: []float64{float64(full.Heap-empty.Heap) / float64(n)}},
	})
	return nil
}
