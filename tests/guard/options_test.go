package guard

import (
	"context"
	"errors"
	"maps"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/tests/harness"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// Each option of the guard, what it refuses, and what it costs.

// heldAfter registers twenty, loses them as loss says, and tells how many are held then.
func heldAfter(w *harness.World, service string, f *harness.Fleet, g zkdiscovery.Guard, loss func()) *zkdiscovery.Discovery {
	w.Helper()
	w.Register(service, harness.Between(0, 20)...)
	d := w.Guarded(service, f, g)
	harness.Pass(time.Minute)
	loss()
	return d
}

func TestGuardShareIsWhatMakesALossSuspicious(t *testing.T) {
	for share, held := range map[float64]int{0: 0, 0.2: 5, 0.25: 0, 1: 0} {
		harness.InBubble(t, func(t *harness.World, _ *zktest.Server) {
			d := heldAfter(t, "Arith", harness.NewFleet(), zkdiscovery.Guard{Share: share}, func() { t.Lose("Arith", harness.Between(0, 5)...) })
			harness.Pass(time.Second)
			if got := len(d.Snapshot().Held); got != held {
				t.Errorf("Share %v: %d of the lost quarter are held, want %d", share, got, held)
			}
		})
	}
}

func TestGuardWindowIsOverWhatLossesAreCounted(t *testing.T) {
	for _, rule := range []struct {
		window, session, every time.Duration
		held                   int
	}{
		{0, 40 * time.Second, 2900 * time.Millisecond, 20},               // the default is the session timeout that was negotiated …
		{0, 2 * time.Second, 1900 * time.Millisecond, 20},                // … but 30 s at least: expiries follow the servers' timeouts
		{10 * time.Second, 10 * time.Second, 2900 * time.Millisecond, 9}, // only the last are more than half of what is left
		{40 * time.Second, 10 * time.Second, 2900 * time.Millisecond, 20},
	} {
		harness.InBubble(t, func(t *harness.World, _ *zktest.Server) {
			t.Register("Arith", harness.Between(0, 20)...)
			d := t.Guarded("Arith", harness.NewFleet(), zkdiscovery.Guard{Window: rule.window}, zkdiscovery.WithSessionTimeout(rule.session))
			harness.Pass(time.Minute)
			trickle(t, 20, rule.every)
			got := len(d.Snapshot().Held)
			if got > rule.held || rule.held == 20 && got < 20 {
				t.Errorf("%+v: %d are held", rule, got)
			}
		})
	}
}

func TestGuardHoldIsHowLongWhoDoesNotAnswerStays(t *testing.T) {
	for _, rule := range []struct {
		guard zkdiscovery.Guard
		fate  func(context.Context) error
		hold  time.Duration
	}{
		{zkdiscovery.Guard{}, harness.CannotBeAsked, time.Minute},
		{zkdiscovery.Guard{HoldUnprobed: time.Hour}, harness.CannotBeAsked, time.Hour},
		{zkdiscovery.Guard{}, harness.IsBlackHole, time.Minute}, // as those that cannot be asked: no probe has ever reached anybody
		{zkdiscovery.Guard{HoldUnprobed: 10 * time.Minute}, harness.IsBlackHole, 5 * time.Minute},
		{zkdiscovery.Guard{HoldUnprobed: 10 * time.Minute, Hold: 20 * time.Second}, harness.IsBlackHole, 20 * time.Second},
		{zkdiscovery.Guard{ProbeTimeout: 2 * time.Hour}, harness.IsBlackHole, time.Hour}, // not before two were answered, or an hour has passed
	} {
		harness.InBubble(t, func(t *harness.World, _ *zktest.Server) {
			f := harness.NewFleet()
			f.Become(rule.fate, harness.Between(0, 20)...)
			d := heldAfter(t, "Arith", f, rule.guard, func() { t.Lose("Arith", harness.Between(0, 20)...) })
			harness.Pass(rule.hold * 9 / 10)
			t.Held(d, 20)
			harness.Pass(rule.hold / 5)
			t.Held(d, 0)
			t.Lists(d, map[string]string{})
		})
	}
}

func TestGuardProbeTimeoutIsForOneProbe(t *testing.T) {
	for timeout, stays := range map[time.Duration]bool{0: false, 3 * time.Second: true} {
		harness.InBubble(t, func(t *harness.World, _ *zktest.Server) {
			f := harness.NewFleet()
			f.Become(func(ctx context.Context) error {
				select {
				case <-time.After(1500 * time.Millisecond):
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			}, harness.Between(0, 20)...)
			d := heldAfter(t, "Arith", f, zkdiscovery.Guard{ProbeTimeout: timeout}, func() { t.Lose("Arith", harness.Between(0, 20)...) })
			harness.Pass(10 * time.Minute)
			if n := len(d.GetServices()); stays != (n == 20) || !stays && n > 0 {
				t.Errorf("ProbeTimeout %v: %d of 20 which take 1.5s to answer are left", timeout, n)
			}
		})
	}
}

func TestGuardParallelBoundsTheProbes(t *testing.T) {
	for parallel, want := range map[int]int{0: 20, 1: 1, 15: 15} {
		harness.InBubble(t, func(t *harness.World, _ *zktest.Server) {
			f := harness.NewFleet()
			f.Become(harness.IsBlackHole, harness.Between(0, 20)...)
			heldAfter(t, "Arith", f, zkdiscovery.Guard{Parallel: parallel}, func() { t.Lose("Arith", harness.Between(0, 20)...) })
			harness.Pass(time.Minute)
			if _, atOnce, _ := f.Probes(); atOnce != want {
				t.Errorf("Parallel %d: %d probes at once, want %d", parallel, atOnce, want)
			}
		})
	}
}

func TestGuardRefusesWhatMakesNoSense(t *testing.T) {
	for name, bad := range map[string]struct {
		guard zkdiscovery.Guard
		wants []string
	}{
		"share below zero":      {zkdiscovery.Guard{Share: -0.1}, []string{"Share -0.1", "(0, 1]"}},
		"share above one":       {zkdiscovery.Guard{Share: 1.01}, []string{"Share 1.01", "(0, 1]"}},
		"share infinite":        {zkdiscovery.Guard{Share: math.Inf(1)}, []string{"Share +Inf", "(0, 1]"}},
		"share not a number":    {zkdiscovery.Guard{Share: math.NaN()}, []string{"Share NaN", "(0, 1]"}},
		"hold":                  {zkdiscovery.Guard{Hold: -time.Second}, []string{"Hold -1s", "negative"}},
		"hold without probes":   {zkdiscovery.Guard{HoldUnprobed: -time.Second}, []string{"HoldUnprobed -1s", "negative"}},
		"window":                {zkdiscovery.Guard{Window: -1}, []string{"Window -1ns", "negative"}},
		"timeout":               {zkdiscovery.Guard{ProbeTimeout: -time.Minute}, []string{"ProbeTimeout -1m0s", "negative"}},
		"parallel below zero":   {zkdiscovery.Guard{Parallel: -1}, []string{"Parallel -1", "negative"}},
		"parallel out of hand":  {zkdiscovery.Guard{Parallel: math.MaxInt}, []string{"Parallel 9223372036854775807", "1000"}},
		"every mistake at once": {zkdiscovery.Guard{Share: 2, Hold: -1, Parallel: -1}, []string{"Share 2", "Hold -1ns", "Parallel -1"}},
	} {
		d, err := zkdiscovery.New("/rpcx", "Arith", []string{"127.0.0.1:2181"}, zkdiscovery.WithoutCache(), zkdiscovery.WithGuard(bad.guard))
		if err == nil {
			d.Close()
			t.Errorf("%s: accepted", name)
			continue
		}
		for _, want := range append(bad.wants, "WithGuard") {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: the error does not say %s: %v", name, want, err)
			}
		}
	}
}

func TestGuardProbesTellWhatTheyCannotAsk(t *testing.T) {
	for name, probe := range map[string]zkdiscovery.Probe{"heartbeat": zkdiscovery.HeartbeatProbe(nil), "dial": zkdiscovery.DialProbe()} {
		if err := probe(t.Context(), "kcp", "127.0.0.1:1"); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestGuardProbesNoMoreThanItSays(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, _ *zktest.Server) {
		const n = 2_000
		f := harness.NewFleet()
		f.Become(harness.Refuses, harness.Between(0, n/4)...)
		f.Become(harness.IsBlackHole, harness.Between(n/4, n/2)...)
		all := t.Register("Arith", harness.Between(0, n)...)
		d := t.Guarded("Arith", f, zkdiscovery.Guard{})
		harness.Pass(time.Hour)
		t.Lose("Arith", harness.Between(0, n)...)
		goroutines := runtime.NumGoroutine()
		for range 10 {
			harness.Pass(time.Second)
			if more := runtime.NumGoroutine() - goroutines; more > 3*64 {
				t.Errorf("%d more goroutines while %d are held", more, n)
			}
		}
		harness.Pass(10 * time.Minute)
		if total, atOnce, shortest := f.Probes(); total < n || atOnce > 64 || shortest < time.Second/2 {
			t.Errorf("%d probes, %d at once, two of one instance within %v", total, atOnce, shortest)
		}
		for i := range n / 2 {
			delete(all, harness.Instance(i))
		}
		t.Lists(d, all)
	})
}

// Five thousand at once that neither answer nor refuse: at 64 a second it takes two and a half minutes to ask each of them twice, and nobody leaves
// before that.
func TestGuardNobodyOfThousandsLeavesBeforeItWasAskedTwice(t *testing.T) {
	const n = 5_000
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	// cost is the heap that a minute of the incident costs, and the goroutines.
	cost := func(guarded bool) (bytes int64, goroutines int) {
		harness.InBubble(t, func(t *harness.World, _ *zktest.Server) {
			f := harness.NewFleet()
			f.Become(harness.IsBlackHole, harness.Between(0, n)...)
			all := t.Register("Arith", harness.Between(0, n)...)
			var d *zkdiscovery.Discovery
			if guarded {
				d = t.Guarded("Arith", f, zkdiscovery.Guard{})
			} else {
				d = t.Discover("Arith")
			}
			harness.Pass(time.Hour)
			bytes, goroutines = -heap(), -runtime.NumGoroutine()
			t.Lose("Arith", harness.Between(0, n)...)
			lost := time.Now()
			harness.Pass(time.Minute)
			bytes, goroutines = bytes+heap(), goroutines+runtime.NumGoroutine()
			if !guarded {
				t.Lists(d, map[string]string{})
				return
			}
			t.Lists(d, all)
			t.Held(d, n)
			harness.Pass(4*time.Minute - time.Since(lost))
			t.Lists(d, map[string]string{})
			t.Held(d, 0)
			total, atOnce, shortest := f.Probes()
			t.Logf("%d probes, %d at once", total, atOnce)
			if atOnce > 64 || shortest < time.Second/2 || total < 2*n || total > 3*n {
				t.Errorf("%d probes, %d at once, two of one instance within %v", total, atOnce, shortest)
			}
			harness.Pass(time.Hour)
			if again, _, _ := f.Probes(); again > total {
				t.Errorf("%d probes after nobody was held any more", again-total)
			}
			if saved := t.Saved("Arith"); len(saved) > 0 {
				t.Errorf("the file has %d", len(saved))
			}
		})
		return bytes, goroutines
	}
	bare, _ := cost(false)
	held, goroutines := cost(true)
	t.Logf("%d held instances cost %d KB and %d goroutines", n, (held-bare)>>10, goroutines)
	if held-bare > 5<<20 || goroutines > 3*64 {
		t.Errorf("%d held instances cost %d bytes and %d goroutines", n, held-bare, goroutines)
	}
}

// A list that somebody else writes: waves of addresses that nobody answers at.
func TestGuardSurvivesAHostileList(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
		const wave = 10_000
		f := harness.NewFleet()
		d := t.Guarded("Arith", f, zkdiscovery.Guard{Probe: func(ctx context.Context, _, _ string) error { return harness.IsBlackHole(ctx) }}, zkdiscovery.WithoutMetadataWatch())
		goroutines := runtime.NumGoroutine()
		var heap []uint64
		for w := range 3 {
			for i := range wave {
				harness.Must(t, zk.Put(t.Node("Arith", w*wave+i), nil))
			}
			harness.Pass(2 * time.Second)
			for i := range wave {
				harness.Must(t, zk.Delete(t.Node("Arith", w*wave+i)))
			}
			harness.Pass(5 * time.Second)
			if n := len(d.GetServices()); n > wave {
				t.Errorf("wave %d: the list has %d", w, n)
			}
			if more := runtime.NumGoroutine() - goroutines; more > 3*64 {
				t.Errorf("wave %d: %d more goroutines", w, more)
			}
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			heap = append(heap, m.HeapAlloc)
		}
		grown := int64(heap[2]) - int64(heap[0])
		t.Logf("waves of %d addresses: %d KB of heap more after the third than after the first", wave, grown>>10)
		if grown > 20<<20 {
			t.Errorf("the heap has grown by %d MB since the first wave: %v", grown>>20, heap)
		}
		harness.Pass(6 * time.Minute)
		t.Lists(d, map[string]string{})
		t.Held(d, 0)
		own := t.Register("Arith", 1)
		harness.Pass(2 * time.Second)
		if got := harness.Listed(d.GetServices()); !maps.Equal(got, own) {
			t.Errorf("afterwards: %v", got)
		}
	})
}
