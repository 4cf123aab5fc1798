package weather

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/zkdiscovery"
)

// process is one program that uses the library: one connection, and the views that it has.
type process struct {
	run  *run
	name string
	way  *way
	disk *disk
	log  *logbook
	has  map[string]bool // its options

	dir, overrideDir string
	filter           filter
	guarded          bool
	guard            zkdiscovery.Guard
	lazy             bool
	membersOnly      bool
	session, start   time.Duration

	servers []string
	base    string
	prefix  string // of a service's path, as the process has it: the base

	root  *zkdiscovery.Discovery
	views []*view
	calls atomic.Int64 // of hooks
	began time.Time
}

// view is one Discovery of a service, and who listens to it.
type view struct {
	p        *process
	name     string
	service  string
	d        *zkdiscovery.Discovery
	owner    bool // closing it closes the process
	idle     bool // nobody looks at it but when a step says so …
	wasIdle  bool // … or did so once: then it may have been let go
	replicas []*replica
	sight    sight
	closed   atomic.Bool

	mu     sync.Mutex
	filter filter
	past   []filter // that it has had
}

// filter is one of a few that decide by the pair alone.
type filter struct {
	name  string
	keeps client.ServiceDiscoveryFilter
}

var filters = []filter{
	{"odd addresses", func(p *client.KVPair) bool { return len(p.Key)%2 == 1 || strings.HasSuffix(p.Key, "1") }},
	{"even values", func(p *client.KVPair) bool { return p.Value == "" || p.Value[len(p.Value)-1]%2 == 0 }},
	{"panics", func(p *client.KVPair) bool {
		if strings.HasSuffix(p.Value, "7") {
			panic("a filter")
		}
		return true
	}},
	{"nothing", func(*client.KVPair) bool { return false }},
}

// rejects reports whether f leaves out a pair.
func (f filter) rejects(key, value string) bool {
	if f.keeps == nil {
		return false
	}
	defer func() { _ = recover() }()
	return !f.keeps(&client.KVPair{Key: key, Value: value})
}

// join starts a process. template says whether it has clones or one service.
func (r *run) join(seed uint64, diskNumber uint64, template bool) {
	rng := rand.New(rand.NewPCG(seed, 1))
	p := &process{
		run: r, name: r.nameOf("P"), way: newWay(r.zk), disk: r.disk(diskNumber),
		session: 10 * time.Second, start: 3 * time.Second, began: time.Now(),
	}
	p.log = &logbook{run: r, name: p.name}
	p.servers, p.base, p.prefix = r.address(rng)
	r.ways = append(r.ways, p.way)
	opts := draw(rng, p)
	if p.dir == "" && !p.has["WithoutCache"] { // the user's cache directory, which all processes of all histories share
		p.disk = r.home
	}
	p.disk.users++
	p.disk.membersOnly = p.disk.membersOnly || p.membersOnly
	p.disk.unguarded = p.disk.unguarded || !p.guarded
	r.note("%s begins: %v below %s, options %s", p.name, p.servers, p.base, keysOf(p.has))
	var err error
	began := time.Now()
	if template {
		p.root, err = zkdiscovery.NewTemplate(p.base, p.servers, opts...)
		if err != nil {
			r.refusal(p, "NewTemplate", err)
			return
		}
		r.processes = append(r.processes, p)
		return
	}
	service := services[rng.IntN(len(services))]
	p.root, err = zkdiscovery.New(p.base, service, p.servers, opts...)
	took := time.Since(began)
	if limit := p.start + 2*time.Second; took > limit {
		r.violate("newReturnsInTime", "%s: New took %v, the limit is %v", p.name, took, limit)
	}
	if err != nil {
		r.note("%s: %v", p.name, err)
		if r.refusal(p, "New", err); errors.Is(err, zkdiscovery.ErrNoSnapshot) && took < p.start {
			r.violate("newWaitsForTheWholeStartTimeout", "%s: New gave up after %v of %v: %v", p.name, took, p.start, err)
		}
		return
	}
	r.processes = append(r.processes, p)
	p.see(p.root, service, true, false)
}

// refusal judges why a process could not begin: nobody knows of any instance, or its options are no good, such as a directory that is a file now.
func (r *run) refusal(p *process, what string, err error) {
	info, statErr := os.Stat(p.dir)
	isFile := p.dir != "" && statErr == nil && !info.IsDir()
	if !isFile && (!errors.Is(err, zkdiscovery.ErrNoSnapshot) || p.lazy) {
		r.violate("newFailsOnlyForWhatIsSaid", "%s: %s: %v", p.name, what, err)
	}
}

// see makes a view of d.
func (p *process) see(d *zkdiscovery.Discovery, service string, owner, idle bool) {
	v := &view{p: p, name: fmt.Sprintf("%s.%d", p.name, len(p.views)+1), service: service, d: d, owner: owner, idle: idle, wasIdle: idle, filter: p.filter}
	v.past = []filter{p.filter}
	p.views = append(p.views, v)
	p.run.note("%s is a view of %s", v.name, service)
	if !idle {
		v.listen()
	}
}

// clone makes another view.
func (p *process) clone(service string, idle bool) {
	began := time.Now()
	d := p.root.Service(service)
	if took, limit := time.Since(began), max(p.start, 200*time.Millisecond); took > limit {
		p.run.violate("cloneReturnsInTime", "%s: Service(%q) took %v, the limit is %v", p.name, service, took, limit)
	}
	p.see(d, service, false, idle)
}

// wasTold: whatever has changed a watch has told of, and the next one where it could not. A look at rest has found nothing else, unless the server has lost
// watches or gone back, or did not tell because the instance may not be read.
func (v *view) wasTold() {
	r := v.p.run
	if n := v.d.Status().Mended; n > 0 && !r.forgotten && !r.restored && !r.record.hasHidden() {
		r.violate("whatChangesIsTold", "%s: %d changes were found by looking at rest", v.name, n)
	}
}

// leave ends a process.
func (p *process) leave() {
	for _, v := range p.views {
		v.wasTold()
	}
	began := time.Now()
	for _, v := range p.views {
		v.closed.Store(true)
	}
	p.root.Close()
	if took := time.Since(began); took > 2500*time.Millisecond {
		p.run.violate("closeReturnsInTime", "%s: Close took %v", p.name, took)
	}
	for _, v := range p.views {
		v.stopListening()
	}
	p.run.note("%s ends", p.name)
}

// close ends a clone.
func (v *view) close() {
	v.wasTold()
	began := time.Now()
	v.closed.Store(true)
	v.d.Close()
	if took := time.Since(began); took > 2500*time.Millisecond {
		v.p.run.violate("closeReturnsInTime", "%s: Close took %v", v.name, took)
	}
	v.stopListening()
	v.p.run.note("%s is closed", v.name)
}

func (v *view) setFilter(f filter) {
	v.mu.Lock()
	v.filter = f
	v.past = append(v.past, f)
	v.mu.Unlock()
	if v.owner {
		v.p.filter = f // which clones inherit
	}
	v.p.run.note("%s has the filter %q", v.name, f.name)
	v.d.SetFilter(f.keeps)
	v.check("set filter")
	for _, kv := range v.d.GetServices() { // L8: at once
		if f.rejects(kv.Key, kv.Value) {
			v.p.run.violate("filtersWorkAtOnce", "%s lists %s %q after SetFilter(%s)", v.name, kv.Key, kv.Value, f.name)
		}
	}
}

// replica is a watcher.
type replica struct {
	v    *view
	ch   chan []*client.KVPair
	done chan struct{}

	mu    sync.Mutex
	heard int
	last  map[string]string
}

func (v *view) listen() {
	rep := &replica{v: v, ch: v.d.WatchService(), done: make(chan struct{})}
	v.replicas = append(v.replicas, rep)
	go func() {
		defer close(rep.done)
		for pairs := range rep.ch {
			list := listOf(pairs)
			rep.mu.Lock()
			rep.heard++
			rep.last = list
			rep.mu.Unlock()
			if v.closed.Load() {
				continue
			}
			v.check("watcher")
			v.checkHeard(list)
		}
	}()
}

// stopListening ends all watchers as XClient does: what is sent after RemoveWatcher has returned panics.
func (v *view) stopListening() {
	for _, rep := range v.replicas {
		v.d.RemoveWatcher(rep.ch)
		close(rep.ch)
		<-rep.done
	}
	v.replicas = nil
}

func (v *view) stopOne() {
	if len(v.replicas) == 0 {
		return
	}
	rep := v.replicas[0]
	v.replicas = v.replicas[1:]
	v.d.RemoveWatcher(rep.ch)
	close(rep.ch)
	<-rep.done
	v.p.run.note("a watcher of %s leaves", v.name)
}

func listOf(pairs []*client.KVPair) map[string]string {
	m := make(map[string]string, len(pairs))
	for _, p := range pairs {
		if _, twice := m[p.Key]; twice {
			m[p.Key+" (twice)"] = p.Value
		}
		m[p.Key] = p.Value
	}
	return m
}

// observer are hooks, of which one may panic.
func (p *process) observer(r *rand.Rand) zkdiscovery.Observer {
	panics := r.IntN(10) == 0
	note := func() {
		p.calls.Add(1)
		if panics {
			panic("a hook")
		}
	}
	return zkdiscovery.Observer{
		Published:  func(zkdiscovery.Published) { note() },
		Connection: func(zkdiscovery.ConnectionChange) { note() },
		Saved:      func(zkdiscovery.Saved) { note() },
	}
}
