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
	hiccups      // answers, but for one probe now and then
	fates
)

// fleet answers the guard's probes.
type fleet struct {
	mu     sync.Mutex
	fate   map[string]fate      // by key
	since  map[string]time.Time // when it has changed last
	silent map[string]time.Time // when an instance has had its newest hiccup, by process and key
	mute   map[string]time.Time // when it was last unaskable: who has heard that asks no more while the hold lasts
}

func newFleet() *fleet {
	return &fleet{fate: make(map[string]fate), since: make(map[string]time.Time), silent: make(map[string]time.Time), mute: make(map[string]time.Time)}
}

func (f *fleet) become(key string, is fate) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fate[key] != is {
		if f.fate[key] == unaskable {
			f.mute[key] = time.Now()
		}
		f.fate[key], f.since[key] = is, time.Now()
	}
}

// longestUnprobed is how long an instance is held that cannot be asked, and a little more.
const longestUnprobed = 3*time.Minute + 15*time.Second

// mayNotLeave reports whether an instance that has been held since that time, at the latest, must still be in the list: it answers, or nobody could
// ask it. After an hour in which nobody could, it may be let go.
func (f *fleet) mayNotLeave(key string, at time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	since, is := f.since[key], f.fate[key]
	return since.Before(at) && time.Since(f.mute[key]) > longestUnprobed && (is == answers || is == hiccups || is == noDescriptor && time.Since(since) < 50*time.Minute)
}

// hiccup reports whether an instance that has hiccups does not answer this probe of a process: once in ten minutes, which is longer than a held one that
// answers is left in peace, so that no service of the process meets two in a row. The first comes when whoever asked before the fate began has asked again.
func (f *fleet) hiccup(process, key string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	who := process + " " + key
	if time.Since(f.since[key]) < 2*time.Minute || time.Since(f.silent[who]) < 10*time.Minute {
		return false
	}
	f.silent[who] = time.Now()
	return true
}

// asks is the probe of a process.
func (f *fleet) asks(p *process) func(ctx context.Context, network, address string) error {
	return func(ctx context.Context, network, address string) error {
		key := network + "@" + address
		f.mu.Lock()
		is := f.fate[key]
		f.mu.Unlock()
		if is == hiccups && f.hiccup(p.name, key) {
			is = refuses
		}
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
