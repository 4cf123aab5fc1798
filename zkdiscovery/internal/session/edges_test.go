package session

import (
	"testing"
	"time"
)

func TestEdgesTellEightChangesInARowAndThatTheyHaveSettled(t *testing.T) {
	var e edges
	now := time.Now()
	for i := 1; i <= 100; i++ {
		now = now.Add(settledAfter - time.Second)
		tell, overflow := e.change(now)
		if tell != (i <= edgeLimit) || overflow != (i == edgeLimit+1) {
			t.Errorf("change %d: tell %v, overflow %v", i, tell, overflow)
		}
		if n := e.settled(now.Add(settledAfter - time.Second)); n != 0 {
			t.Errorf("settled after %d changes, the last a moment ago", n)
		}
	}
	now = now.Add(settledAfter)
	if n := e.settled(now); n != 100 {
		t.Errorf("settled after %d changes, want 100", n)
	}
	if n := e.settled(now); n != 0 {
		t.Error("settled twice")
	}
	if tell, overflow := e.change(now); !tell || overflow {
		t.Error("the first change of the next row is not told")
	}
}

func TestEdgesFarApartAreAllTold(t *testing.T) {
	var e edges
	now := time.Now()
	for range 100 {
		now = now.Add(settledAfter)
		if n := e.settled(now); n != 0 {
			t.Errorf("%d changes settled that were all told", n)
		}
		if tell, overflow := e.change(now); !tell || overflow {
			t.Fatal("not told")
		}
	}
}
