package belief

import (
	"cmp"
	"slices"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/internal/probe"
)

// Source says where a list comes from. The numbers are those of zkdiscovery.Source.
type Source uint8

// The sources, as zkdiscovery documents them.
const (
	None Source = iota
	File
	Override
	Stale
	Live
)

// Listing is a whole answer of the registry's.
type Listing struct {
	Pairs   []*client.KVPair // sorted by key, each key once; neither the slice nor the pairs change any more
	Lineage string           // a life of the service's path; "" where the registry knows no such thing
	Zxid    int64            // the newest transaction in it; 0 where the registry knows no such thing
	Synced  bool             // it follows a sync; true where the registry knows no such thing
	Proof   bool             // it does, and all of it was read after that: a lower Zxid means that the registry was restored from a backup
	Doubt   int64            // the newest of Doubts that was known when it was asked for
	Edits   int64            // grows when Pairs changes in more than calls and connections
	AsOf    time.Time        // when it was asked for, or confirmed last
}

// Record is what the file has, or is to have.
type Record struct {
	Generation
	AsOf    time.Time
	Servers []Server // sorted by key
}

// Decision is what an operator has decided.
type Decision struct {
	Pairs []*client.KVPair // sorted by key
	AsOf  time.Time
}

// Shown is the list of this moment. Nothing in it changes.
type Shown struct {
	Generation
	Source Source
	Pairs  []*client.KVPair
	Held   []string // keys, sorted
	AsOf   time.Time
	Link   int64 // the connection that has confirmed it, as Live was told
}

// Belief is what is believed about one service. It belongs to one goroutine. See the package's doc.
type Belief struct {
	cfg      Config
	course   course
	accepted Generation // of the newest list whose losses are not in doubt any more: what the file is stamped with
	guard    guard
	reach    reach
	heard    heard
	file     file
	decision *Decision
	saved    saved
	told     told
	version  Version // but for the guard's part
}

// heard is what the registry has said.
type heard struct {
	Listing
	live    bool
	link    int64    // over which it was live last; 0: none
	waiting *Listing // the first list, while it waits for the file
	relayed *Record  // shown instead, while the registry cannot be asked: another process has heard more
}

// file is what is known of the cache file, and of what was shown before there was this Belief.
type file struct {
	known  bool // it was looked at
	may    bool // serve
	rec    *Record
	memory *Record // what a caller was shown …
	link   int64   // … over which connection
}

// Version tells whether what is shown has changed.
type Version struct {
	All   int64 // grows with every change
	Edits int64 // grows with every change but those of calls and connections
}

// New returns a Belief that knows nothing. cfg must be valid; see Config.Validate.
func New(cfg Config) *Belief {
	cfg = cfg.withDefaults()
	return &Belief{
		cfg: cfg, reach: reach{ever: cfg.Reached},
		guard: guard{cfg: cfg, window: cmp.Or(cfg.Window, DefaultWindow), holds: newHolds(cfg), away: true},
	}
}

// Listed takes the newest whole list. It may be told the same again.
func (b *Belief) Listed(l Listing, now time.Time) {
	h := &b.heard
	first := !b.guard.begun
	switch {
	case first && !b.file.known && now.Before(b.cfg.FileBy):
		waiting := l // of which there is one in the life of a Belief: l itself is not to be allocated
		h.waiting = &waiting
		return
	case first:
		rec, shown := b.file.memories()
		if rec != nil {
			b.accepted = rec.Generation
			b.guard.remember(rec.Servers, shown)
		}
		if b.file.rec != nil {
			b.saved.found(b.file.rec)
		}
	case h.relayed == nil && l.says(&h.Listing):
		b.Confirmed(l.AsOf)
		return
	}
	doubted := b.course.isOpen()
	other := b.course.listed(&l)
	open := b.course.isOpen()
	if h.relayed != nil && open {
		return // it may be older than what is shown: the pass that settles the doubt will tell
	}
	news := first || other || h.relayed != nil
	if changed := news || !sameSlice(l.Pairs, h.Pairs); changed || doubted && !open {
		b.guard.take(l.Pairs, other, open, now)
		if changed {
			b.change(news || l.Edits != h.Edits)
		}
	}
	h.Listing, h.waiting, h.relayed = l, nil, nil
	b.accept()
	b.forgetFile()
}

// says reports whether l is o, confirmed again.
func (l *Listing) says(o *Listing) bool {
	return sameSlice(l.Pairs, o.Pairs) && l.Lineage == o.Lineage && l.Zxid == o.Zxid && l.Synced == o.Synced && l.Proof == o.Proof &&
		l.Doubt == o.Doubt && l.Edits == o.Edits
}

// memories returns what was known of the service before its first list: what the file has, or what a caller was shown, if that is no older. shown
// tells which of its instances were in a list already.
func (f *file) memories() (rec *Record, shown func(key string) bool) {
	m := f.memory
	switch {
	case m != nil && (f.rec == nil || !m.Before(f.rec.Generation)):
		return m, func(string) bool { return true }
	case m == nil || f.may:
		return f.rec, func(string) bool { return f.may }
	}
	keys := make(map[string]bool, len(m.Servers))
	for _, s := range m.Servers {
		keys[s.Pair.Key] = true
	}
	return f.rec, func(key string) bool { return keys[key] }
}

// recall places what is known before the first list in the course: a pass that begins from now on tells whether the registry is as it was then.
func (b *Belief) recall() {
	rec, _ := b.file.memories()
	b.course.recall(rec.Generation)
}

// accept notes the generation that the file may be stamped with.
func (b *Belief) accept() {
	if !b.guard.pending && !b.course.isOpen() {
		b.accepted = b.course.now
	}
}

// Live says that the registry can be asked and has listed over the connection of that number, the first one being 1. It is told before the list
// itself. timeout is that of the servers' sessions as far as it is known: losses are counted over a window of at least that, unless
// Config.Window says otherwise.
func (b *Belief) Live(link int64, timeout time.Duration, now time.Time) {
	h, f := &b.heard, &b.file
	if h.live && link == h.link {
		return
	}
	if link != h.link {
		b.guard.window = cmp.Or(b.cfg.Window, max(DefaultWindow, timeout))
		served := !b.guard.begun && f.may && f.rec != nil
		if h.link > 0 || served || f.memory != nil && f.link != link {
			b.guard.suspect(now)
		}
	}
	h.live, h.link = true, link
	b.guard.setAway(false, now)
	b.change(true)
}

// Away says that the registry cannot be asked, or does not list.
func (b *Belief) Away(now time.Time) {
	if !b.heard.live {
		return
	}
	b.heard.live = false
	b.guard.setAway(true, now)
	b.change(true)
	b.relay(now)
}

// Confirmed says that the registry has confirmed the list at that time.
func (b *Belief) Confirmed(at time.Time) {
	if b.heard.live && at.After(b.heard.AsOf) {
		b.heard.AsOf = at
	}
}

// Found says what the file has, which another process, or this one before, has written: nil when there is nothing that can serve. inTheWay says
// that it has refused what ToSave has returned, as older.
func (b *Belief) Found(rec *Record, inTheWay bool, now time.Time) {
	f := &b.file
	f.known = true
	switch {
	case rec == nil:
	case b.guard.begun:
		if b.course.isAhead(rec.Generation) {
			f.rec = rec
			b.relay(now)
		}
		if inTheWay && b.heard.live {
			b.refused(rec)
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

// refused decides how what the registry says at this moment gets into the file, which has refused it because of rec.
func (b *Belief) refused(rec *Record) {
	c, s, g := &b.course, &b.saved, rec.Generation
	switch {
	case g == b.accepted:
		// Another process has confirmed the same list later, or by a clock that is ahead, and holds others. The newest is what is said last.
		if !rec.AsOf.Before(s.asOf) {
			s.Generation, s.asOf, s.rec = g, rec.AsOf, rec
		}
		s.again = true
	case c.isAhead(g), g.Lineage != c.now.Lineage && g.Era >= c.now.Era:
		// It may be later than what is known here, or of a history that is over.
		c.doubt(g)
		s.again = true // when the doubt is settled
		b.accept()
	case g.Lineage == b.accepted.Lineage && g.Before(b.accepted):
		s.again = true // later lists were accepted since
	}
}

// relay turns to what another process has heard later, while the registry cannot be asked.
func (b *Belief) relay(now time.Time) {
	rec := b.file.rec
	if b.heard.live || !b.guard.begun || rec == nil || rec == b.heard.relayed || !b.course.isAhead(rec.Generation) {
		return
	}
	b.course.doubt(rec.Generation)
	b.heard.relayed, b.accepted = rec, rec.Generation
	b.guard.relayed(rec.Servers, now)
	b.saved.found(rec)
	b.change(true)
}

// forgetFile lets go of a file that has nothing to say any more.
func (b *Belief) forgetFile() {
	b.file.memory = nil
	if rec := b.file.rec; rec != nil && !b.course.isAhead(rec.Generation) {
		b.file.rec = nil
	}
}

// Remember takes what a caller was shown by a Belief that was let go since, and over which connection that was live. Those instances are guarded
// like those of a file that has served. It does nothing after the first list.
func (b *Belief) Remember(rec *Record, link int64) {
	if m := b.file.memory; !b.guard.begun && (m == nil || m.Before(rec.Generation)) {
		b.file.memory, b.file.link = rec, link
		b.recall()
	}
}

// Memory returns what is shown of the registry, for Remember when this Belief is let go and another is made later: nil before the first list. It
// has the generation that was accepted last.
func (b *Belief) Memory() *Record {
	if !b.guard.begun {
		return nil
	}
	rec := &Record{Generation: b.accepted, AsOf: b.heard.AsOf, Servers: b.guard.record()}
	if r := b.heard.relayed; r != nil {
		rec.AsOf = r.AsOf
	}
	rec.Servers = slices.DeleteFunc(rec.Servers, func(s Server) bool {
		h := b.guard.holds.of(s.Pair.Key)
		return h != nil && !h.inside
	})
	return rec
}

// MayServe says that the file may serve from now on, while there is nothing better.
func (b *Belief) MayServe() {
	if !b.file.may {
		b.file.may = true
		b.change(true)
	}
}

// Overridden says what an operator has decided; nil: nothing any more.
func (b *Belief) Overridden(d *Decision) {
	if d == b.decision {
		return
	}
	b.decision = d
	b.change(true)
}

func (b *Belief) change(edit bool) {
	b.version.All++
	if edit {
		b.version.Edits++
	}
}

// Tick lets time pass.
func (b *Belief) Tick(now time.Time) {
	if l := b.heard.waiting; l != nil && !now.Before(b.cfg.FileBy) {
		b.Listed(*l, now)
	}
	b.guard.tick(now)
	b.accept()
}

// Asks returns the instances that are to be probed now. Each must come back through Probed, once.
func (b *Belief) Asks(now time.Time) []Ask {
	if b.guard.away || b.cfg.Obey || !b.guard.begun {
		return nil
	}
	asks := b.guard.holds.asks(nil, now)
	if b.isQuiet() {
		if trial, ok := b.reach.ask(&b.cfg, b.guard.listed, now); ok {
			asks = append(asks, trial)
		}
	}
	return asks
}

// isQuiet reports whether the probe may be tried.
func (b *Belief) isQuiet() bool {
	return !b.guard.away && !b.cfg.Obey && b.guard.begun && b.guard.holds.len() == 0 && len(b.guard.listed) > 0
}

// Probed takes the outcome of a probe that Asks has asked for.
func (b *Belief) Probed(a Ask, o Outcome, now time.Time) {
	if o.Answer == probe.Silent && b.guard.away {
		o.Answer = probe.CouldNotAsk // it may be this process that is cut off
	}
	switch {
	case o.Answer == probe.Alive:
		b.reach.ever = true
	case o.Answer == probe.Silent:
		b.reach.err = o.Err
	}
	if a.Trial {
		b.reach.tried(&b.cfg, o, now)
		return
	}
	b.guard.probed(a.Pair.Key, o, b.reach.ever, now)
}

// Reached reports whether a probe has ever reached an instance of the service: see Config.Reached.
func (b *Belief) Reached() bool { return b.reach.ever }

// Doubts grows when the registry is to be read again: a list that follows a sync, with everything read. The number that it has when that begins
// comes back in Listing.Doubt.
func (b *Belief) Doubts() int64 { return b.course.doubts }

// Doubting reports whether the newest of Doubts is open. Until it is not, a list that would go back behind what is shown is passed over.
func (b *Belief) Doubting() bool { return b.course.isOpen() }

// Wake is when Tick or Asks has something to do if nothing happens before; zero when never.
func (b *Belief) Wake() time.Time {
	at := b.guard.wake()
	if b.heard.waiting != nil {
		at = Sooner(at, b.cfg.FileBy)
	}
	if b.isQuiet() {
		at = Sooner(at, b.reach.wake())
	}
	return at
}

// Version tells whether Shown has changed in more than AsOf and Zxid.
func (b *Belief) Version() Version {
	n := b.guard.holds.changes
	return Version{b.version.All + n, b.version.Edits + n}
}

// Source is where the list comes from.
func (b *Belief) Source() Source {
	switch f := &b.file; {
	case b.decision != nil:
		return Override
	case b.guard.begun && b.heard.relayed != nil:
		return File
	case b.guard.begun && b.heard.live:
		return Live
	case b.guard.begun:
		return Stale
	case f.rec != nil && f.may:
		return File
	}
	return None
}

// Ready reports whether the first list waits for the file: until it does not, nothing should be shown that was not before.
func (b *Belief) Ready() bool { return b.heard.waiting == nil }

// IsAtALoss reports that nothing is known to be shown, and that the file, which might serve, has nothing either.
func (b *Belief) IsAtALoss() bool { return b.file.known && b.file.may && b.Source() == None }

// Shown returns the list of this moment.
func (b *Belief) Shown() Shown {
	s := Shown{Source: b.Source(), Link: b.heard.link}
	switch s.Source {
	case Override:
		s.Pairs, s.AsOf = b.decision.Pairs, b.decision.AsOf
	case Live, Stale:
		s.Pairs, s.Held = b.guard.shows(), b.guard.holds.keys()
		s.AsOf, s.Generation = b.heard.AsOf, b.course.now
	case File:
		rec := b.heard.relayed
		if rec != nil {
			s.Pairs, s.Held = b.guard.shows(), b.guard.holds.keys()
		} else {
			rec = b.file.rec
			s.Pairs, s.Held = rec.lists()
		}
		s.AsOf, s.Generation = rec.AsOf, rec.Generation
	case None:
	}
	return s
}

// lists returns the list that the file has, and who is held in it.
func (r *Record) lists() (pairs []*client.KVPair, held []string) {
	pairs = make([]*client.KVPair, len(r.Servers))
	for i, s := range r.Servers {
		pairs[i] = s.Pair
		if !s.HeldSince.IsZero() {
			held = append(held, s.Pair.Key)
		}
	}
	return pairs, held
}
