package belief

import "time"

// Report is what a person should know of what has happened since the last.
type Report struct {
	Began      bool // instances are held, and none were
	Held       int  // so many are
	NewHistory bool // the registry was wiped, restored or replaced
	Gone       []Gone
	Ended      bool          // none is held any more
	Most       int           // of those that were, at once …
	For        time.Duration // … for so long
	Listed     int           // by the registry
	// Unreached is the error of a probe, told once, when probes have never reached an instance of the service: a missing one is held for
	// the time of those without a probe, and let go.
	Unreached error
}

// told is what was reported.
type told struct {
	held  int
	most  int
	since time.Time
}

// Report returns what has happened since it was called last. ok is false when there is nothing to report.
func (b *Belief) Report(now time.Time) (r Report, ok bool) {
	t, n := &b.told, b.guard.holds.inside
	r = Report{Held: n, Listed: len(b.guard.listed), NewHistory: b.guard.pending && !b.course.isOpen(), Gone: b.guard.holds.takeGone()}
	t.most = max(t.most, n)
	switch {
	case n > 0 && t.held == 0:
		r.Began, t.since = true, now
	case n == 0 && t.held > 0:
		r.Ended, r.Most, r.For = true, t.most, now.Sub(t.since)
		t.most = 0
	}
	t.held = n
	if c := &b.reach; !c.told && !c.ever && c.err != nil && (c.failed >= warnAfter || r.Began && c.failed > 0 || len(r.Gone) > 0) {
		c.told, r.Unreached = true, c.err
	}
	return r, r.Began || r.Ended || len(r.Gone) > 0 || r.Unreached != nil
}
