package pace

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/tests/bubbles"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Bins once lost 970 of 975 calls: those that outlasted the bin after their own were in none.
func TestEveryCallIsInExactlyOneBinByWhenItWasDue(t *testing.T) {
	const (
		rate   = 100
		length = 250 * time.Millisecond
		inEach = 25
		bins   = 12
	)
	for name, c := range map[string]struct {
		takes func(bin int) time.Duration
		ok    func(bin int) int // of the 25
	}{
		"at once":                       {func(int) time.Duration { return 0 }, func(int) int { return inEach }},
		"longer than any bin":           {func(int) time.Duration { return time.Hour }, func(int) int { return 0 }},
		"two bins and a half":           {func(int) time.Duration { return 5 * length / 2 }, func(int) int { return 0 }},
		"every other bin, without end":  {func(n int) time.Duration { return time.Duration(n%2) * time.Hour }, func(n int) int { return inEach * (1 - n%2) }},
		"almost until their bin counts": {func(int) time.Duration { return length - time.Millisecond }, func(int) int { return inEach }},
	} {
		t.Run(name, func(t *testing.T) {
			bubbles.Test(t, func(t *testing.T) {
				began := time.Now()
				b := NewBins(began, length)
				told := 0
				tell := func(at time.Time, ok, failed int) {
					if want := c.ok(told); ok != want || failed != inEach-want || !at.Equal(began.Add(time.Duration(told)*length)) {
						t.Errorf("bin %d, at %v: %d answered and %d failed, want %d and %d", told, at.Sub(began), ok, failed, want, inEach-want)
					}
					told++
				}
				err := Every(t.Context(), began, began.Add(bins*length), time.Second/rate, func(due time.Time) {
					b.Tell(time.Now(), tell)
					b.Due(due)
					go func() {
						time.Sleep(c.takes(int(due.Sub(began) / length)))
						b.Answered(due)
					}()
				})
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * length)
				b.Tell(time.Now(), tell)
				b.Tell(time.Now(), tell) // once is enough
				if told != bins {
					t.Errorf("%d bins were told, not %d", told, bins)
				}
				time.Sleep(2 * time.Hour)
			})
		})
	}
}

func TestWhatWasDueWhileNothingRanFollowsAtOnce(t *testing.T) {
	bubbles.Test(t, func(t *testing.T) {
		began := time.Now()
		var late []time.Duration
		err := Every(t.Context(), began, began.Add(50*time.Millisecond), 10*time.Millisecond, func(due time.Time) {
			if late = append(late, time.Since(due)); len(late) == 1 {
				time.Sleep(35 * time.Millisecond)
			}
		})
		if err != nil || len(late) != 5 || late[0] != 0 || late[1] != 25*time.Millisecond || late[3] != 5*time.Millisecond || late[4] != 0 {
			t.Errorf("late by %v, %v", late, err)
		}
	})
}

func TestThePaceEndsWithItsContext(t *testing.T) {
	bubbles.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		calls := 0
		err := Every(ctx, time.Now(), time.Now().Add(time.Hour), time.Second, func(time.Time) {
			if calls++; calls == 3 {
				cancel()
			}
		})
		if !errors.Is(err, context.Canceled) || calls > 4 {
			t.Errorf("%d calls, %v", calls, err)
		}
	})
}
