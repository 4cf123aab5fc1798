package stats

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"
)

func series(values ...float64) *Series { return &Series{Values: values} }

func TestPercentilesCountWhatNeverHappenedAsInfinite(t *testing.T) {
	s := &Series{Failed: 1}
	for i := range 90 {
		s.Add(float64(i + 1))
	}
	s.Never = 10
	sum := s.Summary()
	if sum.N != 100 || sum.Never != 10 || sum.Failed != 1 {
		t.Errorf("counted %+v", sum)
	}
	if sum.P50 != 50.5 || sum.P90 != 90 || !sum.P99.Never() || !sum.Max.Never() || math.Abs(sum.Mean-45.5) > 1e-9 {
		t.Errorf("summed up as %+v", sum)
	}
	if s := (&Series{Values: []float64{1}, Never: 2}).Summary(); !s.P50.Never() || s.Mean != 1 {
		t.Errorf("two of three never happened, and the median is %v", s.P50)
	}
	if s := new(Series).Summary(); s != (Summary{}) {
		t.Errorf("of nothing %+v is known", s)
	}
}

// HdrHistogram rounds a rank where it is to be rounded up: of 51 to 99 values its 99th percentile is the greatest but one.
func TestPercentilesOfFewAreValues(t *testing.T) {
	s := new(Series)
	for n := 1; n <= exactUpTo; n++ {
		s.Add(float64(n))
		if sum := s.Summary(); sum.P90 != Number((9*n+9)/10) || sum.P99 != Number((99*n+99)/100) {
			t.Errorf("of 1 to %d: %+v", n, sum)
		}
	}
}

func TestPercentilesAreTheHistogramsToThreeDigits(t *testing.T) {
	s := new(Series)
	for i := range 10_000 {
		s.Add(1e6 + float64(i)*1e3) // 1 to 11 ms in nanoseconds
	}
	sum := s.Summary()
	for _, c := range []struct {
		name      string
		got, want float64
	}{{"p50", float64(sum.P50), 6e6}, {"p90", float64(sum.P90), 10e6}, {"p99", float64(sum.P99), 10.9e6}} {
		if math.Abs(c.got-c.want)/c.want > 0.002 {
			t.Errorf("%s is %g, not %g", c.name, c.got, c.want)
		}
	}
}

// The ranks of the tables in Conover, Practical Nonparametric Statistics: n, and the rank (from 1) of the lower end.
func TestTheMediansIntervalIsTheBinomials(t *testing.T) {
	for n, rank := range map[int]int{6: 1, 8: 1, 9: 2, 12: 3, 20: 6, 30: 10, 50: 18, 100: 40} {
		if low, high, _ := medianRanks(n); low != rank-1 || high != n-rank {
			t.Errorf("of %d values the interval goes from rank %d to %d, not from %d to %d", n, low+1, high+1, rank, n-rank+1)
		}
	}
	for n, want := range map[int]float64{6: 1 - 2.0/64, 8: 1 - 2.0/256, 9: 1 - 20.0/512} {
		if _, _, got := medianRanks(n); math.Abs(got-want) > 1e-12 {
			t.Errorf("of %d values it covers %v, not %v", n, got, want)
		}
	}
	for n := 1; n < 6; n++ {
		if s := (&Series{Values: make([]float64, n)}).Summary(); s.Coverage != 0 {
			t.Errorf("the summary of %d values has an interval: %+v", n, s)
		}
		if low, high, coverage := medianRanks(n); low != 0 || high != n-1 || coverage != 0 {
			t.Errorf("of %d values: %d to %d, %v", n, low, high, coverage)
		}
	}
	low, high, _ := medianRanks(1001)
	if low < 465 || low > 470 || low+high != 1000 {
		t.Errorf("of 1001 values: %d to %d", low, high)
	}
}

// distributions have the median 1.
var distributions = map[string]func(*rand.Rand) float64{
	"log-normal":  func(r *rand.Rand) float64 { return math.Exp(r.NormFloat64() * 0.3) },
	"exponential": func(r *rand.Rand) float64 { return r.ExpFloat64() / math.Ln2 },
	"long tail": func(r *rand.Rand) float64 { // every tenth value is of a pause
		v := math.Exp(r.NormFloat64() * 0.1)
		if r.Float64() < 0.1 {
			v *= 1 + 20*r.Float64()
		}
		return v / 1.0141
	},
}

// The intervals are tried on what was never measured: distributions whose median is known. Three standard errors of the simulation are allowed.
func TestIntervalsHoldWhatTheySayAtEveryLength(t *testing.T) {
	const runs = 4000
	least := runs * (0.95 - 3*math.Sqrt(0.95*0.05/runs))
	for name, draw := range distributions {
		rng := rand.New(rand.NewPCG(7, 7))
		series := func(n int, median float64) Series {
			var s Series
			for range n {
				s.Add(median * draw(rng))
			}
			return s
		}
		for _, c := range []struct{ a, b int }{{3, 60}, {6, 6}, {6, 60}, {7, 10}, {9, 9}, {10, 60}, {20, 20}, {60, 60}} {
			medians, ratios, sure := 0, 0, 0
			for range runs {
				a, b := series(c.a, 100), series(c.b, 10)
				low, high, _ := medianRanks(c.a)
				sorted := a.sorted()
				r, ok := RatioOf(a, b)
				if !ok {
					t.Fatalf("%d and %d values of %s have no ratio", c.a, c.b, name)
				}
				if r.Sure {
					sure++
				}
				if sorted[low] <= 100 && 100 <= sorted[high] {
					medians++
				}
				if r.Low <= 10 && 10 <= r.High {
					ratios++
				}
			}
			if c.a < 6 {
				if sure > 0 {
					t.Errorf("%d values of %s have an interval", c.a, name)
				}
				continue
			}
			if float64(medians) < least || float64(ratios) < least {
				t.Errorf("%d and %d values of %s: the median's interval holds it in %.1f %%, the ratio's in %.1f %%",
					c.a, c.b, name, 100*float64(medians)/runs, 100*float64(ratios)/runs)
			}
		}
	}
}

func TestRatiosOfTwoRunsOverlap(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	run := func() Ratio {
		var slow, fast Series
		for range 40 {
			slow.Add(100 * (1 + rng.ExpFloat64()))
			fast.Add(1 + rng.ExpFloat64())
		}
		r, ok := RatioOf(slow, fast)
		if !ok || r.Low > r.Value || r.Value > r.High || r.Low < 40 || r.High > 250 {
			t.Fatalf("ratio %+v, %v", r, ok)
		}
		return r
	}
	apart := 0
	for range 20 {
		if !run().Overlaps(run()) {
			apart++
		}
	}
	if apart > 2 {
		t.Errorf("the intervals of %d of 20 pairs of runs have nothing in common", apart)
	}
}

func TestARatioNeedsADivisor(t *testing.T) {
	for name, c := range map[string][2]*Series{
		"nothing above": {series(), series(1)}, "nothing below": {series(1), series()}, "zero": {series(1), series(0)},
		"never": {series(1), {Never: 1}},
	} {
		if r, ok := RatioOf(*c[0], *c[1]); ok {
			t.Errorf("%s: %+v", name, r)
		}
	}
	for _, n := range []int{3, 8} {
		three := Series{}
		for i := range n {
			three.Add(float64(i + 1))
		}
		if r, ok := RatioOf(Series{Never: n}, three); !ok || !r.Value.Never() || !r.Low.Never() || r.Sure != (n == 8) {
			t.Errorf("never is infinitely many times as long: %+v, %v", r, ok)
		}
	}
	if r, ok := RatioOf(*series(0, 0, 0, 0, 0, 0), *series(1, 1, 1, 1, 1, 1)); !ok || r != (Ratio{Sure: true}) {
		t.Errorf("none of something: %+v, %v", r, ok)
	}
	if r, ok := RatioOf(*series(0, 0, 0, 0, 5, 5), *series(1, 1, 1, 1, 1, 1)); !ok || r != (Ratio{High: Number(math.Inf(1)), Sure: true}) {
		t.Errorf("mostly none of something: %+v, %v", r, ok)
	}
	if r, ok := RatioOf(Series{Values: []float64{1, 1}, Never: 5}, *series(1, 1, 1, 1, 1, 1)); !ok || !r.Value.Never() || r.Low.Never() || !r.High.Never() {
		t.Errorf("it may happen after all: %+v, %v", r, ok)
	}
}

func TestNeverSurvivesJSON(t *testing.T) {
	in := Summary{N: 3, Never: 2, P50: Number(math.Inf(1)), Low: 1.5}
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var out Summary
	if err := json.Unmarshal(b, &out); err != nil || out != in {
		t.Errorf("%s became %+v, %v", b, out, err)
	}
	if err := json.Unmarshal([]byte(`{"p50":"always"}`), &out); err == nil {
		t.Error("nonsense was read")
	}
}
