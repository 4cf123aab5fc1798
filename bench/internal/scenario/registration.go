package scenario

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"

	"github.com/holdfast-go/holdfast/bench/internal/contender"
	"github.com/holdfast-go/holdfast/bench/internal/registry"
	"github.com/holdfast-go/holdfast/bench/internal/result"
	"github.com/holdfast-go/holdfast/bench/internal/stats"
	"github.com/holdfast-go/holdfast/bench/internal/wire"
)

// registration measures the server's side: the plugins that register.
var registration = Scenario{
	Number: 9, Name: "registration", Title: "registration: plugin started → registered",
	Steps: func(Plan) int { return 4 },
	Run: func(ctx context.Context, e *Env) error {
		e.Step("servers register, and take over after kill -9")
		if err := e.registrations(ctx); err != nil {
			return err
		}
		e.Step("one process registers 500 services")
		if err := e.registerMany(ctx); err != nil {
			return err
		}
		e.Step("a server's session expires")
		if err := e.expiries(ctx); err != nil {
			return err
		}
		e.Step("registered servers at rest")
		return e.registeredAtRest(ctx)
	},
}

// The measures of registration.
const (
	Registered = "started → registered"
	TakenOver  = "restarted after kill -9 → registered again"
	Reborn     = "reachable again after its session has expired → registered"
	AtRest     = "requests per hour for metrics that stay the same, once a minute"
)

const (
	registrationService = "Registered"
	registrationLimit   = 15 * time.Second
	registrationSession = 2 * time.Second
)

func (e *Env) recordRegistration(measure, name string, s stats.Series, unit result.Unit, note string) {
	e.record(result.Cell{Scenario: 9, Measure: measure, Contender: name, Unit: unit, Series: s, Note: note})
}

// registrars are who can register.
func (e *Env) registrars() []string { return e.among(contender.Holdfast, contender.Peer) }

// registering is a tally of each.
func (e *Env) registering() map[string]*tally {
	all := make(map[string]*tally)
	for _, name := range e.registrars() {
		all[name] = &tally{like: result.Cell{Scenario: 9, Contender: name}}
	}
	return all
}

func (e *Env) recordRegistering(all map[string]*tally) {
	for _, name := range e.registrars() {
		e.recordAll(all[name])
	}
}

func (e *Env) registrations(ctx context.Context) error {
	all := e.registering()
	defer e.recordRegistering(all) // an interrupt has what was measured before
	for round := range e.Plan.Registrations {
		for i, name := range inTurn(e.registrars(), round) {
			key := registry.Key(round*10 + i)
			first, err := e.Launcher.Start(ctx, name)
			if err != nil {
				return err
			}
			began := time.Now()
			owner, err := e.register(ctx, first, e.Servers, key, nobody)
			first.Close() // kill -9, which is what the next has to deal with
			if end := count(ctx, all[name], Registered, began, err); end != nil {
				return end
			}
			if err != nil {
				continue
			}
			second, err := e.Launcher.Start(ctx, name)
			if err != nil {
				return err
			}
			began = time.Now()
			_, err = e.register(ctx, second, e.Servers, key, owner)
			second.Close()
			if err := count(ctx, all[name], TakenOver, began, err); err != nil {
				return err
			}
		}
	}
	return nil
}

// count adds what has been waited for. Its error is the end of ctx.
func count(ctx context.Context, t *tally, measure string, began time.Time, err error) error {
	switch {
	case err == nil:
		t.add(measure, result.Time, float64(time.Since(began)))
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		t.cell(measure, result.Time).Series.Never++
	default:
		t.fail(measure, result.Time, err)
	}
	return nil
}

// nobody is no session.
const nobody = -1

// registrar is a process that can register.
type registrar interface {
	Serve(ctx context.Context, servers []string, base, service, address string, update, timeout time.Duration) error
}

// register has a process register and waits until another session than not owns the node.
func (e *Env) register(ctx context.Context, p registrar, servers []string, key string, not int64) (owner int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, registrationLimit)
	defer cancel()
	var serving sync.WaitGroup
	var refused error
	serving.Go(func() {
		if refused = p.Serve(ctx, servers, e.base(), registrationService, key, e.Plan.UpdateEvery, registrationSession); refused != nil {
			cancel()
		}
	})
	owner, _, err = e.Registry.Owned(ctx, registrationService, key, not)
	if err != nil {
		serving.Wait()
		if refused != nil && errors.Is(err, context.Canceled) {
			err = refused
		}
		return 0, err
	}
	cancel() // what the plugin says itself is not waited for
	serving.Wait()
	return owner, nil
}

// expiryPhases is how many servers of a contender are cut off, each at another moment of its update interval: some plugins act at its ticks.
const expiryPhases = 6

// expiries cut servers off until their sessions have expired, all at once: there is a lot of waiting.
func (e *Env) expiries(ctx context.Context) error {
	names := e.registrars()
	all := e.registering()
	all[contender.Peer].like.Note = fmt.Sprintf("it registers again at its update interval's next tick, every %v here", e.Plan.UpdateEvery)
	each := make([]tally, len(names)*expiryPhases)
	errs := make([]error, len(each))
	var expiring sync.WaitGroup
	for i := range each {
		after := e.Plan.UpdateEvery * time.Duration(i%expiryPhases) / expiryPhases
		expiring.Go(func() { errs[i] = e.expiry(ctx, names[i/expiryPhases], registry.Key(1_000_000+i), after, &each[i]) })
	}
	expiring.Wait()
	for i := range each {
		all[names[i/expiryPhases]].take(&each[i])
	}
	e.recordRegistering(all)
	return errors.Join(errs...)
}

// expiry cuts one off some time after it has registered.
func (e *Env) expiry(ctx context.Context, name, key string, after time.Duration, t *tally) error {
	proxy, err := zktest.NewProxy(e.Servers[0])
	if err != nil {
		return err
	}
	defer proxy.Close()
	p, err := e.Launcher.Start(ctx, name)
	if err != nil {
		return err
	}
	defer p.Close()
	began := time.Now()
	owner, err := e.register(ctx, p, []string{proxy.Addr()}, key, nobody)
	if err != nil {
		return count(ctx, t, Reborn, began, err)
	}
	if err := pause(ctx, after); err != nil {
		return err
	}
	if err := proxy.Refuse(true); err != nil {
		return err
	}
	proxy.Drop()
	bounded, cancel := context.WithTimeout(ctx, registrationLimit)
	defer cancel()
	for exists := true; exists; {
		if _, exists, err = e.Registry.Owner(registrationService, key); err != nil {
			return err
		}
		if err := pause(bounded, 10*time.Millisecond); err != nil {
			return fmt.Errorf("the session of %s does not expire: %w", name, err)
		}
	}
	if err := proxy.Refuse(false); err != nil {
		return err
	}
	began = time.Now()
	bounded, cancel = context.WithTimeout(ctx, registrationLimit)
	defer cancel()
	_, _, err = e.Registry.Owned(bounded, registrationService, key, owner)
	return count(ctx, t, Reborn, began, err)
}

// registeredAtRest counts the requests of servers whose metrics interval is a second, and reckons with the minute that rpcx's examples have. Nobody is
// busy: all contenders at once.
func (e *Env) registeredAtRest(ctx context.Context) error {
	names := e.registrars()
	perHour := make([]float64, len(names))
	errs := make([]error, len(names))
	var all sync.WaitGroup
	for i, name := range names {
		all.Go(func() { perHour[i], errs[i] = e.requestsAtRest(ctx, name, registry.Key(2_000_000+i)) })
	}
	all.Wait()
	for i, name := range names {
		if errs[i] != nil {
			continue
		}
		note := ""
		if name == contender.Holdfast {
			note = "it looks at its node besides, three or four times an hour"
		}
		e.recordRegistration(AtRest, name, stats.Series{Values: []float64{perHour[i]}}, result.Count, note)
	}
	return errors.Join(errs...)
}

func (e *Env) requestsAtRest(ctx context.Context, name, key string) (perHour float64, err error) {
	const interval = time.Second
	counter, err := wire.NewCounter(e.Servers[0])
	if err != nil {
		return 0, err
	}
	defer counter.Close()
	p, err := e.Launcher.Start(ctx, name)
	if err != nil {
		return 0, err
	}
	defer p.Close()
	bounded, cancel := context.WithTimeout(ctx, registrationLimit)
	defer cancel()
	if err := p.Serve(bounded, []string{counter.Addr()}, e.base(), registrationService, key, interval, sessionTimeout); err != nil {
		return 0, err
	}
	if err := pause(ctx, interval/2); err != nil {
		return 0, err
	}
	before := counter.Counts()
	ticks := max(1, int(e.Plan.Rest/interval))
	if err := pause(ctx, time.Duration(ticks)*interval); err != nil {
		return 0, err
	}
	return float64(counter.Counts().Since(before).Requests) / float64(ticks) * 60, nil
}
