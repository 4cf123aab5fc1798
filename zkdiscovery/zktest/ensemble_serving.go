package zktest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// serveTimeout bounds every wait for real servers to serve. One takes a quarter of a second on an idle machine; the rest is for
// machines that are not.
const serveTimeout = 30 * time.Second

// Leader is the server that leads: the only one of one, or the one that the running ones elected. While they elect, it waits, at most
// 30 s; when too few run to elect anybody it fails at once.
func (e *Ensemble) Leader() (int, error) {
	ctx, cancel := context.WithTimeout(e.ctx, serveTimeout)
	defer cancel()
	for {
		running, quorum := e.running()
		if !quorum {
			return 0, fmt.Errorf("zktest: no leader: only %d of %d servers run", len(running), len(e.members))
		}
		for _, i := range running {
			mode, err := e.members[i].mode(ctx, time.Second)
			if err == nil && (mode == "leader" || mode == "standalone") {
				return i, nil
			}
		}
		if !sleep(ctx, 10*time.Millisecond) {
			return 0, fmt.Errorf("zktest: no leader: %w", e.whyEnded(ctx))
		}
	}
}

// running lists the servers that run and are not paused, and says whether they are enough to elect a leader.
func (e *Ensemble) running() (indexes []int, quorum bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, m := range e.members {
		if m.running() && !m.paused {
			indexes = append(indexes, i)
		}
	}
	return indexes, len(indexes) > len(e.members)/2
}

// await waits until each of the given servers serves, or, without a quorum, answers.
func (e *Ensemble) await(members ...*member) error {
	ctx, cancel := context.WithTimeout(e.ctx, serveTimeout)
	defer cancel()
	for _, m := range members {
		proc := e.process(m)
		patience := 100 * time.Millisecond
		for {
			_, err := m.mode(ctx, patience)
			if err == nil {
				break
			}
			if _, quorum := e.running(); !quorum && errors.Is(err, errNotServing) {
				break
			}
			if proc.ended() {
				return m.died()
			}
			// A server that is asked in the moment in which it opens its port may never answer, so the first questions get little
			// time and the next one on a slow machine gets more.
			if errors.Is(err, os.ErrDeadlineExceeded) {
				patience *= 2
			}
			if !sleep(ctx, 5*time.Millisecond) {
				return fmt.Errorf("zktest: server %d does not serve: %w (last answer: %w)\n%s", m.index, e.whyEnded(ctx), err, m.logTail())
			}
		}
	}
	return nil
}

func (e *Ensemble) process(m *member) *process {
	e.mu.Lock()
	defer e.mu.Unlock()
	return m.proc
}

// whyEnded tells an ensemble that was closed from a wait that took too long.
func (e *Ensemble) whyEnded(ctx context.Context) error {
	if e.ctx.Err() != nil {
		return errEnsembleClosed
	}
	return ctx.Err()
}

// sleep waits for d and reports whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
