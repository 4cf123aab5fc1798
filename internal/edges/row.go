// Package edges keeps what comes and goes for hours, and what meets many at once, from filling the log.
package edges

import (
	"log/slog"
	"time"
)

const (
	// Limit is how many changes in a row are told. An outage has up to four (lost, no server usable, session given up, connected).
	Limit = 8
	// SettledAfter is how long a thing must have stayed as it is to end the row.
	SettledAfter = 10 * time.Minute
)

// Row counts changes that follow one another too closely to be news each. Its zero value is ready. It is not safe for concurrent use.
type Row struct {
	n    int
	last time.Time
}

// Change counts one, and reports whether it is to be told, and whether it is the first that is not.
func (r *Row) Change(now time.Time) (tell, overflow bool) {
	if now.Sub(r.last) >= SettledAfter {
		r.n = 0
	}
	r.n++
	r.last = now
	return r.n <= Limit, r.n == Limit+1
}

// Level counts a change that is news at level, and returns the level at which it is to be logged: that, or Debug for those that are not to be told.
// Of the first of these warn is told, in the words of tooMany.
func (r *Row) Level(level slog.Level, now time.Time, warn func(msg string, args ...any), tooMany string) slog.Level {
	tell, overflow := r.Change(now)
	if overflow {
		warn(tooMany, "settled_after", SettledAfter)
	}
	if !tell {
		return slog.LevelDebug
	}
	return level
}

// Settled reports, once, how many changes there were in a row that was not told to its end and is over now; 0 if there is none.
func (r *Row) Settled(now time.Time) (changes int) {
	if r.n <= Limit || now.Sub(r.last) < SettledAfter {
		return 0
	}
	changes = r.n
	r.n = 0
	return changes
}
