package selector

import (
	"math"
	"sync"
	"testing"
	"time"
)

func TestLatencyIsAPeakEWMA(t *testing.T) {
	const ms = time.Millisecond
	var l latency
	near := func(at uint32, milliseconds float64) {
		t.Helper()
		if got := float64(l.at(at)) / 1e6; math.Abs(got-milliseconds) > 0.015*milliseconds {
			t.Errorf("at %d ms %.2f ms, want %.2f", at, got, milliseconds)
		}
	}
	if l.at(5) != 0 {
		t.Error("a latency without a sample")
	}
	l.add(10*ms, 1000)
	near(1000, 10)
	l.add(50*ms, 1000) // a peak counts whole
	near(1000, 50)
	l.add(10*ms, 1000) // of the same millisecond: no time has passed to weigh it by
	near(1000, 50)
	near(11_000, 50/math.E) // without samples it decays, by 1/e in 10 s
	l.add(10*ms, 11_000)    // keeps 1/e of the old one
	near(11_000, 50/math.E+10*(1-1/math.E))
	l.hold(ms, 21_000) // as slow as it was
	near(21_000, 50/math.E+10*(1-1/math.E))
	l.hold(70*ms, 21_000)
	near(21_000, 70)
	l.add(0, math.MaxUint32)
	if l.at(math.MaxUint32) <= 0 {
		t.Error("no latency is left of a sample")
	}
}

func TestTheClockOfLatenciesWrapsAround(t *testing.T) {
	var l latency
	l.add(10*time.Millisecond, math.MaxUint32-500)
	l.add(5*time.Millisecond, 500) // a second later
	if got := time.Duration(l.at(500)); got > 10*time.Millisecond || got < 9*time.Millisecond {
		t.Error(got)
	}
}

func TestAServerThatFailsAtOnceDoesNotLookFast(t *testing.T) {
	var l latency
	l.add(10*time.Millisecond, 100)
	l.fail(time.Microsecond, 100)
	if got := time.Duration(l.at(100)); got < 19*time.Millisecond || got > 21*time.Millisecond {
		t.Error(got)
	}
	for range 100 {
		l.fail(0, 100)
	}
	if got := time.Duration(l.at(100)); got > worst*101/100 {
		t.Error(got)
	}
}

func TestLatencyMayBeReportedFromAnywhere(t *testing.T) {
	var l latency
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for j := range uint32(10_000) {
				l.add(time.Duration(1+i)*time.Millisecond, j)
				if got := l.at(j); got < 0.9e6 || got > 4.1e6 {
					t.Errorf("%v is none that was reported", got)
					return
				}
			}
		})
	}
	wg.Wait()
}
