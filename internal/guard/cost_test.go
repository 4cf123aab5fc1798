package guard

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
	b := newBench(t, Config{Jitter: func(d time.Duration) time.Duration { return d / 2 }})
	s := b.servers(MaxHeld)
	clear(b.up)
	b.list(s)
	began := time.Now()
	b.list(nil)
	b.pass(5 * time.Second)
	b.wantHeld(0)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("%v for %d that refuse", took, len(s))
	}
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
	b.g.Listed(nil, "a", b.now)
	b.g.Probes(b.now)
	b.wantHeld(5_000)
	if n := len(b.g.List()); n != 5_000 {
		t.Fatalf("the list has %d", n)
	}
	if cost := heap() - before; cost > 5<<20 {
		t.Errorf("%d bytes", cost)
	} else {
		t.Logf("%d bytes for 5,000 held instances", cost)
	}
	runtime.KeepAlive(b)
}

func TestProbesAreBounded(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(100)
	for _, name := range s[50:] {
		b.up[name] = false
	}
	b.list(s)
	b.pass(time.Hour)
	if len(b.probes) > 0 {
		t.Fatal("probes although nobody is held")
	}
	b.list(nil)
	b.pass(time.Minute)
	if b.most > DefaultParallel {
		t.Errorf("%d probes at once", b.most)
	}
	for key, at := range b.probes {
		for i := 1; i < len(at); i++ {
			if d := at[i].Sub(at[i-1]); d < time.Second/2 {
				t.Errorf("%s was probed twice within %v", key, d)
			}
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
		b.g.Listed(pairs(names, ""), "a", b.now)
		b.g.Listed(nil, "a", b.now)
		b.now = b.now.Add(time.Second)
		b.g.Tick(b.now)
		if h, l := len(b.g.held), len(b.g.lost); h > MaxHeld || l > MaxHeld {
			t.Fatalf("wave %d: %d held, %d remembered", wave, h, l)
		}
	}
}

func TestBlackHolesOutlastTheHoldAndLeaveAtItsEnd(t *testing.T) {
	b := newBench(t, Config{Hold: 5 * time.Minute})
	s := b.servers(5_000)
	b.list(s)
	b.g.Listed(nil, "a", b.now)
	var asked int
	under := map[string]time.Time{}
	for range 299 { // a probe of a black hole takes its whole second
		for key := range under {
			delete(under, key)
			b.g.Probed(key, probe.Silent, b.now)
		}
		b.g.Tick(b.now)
		for _, p := range b.g.Probes(b.now) {
			under[p.Key] = b.now
			asked++
		}
		if len(under) > DefaultParallel {
			t.Fatalf("%d probes at once", len(under))
		}
		b.now = b.now.Add(time.Second)
	}
	if n := len(b.g.Held()); n < 5_000-asked {
		t.Errorf("%d held before the hold's end, of 5,000 with %d probes made", n, asked)
	}
	b.now = b.now.Add(2 * time.Second)
	b.g.Tick(b.now)
	b.wantHeld(0)
}
