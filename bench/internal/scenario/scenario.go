// Package scenario has what is measured, each scenario in a file of its own.
//
// A scenario says what its cells are, a pure list of conditions, and runs them one after the other. Within a cell the contenders take turns, round
// by round, so that a machine that is busy for a moment is busy for all of them. Nothing is waited for without a bound: what has not happened
// then is recorded as never.
package scenario

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"

	"github.com/holdfast-go/holdfast/bench/internal/agent"
	"github.com/holdfast-go/holdfast/bench/internal/contender"
	"github.com/holdfast-go/holdfast/bench/internal/registry"
	"github.com/holdfast-go/holdfast/bench/internal/result"
	"github.com/holdfast-go/holdfast/bench/internal/stats"
	"github.com/holdfast-go/holdfast/bench/internal/wire"
)

// Scenario is one thing that is measured.
type Scenario struct {
	Number  int
	Name    string // for -scenario
	Title   string
	Sizes   bool           // it measures the plan's sizes, which -n sets
	Trips   bool           // it measures the plan's round trips, which -rtt sets
	Clients bool           // it has the plan's clients, which -clients sets
	Apart   bool           // it runs only when -scenario names it
	Steps   func(Plan) int // how often Run will call Env.Step
	Run     func(context.Context, *Env) error
}

// All are the scenarios by number.
func All() []Scenario {
	return []Scenario{change, cost, start, burst, outage, fanOut, services, file, registration, selectors, clients, scale, far}
}

// Usual are those that run when none is named.
func Usual() []Scenario {
	return slices.DeleteFunc(All(), func(s Scenario) bool { return s.Apart })
}

// Env is what scenarios run in.
type Env struct {
	Plan     Plan
	Launcher *agent.Launcher
	Ensemble *zktest.Ensemble // nil: ZooKeeper is somebody else's, not to be killed
	Servers  []string
	Registry *registry.Registry
	Dir      string // for files; removed after the run
	Profiles string // a directory for profiles of the contenders written in Go; "": none

	Results *result.Results
	Step    func(what string) // tells a person how far it is

	serial int // of services that need another name each time
}

// errNeedsEnsemble is why a scenario that takes ZooKeeper away is left out.
var errNeedsEnsemble = fmt.Errorf("%w: it kills ZooKeeper, and the one of -zk is not ours to kill", ErrLeftOut)

// ErrLeftOut is wrapped by the errors of scenarios that do not run, on purpose.
var ErrLeftOut = errors.New("left out")

func (e *Env) record(c result.Cell) { e.Results.Cells = append(e.Results.Cells, c) }

// base is the services' path as rpcx has it, without the first slash.
func (e *Env) base() string { return e.Registry.Base()[1:] }

// among leaves out the contenders that this machine does not have.
func (e *Env) among(names ...string) []string {
	var there []string
	for _, name := range names {
		if e.Launcher.Has(name) {
			there = append(there, name)
		}
	}
	return there
}

// everybody follows a service, as best they can.
func (e *Env) everybody() []string {
	return e.among(contender.Holdfast, contender.Peer, contender.CacheDiscovery, contender.Curator, contender.DubboGo, contender.Floor, contender.BareFloor)
}

// sessionTimeout is what contenders ask for where the scenario is not about sessions.
const sessionTimeout = 10 * time.Second

// follower is a contender in its process with the service that it follows.
type follower struct {
	*agent.Process
	service *registry.Service
	took    time.Duration // to open
}

// goesOn is how long a contender goes on reading, at most, when it has told of a change: dubbo-go reads every instance twice then, one after the other,
// where its start has read each, and looked at it once more.
func (f *follower) goesOn() time.Duration {
	if f.Contender == contender.DubboGo {
		return f.took * 3 / 2
	}
	return 0
}

// follow registers a service of n instances for a contender alone, starts its process and waits until it lists them.
func (e *Env) follow(ctx context.Context, name, service string, n int, o agent.Open) (*follower, error) {
	s, err := e.Registry.ServiceIn(registry.LayoutOf(name), service, n)
	if err != nil {
		return nil, err
	}
	p, err := e.Launcher.Start(ctx, name)
	if err != nil {
		return nil, err
	}
	o.Service, o.Want = service, n
	took, err := e.open(ctx, p, o, e.Plan.OpenLimit)
	if err != nil {
		p.Close()
		return nil, err
	}
	return &follower{p, s, took}, nil
}

// errNothing means that a contender has shown no list within the limit, and did not say that it will not.
var errNothing = errors.New("nothing")

// open has a process follow something, with the defaults for what o does not say.
func (e *Env) open(ctx context.Context, p *agent.Process, o agent.Open, limit time.Duration) (took time.Duration, err error) {
	if o.Base == "" {
		o.Base = e.base()
	}
	if o.SessionTimeout == 0 {
		o.SessionTimeout = sessionTimeout
	}
	if o.Servers == nil {
		o.Servers = e.Servers
	}
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	took, err = p.Open(bounded, o)
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("%w within %v", errNothing, limit)
	}
	return took, err
}

// followAll is follow for several contenders at once, each as ask says, but for dubbo-go, which follows when the others do: what goesOn is made of is its
// own time. A contender that cannot is in failed; the error is ctx's.
func (e *Env) followAll(ctx context.Context, names []string, ask func(name string) (service string, n int, o agent.Open)) (
	followers map[string]*follower, failed map[string]error, err error,
) {
	followers, failed = make(map[string]*follower), make(map[string]error)
	var mu sync.Mutex
	var opening sync.WaitGroup
	open := func(name string) {
		service, n, o := ask(name)
		f, err := e.follow(ctx, name, service, n, o)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			failed[name] = err
			return
		}
		followers[name] = f
	}
	for _, name := range names {
		if name != contender.DubboGo {
			opening.Go(func() { open(name) })
		}
	}
	opening.Wait()
	if slices.Contains(names, contender.DubboGo) {
		open(contender.DubboGo)
	}
	if ctx.Err() != nil {
		for _, f := range followers {
			f.Close()
		}
		return nil, nil, ctx.Err()
	}
	return followers, failed, nil
}

// way is what a condition says of the way to ZooKeeper. The caller must call done.
func (e *Env) way(c condition) (servers []string, done func(), err error) {
	if !c.far {
		return e.delayed(c.roundTrip)
	}
	s, err := wire.NewSlow(e.Servers[0], wire.Line{Rate: farRate, RoundTrip: c.roundTrip, Loss: farLoss})
	if err != nil {
		return nil, nil, err
	}
	return []string{s.Addr()}, s.Close, nil
}

// delayed is a way to ZooKeeper with that round trip; without one it is the direct one. The caller must call done.
func (e *Env) delayed(roundTrip time.Duration) (servers []string, done func(), err error) {
	if roundTrip == 0 {
		return e.Servers, func() {}, nil
	}
	p, err := zktest.NewProxy(e.Servers[0])
	if err != nil {
		return nil, nil, err
	}
	p.Delay(roundTrip)
	return []string{p.Addr()}, p.Close, nil
}

// roundTrips measures that of a small read.
func (e *Env) roundTrips(ctx context.Context, servers []string) (stats.Series, error) {
	var s stats.Series
	r, err := registry.Connect(ctx, servers, e.Registry.Base(), 5*time.Second)
	if err != nil {
		return s, err
	}
	defer r.Forget()
	for range 25 {
		began := time.Now()
		if _, _, err := r.Owner("nobody", "nothing"); err != nil {
			return s, err
		}
		s.Add(float64(time.Since(began)))
	}
	return s, nil
}

// inTurn has all in the order of a round, from 0. What one leaves behind burdens the next: in as many rounds as there are of them each is first once and
// comes behind others each time (the rows of a Williams square); then they are shuffled, in the same way in every run.
func inTurn[T any](all []T, round int) []T {
	n := len(all)
	shuffled := rand.New(rand.NewPCG(0, uint64(round/max(1, n)))).Perm(n) //nolint:gosec // rounds begin at 0
	order := make([]T, n)
	for i := range order {
		at := (i + 1) / 2 // 0, 1, n-1, 2, n-2 and so on
		if i%2 == 0 {
			at = n - at
		}
		order[i] = all[shuffled[(at+round)%n]]
	}
	return order
}

// pause waits, or returns ctx's error.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// dir is a fresh directory for the file of a contender that has one.
func (e *Env) dir(name string) string {
	if name != contender.Holdfast && name != contender.CacheDiscovery {
		return ""
	}
	dir, err := os.MkdirTemp(e.Dir, "files-")
	if err != nil {
		return filepath.Join(e.Dir, "missing") // which the contender will say
	}
	return dir
}
