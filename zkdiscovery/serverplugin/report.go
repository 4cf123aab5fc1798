package serverplugin

import "time"

// report is what the loop last said of everything. It never changes: another one takes its place.
type report struct {
	taken    int64   // mailbox.no of the newest change that it knows of
	session  int64   // State.Session that it is true of
	lines    []*line // one per service that is wanted, or whose node is not gone yet
	unready  bool    // one that is to be registered never was, or yields
	open     *line   // one of those that are to be registered and are not; nil when there is none
	counters Counters
	newer    chan struct{} // closed by the loop when another one has taken its place, and at the end
}

// line is what a report says of one service. It does not change either.
type line struct {
	order    order
	phase    Phase
	since    time.Time
	owner    int64 // Yielded: the session of the process that has the address
	inactive bool  // the node says so
	touched  bool  // something may have been written
	once     bool  // it was registered, since it is to be
	words    *layer
	err      *OpError
}

// of returns the line of a service, nil if there is none.
func (rep *report) of(path string) *line {
	for _, l := range rep.lines {
		if l.order.path == path {
			return l
		}
	}
	return nil
}

// byPath returns all lines by the service's path.
func (rep *report) byPath() map[string]*line {
	lines := make(map[string]*line, len(rep.lines))
	for _, l := range rep.lines {
		lines[l.order.path] = l
	}
	return lines
}

// publish makes a report of what has become of the nodes, if anything has.
func (r *registrar) publish() {
	if !r.dirty {
		return
	}
	r.dirty = false
	rep := &report{
		taken: r.taken, session: r.seen.Session, lines: make([]*line, 0, len(r.entries)), counters: r.counters, newer: make(chan struct{}),
	}
	for _, e := range r.entries {
		if e.line == nil {
			continue
		}
		rep.lines = append(rep.lines, e.line)
		if l := e.line; l.order.wanted && l.phase != Registered && (rep.open == nil || l.phase == Yielded) {
			rep.open = l
		}
		rep.unready = rep.unready || e.line.order.wanted && (!e.line.once || e.line.phase == Yielded)
	}
	close(r.report.Swap(rep).newer)
}

// write writes a node's line, after it has changed.
func (r *registrar) write(e *entry, now time.Time) {
	n := &e.node
	l := line{order: n.wish.order, phase: n.phase, since: now, touched: n.touched != 0, once: n.once, words: n.wish.words, err: e.err}
	if n.phase == Yielded {
		l.owner = n.seen.owner
	}
	l.inactive = n.seen.heard && inactive(n.seen.said)
	if was := e.line; was != nil && was.phase == l.phase {
		l.since = was.since
	}
	if e.line == nil || !e.line.equal(&l) {
		e.line, r.dirty = &l, true
	}
}

func (l *line) equal(o *line) bool {
	return l.order.no == o.order.no && l.phase == o.phase && l.since.Equal(o.since) && l.owner == o.owner && l.inactive == o.inactive &&
		l.touched == o.touched && l.once == o.once && l.words == o.words && l.err == o.err
}
