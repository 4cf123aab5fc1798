package weather

import (
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/serverplugin"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

const backoff = 5 * time.Second // the longest, as O5 has it

// end makes everything healthy, and judges what is promised then.
func (r *run) end() {
	r.note("operators take their overrides back, and ZooKeeper, networks and disks are well")
	r.finishAll()
	for _, d := range r.disks { // one that was written where a disk was put over it, or taken away
		for _, f := range d.files() {
			if strings.HasSuffix(f, "override.json") {
				_ = os.Remove(f)
			}
		}
	}
	pass(10 * time.Second) // a process that polls looks for overrides every 5 s
	r.heal()
	for _, p := range r.processes {
		if len(p.views) == 0 {
			p.clone(services[0], false)
		}
		for _, v := range p.views {
			v.idle = false
			v.d.GetServices() // one that was let go takes its mirror up
		}
	}
	// What nobody has noticed to be broken looks live; whoever lists the newcomer has a connection that works.
	if r.faults%2 == 0 {
		r.note("all connections break")
		r.zk.DropConnections() // what changes before they are there again, no connection tells
	}
	r.newcomer(0)
	for _, s := range services { // a watch that was lost is found by nobody else so soon
		for i := range instances {
			_ = r.zk.Set(top+s+"/"+instance(i), []byte(r.value())) // those that there are
		}
	}
	r.converge()
	r.registrations()
	r.settle()
	r.rest()
	r.slowly()
	r.disksComeBack()
	r.operatorsDecide()
	r.oneIsCutOff()
	r.leave()
}

func (r *run) heal() {
	for _, w := range r.ways {
		w.heal()
	}
	for _, op := range ops {
		r.zk.FailNext(op, 0, 0)
	}
	r.zk.FailNext(zktest.OpAuth, 0, 0)
	r.zk.Refuse(false)
	r.zk.Silence(false)
	r.zk.Delay(0)
	_ = r.zk.Start() // it is not closed
	if r.forgotten { // what a one-shot watch has not told of is found by looks at rest, or in a new session
		r.zk.ExpireAll()
	}
}

// sessionOf is the session timeout that a connection has, or would be granted.
func sessionOf(negotiated, asked time.Duration) time.Duration {
	if negotiated > 0 {
		return negotiated
	}
	return min(max(asked, 4*time.Second), 40*time.Second)
}

// converge: once all is healthy the list is live and ZooKeeper's, within the session timeout and one backoff (O5).
func (r *run) converge() {
	healed := time.Now()
	bound := func(p *process) time.Duration {
		if p.way.large { // after a reply over the limit, which costs the connection, the next is asked for after a minute, and a fifth at most
			return sessionOf(p.root.Status().SessionTimeout, p.session) + 72*time.Second + backoff
		}
		return sessionOf(p.root.Status().SessionTimeout, p.session) + backoff
	}
	slices.SortFunc(r.processes, func(a, b *process) int { return int(bound(a) - bound(b)) })
	for _, p := range r.processes {
		for at := healed.Add(bound(p)); time.Now().Before(at); {
			pass(min(time.Until(at), 30*time.Second))
			r.use()
		}
		for _, v := range p.views {
			v.check("converged")
			v.isLiveAndEqual("listsAreZooKeepersWithinO5", p.membersOnly)
		}
	}
}

// use keeps the mirrors of clones without a watcher, or takes them up.
func (r *run) use() {
	for _, p := range r.processes {
		for _, v := range p.views {
			v.d.GetServices()
		}
	}
}

// isLiveAndEqual fails unless the list is live, and ZooKeeper's, filtered, beside who is held.
func (v *view) isLiveAndEqual(check string, membersOnly bool) {
	bad := func(format string, args ...any) { v.p.run.violate(check, v.name+": "+format, args...) }
	s := v.d.Snapshot()
	if s.Source != zkdiscovery.Live {
		bad("is %v: %v", s.Source, v.d.Status())
		return
	}
	v.mu.Lock()
	f := v.filter
	v.mu.Unlock()
	want := maps.Clone(v.p.run.record.now(v.service).nodes)
	loose := func(key string) bool { return membersOnly || v.p.run.record.wasHidden(v.service, key) }
	got := make(map[string]string)
	for _, p := range s.Servers {
		if !slices.Contains(s.Held, p.Key) {
			got[p.Key] = p.Value
		}
	}
	for k, value := range want {
		is, listed := got[k]
		switch {
		case f.keeps != nil && loose(k):
		case f.rejects(k, value) && listed, !f.rejects(k, value) && !listed:
			bad("%s %q is in ZooKeeper; in the list: %v %q, filter %q", k, value, listed, is, f.name)
		case listed && is != value && !loose(k):
			bad("%s has %q in ZooKeeper, %q in the list", k, value, is)
		}
	}
	for k := range got {
		if _, ok := want[k]; !ok {
			bad("%s is listed, not held, and not in ZooKeeper, which has %v", k, want)
		}
	}
	for _, rep := range v.replicas {
		rep.mu.Lock()
		last := rep.last
		rep.mu.Unlock()
		if list := listOf(v.d.GetServices()); !maps.Equal(last, list) && (len(last) > 0 || len(list) > 0) {
			bad("a watcher was told %v last, the list is %v", last, list)
		}
	}
}

// registrations: each registrant that wants a service has its node, or has lost the address to one that has it (R1, R2), and nobody else's is left (R3).
func (r *run) registrations() {
	pass(60 * time.Second) // whoever was killed has expired, and a loser has seen that the node is gone
	for _, service := range services {
		for i := range 3 {
			key := registrantKey(i)
			node, err := r.zk.Get(top + service + "/" + key)
			var wanting, owners []string
			for _, g := range r.serving() {
				value, wants := g.wants[service]
				if g.key != key || !wants {
					continue
				}
				wanting = append(wanting, g.name)
				st := g.plugin.Status()
				mine := err == nil && node.Stat.EphemeralOwner == st.SessionID
				phase := serverplugin.Phase(0)
				for _, sv := range st.Services {
					if sv.Name == service {
						phase = sv.Phase
					}
				}
				switch {
				case mine && phase == serverplugin.Registered:
					owners = append(owners, g.name)
					if !strings.Contains("&"+string(node.Data)+"&", "&"+value+"&") {
						r.violate("registrationsAreRight", "%s has registered %s as %s, the node says %q", g.name, service, value, node.Data)
					}
				case phase == serverplugin.Yielded && err == nil && !mine:
				default:
					r.violate("registrationsAreRight", "%s wants %s at %s and is %v; node %+v, %v; %+v", g.name, service, key, phase, node, err, st)
				}
			}
			switch {
			case len(wanting) > 0 && len(owners) != 1:
				r.violate("oneOwnerPerAddress", "%s at %s: %v want it, %v have it; %+v, %v", service, key, wanting, owners, node, err)
			case len(wanting) == 0 && err == nil && node.Stat.EphemeralOwner != 0:
				r.violate("nobodysNodesGo", "%s at %s: nobody wants it: %+v", service, key, node)
			}
		}
	}
}

// settle: who is gone and does not answer is let go in time, and then lists and files are ZooKeeper's.
func (r *run) settle() {
	for i := range instances + 3 { // and the newcomers
		r.fleet.become(instance(i), refuses)
	}
	for i := range 3 {
		r.fleet.become(registrantKey(i), refuses)
	}
	pass(17 * time.Minute) // the longest hold is 10 min, and a probe that answered comes again after 2; a look at rest after 15
	r.use()
	pass(45 * time.Second) // and asks once more those whom it remembers as held
	r.look()
	for _, p := range r.processes {
		for _, v := range p.views {
			if v.isLiveAndEqual("listsSettle", p.membersOnly); len(v.d.Snapshot().Held) > 0 {
				r.violate("nobodyIsHeldForEver", "%s holds %v: %v", v.name, v.d.Snapshot().Held, v.d.Status())
			}
			r.fileSettles(v)
		}
	}
}

// fileSettles: the file of a service that is mirrored has its list, unfiltered (F3).
func (r *run) fileSettles(v *view) {
	st := v.d.Status()
	if v.p.has["WithoutCache"] {
		if st.CacheFile != "" {
			r.violate("withoutCacheThereIsNoFile", "%s has %s", v.name, st.CacheFile)
		}
		return
	}
	f, err := readFile(st.CacheFile)
	if err != nil {
		r.violate("filesSettle", "%s: %q: %v; %v", v.name, st.CacheFile, err, st.CacheErr)
		return
	}
	listed, held := f.lists()
	want := r.record.now(v.service).nodes
	if keysOf(listed) != keysOf(want) || len(held) > 0 {
		r.violate("filesSettle", "%s: %s has %v, held %v, and ZooKeeper %v", v.name, st.CacheFile, listed, held, want)
	}
}

// rest: at rest nobody connects, logs or asks for more than a look now and then.
func (r *run) rest() {
	const d = 30 * time.Minute
	type cost struct{ attempts, lines int64 }
	costs := func() (all []cost) {
		for _, p := range r.processes {
			p.way.mu.Lock()
			all = append(all, cost{int64(p.way.attempts), p.log.lines.Load() - p.log.late.Load()})
			p.way.mu.Unlock()
		}
		for _, g := range r.serving() {
			g.way.mu.Lock()
			all = append(all, cost{int64(g.way.attempts), g.log.lines.Load() - g.log.late.Load()})
			g.way.mu.Unlock()
		}
		return all
	}
	st, before := r.zk.Stats(), costs()
	pass(d)
	for i, c := range costs() {
		if n := c.attempts - before[i].attempts; n > 0 {
			r.violate("atRestNobodyConnects", "%d attempts of the %d-th in %v", n, i, d)
		}
		if n := c.lines - before[i].lines; n > 0 {
			r.violate("atRestNothingIsLogged", "%d lines of the %d-th in %v", n, i, d)
		}
	}
	mirrors := 0
	for _, p := range r.processes {
		mirrors += 1 + len(p.views)
	}
	// A list and a sample of data at intervals of 20 s, doubling, that are 15 min in the end.
	if n, limit := r.zk.Stats().Since(st).Total(), int64(mirrors*40+len(r.serving())*40); n > limit {
		r.violate("atRestLittleIsAsked", "%d requests in %v of %d mirrors and %d registrants: %v", n, d, mirrors, len(r.serving()), r.zk.Stats().Since(st).Requests)
	}
	now := r.zk.Stats()
	if want := len(r.processes) + len(r.serving()); now.Connections != want || now.Sessions != want {
		r.violate("oneConnectionAndSessionEach", "%d connections, %d sessions of %d processes", now.Connections, now.Sessions, want)
	}
}

// leave: nothing is left of what has ended.
func (r *run) leave() {
	for _, g := range r.serving() {
		g.stop(false)
	}
	for len(r.processes) > 0 {
		p := r.processes[0]
		p.leave()
		r.remove(p)
	}
	synctest.Wait()
	if st := r.zk.Stats(); st.Sessions > 0 || st.Connections > 0 {
		r.violate("nothingIsLeft", "%d sessions and %d connections", st.Sessions, st.Connections)
	}
	r.zk.Close()
	for _, w := range r.ways {
		w.drop()
	}
	synctest.Wait()
	if left := goroutines(); len(left) > 0 {
		r.violate("nothingIsLeft", "goroutines:\n%s", strings.Join(left, "\n\n"))
	}
	for _, d := range r.disks {
		if names := d.strangers(); len(names) > 0 {
			r.violate("noTemporaryFileIsLeft", "%v", names)
		}
	}
}

// goroutines are the stacks of those of this bubble, but for this one and its timers.
func goroutines() (stacks []string) {
	self := make([]byte, 4096)
	self = self[:runtime.Stack(self, false)]
	_, mark, ok := strings.Cut(strings.SplitN(string(self), "\n", 2)[0], "synctest bubble ")
	if !ok {
		return nil
	}
	mark, _, _ = strings.Cut(mark, "]")
	buf := make([]byte, 1<<20)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	for stack := range strings.SplitSeq(string(buf), "\n\n") {
		head, _, _ := strings.Cut(stack, "\n")
		if strings.Contains(head, "synctest bubble "+mark+"]") && strings.Contains(stack, "holdfast") && !strings.Contains(stack, "weather.goroutines") &&
			!strings.Contains(stack, "testing/synctest.Test") {
			stacks = append(stacks, stack)
		}
	}
	return stacks
}

// checkCosts: attempts and lines stay under their bounds, whatever goes wrong.
func (r *run) checkCosts() {
	for _, p := range r.processes {
		p.way.mu.Lock()
		attempts := p.way.attempts
		p.way.mu.Unlock()
		age := time.Since(p.began)
		// A round through the servers every 2.5 s to 5 s. A server that hangs up is asked twice: the second time as one who knows nothing.
		if limit := 40 + 12*r.faults + 2*len(p.servers)*int(age/(3500*time.Millisecond)); attempts > limit {
			r.violate("attemptsAreSpaced", "%s: %d attempts in %v, with %d faults and %d servers", p.name, attempts, age, r.faults, len(p.servers))
		}
		if lines, limit := p.log.lines.Load(), int64(60+8*r.faults+4*int(age/time.Hour)); lines > limit {
			r.violate("edgesAreLogged", "%s: %d lines in %v, with %d faults", p.name, lines, age, r.faults)
		}
	}
	for i, w := range r.ways {
		if w.spun.Load() {
			r.violate("attemptsAreSpaced", "the %d-th of all has dialled %d times in one moment", i, manyAtOnce)
		}
	}
}
