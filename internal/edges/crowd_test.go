package edges

import (
	"testing"
	"time"
)

func TestOfACrowdEightAreToldOnEachOccasion(t *testing.T) {
	var c Crowd
	now := time.Now()
	for occasion := range 3 {
		for i := 1; i <= 3*Limit; i++ {
			for _, what := range []string{"lost", "found"} {
				at := now.Add(time.Duration(i) * (SettledAfter - 1) / (3 * Limit))
				if tell, overflow := c.Meet(what, at); tell != (i <= Limit) || overflow != (i == Limit+1) {
					t.Errorf("%s, occasion %d, %d: tell %v, overflow %v", what, occasion, i, tell, overflow)
				}
			}
		}
		now = now.Add(2 * SettledAfter)
	}
}
