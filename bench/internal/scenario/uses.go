package scenario

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/holdfast-go/holdfast/bench/internal/agent"
	"github.com/holdfast-go/holdfast/bench/internal/contender"
	"github.com/holdfast-go/holdfast/bench/internal/registry"
	"github.com/holdfast-go/holdfast/bench/internal/result"
)

// user is a contender in a process of its own, which is asked what it has used.
type user struct {
	tally
	*follower
	spent  time.Duration
	failed bool
}

// uses has the contenders take turns: each sees so many changes of metadata and of who is there, one by one, and then its process is asked what it has
// used. What it uses meanwhile without a change is in it. In the end all of them are at rest at once.
func (e *Env) uses(ctx context.Context, names []string, n int) error {
	followers, failed, err := e.followAll(ctx, names, func(name string) (string, int, agent.Open) {
		return "uses-" + pathName(name), n, agent.Open{Dir: e.dir(name)}
	})
	if err != nil {
		return err
	}
	users := make(map[string]*user)
	for _, name := range names {
		u := &user{follower: followers[name]}
		u.like = result.Cell{Scenario: 2, Instances: n, Contender: name}
		users[name] = u
		if u.follower == nil {
			u.stop(CPUEach, failed[name])
			continue
		}
		defer u.Close()
	}
	defer func() { // an interrupt has what was measured before
		for _, name := range names {
			e.recordAll(&users[name].tally)
		}
	}()
	for round := -1; round < e.Plan.Uses.Rounds; round++ { // the first warms up
		if round == 0 && e.Profiles != "" {
			if err := e.profile(ctx, names, users); err != nil {
				return err
			}
		}
		for _, name := range inTurn(names, round+1) {
			u := users[name]
			if u.failed || e.Plan.Uses.enough(round, u.spent) {
				continue
			}
			if err := u.change(ctx, n, round); err != nil {
				return err
			}
		}
	}
	if e.Profiles != "" {
		for _, u := range users {
			if !u.failed && u.like.Contender != contender.Curator {
				if err := u.Profile(ctx, ""); err != nil {
					return err
				}
			}
		}
	}
	return e.rest(ctx, names, users)
}

// profile begins a profile of every contender's process that is a Go program.
func (e *Env) profile(ctx context.Context, names []string, users map[string]*user) error {
	for _, name := range names {
		if users[name].failed || name == contender.Curator {
			continue
		}
		if err := users[name].Profile(ctx, filepath.Join(e.Profiles, pathName(name)+".pprof")); err != nil {
			return err
		}
	}
	return nil
}

// stop leaves it out from now on.
func (u *user) stop(measure string, err error) {
	u.fail(measure, result.Time, err)
	u.failed = true
}

// perUse is how many times a change of each kind is made for which a process is asked once, and the pause after each change, so that none is merged
// with the next, and all that is done for the last is of it, too. Who reads everything gets the time for that, and few of them.
func (u *user) perUse() (times int, after time.Duration) {
	if name := u.like.Contender; name == contender.Peer || name == contender.DubboGo {
		return 1, u.took + u.goesOn()
	}
	return 10, settle
}

func (u *user) change(ctx context.Context, n, round int) error {
	times, after := u.perUse()
	began := time.Now()
	used, err := u.during(ctx, func(ctx context.Context) error {
		extra, other := registry.Key(n), registry.Key(n/2)
		for i := range times {
			for _, do := range []func() error{
				func() error { return u.service.Add(extra, registry.Metadata) },
				func() error { return u.service.Set(other, fmt.Sprintf("%s&used=%d.%d", registry.Metadata, round, i)) },
				func() error { return u.service.Remove(extra) },
			} {
				if err := do(); err != nil {
					return err
				}
				if err := pause(ctx, after); err != nil {
					return err
				}
			}
		}
		return nil
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		u.stop(CPUEach, err)
	case round >= 0:
		changes := float64(times * len(kindsOfChange))
		u.add(CPUEach, result.Time, float64(used.CPU)/changes)
		u.add(AllocEach, result.Bytes, float64(used.Allocated)/changes)
		u.spent += time.Since(began)
	}
	return nil
}

// during is what the process uses while something is done.
func (u *user) during(ctx context.Context, do func(context.Context) error) (agent.Used, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	was, err := u.Used(ctx)
	if err != nil {
		return was, err
	}
	if err := do(ctx); err != nil {
		return was, err
	}
	is, err := u.Used(ctx)
	return agent.Used{CPU: is.CPU - was.CPU, Allocated: is.Allocated - was.Allocated}, err
}

// restLooks is how often is looked at them.
const restLooks = 6

// rest looks at everybody at once, for half of the plan's time for that: none takes anything from another then.
func (e *Env) rest(ctx context.Context, names []string, users map[string]*user) error {
	span := e.Plan.Rest / (2 * restLooks)
	for range restLooks {
		was := make(map[string]agent.Used)
		began := time.Now()
		for _, name := range names {
			if u := users[name]; !u.failed {
				var err error
				if was[name], err = u.Used(ctx); err != nil {
					return err
				}
			}
		}
		if err := pause(ctx, span); err != nil {
			return err
		}
		for _, name := range names {
			u := users[name]
			if u.failed {
				continue
			}
			is, err := u.Used(ctx)
			if err != nil {
				return err
			}
			seconds := time.Since(began).Seconds()
			u.add(CPURest, result.Time, float64(is.CPU-was[name].CPU)/seconds)
			u.add(AllocRest, result.Bytes, float64(is.Allocated-was[name].Allocated)/seconds)
		}
	}
	return nil
}
