package belief

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/probe"
)

// What it costs, at most.

// Ten thousand instances that refuse at once made every one of their departures a walk over all the others.
func TestAMassOfDepartedIsNoQuadraticWork(t *testing.T) {
	b := newBench(t, Config{Random: func(n int64) int64 { return n / 2 }})
	s := b.servers(MaxHeld)
	clear(b.up)
	b.list(s)
	b.hear(nil)
	for range 3 {
		b.now = b.now.Add(time.Second)
		b.b.Tick(b.now)
		for _, ask := range b.b.Asks(b.now) {
			b.b.Probed(ask, Outcome{Answer: probe.Silent, Err: errSilent}, b.now)
			if at := b.b.guard.holds.endsAt; !at.After(b.now) {
				t.Fatal("a walk over all, since one may have ended")
			}
		}
	}
	b.wantHeld(0)
}

func TestFiveThousandHeldCostLittleMemory(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(5_000)
	b.list(s)
	b.list(s)
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	b.hear(nil)
	b.b.Asks(b.now)
	b.wantHeld(5_000)
	if n := len(b.b.Shown().Pairs); n != 5_000 {
		t.Fatalf("the list has %d", n)
	}
	if cost := heap() - before; cost > 5<<20 {
		t.Errorf("%d bytes", cost)
	} else {
		t.Logf("%d bytes for 5,000 held instances", cost)
	}
	runtime.KeepAlive(b)
}

func TestAListWithOneChangeAllocatesNothing(t *testing.T) {
	lists := fiveThousand(false)
	b := newBench(t, Config{})
	b.hear(lists[0])
	n := 0
	if allocs := testing.AllocsPerRun(100, func() {
		n++
		b.hear(lists[n%2])
		b.b.Tick(b.now)
		b.b.Asks(b.now)
		b.b.Shown()
	}); allocs > 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func TestNoInstanceIsProbedAgainAndAgain(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(100)
	for _, name := range s[50:] {
		b.up[name] = false
	}
	b.list(s)
	b.pass(time.Hour)
	if len(b.probes)+len(b.trials) > 0 {
		t.Fatal("probes although nobody is held")
	}
	b.list(nil)
	b.pass(time.Hour)
	for key, at := range b.probes {
		for i := 1; i < len(at); i++ {
			if d := at[i].Sub(at[i-1]); d < retryAfter {
				t.Errorf("%s was probed twice within %v", key, d)
			}
		}
		if b.up[key] && (len(at) < 30 || len(at) > 34) { // after 10, 20, 40, 80 s, and then every two minutes
			t.Errorf("%s, which answers, was probed %d times in an hour", key, len(at))
		}
		if !b.up[key] && len(at) != maxFails {
			t.Errorf("%s, which does not answer, was probed %d times", key, len(at))
		}
	}
}

func TestAHostileListStaysBounded(t *testing.T) {
	b := newBench(t, Config{})
	for wave := range 20 {
		names := make([]string, MaxHeld)
		for i := range names {
			names[i] = fmt.Sprintf("tcp@127.0.%d.1:%d", wave, i+1)
		}
		b.hear(pairs(names, ""))
		b.hear(nil)
		b.now = b.now.Add(time.Second)
		b.b.Tick(b.now)
		if h, l := b.b.guard.holds.len(), len(b.b.guard.lost); h > MaxHeld || l > MaxHeld {
			t.Fatalf("wave %d: %d held, %d remembered", wave, h, l)
		}
	}
}

// A probe of a black hole takes its whole second, and a process makes so many at once.
func TestBlackHolesStayUntilTheyWereAskedTwice(t *testing.T) {
	const atOnce = 64
	b := newBench(t, Config{})
	s := b.servers(10_000)
	b.list(s)
	clear(b.up)
	b.hear(nil)
	var wait []Ask
	for second := 0; b.isHolding(); second++ {
		if second > 1000 {
			t.Fatal("they stay for ever")
		}
		b.b.Tick(b.now)
		wait = append(wait, b.b.Asks(b.now)...)
		b.now = b.now.Add(time.Second)
		for _, ask := range wait[:min(atOnce, len(wait))] {
			asked := b.held(ask.Pair.Key).asked
			b.b.Probed(ask, Outcome{Answer: probe.Silent, Err: errSilent}, b.now)
			if left := b.held(ask.Pair.Key) == nil; left != (asked == 1) {
				t.Fatalf("%s was asked %d times before, and has left: %v", ask.Pair.Key, asked, left)
			}
		}
		wait = wait[min(atOnce, len(wait)):]
	}
}

// Ten thousand that were never asked, and whose minute is over, made every answer a walk over all the others.
func TestAMassOfUnprovenSilenceIsNoQuadraticWork(t *testing.T) {
	b := newcomer(t, Config{})
	s := b.servers(MaxHeld)
	b.list(s)
	clear(b.up)
	b.hear(nil)
	b.now = b.now.Add(2 * DefaultUnprobed)
	walks := 0
	for b.isHolding() {
		for _, ask := range b.b.Asks(b.now) {
			b.b.Probed(ask, Outcome{Answer: probe.Silent, Err: errSilent}, b.now)
			if at := b.b.guard.holds.endsAt; !at.IsZero() && !at.After(b.now) {
				walks++
			}
			b.b.Tick(b.now)
		}
		b.b.Tick(b.now)
		b.now = b.now.Add(time.Second)
	}
	if walks > 10 {
		t.Errorf("%d walks over all", walks)
	}
}
