package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holdfast-go/holdfast/zkdiscovery"
)

// good is the outcome of a drill in which every promise was kept.
func good() *outcome {
	o := &outcome{
		changes:      []change{{"server A dies", time.Millisecond, true}, {"ZooKeeper goes away", time.Millisecond, true}},
		secondSource: zkdiscovery.File, secondAlike: true, secondAway: tally{calls: 9},
		returned: [2]recovery{{3 * time.Second, 4 * time.Second}, {2 * time.Second, 8 * time.Second}}, liveWithin: 7 * time.Second, right: true,
	}
	for p := range phases {
		o.phases[p] = tally{calls: 100, took: []time.Duration{time.Millisecond}}
	}
	o.settled[phaseJoined] = tally{calls: 90, byServer: map[string]int{"C": 60, "D": 30}}
	o.settled[phaseWeighed] = tally{calls: 80, byServer: map[string]int{"C": 20, "D": 60}}
	return o
}

func TestEachBrokenPromiseIsFoundAndGivesStatus1(t *testing.T) {
	fail := func(p phase) func(*outcome) {
		return func(o *outcome) { o.phases[p].failed, o.phases[p].firstErr = 1, errors.New("no answer") }
	}
	for name, c := range map[string]struct {
		spoil func(*outcome)
		want  string // begins the broken promise; none, when nothing is broken
	}{
		"nothing":                              {func(*outcome) {}, ""},
		"a call fails before":                  {fail(phaseSteady), "no call failed while servers died"},
		"a call fails as a server dies":        {fail(phaseDied), "no call failed while servers died"},
		"a call fails as one joins":            {fail(phaseJoined), "no call failed while servers died"},
		"a call fails as a weight changes":     {fail(phaseWeighed), "no call failed while servers died"},
		"a call fails without ZooKeeper":       {fail(phaseAway), "no call failed while ZooKeeper was away"},
		"a call fails with the second client":  {fail(phaseSecond), "no call failed while ZooKeeper was away"},
		"a call fails as a server dies unseen": {fail(phaseDiedUnseen), "no call failed while ZooKeeper was away"},
		"a call fails as ZooKeeper returns":    {fail(phaseReturning), "no call failed as ZooKeeper returned"},
		"a call fails at the end":              {fail(phaseAgain), "no call failed from then on"},
		"nobody calls":                         {func(o *outcome) { o.phases[phaseAway] = tally{} }, "no call failed while ZooKeeper was away"},
		"a change is not noticed":              {func(o *outcome) { o.changes[0].noticed = false }, "every change was noticed"},
		"a change is noticed late":             {func(o *outcome) { o.changes[0].took = 2 * time.Second }, "every change was noticed"},
		"no change is looked for":              {func(o *outcome) { o.changes = nil }, "every change was noticed"},
		"the weight has no effect":             {func(o *outcome) { o.settled[phaseWeighed] = o.settled[phaseJoined] }, "calls followed the weight"},
		"calls go on to the dead":              {func(o *outcome) { o.metDead = 1000 }, "calls kept away"},
		"a list arrives meanwhile":             {func(o *outcome) { o.listsAway = 1 }, "the list stayed as it was"},
		"the second client has no file":        {func(o *outcome) { o.secondSource = zkdiscovery.None }, "a second client started from the none"},
		"the second client has another list":   {func(o *outcome) { o.secondAlike = false }, "a second client started"},
		"a call of the second client fails":    {func(o *outcome) { o.secondAway.failed = 1 }, "a second client started"},
		"the second client makes no call":      {func(o *outcome) { o.secondAway = tally{} }, "a second client started"},
		"ZooKeeper is not taken up again":      {func(o *outcome) { o.returned[1].live = 0 }, "both clients were live"},
		"ZooKeeper is taken up late":           {func(o *outcome) { o.returned[1].live = 8 * time.Second }, "both clients were live"},
		"a list never gets right":              {func(o *outcome) { o.returned[1].right = 0 }, "both lists then named"},
		"a list is wrong in the end":           {func(o *outcome) { o.right = false }, "both lists then named"},
	} {
		t.Run(name, func(t *testing.T) {
			o := good()
			c.spoil(o)
			var out bytes.Buffer
			status := judge(o, newNarrator(&out, false, nil))
			var broken []string
			for line := range strings.Lines(out.String()) {
				if what, ok := strings.CutPrefix(line, "  FAIL  "); ok {
					broken = append(broken, what)
				}
			}
			switch {
			case c.want == "" && (status != 0 || len(broken) > 0):
				t.Errorf("status %d, want 0; broken: %q", status, broken)
			case c.want != "" && (status != statusBroken || len(broken) != 1 || !strings.HasPrefix(broken[0], c.want)):
				t.Errorf("status %d, want 1; broken: %q, want %q", status, broken, c.want)
			}
		})
	}
}

func TestReportShowsWhatFailed(t *testing.T) {
	o := good()
	o.phases[phaseReturning].failed, o.phases[phaseReturning].firstErr = 7, errors.New("can not found any server")
	o.phases[phaseAgain].failed, o.phases[phaseAgain].firstErr = 3, errors.New("no answer")
	o.changes[0].noticed = false
	o.listsAway = 1
	var out bytes.Buffer
	n := newNarrator(&out, false, nil)
	n.report(o, o.promises(nil))
	for _, want := range []string{
		"\n  ZooKeeper returns, sessions expired     100      7   1.0 ms   1.0 ms   1.0 ms\n",
		"\n    the first error: can not found any server\n",
		"\n  All is well again                       100      3   1.0 ms   1.0 ms   1.0 ms\n",
		"\n  server A dies                               never\n",
		"\n  FAIL  the list stayed as it was while ZooKeeper was away\n",
		"\n  FAIL  no call failed from then on\n",
		"\n    the first error: no answer\n",
		"\n900 calls, 10 failed in ", "; 4 of 11 promises were broken\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}

func TestTallies(t *testing.T) {
	l := &ledger{}
	for i := range 100 {
		l.add(phaseSteady, []string{"A", "B", "B", "B"}[i%4], time.Duration(100-i)*time.Millisecond, nil)
	}
	l.add(phaseSteady, "", time.Hour, errors.New("no answer"))
	l.add(phaseSteady, "", time.Hour, errors.New("no answer either"))
	got := l.of(phaseSteady)
	if got.calls != 102 || got.failed != 2 || got.firstErr.Error() != "no answer" || got.served() {
		t.Errorf("%d calls, %d failed, first: %v", got.calls, got.failed, got.firstErr)
	}
	if got.share("B") != 0.75 || got.share("C") != 0 {
		t.Errorf("shares: B %v, C %v", got.share("B"), got.share("C"))
	}
	latencies := []time.Duration{got.latency(0), got.latency(0.5), got.latency(0.99), got.latency(1)}
	want := []time.Duration{time.Millisecond, 51 * time.Millisecond, 100 * time.Millisecond, 100 * time.Millisecond}
	if diff := cmp.Diff(want, latencies); diff != "" {
		t.Errorf("latencies, -want +got\n%s", diff)
	}
	sum := got.plus(tally{calls: 8, byServer: map[string]int{"B": 8}, took: make([]time.Duration, 8)})
	if sum.calls != 110 || sum.failed != 2 || sum.byServer["B"] != 83 || len(sum.took) != 108 || got.byServer["B"] != 75 {
		t.Errorf("sum: %d calls, %d failed, B %d, %d latencies; B before %d", sum.calls, sum.failed, sum.byServer["B"], len(sum.took), got.byServer["B"])
	}
	later := sum.since(got)
	if later.calls != 8 || later.failed != 0 || later.byServer["A"] != 0 || later.share("B") != 1 {
		t.Errorf("what was added: %+v", later)
	}
	if empty := l.of(phaseAgain); empty.latency(1) != 0 || empty.share("A") != 0 || empty.served() {
		t.Errorf("a phase without calls: %+v", empty)
	}
}
