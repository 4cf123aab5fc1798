package session

import (
	"testing"
	"time"
)

func TestPauseDoublesToItsMaximumAndIsJittered(t *testing.T) {
	for _, tc := range []struct {
		failedRounds int
		longest      time.Duration
	}{
		{-1, 0},
		{0, 0},
		{1, 200 * time.Millisecond},
		{2, 400 * time.Millisecond},
		{3, 800 * time.Millisecond},
		{4, 1600 * time.Millisecond},
		{5, 3200 * time.Millisecond},
		{6, MaxBackoff},
		{7, MaxBackoff},
		{1 << 40, MaxBackoff},
	} {
		distinct := make(map[time.Duration]bool)
		for range 200 {
			d := pause(tc.failedRounds)
			distinct[d] = true
			if d < tc.longest/2 || d > tc.longest {
				t.Fatalf("after %d failed rounds: %v, want %v to %v", tc.failedRounds, d, tc.longest/2, tc.longest)
			}
		}
		if tc.longest > 0 && len(distinct) < 100 {
			t.Errorf("after %d failed rounds: %d different pauses in 200", tc.failedRounds, len(distinct))
		}
	}
}
