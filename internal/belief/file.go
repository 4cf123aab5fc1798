package belief

import (
	"maps"
	"slices"
	"time"

	"github.com/smallnest/rpcx/client"
)

// Record is what the file has, or is to have. Nobody changes its slices. So what is listed is shared, and not copied for each Record.
type Record struct {
	Generation
	AsOf   time.Time
	Listed []*client.KVPair // sorted by key
	Held   []Server         // those that are held, or wait for a first answer; in no order
}

// Servers returns all instances, sorted by key.
func (r *Record) Servers() []Server {
	all := make([]Server, 0, len(r.Listed)+len(r.Held))
	for _, p := range r.Listed {
		all = append(all, Server{Pair: p})
	}
	if len(r.Held) > 0 {
		all = append(all, r.Held...)
		slices.SortFunc(all, byServerKey)
	}
	return all
}

// lists returns the list that the file has, and who is held in it.
func (r *Record) lists() (pairs []*client.KVPair, held []string) {
	if len(r.Held) == 0 {
		return r.Listed, nil
	}
	servers := r.Servers()
	pairs = make([]*client.KVPair, len(servers))
	for i, s := range servers {
		pairs[i] = s.Pair
		if !s.HeldSince.IsZero() {
			held = append(held, s.Pair.Key)
		}
	}
	return pairs, held
}

// file is what is known of the cache file, and of what was shown before there was this Belief.
type file struct {
	known  bool // it was looked at
	may    bool // serve
	rec    *Record
	missed time.Time // when the first list came, which has waited for it in vain; zero: it has not, or it is known
	memory *Memory   // of a Belief before this one; nil: there is none, or there is a list
}

// MayServe says that what is known without the registry may serve from now on, while there is nothing better: what the file has, or what a caller was
// shown, if that is later.
func (b *Belief) MayServe() {
	if !b.file.may {
		b.file.may = true
		b.change(true)
	}
}

// serves returns what is shown before the first list, and as what. What a caller was shown waits for the file, beside which an operator's word may be.
func (f *file) serves() (*Record, Source) {
	if !f.may || !f.known {
		return nil, None
	}
	switch rec, _ := f.memories(); {
	case rec == nil:
		return nil, None
	case rec != f.rec:
		return rec, f.memory.source
	default:
		return rec, File
	}
}

// memories returns what was known of the service before its first list: what the file has, or what a caller was shown, if that is no older. shown
// tells which of its instances were in a list already.
func (f *file) memories() (rec *Record, shown func(key string) bool) {
	m := f.memory
	switch {
	case m == nil || f.rec != nil && f.may && m.isEarlier(f.rec):
		return f.rec, func(string) bool { return f.may }
	case f.rec == nil || !m.isEarlier(f.rec):
		return m.rec, func(string) bool { return true }
	}
	servers := m.rec.Servers()
	keys := make(map[string]bool, len(servers))
	for _, s := range servers {
		keys[s.Pair.Key] = true
	}
	return f.rec, func(key string) bool { return keys[key] }
}

// recall places what is known before the first list in the course: a pass that begins from now on tells whether the registry is as it was then.
func (b *Belief) recall() {
	rec, _ := b.file.memories()
	b.course.recall(rec.Generation)
}

// Found says what the file has, which another process, or this one before, has written: nil when there is nothing that can serve. inTheWay says
// that it has refused what ToSave has returned, as older.
func (b *Belief) Found(rec *Record, inTheWay bool, now time.Time) {
	f := &b.file
	if !f.known && f.memory != nil {
		b.change(true) // that has waited for this
	}
	f.known = true
	switch {
	case rec == nil:
	case b.guard.begun:
		ahead := b.isAhead(rec)
		if ahead {
			f.rec = rec
			b.relay(now)
		} else if !f.missed.IsZero() && now.Sub(f.missed) <= b.guard.window {
			b.guard.recall(rec.Servers(), rec.Lineage != b.course.now.Lineage, b.course.isOpen(), now)
		}
		f.missed = time.Time{}
		switch {
		case inTheWay:
			b.refused(rec)
		case ahead && b.heard.live && rec.Era > b.course.now.Era, !ahead && b.course.isAhead(rec.Generation):
			b.suspect(rec.Generation) // it has counted an era that is not known here, or the registry was restored from a backup
		}
	default:
		f.rec = rec
		b.recall()
		b.change(true)
	}
	if l := b.heard.waiting; l != nil {
		b.Listed(*l, now)
	}
}

// isAhead reports whether another process has heard later than what is shown. What was confirmed before that was asked for is not later, whatever its
// numbers: the registry was restored from a backup since, and the other process could not write for a while, or this one could not look.
func (b *Belief) isAhead(rec *Record) bool {
	if is := b.heard.relayed; is != nil && !is.Before(rec.Generation) {
		return false // of one generation two processes may hold others
	}
	return b.course.isAhead(rec.Generation) && !rec.AsOf.Before(b.heard.asked)
}

// refused decides how what the registry says at this moment gets into the file, which has refused it because of rec.
func (b *Belief) refused(rec *Record) {
	c, s, g := &b.course, &b.saved, rec.Generation
	switch {
	case !b.heard.live:
		s.again = true // when the registry says something again
	case g == b.accepted:
		// Another process has confirmed the same list later, or by a clock that is ahead, and holds others. The newest is what is said last.
		if !rec.AsOf.Before(s.asOf) {
			s.Generation, s.asOf, s.rec = g, rec.AsOf, rec
		}
		s.again = true
	case g == c.floor, c.isAhead(g), g.Lineage != c.now.Lineage && g.Era >= c.now.Era:
		b.suspect(g) // it may be later than what is known here, or of a history that is over
	case g.Lineage == b.accepted.Lineage && g.Before(b.accepted):
		s.again = true // later lists were accepted since
	}
}

// suspect has the next pass tell whether the registry is as another process has heard it.
func (b *Belief) suspect(g Generation) {
	b.course.doubt(g)
	b.saved.again = true // when the doubt is settled
	b.accept()
}

// relay turns to what another process has heard later, while the registry cannot be asked.
func (b *Belief) relay(now time.Time) {
	rec := b.file.rec
	if b.heard.live || !b.guard.begun || rec == nil || rec == b.heard.relayed || !b.isAhead(rec) {
		return
	}
	b.course.doubt(rec.Generation)
	b.heard.relayed, b.heard.asked, b.accepted = rec, rec.AsOf, rec.Generation
	b.guard.relayed(rec.Servers(), now)
	b.saved.found(rec)
	b.change(true)
}

// forgetFile lets go of a file that is not ahead any more. If its numbers are, the next pass tells why.
func (b *Belief) forgetFile() {
	rec := b.file.rec
	b.file.memory = nil
	if rec == nil || b.isAhead(rec) {
		return
	}
	b.file.rec = nil
	if b.course.isAhead(rec.Generation) {
		b.suspect(rec.Generation)
	}
}

// Memory is what a Belief that is let go knows of the registry. Nothing in it changes.
type Memory struct {
	rec          *Record             // what a caller was shown, with the generation that was accepted last, and the time when it was asked for
	source       Source              // where that comes from without the registry: Stale or File
	link         int64               // over which the registry has listed last
	suspectUntil time.Time           // see guard
	lost         []loss              // see guard
	left         map[string]struct{} // see holds
	reach        reach
}

// isEarlier reports whether what was shown is of an earlier time than the file's record.
func (m *Memory) isEarlier(rec *Record) bool {
	return m.rec.Before(rec.Generation) && !rec.AsOf.Before(m.rec.AsOf)
}

// Remember takes what a Belief of the same service knew that was let go. What a caller was shown is guarded like the list of a file that has served.
// After the first list it does nothing.
func (b *Belief) Remember(m *Memory) {
	if was := b.file.memory; !b.guard.begun && (was == nil || was.rec.Before(m.rec.Generation)) {
		b.file.memory, b.reach = m, m.reach
		g := &b.guard
		g.suspectUntil, g.lost, g.holds.left = m.suspectUntil, slices.Clone(m.lost), maps.Clone(m.left)
		b.recall()
		b.change(true)
	}
}

// Memory returns what is known of the registry, for Remember when this Belief is let go and another is made later. Before the first list it is what this
// Belief remembers itself, or has shown of the file since; nil: nothing.
func (b *Belief) Memory() *Memory {
	if b.guard.begun {
		rec, source := b.record(b.heard.asked), Stale
		rec.Held = slices.DeleteFunc(rec.Held, func(s Server) bool { return !b.guard.holds.of(s.Pair.Key).inside })
		if b.heard.relayed != nil {
			source = File
		}
		g := &b.guard
		return &Memory{rec, source, b.heard.link, g.suspectUntil, slices.Clone(g.lost), maps.Clone(g.holds.left), b.reach.rested()}
	}
	rec, source := b.file.serves()
	if rec == nil {
		return b.file.memory
	}
	m := Memory{left: make(map[string]struct{})}
	if was := b.file.memory; was != nil {
		m = *was
	}
	m.rec, m.source = rec, source
	return &m
}
