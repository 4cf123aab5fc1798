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

// burst makes several changes in a row, and compares what the watcher has then with ZooKeeper. The rolling replacements follow each other within
// seconds, every time with new addresses: a fleet that is deployed again and again.
var burst = Scenario{
	Number: 4, Name: "burst", Title: "bursts of changes: lists that end different from ZooKeeper (never), and for how long",
	Steps: func(Plan) int { return 2 },
	Run: func(ctx context.Context, e *Env) error {
		e.Step("bursts of 5 registrations, 2 ms apart")
		five := func(s *registry.Service) error {
			for i := range 5 {
				if err := pause(ctx, burstGap); err != nil {
					return err
				}
				if err := s.Add(registry.Key(burstSize+i), registry.Metadata); err != nil {
					return err
				}
			}
			return nil
		}
		undo := func(s *registry.Service) error {
			for i := range 5 {
				if err := s.Remove(registry.Key(burstSize + i)); err != nil {
					return err
				}
			}
			return nil
		}
		all := make(map[string]*burster)
		err := e.bursts(ctx, e.Plan.Bursts, all, five, undo)
		e.recordBursts(Burst, all) // an interrupt has what was measured before
		if err != nil {
			return err
		}
		e.Step("rolling replacements")
		oldest := make(map[*registry.Service]int)
		roll := func(s *registry.Service) error {
			for range burstSize {
				if err := s.Add(registry.Key(oldest[s]+burstSize), registry.Metadata); err != nil {
					return err
				}
				if err := s.Remove(registry.Key(oldest[s])); err != nil {
					return err
				}
				oldest[s]++
			}
			return nil
		}
		rolled := make(map[string]*burster)
		err = e.bursts(ctx, e.Plan.Rollings, rolled, roll, nil)
		e.recordBursts(Rolling, rolled)
		return err
	},
}

// The measures of burst.
const (
	Burst     = "5 registrations, 2 ms apart → complete list"
	Rolling   = "10 replacements → right list"
	Different = ", the wrong list stays for"
)

const (
	burstSize      = 10                     // instances before
	burstGap       = 2 * time.Millisecond   // between registrations: servers of one rollout are not quicker
	burstRoundTrip = time.Millisecond       // so that a burst meets the reads of the change before it
	burstLimit     = 500 * time.Millisecond // ten times as long as rpcx-zookeeper takes to read everything
)

// burster is a contender of burst with what has been seen of it.
type burster struct {
	*follower
	converged, different stats.Series
	spent                time.Duration
	note                 string
}

// bursters are who takes part.
func (e *Env) bursters() []string {
	return e.among(contender.Holdfast, contender.Peer, contender.Curator, contender.DubboGo, contender.Floor)
}

// bursts has everybody follow a service of their own, and does it in each, in turns.
func (e *Env) bursts(ctx context.Context, rounds int, all map[string]*burster, do, undo func(*registry.Service) error) error {
	servers, done, err := e.delayed(burstRoundTrip)
	if err != nil {
		return err
	}
	defer done()
	names := e.bursters()
	e.serial++
	followers, failed, err := e.followAll(ctx, names, func(name string) (string, int, agent.Open) {
		return fmt.Sprintf("burst-%d-%s", e.serial, pathName(name)), burstSize, agent.Open{Servers: servers, Dir: e.dir(name)}
	})
	if err != nil {
		return err
	}
	for _, name := range names {
		if all[name] == nil {
			all[name] = new(burster)
		}
		if all[name].follower = followers[name]; followers[name] == nil {
			all[name].converged.Failed++
			all[name].note = failed[name].Error()
			continue
		}
		defer followers[name].Close()
	}
	for round := range rounds {
		for _, name := range inTurn(names, round) {
			b := all[name]
			if b.follower == nil || b.spent > e.Plan.BurstBudget && b.Contender != contender.Holdfast {
				continue
			}
			began := time.Now()
			err := b.round(ctx, e.Plan, do)
			if err == nil && undo != nil {
				if err = undo(b.service); err == nil {
					_, err = b.converge(ctx, burstLimit) // or not: a loss in the undoing is not counted
				}
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				b.converged.Failed++
				b.note, b.follower = err.Error(), nil
			}
			b.spent += time.Since(began)
		}
	}
	return nil
}

func (e *Env) recordBursts(measure string, all map[string]*burster) {
	for _, name := range e.bursters() {
		b := all[name]
		if b == nil { // not begun
			continue
		}
		cell := result.Cell{
			Scenario: 4, Measure: measure, Instances: burstSize, RoundTrip: burstRoundTrip, Contender: name, Unit: result.Time,
			Series: b.converged, Note: b.note,
		}
		e.record(cell)
		if b.different.Len() > 0 {
			cell.Measure, cell.Series, cell.Note = measure+Different, b.different, fmt.Sprintf("looked at for %v", e.Plan.BurstWatched)
			e.record(cell)
		}
	}
}

// round does it once and looks at the list.
func (b *burster) round(ctx context.Context, p Plan, do func(*registry.Service) error) error {
	if err := pause(ctx, settle); err != nil {
		return err
	}
	if err := do(b.service); err != nil {
		return err
	}
	began := time.Now()
	right, err := b.converge(ctx, burstLimit)
	took := time.Since(began)
	if err == nil {
		err = b.agrees()
	}
	if err != nil {
		return err
	}
	if right {
		b.converged.Add(float64(took))
		return nil
	}
	b.converged.Never++
	if b.different.Len() >= p.BurstFollowed {
		return nil
	}
	following := time.Now()
	defer func() { b.spent -= time.Since(following) }() // that is not what the budget is for
	if right, err = b.converge(ctx, p.BurstWatched); err != nil {
		return err
	}
	if right {
		b.different.Add(float64(time.Since(began)))
	} else {
		b.different.Never++
	}
	return nil
}

// converge waits until the watcher's list is what the service's changes have made of it. Nothing is asked of ZooKeeper, which the contender is just
// asking; round checks afterwards that it has the same. The list is looked at every millisecond.
func (b *burster) converge(ctx context.Context, limit time.Duration) (bool, error) {
	want := b.service.Made()
	bounded, cancel := context.WithTimeout(ctx, limit+5*time.Second)
	defer cancel()
	deadline := time.Now().Add(limit)
	for {
		got, err := b.Digest(bounded)
		if err != nil || got == want {
			return got == want, err
		}
		if time.Now().After(deadline) {
			return false, nil
		}
		if err := pause(bounded, time.Millisecond); err != nil {
			return false, err
		}
	}
}

// agrees makes sure that ZooKeeper has what the service's changes have made.
func (b *burster) agrees() error {
	has, err := b.service.Digest()
	if err == nil && has != b.service.Made() {
		return fmt.Errorf("the harness is wrong about %s: ZooKeeper has something else", b.service.Path())
	}
	return err
}
