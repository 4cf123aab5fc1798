package scenario

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/bench/internal/agent"
	"github.com/holdfast-go/holdfast/bench/internal/contender"
	"github.com/holdfast-go/holdfast/bench/internal/stats"
)

// warmUpSize is the number of instances while ZooKeeper is warmed.
const warmUpSize = 100

// WarmUp does changes until ZooKeeper's Java is warm: until the floor's own time is steady, or the plan's limit is over. A fresh server takes twice as
// long as one that has compiled what is often run. The quick ones of the contenders watch: who reads everything would take most of the time. The results
// say how it went.
func (e *Env) WarmUp(ctx context.Context) error {
	e.Step("ZooKeeper warms up")
	began := time.Now()
	names := e.among(contender.Holdfast, contender.Curator, contender.Floor, contender.BareFloor)
	c := condition{n: warmUpSize}
	followers, _, err := e.followAll(ctx, names, func(name string) (string, int, agent.Open) {
		return "warmup-" + fmt.Sprint(slices.Index(names, name)), warmUpSize, agent.Open{Dir: e.dir(name)}
	})
	if err != nil {
		return err
	}
	var turns []*turn
	for _, name := range names {
		if f := followers[name]; f != nil { // who cannot follow is told of in the scenarios
			defer f.Close()
			turns = append(turns, newTurn(f))
		}
	}
	var windows []float64
	round := 0
	for !steady(windows) && time.Since(began) < e.Plan.WarmLimit {
		floor := new(stats.Series)
		for range e.Plan.WarmRounds {
			for _, t := range turns {
				times := 1
				if t.Contender == contender.Floor { // whose time is looked at
					times = 3
					t.took[Added] = floor
				}
				for range times {
					round++
					if t.note != "" {
						continue
					}
					if err := t.try(ctx, e, c, round, new(stats.Series)); err != nil {
						return err
					}
				}
			}
		}
		sum := floor.Summary()
		if sum.N == 0 {
			return fmt.Errorf("%s shows nothing while ZooKeeper warms up", contender.Floor)
		}
		windows = append(windows, float64(sum.P50))
	}
	e.Results.WarmUp = warmth(windows, time.Since(began))
	return nil
}

// Three windows whose medians are that close are steady.
const (
	steadyWindows = 3
	steadyWithin  = 1.1
)

// steady reports whether the last windows' medians are close to each other.
func steady(medians []float64) bool {
	if len(medians) < steadyWindows {
		return false
	}
	last := medians[len(medians)-steadyWindows:]
	greatest := slices.Max(last)
	return !math.IsInf(greatest, 1) && greatest <= steadyWithin*slices.Min(last)
}

// warmth says how it went.
func warmth(medians []float64, took time.Duration) string {
	var words []string
	for _, m := range medians {
		words = append(words, fmt.Sprintf("%.2f", m/float64(time.Millisecond)))
	}
	verdict := "steady: three windows within 10 %"
	if !steady(medians) {
		verdict = "not steady when the time for it was over: figures of ZooKeeper's first seconds are in what follows"
	}
	return fmt.Sprintf("ZooKeeper was warmed up for %.0f s. The floor's median of an added instance, window by window, in ms: %s. %s",
		took.Seconds(), strings.Join(words, ", "), verdict)
}
