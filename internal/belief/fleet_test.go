package belief

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"
)

// fleet is a few processes that share a file and a registry.
type fleet struct {
	*testing.T
	zk        *registry
	now       time.Time
	keys      []string
	up        map[string]bool
	file      *Record
	of        map[*Record]int64 // the history that it tells of
	skewed    bool              // a clock was wrong
	processes []*process
}

func newFleet(t *testing.T, odd byte) *fleet {
	t.Helper()
	f := &fleet{T: t, zk: newRegistry(), now: time.Unix(1e9, 0), up: make(map[string]bool), of: make(map[*Record]int64)}
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
		p.start(nil)
	}
	return f
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
	for _, s := range f.file.Servers() {
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
		f.now = f.now.Add(time.Nanosecond) // no two events are of one moment, so that which was first can be told
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
			f.skewed = true
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
			p.start(nil)
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
	f.now = f.now.Add(time.Millisecond)
	for _, p := range f.processes {
		relayed := p.b.heard.relayed
		p.disconnect()
		p.relays(relayed)
	}
}
