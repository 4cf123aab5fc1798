package selector

import (
	"slices"
	"testing"
)

func TestOutliers(t *testing.T) {
	well := tally{good: 100}
	for _, c := range []struct {
		rule    string
		tallies []tally
		want    []int
	}{
		{"nobody", nil, nil},
		{"two cannot be compared", []tally{well, {50, 50}}, nil},
		{"one that fails", []tally{well, {70, 30}, well}, []int{1}},
		{"the worst first", []tally{well, {80, 20}, well, {20, 80}, well, {50, 50}, well}, []int{3, 5, 1}},
		{"three of twenty may be chance", []tally{well, {17, 3}, well}, nil},
		{"thirty of two hundred are not", []tally{well, {170, 30}, well}, []int{1}},
		{"a tenth is not far, however sure", []tally{well, {910_000, 90_000}, well}, nil},
		{"all alike", []tally{{70, 30}, {75, 25}, {65, 35}, {70, 30}}, nil},
		{"worse than many failures", []tally{{70, 30}, {70, 30}, {30, 70}, {70, 30}}, []int{2}},
		{"half of them", []tally{{50, 50}, well, {50, 50}, well}, []int{0, 2}},
		{"most of them: then that is how it is", []tally{{50, 50}, {50, 50}, {50, 50}, well}, nil},
	} {
		if got := outliers(c.tallies); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.rule, got, c.want)
		}
	}
}
