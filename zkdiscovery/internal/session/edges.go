package session

import "time"

const (
	// edgeLimit is how many changes of the connection in a row are told: an outage has up to four (lost, no server usable, session given
	// up, connected).
	edgeLimit = 8
	// settledAfter is how long the connection must have stayed as it is, up or down, to end the row.
	settledAfter = 10 * time.Minute
)

// edges keeps a connection that comes and goes for hours from filling the log. It counts changes that follow one another too closely to be
// news each.
type edges struct {
	n    int
	last time.Time
}

// change counts one, and reports whether it is to be told, and whether it is the first that is not.
func (e *edges) change(now time.Time) (tell, overflow bool) {
	if now.Sub(e.last) >= settledAfter {
		e.n = 0
	}
	e.n++
	e.last = now
	return e.n <= edgeLimit, e.n == edgeLimit+1
}

// settled reports, once, how many changes there were in a row that was not told to its end and is over now; 0 if there is none.
func (e *edges) settled(now time.Time) (changes int) {
	if e.n <= edgeLimit || now.Sub(e.last) < settledAfter {
		return 0
	}
	changes = e.n
	e.n = 0
	return changes
}
