package logs

import (
	"fmt"
	"testing"
	"time"
)

// play feeds a row with lines, and asks before each one, and every second between them, whether a count is due.
func play(r *row, now time.Time, wait time.Duration, service string) (at time.Time, tell bool, counts []int) {
	for end := now.Add(wait); now.Before(end); {
		now = now.Add(min(time.Second, end.Sub(now)))
		if r.isDue(now) {
			counts = append(counts, r.counted())
		}
	}
	return now, r.line(service, now), counts
}

func TestRows(t *testing.T) {
	same := func(int) string { return "A" }
	for name, c := range map[string]struct {
		lines   int
		every   time.Duration
		service func(i int) string
		told    int
		counts  []int // until ten minutes after the last line
	}{
		"a first line is told":                           {1, time.Second, same, 1, nil},
		"four lines in a row are told":                   {4, time.Second, same, 4, nil},
		"the fifth is counted after a minute":            {5, time.Second, same, 4, []int{1}},
		"lines far apart are all told":                   {100, Calm, same, 100, nil},
		"gaps grow while the row goes on":                {3 * 180, 20 * time.Second, same, 4, []int{3, 12, 48, 180, 180, 113}},
		"a line every two minutes is one line an hour":   {5 * 30, 2 * time.Minute, same, 4, []int{1, 2, 8, 30, 30, 30, 30, 15}},
		"a row that is slow goes on all the same":        {5 + 6, Calm - time.Second, same, 4, []int{1, 1, 2, 3}},
		"of many services at once four are told":         {500, time.Millisecond, func(i int) string { return fmt.Sprint(i) }, 4, []int{496}},
		"one that flaps hides nobody else's first line":  {20, time.Second, func(i int) string { return []string{"A", "B"}[i/19] }, 5, []int{15}},
		"first lines of more than four services are not": {40, time.Second, func(i int) string { return fmt.Sprint(max(0, i-20)) }, 4 + 3, []int{33}},
	} {
		t.Run(name, func(t *testing.T) {
			var r row
			now := time.Now()
			told, counts := 0, []int(nil)
			for i := range c.lines {
				at, tell, more := play(&r, now, c.every, c.service(i))
				now, counts = at, append(counts, more...)
				if tell {
					told++
				}
			}
			if end := now.Add(Calm); r.isDue(end) {
				counts = append(counts, r.counted())
			}
			if told != c.told || fmt.Sprint(counts) != fmt.Sprint(c.counts) {
				t.Errorf("told %d, counted %v; want %d, %v", told, counts, c.told, c.counts)
			}
			if at, tell, _ := play(&r, now, Calm, "A"); !tell {
				t.Errorf("a line %v after the last is not told", at.Sub(now))
			}
		})
	}
}

// FuzzRow: every line is told or counted; a first line and one after silence are told; at most seven lines in a row are; counts of a row are
// a minute apart at least, unless it is over.
func FuzzRow(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 70, 0, 0})
	f.Add([]byte{1, 11, 21, 31, 41, 51, 61, 71, 81, 91, 201, 199, 200})
	f.Fuzz(func(t *testing.T, steps []byte) {
		var r row
		now := time.Now()
		var last, counted time.Time
		lines, told, inRow, sum := 0, 0, 0, 0
		for _, b := range steps {
			wait := time.Duration(b/10) * 40 * time.Second // up to 16 min
			now = now.Add(wait)
			silent := last.IsZero() || now.Sub(last) >= Calm
			if r.isDue(now) {
				if n := r.counted(); n <= 0 {
					t.Fatalf("a count of %d", n)
				} else {
					sum += n
				}
				if !silent && !counted.IsZero() && now.Sub(counted) < firstGap {
					t.Fatalf("two counts within %v", now.Sub(counted))
				}
				counted = now
			}
			if silent {
				inRow, counted = 0, time.Time{}
			}
			lines, last = lines+1, now
			tell := r.line(fmt.Sprint(b%10), now)
			if tell {
				told++
				inRow++
			}
			if silent && !tell {
				t.Fatal("not told after a silence")
			}
			if inRow > 2*Limit-1 {
				t.Fatalf("%d lines in a row", inRow)
			}
			if told+sum+r.withheld != lines {
				t.Fatalf("%d told, %d counted, %d withheld of %d", told, sum, r.withheld, lines)
			}
		}
		if end := now.Add(Calm); r.isDue(end) {
			r.counted()
		}
		if r.withheld != 0 {
			t.Fatalf("%d are never counted", r.withheld)
		}
	})
}
