package belief

import (
	"errors"
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

const probeTimeout = time.Second // of the bench's probes

// bench drives a Belief through a scenario in simulated time. Servers answer probes when they are up.
type bench struct {
	*testing.T
	b       *Belief
	now     time.Time
	up      map[string]bool
	lineage string
	zxid    int64
	edits   int64
	link    int64
	probes  map[string][]time.Time
	under   map[Ask]time.Time // the probes under way, with when they end
	trials  []time.Time       // when it was tried whether the probe reaches anybody

	answered map[string]Outcome // the last of each held instance

	unaskable func(key string) bool
	busy      func(key string) bool // this process cannot ask
	blackHole func(key string) bool // a probe waits its whole time for the silence of these
}

var (
	errSilent = errors.New("connection refused")
	errBusy   = errors.New("too many open files")
)

// newBench is of a service that a probe has reached before.
func newBench(t *testing.T, cfg Config) *bench {
	t.Helper()
	cfg.Reached = true
	return newcomer(t, cfg)
}

// newcomer is of a service that no probe has ever reached. Without jitter, first probes come at once, and others exactly when they are due.
func newcomer(t *testing.T, cfg Config) *bench {
	t.Helper()
	if cfg.Random == nil {
		cfg.Random = func(n int64) int64 {
			if n == int64(spread) {
				return 0
			}
			return n / 2
		}
	}
	return &bench{
		T: t, b: New(cfg), now: time.Unix(1e9, 0), up: make(map[string]bool), lineage: "a", zxid: 100, link: 1, probes: make(map[string][]time.Time),
		under: make(map[Ask]time.Time), answered: make(map[string]Outcome),
	}
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
	slices.SortFunc(l, ByKey)
	return l
}

func (b *bench) list(names []string) { b.listed(pairs(names, "weight=1")) }

func (b *bench) listed(l []*client.KVPair) {
	b.hear(l)
	b.pass(0)
}

// hear is a list of the registry's, and no probe yet.
func (b *bench) hear(l []*client.KVPair) {
	b.b.Live(b.link, 0, b.now)
	b.b.Listed(b.listing(l), b.now)
}

func (b *bench) listing(l []*client.KVPair) Listing {
	b.zxid++
	b.edits++
	return Listing{Pairs: l, Lineage: b.lineage, Zxid: b.zxid, Synced: true, Doubt: b.b.Doubts(), Edits: b.edits, AsOf: b.now}
}

// reconnect is what the Belief is told when the connection was lost, and the list is there again.
func (b *bench) reconnect() {
	b.link++
	b.b.Away(b.now)
	b.b.Live(b.link, 0, b.now)
}

// back is the same, over the connection of before.
func (b *bench) back() { b.b.Live(b.link, 0, b.now) }

func (r *Record) add(s Server) {
	if s.HeldSince.IsZero() {
		r.Listed = append(r.Listed, s.Pair)
	} else {
		r.Held = append(r.Held, s)
	}
}

// file is a record of the lineage, by default a little behind.
func (b *bench) file(names []string, since time.Time) *Record {
	rec := &Record{Generation: Generation{b.lineage, 1, b.zxid}, AsOf: b.now}
	for _, n := range names {
		rec.add(Server{&client.KVPair{Key: n, Value: "weight=1"}, since})
	}
	return rec
}

// remembers is what the file has, before the first list. shown says that the file serves.
func (b *bench) remembers(names []string, since time.Time, shown bool) {
	b.b.Found(b.file(names, since), false, b.now)
	if shown {
		b.b.MayServe()
	}
}

// memory is what a Belief before this one has shown, over the connection of now.
func (b *bench) memory(names []string) *Memory {
	return &Memory{rec: b.file(names, time.Time{}), source: Stale, link: b.link, reach: b.b.reach, left: make(map[string]struct{})}
}

// relayed is what another process has heard later, while the registry cannot be asked.
func (b *bench) relayed(names []string, since time.Time) {
	b.b.Away(b.now)
	b.b.Found(b.ahead(b.file(names, since)), false, b.now)
}

// ahead makes a record one of the present history that is later.
func (b *bench) ahead(rec *Record) *Record {
	b.zxid++
	rec.Generation = b.b.course.now
	rec.Zxid = b.zxid
	return rec
}

// pass lets d go by: what the Belief asks for is done when it is due.
func (b *bench) pass(d time.Duration) {
	b.Helper()
	end := b.now.Add(d)
	for range 1_000_000 {
		b.b.Tick(b.now)
		var next time.Time // something ends, or the Belief wants to be woken
		ended := false
		for ask, at := range b.under {
			if at.After(b.now) {
				next = Sooner(next, at)
				continue
			}
			b.probed(ask)
			ended = true
		}
		asks := b.b.Asks(b.now)
		for _, ask := range asks {
			b.begin(ask)
		}
		if ended || len(asks) > 0 {
			continue
		}
		at := b.b.Wake()
		if !at.IsZero() && !at.After(b.now) {
			b.Fatalf("it wants to be woken at %v, which is not after %v, and does nothing then", at, b.now)
		}
		if next = Sooner(next, at); next.IsZero() || next.After(end) {
			b.now = end
			return
		}
		b.now = next
	}
	b.Fatal("it does not come to rest")
}

func (b *bench) begin(ask Ask) {
	key := ask.Pair.Key
	if ask.Trial {
		b.trials = append(b.trials, b.now)
	} else {
		b.probes[key] = append(b.probes[key], b.now)
	}
	b.under[ask] = b.now
	if b.blackHole != nil && b.blackHole(key) && !b.up[key] {
		b.under[ask] = b.now.Add(probeTimeout)
	}
}

func (b *bench) probed(ask Ask) {
	key := ask.Pair.Key
	delete(b.under, ask)
	o := b.ask(key)
	h := b.held(key)
	counts := !ask.Trial && h != nil && h.probing // else it comes too late, or is another hold's
	b.b.Probed(ask, o, b.now)
	if counts {
		b.answered[key] = o
	}
}

// ask is what a probe of the instance would say.
func (b *bench) ask(key string) Outcome {
	switch {
	case b.busy != nil && b.busy(key):
		return Outcome{Answer: probe.CouldNotAsk, Err: errBusy}
	case b.unaskable != nil && b.unaskable(key):
		return Outcome{Answer: probe.Unaskable}
	case b.up[key]:
		return Outcome{Answer: probe.Alive}
	}
	return Outcome{Answer: probe.Silent, Err: errSilent}
}

func (b *bench) held(key string) *hold { return b.b.guard.holds.of(key) }

func (b *bench) isHolding() bool { return b.b.guard.holds.len() > 0 }

func (b *bench) isPending() bool { return b.b.guard.pending }

func (b *bench) names() []string { return keysOf(b.b.Shown().Pairs) }

func keysOf(list []*client.KVPair) []string {
	var names []string
	for _, p := range list {
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
	if got := len(b.b.Shown().Held); got != n {
		b.Fatalf("%d held, want %d", got, n)
	}
}

// record is what the file is to have now, whether it has changed or not.
func (b *bench) record() *Record {
	b.b.SaveAgain()
	rec, at := b.b.ToSave(b.now)
	if !at.IsZero() {
		b.pass(at.Sub(b.now))
		rec, _ = b.b.ToSave(b.now)
	}
	return rec
}

func short(names []string) string {
	return fmt.Sprintf("%d: %s", len(names), strings.ReplaceAll(strings.Join(names, " "), "tcp@127.0.0.1:", ""))
}
