package edges

import (
	"testing"
	"time"
)

func TestChangesTellEightChangesInARowAndThatTheyHaveSettled(t *testing.T) {
	var r Row
	now := time.Now()
	for i := 1; i <= 100; i++ {
		now = now.Add(SettledAfter - time.Second)
		tell, overflow := r.Change(now)
		if tell != (i <= Limit) || overflow != (i == Limit+1) {
			t.Errorf("change %d: tell %v, overflow %v", i, tell, overflow)
		}
		if n := r.Settled(now.Add(SettledAfter - time.Second)); n != 0 {
			t.Errorf("settled after %d changes, the last a moment ago", n)
		}
	}
	now = now.Add(SettledAfter)
	if n := r.Settled(now); n != 100 {
		t.Errorf("settled after %d changes, want 100", n)
	}
	if n := r.Settled(now); n != 0 {
		t.Error("settled twice")
	}
	if tell, overflow := r.Change(now); !tell || overflow {
		t.Error("the first change of the next row is not told")
	}
}

func TestChangesFarApartAreAllTold(t *testing.T) {
	var r Row
	now := time.Now()
	for range 100 {
		now = now.Add(SettledAfter)
		if n := r.Settled(now); n != 0 {
			t.Errorf("%d changes settled that were all told", n)
		}
		if tell, overflow := r.Change(now); !tell || overflow {
			t.Fatal("not told")
		}
	}
}
