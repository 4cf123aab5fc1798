package scenario

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestThreeWindowsWithinTenPerCentAreSteady(t *testing.T) {
	never := math.Inf(1)
	for _, c := range []struct {
		name    string
		windows []float64
		want    bool
	}{
		{"nothing", nil, false},
		{"two", []float64{1, 1}, false},
		{"three", []float64{1, 1.1, 1.05}, true},
		{"three, but for a little", []float64{1, 1.11, 1.05}, false},
		{"still falling", []float64{5.3, 2.7, 2.5}, false},
		{"steady after it fell", []float64{5.3, 2.7, 2.5, 2.6}, true},
		{"steady once, and not any more", []float64{1, 1, 1, 2}, false},
		{"never", []float64{never, never, never}, false},
	} {
		if got := steady(c.windows); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
		if said := warmth(c.windows, time.Second); strings.Contains(said, "not steady") == c.want {
			t.Errorf("%s: %s", c.name, said)
		}
	}
}
