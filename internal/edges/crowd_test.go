package edges

import "testing"

func TestOfACrowdEightAreToldOnEachOccasion(t *testing.T) {
	var c Crowd
	for _, occasion := range []int64{0, 1, 2, 1} {
		for i := 1; i <= 3*Limit; i++ {
			for _, what := range []string{"lost", "found"} {
				tell, overflow := c.Meet(what, occasion)
				if tell != (i <= Limit) || overflow != (i == Limit+1) {
					t.Errorf("%s, occasion %d, %d: tell %v, overflow %v", what, occasion, i, tell, overflow)
				}
			}
		}
	}
}
