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
)

// fanOut measures until the last of many watchers of one discovery has a change, while one more takes nothing from its channel.
var fanOut = Scenario{
	Number: 6, Name: "fanout", Title: "one change to many watchers, one more of them stuck: until the last has it",
	Steps: func(p Plan) int { return len(p.Watchers) },
	Run: func(ctx context.Context, e *Env) error {
		for _, w := range e.Plan.Watchers {
			e.Step(fmt.Sprintf("one change to %d watchers", w))
			if err := e.fanOut(ctx, w); err != nil {
				return err
			}
		}
		return nil
	},
}

const fanOutSize = 100

func (e *Env) fanOut(ctx context.Context, watchers int) error {
	names := e.among(contender.Holdfast, contender.Peer)
	followers, failed, err := e.followAll(ctx, names, func(name string) (string, int, agent.Open) {
		o := agent.Open{Dir: e.dir(name), Watchers: watchers + 1, Stuck: 1}
		return fmt.Sprintf("fanout-%d-%s", watchers, pathName(name)), fanOutSize, o
	})
	if err != nil {
		return err
	}
	series := make(map[string]*stats.Series)
	notes := make(map[string]string)
	for _, name := range names {
		series[name] = new(stats.Series)
		if f := followers[name]; f != nil {
			defer f.Close()
		} else {
			series[name].Failed++
			notes[name] = failed[name].Error()
		}
	}
	defer func() { // an interrupt has what was measured before
		for _, name := range names {
			e.record(result.Cell{
				Scenario: 6, Measure: FanOut, Instances: fanOutSize, Case: fmt.Sprintf("%d watchers", watchers), Contender: name, Unit: result.Time,
				Series: *series[name], Note: notes[name],
			})
		}
	}()
	extra := registry.Key(fanOutSize)
	for round := -1; round < e.Plan.FanOutRounds; round++ {
		for _, name := range inTurn(names, round+1) {
			f := followers[name]
			if f == nil || notes[name] != "" {
				continue
			}
			for _, step := range []struct {
				want string
				do   func() error
			}{
				{"in", func() error { return f.service.Add(extra, registry.Metadata) }},
				{"out", func() error { return f.service.Remove(extra) }},
			} {
				took, ok, err := e.fanOutOnce(ctx, f, extra, step.want, step.do)
				switch {
				case ctx.Err() != nil:
					return ctx.Err()
				case err != nil:
					series[name].Failed++
					notes[name] = err.Error()
				case !ok:
					series[name].Never++
				case round >= 0: // the first warms up
					series[name].Add(float64(took))
				}
			}
		}
	}
	return nil
}

// FanOut is the measure of fanOut.
const FanOut = "added or removed → the last watcher"

func (e *Env) fanOutOnce(ctx context.Context, f *follower, key, want string, do func() error) (took time.Duration, ok bool, err error) {
	if err := pause(ctx, settle); err != nil {
		return 0, false, err
	}
	seen, err := f.Expect(ctx, key, want)
	if err != nil {
		return 0, false, err
	}
	began := time.Now()
	if err := do(); err != nil {
		return 0, false, err
	}
	return await(ctx, seen, began, 3*time.Second)
}
