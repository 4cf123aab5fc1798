package belief

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/internal/probe"
)

// fleet is a few processes that share a file and a registry.
type fleet struct {
	*testing.T
	zk        *registry
	now       time.Time
	keys      []string
	up        map[string]bool
	file      *Record
	processes []*process
}

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
}

func newFleet(t *testing.T, odd byte) *fleet {
	t.Helper()
	f := &fleet{T: t, zk: newRegistry(), now: time.Unix(1e9, 0), up: make(map[string]bool)}
	for i := range 6 {
		f.keys = append(f.keys, "tcp@h:"+string('1'+rune(i)))
	}
	for i := range 3 {
		p := &process{fleet: f, cfg: Config{Random: func(n int64) int64 { return n / 2 }}}
		if i == 1 && odd&1 != 0 {
			p.mirror.forbidden = map[string]bool{f.keys[0]: true}
		}
		if i == 0 && odd&2 != 0 {
			p.mirror.noData = true
		}
		p.cfg.Obey = i == 2 && odd&4 != 0
		p.cfg.Reached = odd&8 != 0
		f.processes = append(f.processes, p)
		p.start(nil, 0)
	}
	return f
}

func (p *process) clock() time.Time { return p.now.Add(p.skew) }

// start is a start of the process, or of its Belief: then it remembers.
func (p *process) start(memory *Record, link int64) {
	cfg := p.cfg
	cfg.FileBy = p.clock().Add(250 * time.Millisecond)
	p.b = New(cfg)
	p.mirror.seen, p.mirror.pairs, p.mirror.edits = nil, nil, 0
	p.pass, p.looked, p.want, p.saved, p.under = nil, nil, nil, nil, make(map[Ask]time.Time)
	p.gone, p.stays, p.newest, p.highest = make(map[string]bool), nil, Generation{}, Generation{}
	if p.override != nil {
		p.b.Overridden(p.override)
	}
	if memory != nil {
		p.b.Remember(memory, link)
	} else {
		p.connected = false
	}
}

// letGo lets the Belief go, and takes it up again.
func (p *process) letGo() { p.start(p.b.Memory(), p.b.Shown().Link) }

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
		p.stays = nil
		for _, s := range rec.Servers {
			if s.HeldSince.IsZero() {
				delete(p.gone, s.Pair.Key)
			}
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
		wake := p.save()
		p.check()
		if done {
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
func (p *process) save() (wake time.Time) {
	p.Helper()
	rec, wake := p.b.ToSave(p.clock())
	if rec != nil {
		p.savedIsNoEarlier(rec)
		p.want = rec
	}
	if p.want != nil && !p.hung {
		rec, p.want = p.want, nil
		if !p.write(rec) {
			p.found(p.file, true)
		}
	}
	return wake
}

// write is filecache.Save.
func (p *process) write(rec *Record) bool {
	rec = &Record{Generation: rec.Generation, AsOf: rec.AsOf, Servers: slices.Clone(rec.Servers)}
	old := p.file
	if old == nil || later(rec, old) {
		p.file = rec
		return true
	}
	same := slices.EqualFunc(old.Servers, rec.Servers, func(a, b Server) bool { return *a.Pair == *b.Pair })
	switch {
	case !same || rec.Generation != old.Generation:
		return false
	case old.AsOf.After(p.clock()):
		p.file = rec
	case !slices.EqualFunc(old.Servers, rec.Servers, Server.equal):
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
	if was := p.saved; was != nil && later(was, rec) && !was.AsOf.After(p.clock()) {
		p.Fatalf("%+v as of %v is to be saved after %+v as of %v", rec.Generation, rec.AsOf, was.Generation, was.AsOf)
	}
	p.saved = rec
	for _, s := range rec.Servers {
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

// live lets time pass for all.
func (f *fleet) live(d time.Duration) {
	f.Helper()
	from := f.now
	for _, p := range f.processes {
		f.now = from
		p.run(from.Add(d))
	}
	f.now = from.Add(d)
}

// inTheEndTheListIsTheRegistrys when all is well again.
func (f *fleet) inTheEndTheListIsTheRegistrys() {
	f.Helper()
	for _, p := range f.processes {
		p.skew, p.cut, p.busy, p.hung = 0, false, false, false
		p.override = nil
		p.b.Overridden(nil)
	}
	settle := func() {
		for range 4 {
			for _, p := range f.processes {
				p.end()
				p.look()
				p.connect()
				p.b.SaveAgain()
				p.begin(0)
				p.end()
				f.live(time.Second)
			}
		}
	}
	settle()
	f.live(4 * time.Hour) // clocks were ahead
	settle()
	truth := f.zk.truth()
	for i, p := range f.processes {
		var want []string
		for _, key := range f.keys {
			_, listed := truth.instances[key]
			if h := p.b.guard.holds.of(key); listed || h != nil && f.up[key] && h.answers {
				want = append(want, key)
			}
		}
		if s := p.b.Shown(); s.Source != Live || !slices.Equal(keysOf(s.Pairs), want) || p.b.Doubting() {
			f.Fatalf("process %d, in the end: %v from %v, want %v; %+v", i, keysOf(s.Pairs), s.Source, want, p.b.course)
		}
	}
	clear(f.up)
	f.live(4 * time.Hour)
	settle()
	want := slices.Sorted(maps.Keys(truth.instances))
	for i, p := range f.processes {
		if s := p.b.Shown(); !slices.Equal(keysOf(s.Pairs), want) || len(s.Held) > 0 || p.b.guard.pending {
			f.Fatalf("process %d, when nobody answers: %v, held %v, want %v", i, keysOf(s.Pairs), s.Held, want)
		}
		if p.b.course.now.Era != f.file.Era || p.b.course.now.Lineage != f.file.Lineage {
			f.Fatalf("process %d is at %+v, the file at %+v", i, p.b.course.now, f.file.Generation)
		}
	}
	var has []string
	for _, s := range f.file.Servers {
		has = append(has, s.Pair.Key)
	}
	if !slices.Equal(has, want) {
		f.Fatalf("in the end the file has %s, want %v", strings.Join(has, " "), want)
	}
}

// play lets the fleet live through a script.
func (f *fleet) play(script []byte) {
	f.Helper()
	for ; len(script) >= 3; script = script[3:] {
		op, a, b := script[0], script[1], script[2]
		p, key := f.processes[int(a)%len(f.processes)], f.keys[int(b)%len(f.keys)]
		switch op % 28 {
		case 0, 1, 24:
			for i, key := range f.keys {
				if b&(1<<i) != 0 {
					f.up[key] = true
					f.zk.create(key, "n="+string('0'+rune(a%3)))
				}
			}
		case 2:
			for i, key := range f.keys {
				if b&(1<<i) != 0 {
					f.zk.remove(key)
				}
			}
		case 3:
			f.zk.create(key, []string{"n=1", "n=2", "state=inactive"}[a%3])
		case 4:
			f.up[key] = a&1 != 0
		case 5:
			if a < 64 {
				f.zk.wipe()
				f.drop()
			} else if a < 128 {
				f.zk.vanish()
			}
		case 6:
			if a < 128 {
				f.zk.restore(int(b) % 8)
				f.drop()
			}
		case 7:
			if p.connect(); b&1 != 0 {
				p.begin(0)
				p.end()
			}
		case 8:
			relayed := p.b.heard.relayed
			p.disconnect()
			p.relays(relayed)
		case 9, 10:
			p.begin(int(b) % 4)
		case 11, 12:
			p.end()
		case 13, 14, 25:
			p.begin(int(b) % 4)
			p.end()
		case 15:
			p.look()
		case 16, 26, 27: // as a program does: watches tell of what has changed
			for _, p := range f.processes {
				p.end()
				p.begin(0)
				p.end()
				p.look()
			}
			f.live(time.Duration(b) * time.Second / 4)
		case 17:
			f.live(time.Duration(b) * time.Second * 8)
		case 18:
			switch b % 4 {
			case 0:
				p.busy = !p.busy
			case 1:
				p.cut = !p.cut
			case 2:
				p.hung = !p.hung
			case 3:
				p.b.SaveAgain()
			}
		case 19:
			p.skew = time.Duration(int8(b)) * time.Minute / 4
			if b%4 == 0 {
				p.skew = time.Duration(int8(b)) * time.Second / 8
			}
		case 20:
			p.override = nil
			if b&3 == 0 {
				p.override = &Decision{Pairs: []*client.KVPair{{Key: key}}}
			}
			p.stays = nil
			p.b.Overridden(p.override)
		case 21:
			if a > 100 {
				break
			}
			p.start(nil, 0)
			if b&1 != 0 {
				p.look()
			}
			if b&2 != 0 {
				p.b.MayServe()
			}
		case 22:
			p.letGo()
			if b&1 != 0 {
				p.look()
			}
		case 23:
			if b&1 != 0 {
				p.b.MayServe()
			} else if a < 32 {
				f.file = nil
			}
		}
		for _, p := range f.processes {
			p.run(f.now)
		}
	}
}

// drop cuts all connections: the registry is another.
func (f *fleet) drop() {
	for _, p := range f.processes {
		relayed := p.b.heard.relayed
		p.disconnect()
		p.relays(relayed)
	}
}
