package logs

import (
	"cmp"
	"context"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"weak"
)

// maxRows bounds the memory of a limiter. The library has about a hundred messages, all of them constants.
const maxRows = 256

// limiter counts the lines of everything that logs to one handler of the user's.
type limiter struct {
	user    slog.Handler
	pending atomic.Int64 // rows with withheld lines; lets flush return without taking mu

	mu   sync.Mutex // guards rows; nothing of the user's is called under it
	rows map[kind]*withheldRow
}

// kind is which lines are the same.
type kind struct {
	message string
	level   slog.Level
}

// withheldRow is a row with the newest of its lines that are withheld.
type withheldRow struct {
	row
	newest line
}

// line is a record, and the handler that it is for.
type line struct {
	to       slog.Handler
	record   slog.Record
	withheld int // how many lines it stands for
}

var registry struct {
	sync.Mutex
	limiters []weak.Pointer[limiter]
}

// limiterOf returns the limiter of a handler. Everybody who logs to the same handler gets the same one.
//
// The registry is a list and not a map: a handler may be of a type that cannot be a key, and a map would keep it for ever. A limiter keeps its
// handler, the loggers keep their limiter, and the registry keeps nobody: a handler that refers to what logs to it can be collected with it.
func limiterOf(user slog.Handler) *limiter {
	registry.Lock()
	defer registry.Unlock()
	var found *limiter
	registry.limiters = slices.DeleteFunc(registry.limiters, func(p weak.Pointer[limiter]) (gone bool) {
		l := p.Value()
		if l != nil && isSame(l.user, user) {
			found = l
		}
		return l == nil
	})
	if found == nil {
		found = &limiter{user: user, rows: make(map[kind]*withheldRow)}
		registry.limiters = append(registry.limiters, weak.Make(found))
	}
	return found
}

// isSame reports whether a and b are one handler. Two of a type that cannot be compared are not.
func isSame(a, b slog.Handler) bool {
	return reflect.TypeOf(a) == reflect.TypeOf(b) && reflect.ValueOf(a).Comparable() && reflect.ValueOf(b).Comparable() && a == b
}

// allow notes a line, and reports whether it is told now. A line that is not is kept until its count is due, if no newer one takes its place.
func (l *limiter) allow(to slog.Handler, record slog.Record, service string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := kind{record.Message, record.Level}
	r := l.rows[k]
	if r == nil {
		if len(l.rows) >= maxRows {
			l.forgetOldest()
		}
		r = &withheldRow{}
		l.rows[k] = r
	}
	if r.line(service, now) {
		return true
	}
	if r.withheld == 1 {
		l.pending.Add(1)
	}
	r.newest = line{to: to, record: record.Clone()}
	return false
}

// forgetOldest makes room for a row: the oldest one of which no line is withheld. If there is none, the count of the oldest is lost. The caller
// holds mu.
func (l *limiter) forgetOldest() {
	var oldest kind
	var found *withheldRow
	for k, r := range l.rows {
		if found == nil || cmp.Or(cmp.Compare(min(r.withheld, 1), min(found.withheld, 1)), r.last.Compare(found.last)) < 0 {
			oldest, found = k, r
		}
	}
	if l.rows[oldest].withheld > 0 {
		l.pending.Add(-1)
	}
	delete(l.rows, oldest)
}

// flush tells the counts, if one is due. It tells all of them then, the newest line last, so that the last line says how things are.
func (l *limiter) flush(now time.Time) {
	if l.pending.Load() == 0 {
		return
	}
	for _, c := range l.counts(now) {
		c.record.Time = now
		c.record.AddAttrs(slog.Int("withheld", c.withheld))
		_ = c.to.Handle(context.Background(), c.record) // slog ignores it, too
	}
}

func (l *limiter) counts(now time.Time) (counts []line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	due := false
	for _, r := range l.rows {
		due = due || r.isDue(now)
	}
	if !due {
		return nil
	}
	for _, r := range l.rows {
		if r.withheld > 0 {
			r.newest.withheld = r.counted()
			counts = append(counts, r.newest)
			r.newest = line{}
		}
	}
	l.pending.Store(0)
	slices.SortStableFunc(counts, func(a, b line) int {
		return cmp.Or(a.record.Time.Compare(b.record.Time), cmp.Compare(a.record.Message, b.record.Message))
	})
	return counts
}
