package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/bench/internal/agent"
	"github.com/holdfast-go/holdfast/bench/internal/contender"
	"github.com/holdfast-go/holdfast/bench/internal/registry"
	"github.com/holdfast-go/holdfast/bench/internal/result"
	"github.com/holdfast-go/holdfast/bench/internal/stats"
)

// change measures from before a change is sent to ZooKeeper, over another connection, until a watcher has the list with it. The writer's own
// round trip is in it, and shown beside it.
var change = Scenario{
	Number: 1, Name: "change", Title: "change → watcher",
	Sizes: true, Trips: true,
	Steps: func(p Plan) int { return len(p.conditions()) },
	Run: func(ctx context.Context, e *Env) error {
		for _, c := range e.Plan.conditions() {
			e.Step(fmt.Sprintf("a change reaches a watcher: %d instances, round trip %v", c.n, c.roundTrip))
			if err := e.change(ctx, 1, c, e.changers(c)); err != nil {
				return err
			}
		}
		return nil
	},
}

// changers leaves out whom it would take too long to wait for.
func (e *Env) changers(c condition) []string {
	return slices.DeleteFunc(e.everybody(), func(name string) bool {
		if name == contender.CacheDiscovery { // rpcx-zookeeper's way to the last millisecond
			return c.roundTrip > 0 || c.n >= 1_000
		}
		return e.Plan.isTooMuchFor(name, c)
	})
}

// The measures of change.
const (
	Added    = "added"
	Changed  = "metadata"
	Removed  = "removed"
	WriterRT = "the writer's own round trip" // of Writer, on the direct way
	ReaderRT = "a read's round trip"         // of Writer, where contenders are further away: what the delay really is, with the timers' delay
)

// Writer stands where the contender does.
const Writer = "(ZooKeeper)"

var kindsOfChange = []string{Added, Changed, Removed}

// turn is a contender in a cell of change.
type turn struct {
	*follower
	spent time.Duration // waiting for it
	last  time.Duration // change, took so long; at first 6 times the start
	took  map[string]*stats.Series
	note  string
}

func newTurn(f *follower) *turn {
	// rpcx-zookeeper reads everything a second time after its constructor has returned, and is blind meanwhile.
	t := &turn{follower: f, last: 6 * f.took, took: make(map[string]*stats.Series)}
	for _, kind := range kindsOfChange {
		t.took[kind] = new(stats.Series)
	}
	return t
}

// change is one cell, for a scenario.
func (e *Env) change(ctx context.Context, scenario int, c condition, names []string) error {
	servers, done, err := e.way(c)
	if err != nil {
		return err
	}
	defer done()
	if c.roundTrip > 0 {
		trips, err := e.roundTrips(ctx, servers)
		if err != nil {
			return err
		}
		e.record(result.Cell{
			Scenario: scenario, Measure: ReaderRT, Instances: c.n, RoundTrip: c.roundTrip, Contender: Writer, Unit: result.Time, Series: trips,
		})
	}
	followers, failed, err := e.followAll(ctx, names, func(name string) (string, int, agent.Open) {
		service := fmt.Sprintf("change-%d-%d-%v-%d", scenario, c.n, c.roundTrip, slices.Index(names, name))
		return service, c.n, agent.Open{Servers: servers, Dir: e.dir(name)}
	})
	if err != nil {
		return err
	}
	var turns []*turn
	for _, name := range names {
		if f := followers[name]; f != nil {
			defer f.Close()
			turns = append(turns, newTurn(f))
			continue
		}
		e.record(result.Cell{
			Scenario: scenario, Measure: Added, Instances: c.n, RoundTrip: c.roundTrip, Contender: name, Unit: result.Time,
			Series: stats.Series{Failed: 1}, Note: failed[name].Error(),
		})
	}
	writer := new(stats.Series)
	err = e.takeTurns(ctx, c, turns, writer)
	for _, t := range turns {
		for _, kind := range kindsOfChange {
			e.record(result.Cell{
				Scenario: scenario, Measure: kind, Instances: c.n, RoundTrip: c.roundTrip, Contender: t.Contender, Unit: result.Time,
				Series: *t.took[kind], Note: t.note,
			})
		}
	}
	e.record(result.Cell{
		Scenario: scenario, Measure: WriterRT, Instances: c.n, RoundTrip: c.roundTrip, Contender: Writer, Unit: result.Time, Series: *writer,
	})
	return err // an interrupt has what was measured before
}

// takeTurns has every contender do its rounds, when it is warm.
func (e *Env) takeTurns(ctx context.Context, c condition, turns []*turn, writer *stats.Series) error {
	if err := e.warmTurns(ctx, c, turns); err != nil {
		return err
	}
	effort := e.Plan.Change.in(c)
	for round := range effort.Rounds {
		for _, t := range inTurn(turns, round) {
			if t.note != "" || effort.enough(round, t.spent) {
				continue
			}
			if err := t.try(ctx, e, c, round, writer); err != nil {
				return err
			}
		}
	}
	return nil
}

// javaWarmth is how many times as many rounds Java needs before it has compiled what it runs.
const javaWarmth = 4

// warmTurns has all do as many rounds as the plan says, but, after the first, not for longer than its budget for that.
func (e *Env) warmTurns(ctx context.Context, c condition, turns []*turn) error {
	for round := range e.Plan.Warmup * javaWarmth {
		for _, t := range inTurn(turns, round) {
			if t.note != "" || round > 0 && t.spent > e.Plan.WarmBudget || round >= e.Plan.Warmup && t.Contender != contender.Curator {
				continue
			}
			if err := t.try(ctx, e, c, -1-round, nil); err != nil {
				return err
			}
		}
	}
	for _, t := range turns {
		t.spent = 0
	}
	return nil
}

// try is a round; a contender that fails in it does no more. The error is ctx's.
func (t *turn) try(ctx context.Context, e *Env, c condition, round int, writer *stats.Series) error {
	if err := t.round(ctx, e, c, round, writer); err != nil {
		t.note = err.Error()
	}
	return ctx.Err()
}

// round adds an instance, changes another's metadata, and removes the one that was added. Rounds before 0 do not count, and need no writer.
func (t *turn) round(ctx context.Context, e *Env, c condition, round int, writer *stats.Series) error {
	extra, other := registry.Key(c.n), registry.Key(c.n/2)
	metadata := fmt.Sprintf("%s&round=%d", registry.Metadata, round)
	for _, step := range []struct {
		kind, key, want string
		do              func() error
	}{
		{Added, extra, "in", func() error { return t.service.Add(extra, registry.Metadata) }},
		{Changed, other, "=" + metadata, func() error { return t.service.Set(other, metadata) }},
		{Removed, extra, "out", func() error { return t.service.Remove(extra) }},
	} {
		series := t.took[step.kind]
		if step.kind == Changed && series.Never >= e.Plan.Nevers && len(series.Values) == 0 {
			continue // it does not see such changes
		}
		// Who reads everything has something left to do, too, in proportion.
		if err := pause(ctx, settle+2*c.roundTrip+t.last/5+t.goesOn()); err != nil {
			return err
		}
		fail := func(err error) error {
			if ctx.Err() == nil { // an interrupt is no failure
				series.Failed++
			}
			return err
		}
		seen, err := t.Expect(ctx, step.key, step.want)
		if err != nil {
			return fail(err)
		}
		began := time.Now()
		if err := step.do(); err != nil {
			return fail(err)
		}
		wrote := time.Since(began)
		took, ok, err := await(ctx, seen, began, t.changeLimit(c, step.kind))
		if err != nil {
			return err
		}
		t.last = time.Since(began)
		t.spent += t.last
		switch {
		case ok && took < 0:
			return fail(errShownBefore)
		case !ok: // counts also while warming up: somebody who never sees a thing need not be waited for again
			series.Never++
		case round >= 0:
			series.Add(float64(took))
			writer.Add(float64(wrote))
		}
	}
	t.spent += t.goesOn()
	return nil
}

// errShownBefore is a list that comes back when a newer one has been shown.
var errShownBefore = errors.New("its list had the change before it was made")

// settle is the pause between two changes: they are rare in this scenario, and what one leaves to be done is done before the next.
const settle = 15 * time.Millisecond

// changeLimit is when a change counts as never seen: twice the time in which every instance could be read one after the other. Where it is the
// metadata that has changed, everybody who sees it at all reads one instance, unless that is another node now.
func (f *follower) changeLimit(c condition, kind string) time.Duration {
	if kind == Changed && !f.service.MovesToChange() {
		return 500*time.Millisecond + 10*c.roundTrip
	}
	return 2*time.Second + 2*time.Duration(c.n)*(c.roundTrip+500*time.Microsecond)
}

// await waits until something was seen, and tells how long after began that was.
func await(ctx context.Context, seen <-chan time.Time, began time.Time, limit time.Duration) (took time.Duration, ok bool, err error) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case at := <-seen:
		return at.Sub(began), true, nil
	case <-timer.C:
		return 0, false, nil
	case <-ctx.Done():
		return 0, false, ctx.Err()
	}
}
