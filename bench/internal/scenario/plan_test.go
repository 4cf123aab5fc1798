package scenario

import (
	"slices"
	"testing"
	"time"
)

func TestEverySizeIsMeasuredDirectlyAndTheDelayedFromAfar(t *testing.T) {
	p := Plan{Sizes: []int{10, 100}, RoundTrips: []time.Duration{0, 2}, Delayed: []int{100}}
	want := []condition{{n: 10}, {n: 100}, {n: 100, roundTrip: 2}}
	if got := p.conditions(); !slices.Equal(got, want) {
		t.Errorf("%v, not %v", got, want)
	}
}

func TestScenariosAreNumberedAsTheyCome(t *testing.T) {
	names := make(map[string]bool)
	for i, s := range All() {
		if s.Number != i+1 || s.Name == "" || s.Title == "" || names[s.Name] {
			t.Errorf("%d: %+v", i, s)
		}
		names[s.Name] = true
		for _, p := range []Plan{Quick(), Full(), Tiny()} {
			if s.Steps(p) < 1 {
				t.Errorf("%s has no steps in the %s plan", s.Name, p.Name)
			}
		}
	}
}

// A plan that leaves a number at 0 measures nothing there, and nobody notices.
func TestPlansSayHowMuchOfEverything(t *testing.T) {
	for _, p := range []Plan{Quick(), Full(), Tiny()} {
		for name, n := range map[string]int{
			"WarmBudget": int(p.WarmBudget), "WarmLimit": int(p.WarmLimit), "WarmRounds": p.WarmRounds,
			"Change": p.Change.Rounds, "Least": p.Change.Least, "Start.Least": p.Start.Least, "Many.Least": p.Many.Least, "Nevers": p.Nevers, "Start": p.Start.Rounds, "JavaStarts": p.JavaStarts, "CostChanges": p.CostChanges, "Uses": p.Uses.Rounds, "Uses.Least": p.Uses.Least, "Uses.Budget": int(p.Uses.Budget), "Many": p.Many.Rounds, "Bursts": p.Bursts,
			"Rollings": p.Rollings, "BurstFollowed": p.BurstFollowed, "FanOutRounds": p.FanOutRounds, "Services": p.Services, "ServiceSize": p.ServiceSize, "ServiceRounds": p.ServiceRounds, "FileRounds": p.FileRounds,
			"Registrations": p.Registrations, "Clients": p.Clients, "ClientSize": p.ClientSize, "ClientChanges": p.ClientChanges,
			"Sizes": len(p.Sizes), "StartSizes": len(p.StartSizes), "Delayed": len(p.Delayed), "Watchers": len(p.Watchers), "FileSizes": len(p.FileSizes),
			"Change.Budget": int(p.Change.Budget), "Start.Budget": int(p.Start.Budget), "Many.Budget": int(p.Many.Budget), "OpenLimit": int(p.OpenLimit), "StartLimit": int(p.StartLimit), "BurstBudget": int(p.BurstBudget),
			"BurstWatched": int(p.BurstWatched), "OutageBefore": int(p.OutageBefore), "OutageDuring": int(p.OutageDuring),
			"OutageAfter": int(p.OutageAfter), "OutageSession": int(p.OutageSession), "Rest": int(p.Rest), "UpdateEvery": int(p.UpdateEvery),
			"SelectorsFor": int(p.SelectorsFor), "ScaleServices": len(p.ScaleServices), "ScaleSize": p.ScaleSize, "ScaleRounds": p.ScaleRounds,
			"ScaleRest": int(p.ScaleRest), "ScaleInstances": p.ScaleInstances, "FarSizes": len(p.FarSizes),
		} {
			if n <= 0 {
				t.Errorf("%s: %s is %d", p.Name, name, n)
			}
		}
		if p.OutageDuring <= p.OutageSession {
			t.Errorf("%s: the outage is not longer than sessions", p.Name)
		}
	}
}

// A rotation would leave everybody behind the same other for ever.
func TestEverybodyIsFirstInTurnAndBehindEveryOther(t *testing.T) {
	for n := range 9 {
		var all []int
		for i := range n {
			all = append(all, i)
		}
		rounds := 12 * n
		first, behind := make(map[int]int), make(map[[2]int]int)
		for round := range max(1, rounds) {
			order := inTurn(all, round)
			if !slices.Equal(order, inTurn(all, round)) || !slices.Equal(slices.Sorted(slices.Values(order)), all) {
				t.Fatalf("round %d: %v", round, order)
			}
			for i := range order {
				if i == 0 {
					first[order[0]]++
				} else {
					behind[[2]int{order[i-1], order[i]}]++
				}
			}
		}
		for _, i := range all {
			if first[i] != 12 {
				t.Errorf("%d of %d is first %d times in %d rounds", i, n, first[i], rounds)
			}
			for _, j := range all {
				if times := behind[[2]int{i, j}]; i != j && (times < 4 || times > 20 || n%2 == 0 && times != 12) {
					t.Errorf("%d of %d is behind %d %d times in %d rounds", j, n, i, times, rounds)
				}
			}
		}
	}
}

// A ratio that a goal is about is to have a narrow interval: within a third, say, where fewer rounds leave a half.
func TestWhatAGoalComparesIsMeasuredMoreOften(t *testing.T) {
	p := Full()
	for name, c := range map[string]struct {
		efforts Efforts
		plain   condition
		close   []condition
	}{
		"change": {p.Change, condition{n: 1_000, roundTrip: 1}, []condition{{n: 1_000}, {n: 5_000}}},
		"start":  {p.Start, condition{n: 1_000}, []condition{{n: 5_000}}},
	} {
		if got := c.efforts.in(c.plain); got != c.efforts.Effort {
			t.Errorf("%s: %+v, not %+v", name, got, c.efforts.Effort)
		}
		for _, close := range c.close {
			if got := c.efforts.in(close); got.Rounds < 3*c.efforts.Rounds {
				t.Errorf("%s of %+v: %+v, otherwise %+v", name, close, got, c.efforts.Effort)
			}
		}
	}
}

func TestAContenderDoesItsLeastRoundsAndNoMoreThanItsBudgetAllows(t *testing.T) {
	e := Effort{Least: 3, Rounds: 5, Budget: time.Second}
	for _, c := range []struct {
		round int
		spent time.Duration
		want  bool
	}{
		{0, 0, false}, {2, time.Hour, false}, {3, time.Second, false}, {3, time.Second + 1, true}, {4, 0, false}, {5, 0, true},
	} {
		if got := e.enough(c.round, c.spent); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
