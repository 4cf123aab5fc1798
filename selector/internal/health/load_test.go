package health

import (
	"math"
	"sync"
	"testing"
)

func TestLatencyIsAPeakEWMA(t *testing.T) {
	const ms = 1_000_000
	var l Load
	near := func(at int64, milliseconds float64) {
		t.Helper()
		if got := float64(l.Latency(at)) / ms; math.Abs(got-milliseconds) > 0.015*milliseconds {
			t.Errorf("at %d ms %.2f ms, want %.2f", at, got, milliseconds)
		}
	}
	if l.Latency(5) != 0 {
		t.Error("a latency without a sample")
	}
	l.Took(10*ms, 1000)
	near(1000, 10)
	l.Took(50*ms, 1000) // a peak counts whole
	near(1000, 50)
	l.Took(10*ms, 1000) // of the same millisecond: no time has passed to weigh it by
	near(1000, 50)
	near(4000, 50/math.E) // without samples it decays, by 1/e in 3 s
	l.Took(10*ms, 4000)   // keeps 1/e of the old one
	near(4000, 50/math.E+10*(1-1/math.E))
	l.TookAtLeast(ms, 7000) // as slow as it was
	near(7000, 50/math.E+10*(1-1/math.E))
	l.TookAtLeast(70*ms, 7000)
	near(7000, 70)
	if got := l.Last() / ms; got < 69 || got > 71 {
		t.Errorf("the last was %v ms", got)
	}
	l.Took(0, 1<<39)
	if l.Latency(1<<39) <= 0 {
		t.Error("no latency is left of a sample")
	}
	l.Forget()
	if l.Latency(1<<39) != 0 {
		t.Error("it is not forgotten")
	}
}

// After 25 days without a sample the 32-bit clock of former times had wrapped, and what was 2 s stayed 2 s whatever came.
func TestALatencyIsForgottenHoweverLongAgoItWas(t *testing.T) {
	const day = 24 * 3_600_000
	for _, days := range []int64{1, 25, 26, 50, 400, 10_000} {
		var l Load
		l.Took(2e9, 1)
		if got := l.Latency(days * day); got > 1 {
			t.Errorf("after %d days it is %v ns", days, got)
		}
		l.Took(1e6, days*day)
		if got := l.Latency(days * day); got < 0.9e6 || got > 1.1e6 {
			t.Errorf("after %d days and an answer it is %v ns", days, got)
		}
	}
}

// Twenty calls that fail together once made it a minute.
func TestABurstOfFailuresCountsOnce(t *testing.T) {
	var l Load
	l.Took(1e7, 100)
	cost := func(now int64) float32 { return l.Cost(now) / l.Latency(now) }
	for range 20 {
		l.Fail(100, 400)
	}
	if got := cost(400); got < 1.9 || got > 2.1 {
		t.Errorf("after a burst a call costs %v times as much", got)
	}
	if got := cost(400 + halving); got != 1 {
		t.Errorf("three seconds later %v times", got)
	}
	for i := range int64(100) {
		l.Fail(400+10*i+1, 400+10*i+10)
	}
	if got := cost(1400); got < 25 || got > 32 {
		t.Errorf("after a hundred in a row %v times", got)
	}
}

func TestAServerThatFailsAtOnceDoesNotLookFast(t *testing.T) {
	var l Load
	l.Fail(1, 2)
	if l.Cost(2) < 1e6 {
		t.Error("it costs", l.Cost(2))
	}
}

func TestLoadsMayBeReportedFromAnywhere(t *testing.T) {
	var l Load
	var wg sync.WaitGroup
	for i := range int64(4) {
		wg.Go(func() {
			for j := range int64(10_000) {
				l.Took((1+i)*1_000_000, j)
				if got := l.Latency(j); got < 0.9e6 || got > 4.1e6 {
					t.Errorf("%v is none that was reported", got)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestOneAtATimeHasThePermit(t *testing.T) {
	var p Permit
	token := p.Take(100)
	if token == 0 || p.Take(100) != 0 || p.Take(100+patience-1) != 0 {
		t.Fatal("two have it")
	}
	late := p.Take(100 + patience)
	if late == 0 {
		t.Fatal("a call that takes for ever keeps it for ever")
	}
	p.Return(token, 100+patience+1) // the first one is over after all
	if p.Take(100+patience+2) != 0 {
		t.Error("who was late has given back what another has")
	}
	now := int64(100_000)
	for i, pause := range []int64{1000, 2000, 4000, 8000, 16_000, 16_000} {
		token = p.Take(now)
		if p.Return(token, now); i > 0 && token == 0 {
			t.Fatalf("it is not free after %d", i)
		}
		if i == 0 { // the one before counts
			p.Free()
			p.Return(p.Take(now), now)
		}
		if p.Take(now+pause-1) != 0 {
			t.Errorf("it is free before %d ms", pause)
		}
		now += pause
	}
}

func TestTheCounterForgets(t *testing.T) {
	var c Counter
	for now := int64(1); now <= 10_000; now += 10 {
		c.Add(now, 1000)
	}
	if n := c.Sum(10_000, 1000); n < 85 || n > 101 {
		t.Errorf("%d in the last second, want about 100", n)
	}
	c.Take(10_000, 1000)
	if n := c.Sum(12_000, 1000); n != 0 {
		t.Errorf("%d in a second without any", n)
	}
	c.Add(12_000, 1000)
	if c.Reset(); c.Sum(12_000, 1000) != 0 {
		t.Error("it is not forgotten")
	}
}
