package zkdiscovery

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/znode"
)

// rig drives a mirror against a model ZooKeeper, step by step as bytes say, and checks after each step what the mirror promises:
//
//   - Only a whole list is published: the names of the last list that was answered, but for those that had vanished when they were read.
//   - No instance is dropped that no list had missing.
//   - A list that was published is never changed.
//   - Zxid never goes back within a lineage and era; an era begins with a new lineage or after a restored backup, and then only.
//   - What is confirmed as of some moment is no older than what the server had then.
//   - One job at a time.
//
// And when ZooKeeper is quiet and reachable, soon: the list equals ZooKeeper's, with its zxid, and a change is seen with two requests.
type rig struct {
	tb  testing.TB
	zk  *model
	m   *mirror
	log []string

	listed     map[string]bool // the last list, as far as it counts, without what vanished before it was read
	missing    map[string]bool // by some list since the last publication
	published  []publication
	values     map[string]map[string]bool // what each name ever had
	rolledBack bool
	denied     bool // some instance could not be read at some time
	another    bool // lineage was told of, by a list or a file, since the last era began
	lineage    string
	lossy      bool // watches were lost: until the next look at rest, anything may be outdated
	wake       time.Time
}

// publication is a list that was published, and a copy of it.
type publication struct {
	whole
	copy []client.KVPair
}

var rigNames = [...]string{"tcp@a:1", "tcp@b:1", "tcp@c:1", "unix@d", "tcp@e:1", "tcp@f:1", "lock-0001"}

func newRig(tb testing.TB, watchData bool) *rig {
	r := &rig{tb: tb, zk: newModel(), m: newMirror(watchData), listed: map[string]bool{}, missing: map[string]bool{}, values: map[string]map[string]bool{}}
	return r
}

func (r *rig) fatalf(format string, args ...any) {
	r.tb.Helper()
	for _, line := range r.log[max(0, len(r.log)-120):] {
		r.tb.Log(line)
	}
	r.tb.Fatalf(format+"\nmodel: %v, session's watches %+v, client's %+v\nmirror: %+v", append(args, r.zk, r.zk.watching, r.zk.placed, *r.m)...)
}

func (r *rig) note(format string, args ...any) {
	r.log = append(r.log, fmt.Sprintf("%s %s", r.zk.now.Format("15:04:05.000"), fmt.Sprintf(format, args...)))
}

// Steps that are called by name.
const (
	opCreate byte = 0
	opRemove byte = 2
	opSet    byte = 3
)

// step does one of the things that can happen. arg chooses among its varieties.
func (r *rig) step(op, arg byte) {
	zk := r.zk
	zk.now = zk.now.Add(time.Millisecond)
	name := rigNames[int(arg)%len(rigNames)]
	value := fmt.Sprintf("weight=%d&calls=%d", arg>>4&3, arg>>6)
	switch op % 24 {
	case opCreate, 1:
		r.note("create %s %s", name, value)
		zk.txn(func(s *state) { s.create(name, value) })
	case opRemove:
		r.note("remove %s", name)
		zk.txn(func(s *state) { s.remove(name) })
	case opSet:
		r.note("set %s %s", name, value)
		zk.txn(func(s *state) { s.set(name, value) })
	case 4:
		r.note("take over %s %s", name, value)
		zk.txn(func(s *state) { s.remove(name); s.create(name, value) })
	case 5:
		r.note("come and go %s", name)
		zk.txn(func(s *state) { s.create(name, value) })
		zk.txn(func(s *state) { s.remove(name) })
	case 6:
		r.rare(arg)
	case 7, 8:
		if zk.serve() {
			r.note("server serves")
		}
	case 9, 10:
		if zk.advance() {
			r.note("server advances")
		}
	case 11, 12, 13:
		if zk.deliver() {
			r.note("client receives")
		}
	case 14, 15, 16, 17:
		r.turn(arg&1 == 0)
	case 18:
		r.note("cut")
		zk.cut(session.ErrLost)
	case 19, 20:
		zk.connect(int(arg) % 8)
		r.note("connect: %v", zk)
	case 21:
		zk.ping()
		r.note("ping")
	case 22:
		for zk.serve() || zk.deliver() {
		}
		r.note("wire runs dry")
		r.turn(true)
	case 23:
		r.note("%d s pass", arg)
		zk.now = zk.now.Add(time.Duration(arg) * time.Second)
	}
	r.noteValues()
	r.check()
}

// rare is what happens less often.
func (r *rig) rare(arg byte) {
	zk := r.zk
	switch arg % 11 {
	case 0:
		r.note("remove the path")
		zk.txn((*state).removePath)
	case 1:
		r.note("create the path")
		zk.txn(func(s *state) { s.create("", "") })
	case 2:
		r.note("expire")
		zk.expire()
	case 3:
		to := len(zk.history) - 1 - int(arg>>4)
		if to >= 0 {
			r.note("restore the backup of %d", to)
			zk.rollback(to)
			r.rolledBack = true
		}
	case 4:
		r.note("wipe")
		zk.wipe()
		r.rolledBack = true
	case 5, 6:
		name := rigNames[int(arg>>4)%len(rigNames)]
		r.note("deny %s: %v", name, arg%11 == 5)
		r.denied = true
		zk.txn(func(s *state) { s.deny(name, arg%11 == 5) })
	case 7:
		if j := zk.job; j != nil && !j.done {
			r.note("refuse the job")
			j.finish(session.ErrNoAuth)
		}
	case 8:
		if j := zk.job; j != nil && !j.done {
			r.note("reply too large")
			zk.cut(session.ErrReplyTooLarge)
		}
	case 9:
		if arg>>4 == 0 {
			r.note("lose the watches")
			zk.loseWatches()
			r.lossy = true
		}
	case 10:
		past := append(slices.Clone(zk.undone), zk.history...)
		s := past[len(past)-1-int(arg>>4)%len(past)]
		g := generation{s.lineage(), max(r.m.whole.era, 1), s.newest()}
		if r.m.era == 0 {
			g.era = 3
		}
		r.note("file has %v", g)
		r.another = r.another || g.lineage != r.m.lineage
		r.m.heardOf(g, arg>>7 == 1)
	}
}

// turn is one turn of the service's loop.
func (r *rig) turn(takeAnswer bool) {
	zk, m := r.zk, r.m
	r.look()
	if j := zk.job; takeAnswer && j != nil && j.done {
		zk.job = nil
		r.answer(j)
		r.look()
	}
	was := m.busy
	j, wake := m.todo(zk.now)
	r.wake = wake
	if j.kind == jobNone {
		return
	}
	r.note("job %+v", j)
	if was || zk.job != nil {
		r.fatalf("a job was begun while one was under way")
	}
	zk.begin(j, m.watchData)
}

func (r *rig) look() {
	h := r.zk.takeHints()
	r.m.hinted(h, r.zk.now)
	r.m.connection(r.zk.st, r.zk.now)
}

func (r *rig) answer(j *modelJob) {
	m, now := r.m, r.zk.now
	r.note("answer to job %d: err %v, absent %v, names %v, stat %+v, nodes %v", j.kind, j.err, j.absent, j.listing.Names, j.listing.Stat, j.nodes)
	if j.err != nil {
		if errors.Is(j.err, session.ErrLost) || errors.Is(j.err, session.ErrNotConnected) {
			m.lost(j.job)
		} else {
			m.refused(j.job, j.err, now)
		}
		return
	}
	counts := j.session == m.session
	switch j.kind {
	case jobList:
		if counts {
			r.noteList(j)
		}
		if j.absent {
			m.missing(j.job)
		} else {
			m.listed(j.job, j.listing)
		}
	case jobRead:
		for _, n := range j.nodes {
			if _, fresh := m.fresh[n.Name]; counts && fresh && errors.Is(n.Err, session.ErrNoNode) {
				delete(r.listed, n.Name)
			}
		}
		m.read(j.job, j.nodes)
	case jobCheck:
		if j.stat == nil {
			m.checked(j.job, false, session.Stat{}, j.nodes)
		} else {
			m.checked(j.job, true, *j.stat, j.nodes)
		}
	case jobNone:
		r.fatalf("an answer to no job")
	}
	n := m.takeNews()
	if n.mended > 0 && !r.lossy {
		r.fatalf("%d changes found that no watch had told of, and yet none was lost", n.mended)
	}
	if n.changed {
		r.publish()
	}
}

func (r *rig) noteList(j *modelJob) {
	lineage := ""
	if !j.absent {
		lineage = lineageOf(j.listing.Stat)
	}
	r.another = r.another || lineage != r.lineage
	r.lineage = lineage
	clear(r.listed)
	for _, name := range j.listing.Names {
		if _, ok := znode.InstanceKey(name); ok {
			r.listed[name] = true
		}
	}
	for _, name := range rigNames {
		if !r.listed[name] {
			r.missing[name] = true
		}
	}
}

// noteValues remembers what an instance's data may be shown as.
func (r *rig) noteValues() {
	h := r.zk.history
	for _, s := range h[max(0, len(h)-2):] { // no step makes more than two transactions
		for name, n := range s.nodes {
			if r.values[name] == nil {
				r.values[name] = map[string]bool{}
			}
			r.values[name][n.value] = true
			if n.denied {
				r.values[name][""] = true
			}
		}
	}
}

// publish checks a list that is to be published.
func (r *rig) publish() {
	p := publication{whole: r.m.whole}
	have := make(map[string]bool)
	for i, pair := range p.pairs {
		p.copy = append(p.copy, *pair)
		have[pair.Key] = true
		if !r.listed[pair.Key] {
			r.fatalf("%s is published, but was not in the last list", pair.Key)
		}
		if !r.values[pair.Key][pair.Value] {
			r.fatalf("%s is published with %q, which it never had", pair.Key, pair.Value)
		}
		if i > 0 && p.pairs[i-1].Key >= pair.Key {
			r.fatalf("not sorted: %s, %s", p.pairs[i-1].Key, pair.Key)
		}
	}
	r.note("publish %v", p.copy)
	if len(have) != len(r.listed) {
		r.fatalf("a partial list: %v of %v", have, r.listed)
	}
	if n := len(r.published); n > 0 {
		for _, pair := range r.published[n-1].pairs {
			if !have[pair.Key] && !r.missing[pair.Key] {
				r.fatalf("%s was dropped, but no list had it missing", pair.Key)
			}
		}
	}
	clear(r.missing)
	r.published = append(r.published, p)
}

// check checks what holds after every step.
func (r *rig) check() {
	w := r.m.whole
	if n := len(r.published); n > 0 {
		last := r.published[n-1]
		if !slices.Equal(last.pairs, w.pairs) {
			r.fatalf("the whole list changed and was not published")
		}
		was := last.whole
		switch {
		case w.era < was.era:
			r.fatalf("era %d after %d", w.era, was.era)
		case w.era == was.era && w.lineage != was.lineage:
			r.fatalf("two lineages in era %d: %s, %s", w.era, was.lineage, w.lineage)
		case w.era == was.era && w.zxid < was.zxid:
			r.fatalf("zxid %d after %d", w.zxid, was.zxid)
		case w.lineage == was.lineage && w.era != was.era && !r.rolledBack && !r.another:
			r.fatalf("era %d began without a reason", w.era)
		case w.asOf.Before(was.asOf) || w.asOf.After(r.zk.now):
			r.fatalf("as of %v, after %v", w.asOf, was.asOf)
		}
		r.another = r.another && w.era == was.era
		r.published[n-1].whole = w
	}
	r.checkAsOf()
}

// checkAsOf checks that the list shows, for every instance, something that the server had at the moment as of which it is confirmed, or had
// later.
func (r *rig) checkAsOf() {
	w, zk := r.m.whole, r.zk
	if r.m.phase != phaseLive || r.lossy || r.rolledBack {
		return
	}
	from := 0
	for i, at := range zk.passed {
		if !at.IsZero() && at.Before(w.asOf) {
			from = i
		}
	}
	shown := make(map[string]string)
	for _, p := range w.pairs {
		shown[p.Key] = p.Value
	}
	for _, name := range rigNames[:len(rigNames)-1] {
		value, has := shown[name]
		if !slices.ContainsFunc(zk.history[from:], func(s state) bool {
			n, exists := s.nodes[name]
			return has == exists && (!has || n.denied || n.value == value || !r.m.watchData)
		}) && !r.wasDenied(name) {
			r.fatalf("as of %v, but %s %v %q is older than that: the server had transaction %d", w.asOf, name, has, value, from)
		}
	}
}

// wasDenied reports whether an instance could not be read at some time: of changes then nobody tells.
func (r *rig) wasDenied(name string) bool {
	return slices.ContainsFunc(r.zk.history, func(s state) bool { return s.nodes[name].denied })
}

// settle lets ZooKeeper be reachable and everybody do what is to be done, until nothing is left.
func (r *rig) settle() {
	for turns := 0; ; turns++ {
		if turns > 50 {
			r.fatalf("no end of it")
		}
		before := len(r.log)
		for r.zk.advance() || r.zk.serve() || r.zk.deliver() {
		}
		r.zk.now = r.zk.now.Add(time.Millisecond)
		r.turn(true)
		r.check()
		switch {
		case r.zk.job != nil || len(r.log) > before:
		case r.m.phase != phaseLive:
			r.note("waiting until %v", r.wake)
			if r.wake.IsZero() {
				r.fatalf("nothing to do, and yet not live")
			}
			r.zk.now = r.wake
		default:
			return
		}
	}
}

// heal ends all faults, and lets so much time pass that a look at rest has mended what no watch has told.
func (r *rig) heal() {
	for _, name := range rigNames {
		r.zk.txn(func(s *state) { s.deny(name, false) })
	}
	r.zk.connect(3)
	r.settle()
	for range 3 {
		r.zk.now = r.zk.now.Add(2 * lastCheck)
		r.settle()
	}
}

// equal checks that the list is ZooKeeper's.
func (r *rig) equal() {
	s := r.zk.leader()
	var want []client.KVPair
	for _, name := range rigNames {
		if n, ok := s.nodes[name]; ok && name != "lock-0001" {
			want = append(want, client.KVPair{Key: name, Value: n.value})
		}
	}
	slices.SortFunc(want, func(a, b client.KVPair) int { return cmp.Compare(a.Key, b.Key) })
	var got []client.KVPair
	for _, p := range r.m.whole.pairs {
		got = append(got, *p)
	}
	if !slices.Equal(got, want) {
		r.fatalf("the list is %v, ZooKeeper has %v", got, want)
	}
	// Where data may not be read, what a backup has undone of it goes unnoticed.
	if w := r.m.whole; w.lineage != s.lineage() || w.zxid != s.newest() && (!r.rolledBack || !r.denied) {
		r.fatalf("lineage %q, zxid %d; ZooKeeper has %q, %d", w.lineage, w.zxid, s.lineage(), s.newest())
	}
	for _, p := range want {
		if r.m.watchData && !r.lossy && !r.zk.watching.data[p.Key] {
			r.fatalf("nobody watches %s", p.Key)
		}
	}
	for _, p := range r.published {
		for i := range p.copy {
			if *p.pairs[i] != p.copy[i] {
				r.fatalf("a published list was changed")
			}
		}
	}
}

// changeOne makes one change, lets it arrive in a random order, and checks the list and the requests.
func (r *rig) changeOne(op, arg byte, rng *rand.Rand) {
	if len(r.zk.leader().nodes) == 0 {
		return // the first instance of a path, or of none
	}
	before := r.zk.requests
	r.step(op, arg)
	for range 60 {
		r.step([...]byte{7, 9, 11, 14}[rng.IntN(4)], byte(rng.Uint32()))
	}
	r.settle()
	r.equal()
	if n := r.zk.requests - before; n > 2 {
		r.fatalf("%d requests for one change", n)
	}
}

func (r *rig) run(next func() (byte, bool)) {
	must := func() byte { b, _ := next(); return b }
	for {
		op, ok := next()
		if !ok {
			break
		}
		r.step(op, must())
	}
	r.heal()
	r.equal()
	if r.lossy {
		return // of the next change too nobody may tell, until the next look
	}
	rng := rand.New(rand.NewPCG(1, uint64(len(r.log))))
	ops := []byte{opCreate, opRemove}
	if r.m.watchData {
		ops = append(ops, opSet)
	}
	for range 6 {
		r.changeOne(ops[rng.IntN(len(ops))], byte(rng.Uint32()), rng)
	}
}

// TestMirrorKeepsItsPromisesWhateverHappens is the fuzzer with random histories, for those who only run the tests.
func TestMirrorKeepsItsPromisesWhateverHappens(t *testing.T) {
	rounds := 1000
	if testing.Short() {
		rounds = 200
	}
	seed := rand.Uint64()
	for round := range rounds {
		rng := rand.New(rand.NewPCG(seed, uint64(round)))
		r := newRig(t, round%4 != 0)
		r.note("seed %d, round %d", seed, round)
		steps := 2 * rng.IntN(300)
		// Some rounds leave kinds of steps out, so that what remains goes deeper.
		skip := rng.Uint32() & rng.Uint32()
		r.run(func() (byte, bool) {
			steps--
			for {
				b := byte(rng.Uint32())
				if steps&1 == 0 || skip>>(b%24)&1 == 0 || b%24 >= 7 && b%24 <= 20 {
					return b, steps >= 0
				}
			}
		})
		if t.Failed() {
			return
		}
	}
}

func FuzzMirror(f *testing.F) {
	f.Add([]byte{1, 19, 0, 0, 1, 0, 22, 0, 22, 0, 22, 0, 4, 1, 9, 0, 9, 0, 22, 0})
	f.Add([]byte{0, 19, 0, 0, 1, 6, 3, 19, 0, 22, 0, 22, 0, 6, 9, 23, 90, 22, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 2000 {
			t.Skip("long histories find nothing that short ones do not")
		}
		r := newRig(t, len(data) == 0 || data[0]&1 == 1)
		r.run(func() (byte, bool) {
			if len(data) <= 1 {
				return 0, false
			}
			data = data[1:]
			return data[0], true
		})
	})
}
