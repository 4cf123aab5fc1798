// Package report shows results: tables, JSON, plots.
package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/bench/internal/result"
	"github.com/holdfast-go/holdfast/bench/internal/stats"
)

// number is n in a unit that fits a person, with three digits.
func number(n stats.Number, u result.Unit) string {
	if n.Never() {
		return "never"
	}
	f := float64(n)
	switch u {
	case result.Time:
		return duration(f)
	case result.Bytes:
		return scaled(f, 1000, "B", "KB", "MB", "GB")
	case result.Share:
		return three(100*f) + " %"
	case result.Count:
	}
	return thousands(three(f))
}

func duration(ns float64) string {
	switch {
	case ns < 999.5:
		return three(ns) + " ns"
	case ns < 999.5e3:
		return three(ns/1e3) + " µs"
	case ns < 999.5e6:
		return three(ns/1e6) + " ms"
	}
	return three(ns/1e9) + " s"
}

func scaled(f, step float64, units ...string) string {
	i := 0
	for ; f >= step && i < len(units)-1; i++ {
		f /= step
	}
	return three(f) + " " + units[i]
}

// three is f with three significant digits, and no more zeros than needed.
func three(f float64) string {
	abs := max(f, -f)
	digits := 2
	switch {
	case abs >= 100 || abs == 0:
		digits = 0
	case abs >= 10:
		digits = 1
	case abs < 0.01:
		return strconv.FormatFloat(f, 'g', 3, 64)
	}
	s := strconv.FormatFloat(f, 'f', digits, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// thousands puts commas where people look for them.
func thousands(s string) string {
	whole, rest, _ := strings.Cut(s, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		if whole[i-1] != '-' {
			whole = whole[:i] + "," + whole[i:]
		}
	}
	if rest == "" {
		return whole
	}
	return whole + "." + rest
}

// conditions says under what a cell was measured.
func conditions(c result.Cell) string {
	var words []string
	if c.Instances > 0 {
		words = append(words, thousands(strconv.Itoa(c.Instances))+" instances")
	}
	if c.RoundTrip > 0 {
		words = append(words, c.RoundTrip.String()+" round trip")
	}
	if c.Case != "" {
		words = append(words, c.Case)
	}
	return strings.Join(words, ", ")
}

// whatOf is the measure with its conditions.
func whatOf(c result.Cell) string { return strings.Trim(c.Measure+", "+conditions(c), ", ") }

// ratio has the interval where there is one.
func ratio(r *stats.Ratio) string {
	switch {
	case r == nil:
		return ""
	case r.Value.Never():
		return "∞"
	case r.Low == r.High, !r.Sure:
		return three(float64(r.Value))
	case r.High.Never():
		return fmt.Sprintf("%s (%s to ∞)", three(float64(r.Value)), three(float64(r.Low)))
	}
	return fmt.Sprintf("%s (%s to %s)", three(float64(r.Value)), three(float64(r.Low)), three(float64(r.High)))
}

// seconds is a duration as a person waits for it.
func seconds(d time.Duration) string {
	if d < time.Minute {
		return three(d.Seconds()) + " s"
	}
	return fmt.Sprintf("%d min %02d s", int(d.Minutes()), int(d.Seconds())%60)
}

// interval is the median's, where it varies: its ends, or, of too few values for one, the values.
func interval(c *result.Cell) string {
	s := c.Summary
	switch {
	case s.N < 2 || s.Low == s.High:
		return ""
	case s.Coverage > 0:
		return number(s.Low, c.Unit) + " to " + number(s.High, c.Unit)
	}
	var words []string
	for _, v := range slices.Sorted(slices.Values(c.Series.Values)) {
		words = append(words, number(stats.Number(v), c.Unit))
	}
	for range s.Never {
		words = append(words, "never")
	}
	return "only " + strings.Join(words, ", ")
}
