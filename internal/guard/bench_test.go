package guard

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"
	"go.uber.org/goleak"

	"github.com/holdfast-go/holdfast/internal/probe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench drives a Guard through a scenario in simulated time: servers answer probes when they are up.
type bench struct {
	*testing.T
	g       *Guard
	now     time.Time
	up      map[string]bool
	lineage string
	probes  map[string][]time.Time
	under   map[string]time.Time // the probes under way, with when they end
	most    int                  // of them at once

	answered map[string]probe.Answer // the last of each instance that said something about it

	cutOff    bool // no probe can ask: this process has no descriptor, say
	unaskable func(key string) bool
	blackHole func(key string) bool // whose silence a probe waits for, a second long
}

func newBench(t *testing.T, cfg Config) *bench {
	t.Helper()
	return &bench{T: t, g: New(cfg), now: time.Unix(1e9, 0), up: make(map[string]bool), lineage: "a", probes: make(map[string][]time.Time), under: make(map[string]time.Time), answered: make(map[string]probe.Answer)}
}

// servers are the names s1 … sn, all up.
func (b *bench) servers(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("tcp@127.0.0.1:%04d", i+1)
		b.up[names[i]] = true
	}
	return names
}

func pairs(names []string, metadata string) []*client.KVPair {
	var l []*client.KVPair
	for _, n := range names {
		l = append(l, &client.KVPair{Key: n, Value: metadata})
	}
	slices.SortFunc(l, byKey)
	return l
}

func (b *bench) list(names []string) { b.listed(pairs(names, "weight=1")) }

func (b *bench) listed(l []*client.KVPair) {
	b.g.Listed(l, b.lineage, b.now)
	b.pass(0)
}

// pass lets d go by: the guard's wishes are carried out when they are due.
func (b *bench) pass(d time.Duration) {
	b.Helper()
	end := b.now.Add(d)
	for range 1_000_000 {
		b.g.Tick(b.now)
		var next time.Time // something ends, or the guard wants to be woken
		ended := false
		for key, at := range b.under {
			if at.After(b.now) {
				next = sooner(next, at)
				continue
			}
			delete(b.under, key)
			answer := b.ask(key)
			held := len(b.g.held)
			b.g.Probed(key, answer, b.now)
			if answer == probe.CouldNotAsk && len(b.g.held) != held {
				b.Fatalf("%s was let go because it could not be asked", key)
			}
			if hold := b.g.held[key]; answer != probe.CouldNotAsk && hold != nil && !hold.probing { // else it comes too late, or is another hold's
				b.answered[key] = answer
			}
			ended = true
		}
		ask := b.g.Probes(b.now)
		for _, p := range ask {
			b.probes[p.Key] = append(b.probes[p.Key], b.now)
			b.under[p.Key] = b.now
			if b.blackHole != nil && b.blackHole(p.Key) && !b.up[p.Key] {
				b.under[p.Key] = b.now.Add(probe.DefaultTimeout)
			}
		}
		b.most = max(b.most, len(b.under))
		if ended || len(ask) > 0 {
			continue
		}
		at := b.g.Wake()
		if !at.IsZero() && !at.After(b.now) {
			b.Fatalf("the guard wants to be woken at %v, which is not after %v, and does nothing then", at, b.now)
		}
		if next = sooner(next, at); next.IsZero() || next.After(end) {
			b.now = end
			return
		}
		b.now = next
	}
	b.Fatal("the guard does not come to rest")
}

// ask is what a probe of the instance would say.
func (b *bench) ask(key string) probe.Answer {
	switch {
	case b.cutOff:
		return probe.CouldNotAsk
	case b.unaskable != nil && b.unaskable(key):
		return probe.Unaskable
	case b.up[key]:
		return probe.Alive
	}
	return probe.Silent
}

func (b *bench) names() []string {
	var names []string
	for _, p := range b.g.List() {
		names = append(names, p.Key)
	}
	return names
}

func (b *bench) want(what string, names []string) {
	b.Helper()
	if got, want := b.names(), slices.Sorted(slices.Values(names)); !slices.Equal(got, want) {
		b.Fatalf("%s:\n got %v\nwant %v", what, short(got), short(want))
	}
}

func (b *bench) wantHeld(n int) {
	b.Helper()
	if got := len(b.g.Held()); got != n {
		b.Fatalf("%d held, want %d", got, n)
	}
}

func short(names []string) string {
	return fmt.Sprintf("%d: %s", len(names), strings.ReplaceAll(strings.Join(names, " "), "tcp@127.0.0.1:", ""))
}
