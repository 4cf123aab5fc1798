package logs

import (
	"slices"
	"time"
)

const (
	// Limit is how many lines of one message are told in a row, and of how many services the first line is told besides.
	Limit = 4
	// Calm is how long a message must have been silent to end its row: what comes after that is news again.
	Calm = 10 * time.Minute

	firstGap = time.Minute // from the first line that is withheld to the count; each later gap of a row is four times as long …
	lastGap  = time.Hour   // … up to this one
)

// row follows the lines of one message at one level. It reads no clock, so that a table and a fuzzer can drive it. The zero value is ready.
//
// An example. A service flaps: it says "refused" every 20 s for three hours. The first four lines are told. The fifth, at 1:20, is withheld. At
// 2:20 a count of three is told, at 6:20 one of twelve, the next 16 minutes later, and then one each hour. Ten minutes after the last line the
// rest is counted. From then on four lines are told again.
type row struct {
	told     int       // lines of this row that were told, Limit at most
	services []string  // whose lines were told, Limit at most
	last     time.Time // when the newest line came
	withheld int       // lines since the last count
	gap      time.Duration
	due      time.Time // of the count, if a line is withheld
}

// line notes that a line of the service comes now, and reports whether it is told. The caller has asked counted first.
func (r *row) line(service string, now time.Time) (tell bool) {
	if r.withheld == 0 && now.Sub(r.last) >= Calm {
		*r = row{}
	}
	r.last = now
	first := len(r.services) < Limit && !slices.Contains(r.services, service)
	if first {
		r.services = append(r.services, service)
	}
	if r.told < Limit {
		r.told++
		return true
	}
	if first {
		return true
	}
	if r.withheld++; r.withheld == 1 {
		r.gap = min(max(4*r.gap, firstGap), lastGap)
		r.due = now.Add(r.gap)
	}
	return false
}

// isDue reports whether it is time to tell how many lines were withheld.
func (r *row) isDue(now time.Time) bool {
	return r.withheld > 0 && (!now.Before(r.due) || now.Sub(r.last) >= Calm)
}

// counted returns how many lines were withheld since it was called last.
func (r *row) counted() (withheld int) {
	withheld, r.withheld = r.withheld, 0
	return withheld
}
