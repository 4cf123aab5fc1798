package edges

import "testing"

func TestOfACrowdEightAreTold(t *testing.T) {
	var c Crowd
	for _, event := range []any{"lost", "found", 1, "lost"} {
		for i := 1; i <= 3*Limit; i++ {
			tell, overflow := c.Meet(event)
			if tell != (i <= Limit) || overflow != (i == Limit+1) {
				t.Errorf("%v, %d: tell %v, overflow %v", event, i, tell, overflow)
			}
		}
	}
}
