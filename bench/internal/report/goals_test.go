package report

import (
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/holdfast-go/holdfast/bench/internal/contender"
	"github.com/holdfast-go/holdfast/bench/internal/result"
	"github.com/holdfast-go/holdfast/bench/internal/scenario"
	"github.com/holdfast-go/holdfast/bench/internal/stats"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func times(c result.Cell, values ...float64) result.Cell {
	for _, v := range values {
		c.Series.Add(v * ms)
	}
	c.Unit = result.Time
	return c
}

// of is a run that has measured so much, and the verdict on its first goals.
func of(cells ...result.Cell) []result.Goal {
	r := &result.Results{Cells: cells}
	r.Finish(contender.Holdfast)
	return Goals(r)
}

func TestWhatWasNotMeasuredIsNotMet(t *testing.T) {
	for _, g := range of() {
		if g.Met != "not measured" || g.Measured != "" {
			t.Errorf("of nothing: %+v", g)
		}
	}
}

// goalOf is the goal whose name begins so.
func goalOf(t *testing.T, what string, cells ...result.Cell) result.Goal {
	t.Helper()
	for _, g := range of(cells...) {
		if strings.HasPrefix(g.What, what) {
			return g
		}
	}
	t.Fatalf("there is no goal of %q", what)
	return result.Goal{}
}

func TestBeingAheadTakesTheRatioAndItsInterval(t *testing.T) {
	ours := times(cell(1, scenario.Added, few, 0), 1, 1, 1, 1, 1, 1, 1)
	for _, c := range []struct {
		name    string
		curator []float64
		never   int
		want    string
	}{
		{"far ahead", []float64{2, 2, 2, 2, 2, 2, 2}, 0, "met"},
		{"ahead, with the whole interval", []float64{1.2, 1.2, 1.3, 1.3, 1.3, 1.4, 1.5}, 0, "met"},
		{"ahead, and perhaps not far enough", []float64{1.1, 1.2, 1.3, 1.3, 1.3, 1.4, 1.5}, 0, "met, narrowly"},
		{"not far enough, perhaps", []float64{0.9, 1, 1.1, 1.1, 1.1, 1.2, 1.3}, 0, "missed, narrowly"},
		{"behind", []float64{0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9}, 0, "missed"},
		{"never seen by the other", nil, 7, "met"},
	} {
		curator := times(by(contender.Curator, ours), c.curator...)
		curator.Series.Values = curator.Series.Values[len(ours.Series.Values):] // by copies the cell
		curator.Series.Never = c.never
		if g := goalOf(t, "one added instance → watcher, 1,000", ours, curator); g.Met != c.want || !strings.Contains(g.Measured, contender.Curator) {
			t.Errorf("%s: %+v, want %s", c.name, g, c.want)
		}
	}
}

func TestAGoalIsJudgedByTheMediansInterval(t *testing.T) {
	ours := cell(3, scenario.StartRefused, many, 0)
	for verdict, values := range map[string][]float64{
		"met":              {19, 19, 19, 19, 19, 19, 20},
		"met, narrowly":    {19, 19, 19, 19, 21, 21, 21},
		"missed, narrowly": {19, 19, 19, 21, 21, 21, 21},
		"missed":           {21, 21, 21, 21, 21, 21, 22},
	} {
		if g := goalOf(t, "start from the file", times(ours, values...)); g.Met != verdict {
			t.Errorf("%v: %+v, not %s", values, g, verdict)
		}
	}
}

func TestFiveThousandMustBeAsFastAsOneThousand(t *testing.T) {
	one := times(cell(1, scenario.Added, few, 0), 1, 1, 1, 1, 1, 1)
	for verdict, ms := range map[string]float64{"met": 1.1, "missed": 1.3} {
		five := times(cell(1, scenario.Added, many, 0), ms, ms, ms, ms, ms, ms)
		curator := times(by(contender.Curator, cell(1, scenario.Added, many, 0)), 9, 9, 9, 9, 9, 9)
		if g := goalOf(t, "the same, 5,000", one, five, curator); g.Met != verdict {
			t.Errorf("%v ms: %+v", ms, g)
		}
	}
}

func TestTheWorstKindOfChangeCounts(t *testing.T) {
	var cells []result.Cell
	for kind, requests := range map[string]float64{scenario.Added: 2, scenario.Changed: 1, scenario.Removed: 3} {
		c := cell(2, scenario.Requests+kind, many, 0)
		c.Unit, c.Series = result.Count, stats.Series{Values: []float64{requests}}
		cells = append(cells, c)
	}
	for _, g := range of(cells...) {
		if strings.HasPrefix(g.What, "requests to") && (g.Measured != "3" || g.Met != "missed") {
			t.Errorf("%+v", g)
		}
	}
}

func TestOneLostBurstIsOneTooMany(t *testing.T) {
	c := result.Cell{Scenario: 4, Measure: scenario.Burst, Instances: 10, RoundTrip: 1e6, Contender: contender.Holdfast, Unit: result.Time}
	c = times(c, 1, 1, 1)
	verdict := func(c result.Cell) string {
		for _, g := range of(c) {
			if strings.HasPrefix(g.What, "bursts") {
				return g.Met
			}
		}
		return ""
	}
	if v := verdict(c); v != "met" {
		t.Error(v)
	}
	c.Series.Never = 1
	if v := verdict(c); v != "missed" {
		t.Error(v)
	}
}

func TestNumbersAreAsPeopleReadThem(t *testing.T) {
	for want, got := range map[string]string{
		"1.31 ms": number(1.3149e6, result.Time), "761 µs": number(761e3, result.Time), "2.1 s": number(2.1e9, result.Time),
		"12.3 ms": number(12.34e6, result.Time), "1 ms": number(999_900, result.Time), "999 ns": number(999, result.Time), "0 ns": number(0, result.Time),
		"5,002": number(5002, result.Count), "2": number(2, result.Count), "1,234,567": thousands("1234567"), "-123": thousands("-123"),
		"112 KB": number(112_345, result.Bytes), "391 B": number(391, result.Bytes), "0 %": number(0, result.Share),
		"3.5 %": number(0.035, result.Share), "100 %": number(1, result.Share), "0.02": number(0.02, result.Count), "-5.5": three(-5.5),
		"10": three(9.999), "100": three(99.99),
	} {
		if got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}

func TestRoundTripsAreThoseThatWereMeasured(t *testing.T) {
	added := times(cell(1, scenario.Added, few, way), 4.5, 4.5, 4.5, 4.5, 4.5, 4.5)
	trips := times(result.Cell{Scenario: 1, Measure: scenario.ReaderRT, Instances: few, RoundTrip: way, Contender: scenario.Writer}, 2.5, 2.5, 2.5)
	verdict := func(cells ...result.Cell) string {
		for _, g := range of(cells...) {
			if g.Goal == "≤ 2 round trips" {
				return g.Met
			}
		}
		return ""
	}
	if v := verdict(added, trips); v != "met" {
		t.Errorf("4.5 ms are less than 2 round trips of 2.5 ms: %s", v)
	}
	trips.Series.Values = []float64{2 * ms}
	if v := verdict(added, trips); v != "missed" {
		t.Errorf("4.5 ms are more than 2 round trips of 2 ms: %s", v)
	}
	if v := verdict(added); v != "not measured" {
		t.Errorf("without a round trip: %s", v)
	}
}

// The worst of one is not the worst of another: a ratio is that of the two numbers beside each other.
func TestTheRatioOfTheWorstIsOfWhatIsShown(t *testing.T) {
	bytes := func(c result.Cell, n float64) result.Cell {
		c.Unit, c.Series.Values = result.Bytes, []float64{n}
		return c
	}
	added, changed := cell(2, scenario.FromServer+scenario.Added, few, 0), cell(2, scenario.FromServer+scenario.Changed, many, 0)
	g := goalOf(
		t, "bytes from ZooKeeper", bytes(added, 400), bytes(changed, 100),
		bytes(by(contender.Peer, added), 800), bytes(by(contender.Peer, changed), 1_000_000),
	)
	if want := "400 B; rpcx-zookeeper 1 MB = 2500 ×"; g.Measured != want {
		t.Errorf("%q, not %q", g.Measured, want)
	}
}
