package health

import (
	"slices"
	"testing"
)

func TestOutliers(t *testing.T) {
	well := Tally{Good: 100}
	for _, c := range []struct {
		rule    string
		tallies []Tally
		want    []int
	}{
		{"nobody", nil, nil},
		{"two cannot be compared", []Tally{well, {50, 50}}, nil},
		{"nor those with few calls", []Tally{well, {2, 17}, {70, 30}}, nil},
		{"one that fails", []Tally{well, {70, 30}, well}, []int{1}},
		{"the worst first", []Tally{well, {80, 20}, well, {20, 80}, well, {50, 50}, well}, []int{3, 5, 1}},
		{"three of twenty may be chance", []Tally{well, {17, 3}, well}, nil},
		{"thirty of two hundred are not", []Tally{well, {170, 30}, well}, []int{1}},
		{"a tenth is not far, however sure", []Tally{well, {910_000, 90_000}, well}, nil},
		{"all alike", []Tally{{70, 30}, {75, 25}, {65, 35}, {70, 30}}, nil},
		{"worse than many failures", []Tally{{70, 30}, {70, 30}, {30, 70}, {70, 30}}, []int{2}},
		{"half of them", []Tally{{50, 50}, well, {50, 50}, well}, []int{0, 2}},
		{"most of them: then that is how it is", []Tally{{50, 50}, {50, 50}, {50, 50}, well}, nil},
	} {
		if got := Outliers(c.tallies); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.rule, got, c.want)
		}
	}
}
