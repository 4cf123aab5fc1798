package harness

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"
)

// Fate is what an instance does when it is asked whether it is there. It is one of the three below, or nil: the instance answers.
type Fate func(context.Context) error

var errRefused = errors.New("connection refused")

// Refuses is the fate of an instance whose process has ended.
func Refuses(context.Context) error { return errRefused }

// IsBlackHole is the fate of an instance whose machine is gone.
func IsBlackHole(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

// CannotBeAsked is the fate of an instance whose network has no probe.
func CannotBeAsked(context.Context) error {
	return fmt.Errorf("no such network: %w", errors.ErrUnsupported)
}

// Fleet answers the guard's probes for all instances, each according to its fate, and counts what was asked.
type Fleet struct {
	mu    sync.Mutex
	fate  map[string]Fate // by address; nil: answers
	asked map[string][]time.Time
	under map[context.Context]bool // the probes that somebody waits for
	most  int                      // of them at once
}

// NewFleet is a fleet in which all answer.
func NewFleet() *Fleet {
	return &Fleet{fate: make(map[string]Fate), asked: make(map[string][]time.Time), under: make(map[context.Context]bool)}
}

// Become decides what some instances do from now on when they are asked. With nil they answer.
func (f *Fleet) Become(fate Fate, instances ...int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, i := range instances {
		f.fate[strings.TrimPrefix(Instance(i), "tcp@")] = fate
	}
}

// Probe is for zkdiscovery.Guard.
func (f *Fleet) Probe(ctx context.Context, network, address string) error {
	f.mu.Lock()
	key := network + "@" + address
	f.asked[key] = append(f.asked[key], time.Now())
	maps.DeleteFunc(f.under, func(c context.Context, _ bool) bool { return c.Err() != nil })
	f.under[ctx] = true
	f.most = max(f.most, len(f.under))
	fate := f.fate[address]
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.under, ctx)
	}()
	if fate == nil {
		return nil
	}
	return fate(ctx)
}

// Probes is how often instances were asked, how many at once, and the shortest time between two probes of one instance.
func (f *Fleet) Probes() (n, atOnce int, shortest time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	shortest = time.Hour
	for _, at := range f.asked {
		n += len(at)
		for i := 1; i < len(at); i++ {
			shortest = min(shortest, at[i].Sub(at[i-1]))
		}
	}
	return n, f.most, shortest
}
