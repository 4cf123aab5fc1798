package weather

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/tests/bubbles"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// violation is something that must not be.
type violation struct {
	check string // the name of the function or rule
	text  string
	at    time.Duration
}

func (v violation) String() string {
	return fmt.Sprintf("%s, %v after the beginning: %s", v.check, v.at, v.text)
}

// run is one history that is played.
type run struct {
	name    string // of no other run
	zk      *zktest.Server
	record  *record
	fleet   *fleet
	disks   []*disk
	home    *disk
	began   time.Time
	verbose bool // debug lines too

	processes   []*process
	registrants []*registrant
	ways        []*way
	overrides   overrides
	files       map[string]file
	proofs      map[string]int // by file, so often an era has risen within a lineage
	values      int
	named       map[string]int
	backup      bool // there was a checkpoint
	forgotten   bool // watches were lost
	restored    bool // a backup was, or everything was wiped
	faults      int
	lines       int64 // logged by processes that have ended

	mu         sync.Mutex
	violations []violation
	seen       map[string]int // so often each check has failed
	history    []string
	counts     map[string]int
	pending    map[int]func()
	toggles    map[string]int
	nextEnd    int
	registered map[string]bool
	length     time.Duration
}

var runs atomic.Int64

// hung is how long a history may take, by the clock on the wall: some hundred times what it takes.
const hung = 5 * time.Minute

// play plays a plan in a bubble, and returns what was found. verbose keeps debug lines.
func play(t *testing.T, seed uint64, steps []step, verbose bool) *run {
	t.Helper()
	number := runs.Add(1)
	hangs := time.AfterFunc(hung, func() { panic(fmt.Sprintf("weather: the history of seed %d has not ended after %v", seed, hung)) })
	defer hangs.Stop()
	root := filepath.Join(scratch, fmt.Sprint(number))
	r := &run{
		name: fmt.Sprintf("s%d-%d", seed, number), verbose: verbose,
		files: make(map[string]file), proofs: make(map[string]int), counts: make(map[string]int), seen: make(map[string]int), named: make(map[string]int), pending: make(map[int]func()), toggles: make(map[string]int),
		registered: make(map[string]bool), overrides: overrides{of: make(map[string][]map[string]string)},
	}
	r.disks = []*disk{newDisk(filepath.Join(root, "1")), newDisk(filepath.Join(root, "2"))}
	r.home = &disk{dir: filepath.Join(scratch, "home", "holdfast"), overrides: filepath.Join(root, "overrides")}
	defer func() {
		for _, d := range r.disks {
			d.large()
		}
		_ = os.RemoveAll(root)
	}()
	certificates()
	bubbles.Test(t, func(*testing.T) {
		r.began = time.Now()
		r.record, r.fleet = newRecord(), newFleet()
		r.record.complain, r.record.wanted = r.violate, r.isRegistered
		r.zk = zktest.NewServer(zktest.WithJournal(r.record.take), zktest.WithVersion(versions[seed%uint64(len(versions))]))
		_ = r.zk.Put("/prod/rpcx", nil)
		for i, s := range steps {
			pass(s.pause)
			a := acts[s.act]
			if a.fault {
				r.faults++
			}
			r.count("act " + a.name)
			r.note("step %d: %s", i, a.name)
			a.do(r, s)
			synctest.Wait()
			r.look()
		}
		r.end()
		r.length = time.Since(r.began)
	})
	return r
}

// pass lets time go by, and everybody do what is to be done then.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// look judges everything that is shown at this moment.
func (r *run) look() {
	for _, p := range r.processes {
		for _, v := range p.views {
			if !v.idle {
				v.check("look")
			}
		}
	}
	r.checkFiles()
	r.checkCosts()
}

func (r *run) violate(check, format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen[check]++; r.seen[check] > 3 {
		return
	}
	v := violation{check, fmt.Sprintf(format, args...), time.Since(r.began)}
	r.violations = append(r.violations, v)
	r.history = append(r.history, fmt.Sprintf("%14v !!! %s: %s", v.at, v.check, v.text))
}

func (r *run) note(format string, args ...any) { r.noteText(fmt.Sprintf(format, args...)) }

func (r *run) noteText(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.history = append(r.history, fmt.Sprintf("%14v %s", time.Since(r.began), text))
}

func (r *run) count(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[what]++
}

// later ends something after a time, or when the faults end.
func (r *run) later(d time.Duration, f func()) {
	r.mu.Lock()
	r.nextEnd++
	n := r.nextEnd
	r.pending[n] = f
	r.mu.Unlock()
	time.AfterFunc(d, func() { r.finish(n) })
}

func (r *run) finish(n int) {
	r.mu.Lock()
	f := r.pending[n]
	delete(r.pending, n)
	r.mu.Unlock()
	if f != nil {
		f()
	}
}

// finishAll ends all that later would have ended.
func (r *run) finishAll() {
	r.mu.Lock()
	all := slices.Sorted(maps.Keys(r.pending))
	r.mu.Unlock()
	for _, n := range all {
		r.finish(n)
	}
}

// toggle begins something that may be begun more than once, and ends it with the last of them.
func (r *run) toggle(what string, d time.Duration, begin, end func()) {
	r.note("%s, for %v", what, d)
	r.mu.Lock()
	r.toggles[what]++
	r.mu.Unlock()
	begin()
	r.later(d, func() {
		r.mu.Lock()
		r.toggles[what]--
		over := r.toggles[what] == 0
		r.mu.Unlock()
		if over {
			r.note("%s, no more", what)
			end()
		}
	})
}

func (r *run) is(what string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.toggles[what] > 0
}

// nameOf is a new name of a kind.
func (r *run) nameOf(kind string) string {
	r.named[kind]++
	return fmt.Sprint(kind, r.named[kind])
}

func (r *run) wants(service, key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.registered[service+" "+key] = true
}

func (r *run) isRegistered(service, key string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.registered[service+" "+key]
}

// address is where a process finds ZooKeeper, and its services.
func (r *run) address(rng *rand.Rand) (servers []string, base, prefix string) {
	for i := range 1 + rng.IntN(3) {
		servers = append(servers, fmt.Sprintf("zk%d.%s:2181", i+1, r.name))
	}
	if rng.IntN(3) == 0 {
		servers[len(servers)-1] += "/prod"
		return servers, []string{"rpcx", "/rpcx", "/rpcx/"}[rng.IntN(3)], "/rpcx"
	}
	return servers, []string{"prod/rpcx", "/prod/rpcx/"}[rng.IntN(2)], "/prod/rpcx"
}

// process is one that lives, nil if none does.
func (r *run) process(n uint64) *process {
	if len(r.processes) == 0 {
		return nil
	}
	return r.processes[n%uint64(len(r.processes))]
}

func (r *run) alive() int { return len(r.processes) }

func (r *run) remove(p *process) {
	r.lines += p.log.lines.Load()
	r.processes = slices.DeleteFunc(r.processes, func(o *process) bool { return o == p })
}

func (r *run) view(s step) *view {
	p := r.process(s.a)
	if p == nil || len(p.views) == 0 {
		return nil
	}
	return p.views[s.b%uint64(len(p.views))]
}

func (r *run) serving() (list []*registrant) {
	for _, g := range r.registrants {
		if !g.over {
			list = append(list, g)
		}
	}
	return list
}

func (r *run) registrant(n uint64) *registrant {
	list := r.serving()
	if len(list) == 0 {
		return nil
	}
	return list[n%uint64(len(list))]
}

func (r *run) disk(n uint64) *disk { return r.disks[n%uint64(len(r.disks))] }

// way is that of a process that lives, or a registrant that does.
func (r *run) way(n uint64) *way {
	var live []*way
	for _, p := range r.processes {
		live = append(live, p.way)
	}
	for _, g := range r.serving() {
		live = append(live, g.way)
	}
	if len(live) == 0 {
		return newWay(r.zk)
	}
	return live[n%uint64(len(live))]
}

func keysOf[V any](m map[string]V) string {
	var names []string
	for k := range m {
		names = append(names, strings.TrimPrefix(k, "With"))
	}
	slices.Sort(names)
	return strings.Join(names, ",")
}
