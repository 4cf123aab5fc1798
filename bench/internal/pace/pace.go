// Package pace makes calls at a constant rate, and counts what becomes of them by when they were due.
//
// Whoever begins a call only when there is time for it, or counts it only when it ends, leaves out the calls that went worst (coordinated omission).
// Here every call is due at a time that is known beforehand. A call that begins late counts from when it was due, and a call that does not end is
// a failed one.
package pace

import (
	"context"
	"sync"
	"time"
)

// Every calls do at began, began + interval, began + 2 × interval and so on before end, each with the time when it was due. What is due while do
// runs, or while this process has no processor, follows at once. It returns nil at end, and ctx's error when that ends before.
func Every(ctx context.Context, began, end time.Time, interval time.Duration, do func(due time.Time)) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for due := began; due.Before(end); due = due.Add(interval) {
		timer.Reset(time.Until(due))
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		do(due)
	}
	return nil
}

// Bins counts calls in stretches of time of one length. It may be used by many goroutines.
type Bins struct {
	began  time.Time
	length time.Duration

	mu   sync.Mutex
	bins []bin
}

type bin struct {
	due, ok int
	told    bool
}

// NewBins has bins of that length from then on.
func NewBins(began time.Time, length time.Duration) *Bins {
	return &Bins{began: began, length: length}
}

func (b *Bins) at(due time.Time) *bin { // b.mu is held
	n := int(due.Sub(b.began) / b.length)
	for len(b.bins) <= n {
		b.bins = append(b.bins, bin{})
	}
	return &b.bins[n]
}

// Due counts a call when it is due, before anything can become of it.
func (b *Bins) Due(due time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.at(due).due++
}

// Answered counts the right answer, just now, to a call that was due then. When that is more than a bin's length ago, or the bin has been told, it
// is too late: the call has failed.
func (b *Bins) Answered(due time.Time) {
	took := time.Since(due)
	b.mu.Lock()
	defer b.mu.Unlock()
	if bin := b.at(due); took <= b.length && !bin.told {
		bin.ok++
	}
}

// Tell says once for every bin, in order, what became of the calls that were due in it, when that bin and the one after it are over: every call has had
// a bin's time then, and what has not been answered has failed.
func (b *Bins) Tell(now time.Time, tell func(began time.Time, ok, failed int)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	over := int(now.Sub(b.began)/b.length) - 1
	for n := range min(over, len(b.bins)) {
		if bin := &b.bins[n]; !bin.told {
			bin.told = true
			tell(b.began.Add(time.Duration(n)*b.length), bin.ok, bin.due-bin.ok)
		}
	}
}
