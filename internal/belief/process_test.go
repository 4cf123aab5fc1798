package belief

import (
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/internal/probe"
)

// process drives a Belief as a program does, and checks what it promises.
type process struct {
	*fleet
	b      *Belief
	cfg    Config
	mirror mirror
	skew   time.Duration // of its clock

	link      int64
	connected bool
	pass      *Listing // under way
	override  *Decision
	cut       bool // from the instances
	busy      bool // has no descriptors
	hung      bool // its disk is
	want      *Record
	looked    *Record // at the file, last
	under     map[Ask]time.Time

	gone    map[string]bool // let go, and not listed since
	stays   []string        // were in the list at the last look
	saved   *Record
	newest  Generation // that was shown
	highest Generation // that it has listed
	begun   int64      // how many histories of the registry's had ended when pass began …
	heard   int64      // … and the newest list
}

func (p *process) clock() time.Time { return p.now.Add(p.skew) }

// start is a start of the process, or of its Belief: then it remembers.
func (p *process) start(memory *Memory) {
	cfg := p.cfg
	cfg.FileBy = p.clock().Add(250 * time.Millisecond)
	p.b = New(cfg)
	p.mirror.seen, p.mirror.pairs, p.mirror.edits = nil, nil, 0
	p.pass, p.looked, p.want, p.saved, p.under = nil, nil, nil, nil, make(map[Ask]time.Time)
	p.heard = 0
	p.gone, p.stays, p.newest, p.highest = make(map[string]bool), nil, Generation{}, Generation{}
	if p.override != nil {
		p.b.Overridden(p.override)
	}
	if memory != nil {
		p.b.Remember(memory)
	} else {
		p.connected = false
	}
}

// letGo lets the Belief go, and takes it up again.
func (p *process) letGo() { p.start(p.b.Memory()) }

func (p *process) connect() {
	if !p.connected {
		p.link++
		p.connected = true
		p.mirror.at = 0
		p.mirror.seen = nil
	}
}

func (p *process) disconnect() {
	p.connected, p.pass = false, nil
	p.b.Away(p.clock())
}

// begin begins to read the registry, from a server that lags if it may.
func (p *process) begin(lag int) {
	if !p.connected || p.pass != nil {
		return
	}
	p.begun = p.zk.events
	newest := len(p.zk.states) - 1
	if p.mirror.at == 0 || p.b.Doubting() {
		p.pass = p.mirror.read(p.zk, newest, true, true, p.b.Doubts(), p.clock())
	} else {
		p.pass = p.mirror.read(p.zk, max(p.mirror.at, newest-lag), false, false, p.b.Doubts(), p.clock())
	}
}

// end is when it has been read.
func (p *process) end() {
	p.Helper()
	l := p.pass
	if p.pass = nil; l == nil {
		return
	}
	p.heard = p.begun
	was, highest, begun := p.b.course.now, p.highest, p.b.guard.begun
	p.b.Live(p.link, 10*time.Second, p.clock())
	p.b.Listed(*l, p.clock())
	if !p.b.guard.begun {
		return
	}
	is := p.b.course.now
	if l.Proof && begun && highest.Lineage == l.Lineage && l.Zxid < highest.Zxid && is.Era <= was.Era {
		p.Fatalf("%+v after %+v: a backup was restored, zxid %d is in a whole pass", is, was, l.Zxid)
	}
	if l.Lineage != highest.Lineage || is.Era != highest.Era {
		highest.Zxid = 0
	}
	p.highest = Generation{l.Lineage, is.Era, max(l.Zxid, highest.Zxid)}
	if p.b.heard.relayed != nil {
		return // it was passed over
	}
	p.stays = nil
	shown := p.b.guard.shows()
	for _, pair := range l.Pairs {
		if delete(p.gone, pair.Key); !slices.Contains(shown, pair) {
			p.Fatalf("%v is listed, and not in the list", *pair)
		}
	}
}

// look looks at the file.
func (p *process) look() {
	if p.looked != p.file || p.file == nil {
		p.looked = p.file
		p.found(p.file, false)
	}
}

func (p *process) found(rec *Record, inTheWay bool) {
	relayed := p.b.heard.relayed
	p.b.Found(rec, inTheWay, p.clock())
	p.relays(relayed)
}

// relays notes that the list is another process's now.
func (p *process) relays(was *Record) {
	if rec := p.b.heard.relayed; rec != nil && rec != was {
		if !p.skewed && p.of[rec] < p.heard {
			p.Fatalf("%+v is relayed, of history %d, and %d was listed before", rec.Generation, p.of[rec], p.heard)
		}
		p.stays = nil
		for _, pair := range rec.Listed {
			delete(p.gone, pair.Key)
		}
	}
}

// run lets the process do what is to be done, until then.
func (p *process) run(end time.Time) {
	p.Helper()
	for range 100_000 {
		p.b.Tick(p.clock())
		done := false
		var next time.Time
		for ask, at := range p.under {
			if at.After(p.now) {
				next = Sooner(next, at)
				continue
			}
			delete(p.under, ask)
			p.b.Probed(ask, p.ask(ask.Pair.Key), p.clock())
			done = true
		}
		for _, ask := range p.b.Asks(p.clock()) {
			p.under[ask] = p.now
			if !p.up[ask.Pair.Key] {
				p.under[ask] = p.now.Add(time.Second)
			}
			done = true
		}
		wake, refused := p.save()
		p.check()
		if done || refused {
			continue
		}
		if at := p.b.Wake(); !at.IsZero() {
			if !at.After(p.clock()) {
				p.Fatalf("to be woken at %v, which is not after %v, and nothing was to be done", at, p.clock())
			}
			wake = Sooner(wake, at)
		}
		if !wake.IsZero() {
			next = Sooner(next, wake.Add(-p.skew))
		}
		if next.IsZero() || next.After(end) {
			p.now = end
			return
		}
		p.now = next
	}
	p.Fatal("it does not come to rest")
}

func (p *process) ask(key string) Outcome {
	switch {
	case p.busy:
		return Outcome{Answer: probe.CouldNotAsk, Err: errBusy}
	case key == p.keys[5]:
		return Outcome{Answer: probe.Unaskable}
	case p.up[key] && !p.cut:
		return Outcome{Answer: probe.Alive}
	}
	return Outcome{Answer: probe.Silent, Err: errSilent}
}

// save saves what is to be saved.
func (p *process) save() (wake time.Time, refused bool) {
	p.Helper()
	rec, wake := p.b.ToSave(p.clock())
	if rec != nil {
		p.savedIsNoEarlier(rec)
		p.want = rec
	}
	if p.want != nil && !p.hung {
		rec, p.want = p.want, nil
		if refused = !p.write(rec); refused {
			p.found(p.file, true)
		}
	}
	return wake, refused
}

// write is filecache.Save.
func (p *process) write(rec *Record) bool {
	written := *rec
	rec = &written // as time may be told otherwise
	p.of[rec] = p.heard
	old := p.file
	if old == nil || later(rec, old) {
		p.file = rec
		return true
	}
	same := slices.EqualFunc(old.Servers(), rec.Servers(), func(a, b Server) bool { return *a.Pair == *b.Pair })
	switch {
	case !same || rec.Generation != old.Generation:
		return false
	case old.AsOf.After(p.clock()):
		p.file = rec
	case !slices.EqualFunc(old.Servers(), rec.Servers(), Server.equal):
		rec.AsOf = old.AsOf
		p.file = rec
	}
	return true
}

// later is the order of files: by era, within a lineage by zxid, else by time.
func later(a, b *Record) bool {
	switch {
	case a.Era != b.Era:
		return a.Era > b.Era
	case a.Lineage == b.Lineage && a.Zxid != b.Zxid:
		return a.Zxid > b.Zxid
	}
	return a.AsOf.After(b.AsOf)
}

func (p *process) savedIsNoEarlier(rec *Record) {
	p.Helper()
	ahead := p.file != nil && p.file.AsOf.After(p.clock()) // by a clock that was, and it is to be put right
	if was := p.saved; was != nil && later(was, rec) && !was.AsOf.After(p.clock()) && !ahead {
		p.Fatalf("%+v as of %v is to be saved after %+v as of %v", rec.Generation, rec.AsOf, was.Generation, was.AsOf)
	}
	p.saved = rec
	for _, s := range rec.Servers() {
		if p.gone[s.Pair.Key] {
			p.Fatalf("%s was let go, and is to be saved", s.Pair.Key)
		}
	}
}

func (p *process) check() {
	p.Helper()
	r, _ := p.b.Report(p.clock())
	for _, g := range r.Gone {
		p.gone[g.Key] = true
	}
	s := p.b.Shown()
	if p.override != nil {
		if s.Source != Override || len(s.Pairs) != len(p.override.Pairs) {
			p.Fatalf("a person has decided, and the list comes from %v: %v", s.Source, keysOf(s.Pairs))
		}
		return
	}
	got := keysOf(s.Pairs)
	if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) || !slices.IsSorted(s.Held) {
		p.Fatalf("not sorted, or one twice: %v, held %v", got, s.Held)
	}
	if told := p.b.Held(s.Held); len(told) != len(s.Held) && (p.b.guard.begun || s.Source == File) {
		p.Fatalf("%v are held, and %v is told", s.Held, told)
	}
	if !p.b.guard.begun {
		return
	}
	for _, key := range got {
		if p.gone[key] {
			p.Fatalf("%s was let go, and is back", key)
		}
	}
	for _, key := range p.stays {
		if !p.b.heard.live && !slices.Contains(got, key) {
			p.Fatalf("%s has left while the registry could not be asked", key)
		}
	}
	p.stays = got
	if g, was := s.Generation, p.newest; g.Era < was.Era || g.Era == was.Era && g.Lineage == was.Lineage && g.Zxid < was.Zxid {
		p.Fatalf("the list goes back in time: %+v after %+v", g, was)
	}
	p.newest = s.Generation
	for _, g := range []Generation{s.Generation, p.b.course.now, p.b.course.floor} {
		if g.Era > 1+p.zk.events {
			p.Fatalf("era %d, and only %d histories have begun: %+v", g.Era, 1+p.zk.events, p.b.course)
		}
	}
	if n := p.b.guard.holds.len() + len(p.b.guard.lost) + len(p.b.guard.holds.left); n > 3*len(p.keys) {
		p.Fatalf("%d are remembered", n)
	}
}
