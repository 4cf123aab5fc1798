package edges

import (
	"fmt"
	"log/slog"
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

func TestTheLevelOfAChangeIsItsOwnUntilThereAreTooMany(t *testing.T) {
	var r Row
	var warned []string
	warn := func(msg string, args ...any) { warned = append(warned, fmt.Sprint(msg, args)) }
	now := time.Now()
	for i := 1; i <= 3*Limit; i++ {
		want := slog.LevelError
		if i > Limit {
			want = slog.LevelDebug
		}
		if got := r.Level(slog.LevelError, now, warn, "too many"); got != want {
			t.Errorf("change %d is told at %v, want %v", i, got, want)
		}
		if told := len(warned) > 0; told != (i > Limit) {
			t.Errorf("after change %d: %q", i, warned)
		}
	}
	if want := fmt.Sprint("too many", []any{"settled_after", SettledAfter}); len(warned) != 1 || warned[0] != want {
		t.Errorf("warned of %q, want %q", warned, want)
	}
}
