package weather

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"
)

// fate is what an instance does when it is asked whether it is there, or what hinders the one who asks.
type fate int

const (
	answers fate = iota
	refuses
	blackHole
	late // answers after a second or two
	unaskable
	noDescriptor // the process that asks has none left
	fates
)

// fleet answers the guard's probes.
type fleet struct {
	mu    sync.Mutex
	fate  map[string]fate      // by key
	since map[string]time.Time // when it has changed last
	began time.Time
	last  map[string]time.Time // newest probe, by process, and instance
	asked int
}

func newFleet() *fleet {
	return &fleet{fate: make(map[string]fate), since: make(map[string]time.Time), last: make(map[string]time.Time), began: time.Now()}
}

func (f *fleet) become(key string, is fate) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fate[key] != is {
		f.fate[key], f.since[key] = is, time.Now()
	}
}

// mayNotLeave reports whether an instance that has been held since that time, at the latest, must still be in the list: it answers, or nobody could
// ask it. After an hour in which nobody could, it may be let go.
func (f *fleet) mayNotLeave(key string, at time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	since, is := f.since[key], f.fate[key]
	return since.Before(at) && (is == answers || is == noDescriptor && time.Since(since) < 50*time.Minute)
}

// asks is the probe of a process.
func (f *fleet) asks(p *process) func(ctx context.Context, network, address string) error {
	return func(ctx context.Context, network, address string) error {
		key := network + "@" + address
		f.mu.Lock()
		is := f.fate[key]
		f.asked++
		f.mu.Unlock()
		switch is {
		case refuses:
			return errors.New("connection refused")
		case blackHole:
			<-ctx.Done()
			return ctx.Err()
		case late:
			t := time.NewTimer(1500 * time.Millisecond)
			defer t.Stop()
			select {
			case <-t.C:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		case unaskable:
			return fmt.Errorf("%s: %w", network, errors.ErrUnsupported)
		case noDescriptor:
			return fmt.Errorf("dial %s: %w", address, syscall.EMFILE)
		default:
			return nil
		}
	}
}
