package belief

import (
	"cmp"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/internal/probe"
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

// Belief is what is believed about one service. It belongs to one goroutine. See the package's doc.
type Belief struct {
	cfg      Config
	course   course
	accepted Generation // the file is stamped with it: the newest list, once the guard suspects none of its losses any more
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
	link    int64     // over which it was live last; 0: none
	waiting *Listing  // the first list, while it waits for the file
	relayed *Record   // shown instead, while the registry cannot be asked: another process has heard more
	asked   time.Time // when the list was asked for; where relayed is shown, when that was confirmed
}

// New returns a Belief that knows nothing. cfg must be valid; see Config.Validate.
func New(cfg Config) *Belief {
	cfg = cfg.withDefaults()
	return &Belief{
		cfg: cfg, reach: reach{ever: cfg.Reached},
		guard: guard{cfg: cfg, window: cmp.Or(cfg.Window, DefaultWindow), holds: newHolds(cfg), away: true},
	}
}

// Listed takes the newest whole list. It may be told the same again. A list that may be older than one from the file, which is shown, is passed
// over: the pass that settles Doubts must follow.
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
			b.guard.remember(rec.Servers(), shown)
		} else if !b.file.known {
			b.file.missed = now
		}
		if b.file.rec != nil {
			b.saved.found(b.file.rec)
		}
	case h.relayed == nil && l.says(&h.Listing):
		b.Confirmed(l.AsOf)
		return
	}
	doubted := b.course.isOpen()
	other := b.course.listed(&l, !b.cfg.MetadataOnce || l.Proof)
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
	if news || l.Synced || !l.lists(&h.Listing) { // else it is the same, and was not asked for again: it only proves less now, or a doubt was raised
		h.asked = l.AsOf
	}
	h.Listing, h.waiting, h.relayed = l, nil, nil
	b.accept()
	b.forgetFile()
}

// says reports whether l is o, confirmed again.
func (l *Listing) says(o *Listing) bool {
	return l.lists(o) && l.Synced == o.Synced && l.Proof == o.Proof && l.Doubt == o.Doubt && l.Edits == o.Edits
}

// lists reports whether l lists what o does.
func (l *Listing) lists(o *Listing) bool {
	return sameSlice(l.Pairs, o.Pairs) && l.Lineage == o.Lineage && l.Zxid == o.Zxid
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
		if h.link > 0 || served || f.memory != nil && f.memory.link != link {
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

// Tick lets time pass.
func (b *Belief) Tick(now time.Time) {
	if l := b.heard.waiting; l != nil && !now.Before(b.cfg.FileBy) {
		b.Listed(*l, now)
	}
	b.guard.tick(now)
	b.accept()
}

// Asks returns the instances that are to be probed now. Each must come back through Probed, once, with CouldNotAsk if nothing else is known.
func (b *Belief) Asks(now time.Time) []Ask {
	if b.guard.away || b.cfg.Obey || !b.guard.begun {
		return nil
	}
	asks := b.guard.holds.asks(nil, now)
	if len(b.guard.listed) > 0 {
		if trial, ok := b.reach.ask(&b.cfg, b.guard.listed, b.guard.holds.len() > 0, now); ok {
			asks = append(asks, trial)
		}
	}
	return asks
}

// isQuiet reports whether the probe is to be tried in its time.
func (b *Belief) isQuiet() bool {
	return !b.guard.away && !b.cfg.Obey && b.guard.begun && b.guard.holds.len() == 0 && len(b.guard.listed) > 0
}

// Probed takes the outcome of a probe that Asks has asked for. It may come late: what it says about a hold that has ended is passed over.
func (b *Belief) Probed(a Ask, o Outcome, now time.Time) {
	switch o.Answer {
	case probe.Alive:
		b.reach.ever = true
	case probe.Silent:
		if b.guard.away {
			o.Answer = probe.CouldNotAsk // it may be this process that is cut off
		} else {
			b.reach.err = o.Err
		}
	case probe.CouldNotAsk, probe.Unaskable:
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
