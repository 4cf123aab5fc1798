package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"

	"github.com/holdfast-go/holdfast/bench/internal/agent"
	"github.com/holdfast-go/holdfast/bench/internal/contender"
	"github.com/holdfast-go/holdfast/bench/internal/registry"
	"github.com/holdfast-go/holdfast/bench/internal/result"
	"github.com/holdfast-go/holdfast/bench/internal/stats"
)

// start measures from the constructor's call to the first list that names everybody, each time in a fresh process. That process's own start is not
// in it. Of Curator later caches of one process are taken while ZooKeeper is up: a Java program's first one says more of Java's compiler than of Curator.
var start = Scenario{
	Number: 3, Name: "start", Title: "start-up to the first list",
	Sizes: true, Trips: true,
	Steps: func(p Plan) int { return len(p.startConditions()) + 1 },
	Run: func(ctx context.Context, e *Env) error {
		for _, c := range e.Plan.startConditions() {
			e.Step(fmt.Sprintf("start, ZooKeeper up: %d instances, round trip %v", c.n, c.roundTrip))
			if err := e.startUp(ctx, 3, c); err != nil {
				return err
			}
		}
		e.Step("start, ZooKeeper refuses or is silent")
		return e.startDown(ctx)
	},
}

// The measures of start.
const (
	StartUp      = "start, ZooKeeper up"
	StartRefused = "start, ZooKeeper refuses"
	StartSilent  = "start, ZooKeeper accepts and is silent"
)

// starter is a contender with what its starts have taken.
type starter struct {
	name, dir string
	service   string // as it stands for this contender
	series    stats.Series
	note      string
	spent     time.Duration
	warm      *agent.Process // Curator's, for all rounds; nil: each start has a fresh one
}

// warmUp opens and closes caches in one process until they have taken the plan's time, and keeps it for what counts.
func (s *starter) warmUp(ctx context.Context, e *Env, o agent.Open) error {
	p, err := e.Launcher.Start(ctx, s.name)
	if err != nil {
		return err
	}
	o.Service = s.service
	began := time.Now()
	var first time.Duration
	opened := 0
	for ; opened < e.Plan.JavaStarts || time.Since(began) < e.Plan.WarmBudget; opened++ {
		took, err := e.open(ctx, p, o, e.Plan.OpenLimit)
		if err == nil {
			err = p.Shut(ctx)
		}
		if err != nil {
			p.Close()
			return err
		}
		if opened == 0 {
			first = took
		}
	}
	s.warm = p
	s.note = fmt.Sprintf("the Java process had started and closed %d caches before; its first took %v", opened, first.Round(time.Millisecond))
	return nil
}

func (s *starter) close() {
	if s.warm != nil {
		s.warm.Close()
	}
}

// startNames are who starts; startDown counts on the order.
var startNames = []string{
	contender.Holdfast, contender.Uncached, contender.Peer, contender.CacheDiscovery, contender.Curator, contender.DubboGo,
	contender.Floor, contender.BareFloor,
}

// starters follow a service of n instances, which is registered once in every layout that one of them reads. They have files where they use some: each
// has followed the service before.
func (e *Env) starters(ctx context.Context, service string, n int, names []string) ([]*starter, error) {
	var all []*starter
	registered := make(map[registry.Layout]string)
	for _, name := range e.among(names...) {
		layout := registry.LayoutOf(name)
		if registered[layout] == "" {
			registered[layout] = service
			if len(registered) > 1 {
				registered[layout] += "-" + pathName(name)
			}
			if _, err := e.Registry.ServiceIn(layout, registered[layout], n); err != nil {
				return nil, err
			}
		}
		s := &starter{name: name, service: registered[layout], dir: e.dir(name)}
		if s.dir != "" {
			f, err := e.follow(ctx, name, service, 0, agent.Open{Dir: s.dir, Watchers: 1})
			if err == nil {
				err = e.untilSaved(ctx, f, s.dir)
				f.Close()
			}
			if err != nil {
				return nil, fmt.Errorf("%s writes its file: %w", name, err)
			}
		}
		all = append(all, s)
	}
	return all, nil
}

func (e *Env) startUp(ctx context.Context, scenario int, c condition) error {
	servers, done, err := e.way(c)
	if err != nil {
		return err
	}
	defer done()
	service := fmt.Sprintf("start-%d-%d-%v", scenario, c.n, c.roundTrip)
	names := slices.DeleteFunc(slices.Clone(startNames), func(name string) bool {
		return name == contender.CacheDiscovery || e.Plan.isTooMuchFor(name, c) // the former is rpcx-zookeeper, while ZooKeeper is up
	})
	starters, err := e.starters(ctx, service, c.n, names)
	if err != nil {
		return err
	}
	o := agent.Open{Servers: servers, Want: c.n}
	for _, s := range starters {
		defer s.close()
		if s.name != contender.Curator {
			continue
		}
		if err := s.warmUp(ctx, e, o); ctx.Err() != nil {
			return ctx.Err()
		} else if err != nil {
			s.series.Failed++
			s.note = err.Error()
		}
	}
	err = e.startInTurns(ctx, e.Plan.Start.in(c), starters, o)
	for _, s := range starters {
		e.record(result.Cell{
			Scenario: scenario, Measure: StartUp, Instances: c.n, RoundTrip: c.roundTrip, Contender: s.name, Unit: result.Time,
			Series: s.series, Note: s.note,
		})
	}
	return err // an interrupt has what was measured before
}

// startInTurns does the rounds.
func (e *Env) startInTurns(ctx context.Context, effort Effort, starters []*starter, o agent.Open) error {
	for round := range effort.Rounds {
		for _, s := range inTurn(starters, round) {
			if s.series.Failed+s.series.Never > 0 || effort.enough(round, s.spent) {
				continue
			}
			if err := e.startOnce(ctx, s, o, e.Plan.OpenLimit); err != nil {
				return err
			}
		}
	}
	return nil
}

// downs are the ways in which ZooKeeper is not there.
var downs = []struct {
	measure string
	set     func(*zktest.Proxy) error
}{
	{StartRefused, func(p *zktest.Proxy) error { return p.Refuse(true) }},
	{StartSilent, func(p *zktest.Proxy) error { p.Cut(true); return nil }},
}

// startDown starts everybody at once in all the ways: who waits uses no processor. Before that this library alone starts again and again, where it
// need not wait.
func (e *Env) startDown(ctx context.Context) error {
	n := slices.Max(e.Plan.StartSizes)
	var starting sync.WaitGroup
	var all [][]*starter
	defer func() { // an interrupt has what was measured before
		for i, starters := range all {
			for _, s := range starters {
				e.record(result.Cell{
					Scenario: 3, Measure: downs[i].measure, Instances: n, Contender: s.name, Unit: result.Time, Series: s.series, Note: s.note,
				})
			}
		}
	}()
	errs := make(chan error, len(downs)*10)
	for i, down := range downs {
		proxy, err := zktest.NewProxy(e.Servers[0])
		if err != nil {
			return err
		}
		defer proxy.Close()
		defer starting.Wait() // before its proxy goes, whatever else fails
		service := fmt.Sprintf("start-down-%d", i)
		starters, err := e.starters(ctx, service, n, startNames)
		if err != nil {
			return err
		}
		all = append(all, starters)
		if err := down.set(proxy); err != nil {
			return err
		}
		o := agent.Open{Servers: []string{proxy.Addr()}, Want: n}
		if down.measure == StartRefused {
			for range e.Plan.Start.Rounds {
				if err := e.startOnce(ctx, starters[0], o, e.Plan.StartLimit); err != nil {
					return err
				}
			}
			starters = starters[1:]
		}
		for _, s := range starters {
			starting.Go(func() { errs <- e.startOnce(ctx, s, o, e.Plan.StartLimit) })
		}
	}
	starting.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// process is a fresh one, or the warm one, whose cache done closes.
func (s *starter) process(ctx context.Context, e *Env) (p *agent.Process, done func(), err error) {
	if s.warm != nil {
		return s.warm, func() {
			if err := s.warm.Shut(ctx); err != nil && s.series.Failed == 0 {
				s.series.Failed++
				s.note = err.Error()
			}
		}, nil
	}
	if p, err = e.Launcher.Start(ctx, s.name); err != nil {
		return nil, nil, err
	}
	return p, p.Close, nil
}

// startOnce records what becomes of one start.
func (e *Env) startOnce(ctx context.Context, s *starter, o agent.Open, limit time.Duration) error {
	p, done, err := s.process(ctx, e)
	if err != nil {
		return err
	}
	defer done()
	o.Service, o.Dir = s.service, s.dir
	began := time.Now()
	took, err := e.open(ctx, p, o, limit)
	s.spent += time.Since(began)
	failure := new(agent.Failure)
	switch {
	case err == nil:
		s.series.Add(float64(took))
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, errNothing):
		s.series.Never++
		s.note = err.Error()
	case errors.As(err, &failure):
		s.series.Failed++
		s.note = fmt.Sprintf("fails after %v: %s", failure.Took.Round(time.Millisecond), failure.Why)
	default:
		s.series.Failed++
		s.note = err.Error()
	}
	return nil
}
