package weather

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// act is something that may happen.
type act struct {
	name   string
	weight int
	fault  bool
	do     func(r *run, s step)
}

const (
	instances = 8 // that come and go by hand

	// Acts that others are to follow: see planOf.
	allEnd  = "all processes end"
	forSome = "readable with credentials"
	allLook = "every process has that service"
)

func instance(i int) string { return fmt.Sprintf("tcp@10.0.0.%d:8972", i+1) }

func (s step) service() string { return services[s.b%uint64(len(services))] }
func (s step) node() (service, key, path string) {
	service, key = s.service(), instance(int(s.a%instances))
	return service, key, top + service + "/" + key
}

// long is how long a fault lasts: from an instant to 20 minutes.
func (s step) long() time.Duration {
	d := 50 * time.Millisecond
	for range s.c % 15 {
		d *= 2
	}
	return d + time.Duration(s.c/15%1000)*d/1000
}

func (r *run) value() string {
	r.values++
	return fmt.Sprintf("n=%d", r.values)
}

// acts are all that may happen. A plan has the index of each: new ones go to the end, or fixed seeds mean something else.
var acts = []act{
	// What instances and operators do.
	{"put", 16, false, func(r *run, s step) {
		_, _, path := s.node()
		value := r.value()
		switch s.c % 12 {
		case 0:
			value += "&state=inactive"
		case 1:
			value += "&weight=3"
		case 2:
			value += ";%zz"
		}
		r.note("put %s %s: %v", path, value, r.zk.Put(path, []byte(value)))
	}},
	{"set", 8, false, func(r *run, s step) {
		_, _, path := s.node()
		value := r.value()
		r.note("set %s %s: %v", path, value, r.zk.Set(path, []byte(value)))
	}},
	{"delete", 6, false, func(r *run, s step) {
		_, _, path := s.node()
		r.note("delete %s: %v", path, r.zk.Delete(path))
	}},
	{"operator's state", 2, false, func(r *run, s step) {
		_, _, path := s.node()
		r.note("set %s inactive: %v", path, r.zk.Set(path, []byte(r.value()+"&state=inactive")))
	}},
	{"all inactive", 1, false, func(r *run, s step) {
		r.note("all of %s are set inactive", s.service())
		for i := range instances {
			_ = r.zk.Set(top+s.service()+"/"+instance(i), []byte(r.value()+"&state=inactive")) // those that there are
		}
	}},
	{"many come", 4, false, func(r *run, s step) {
		r.note("many of %s come", s.service())
		for i := range instances {
			if s.a>>i&1 == 0 {
				_ = r.zk.Put(top+s.service()+"/"+instance(i), []byte(r.value()))
			}
		}
	}},
	{"mass loss", 4, true, func(r *run, s step) {
		r.note("mass loss in %s, mask %#x", s.service(), s.a%256)
		for i := range instances {
			if (s.a|s.a>>8)>>i&1 == 1 || s.c%3 == 0 {
				_ = r.zk.Delete(top + s.service() + "/" + instance(i))
			}
		}
	}},
	{"not an instance", 1, false, func(r *run, s step) { _ = r.zk.Put(top+s.service()+"/lock", nil) }},
	{"path deleted", 1, true, func(r *run, s step) {
		r.note("%s is deleted with all in it", s.service())
		children, _ := r.zk.Children(top + s.service())
		for _, c := range children {
			_ = r.zk.Delete(top + s.service() + "/" + c)
		}
		_ = r.zk.Delete(top + s.service())
	}},
	{"not readable", 2, true, func(r *run, s step) {
		service, key, path := s.node()
		if r.zk.SetACL(path, []zktest.ACL{{Perms: 31, Scheme: "digest", ID: "user:abc"}}) != nil {
			return
		}
		r.record.hide(service, key)
		r.note("%s cannot be read", path)
		r.later(s.long(), func() { _ = r.zk.SetACL(path, []zktest.ACL{{Perms: 31, Scheme: "world", ID: "anyone"}}) })
	}},
	{"fate", 10, false, func(r *run, s step) {
		is := fate(s.c % uint64(fates))
		key := instance(int(s.a % instances))
		r.note("%s: fate %d", key, is)
		r.fleet.become(key, is)
	}},
	{"override", 3, true, func(r *run, s step) {
		p := r.process(s.a)
		if p == nil || len(p.views) == 0 {
			return
		}
		v := p.views[s.b%uint64(len(p.views))]
		path := v.d.Status().OverrideFile
		if p.overrideDir != "" && s.c%2 == 0 {
			path = filepath.Join(p.overrideDir, overrideName(p, v.service))
		}
		if path == "" || p.disk == r.home {
			return
		}
		r.later(s.long(), r.override(path, v.service, s.c))
	}},

	// What processes do.
	{"process", 4, false, func(r *run, s step) {
		if r.alive() < 5 {
			r.join(s.a, s.b, false)
		}
	}},
	{"template", 4, false, func(r *run, s step) {
		if r.alive() < 5 {
			r.join(s.a, s.b, true)
		}
	}},
	{"process ends", 3, false, func(r *run, s step) {
		if p := r.process(s.a); p != nil && r.alive() > 1 {
			p.leave()
			r.remove(p)
		}
	}},
	{"clone", 8, false, func(r *run, s step) {
		if p := r.process(s.a); p != nil && len(p.views) < 5 {
			p.clone(s.service(), s.c%4 == 0)
		}
	}},
	{"clone ends", 2, false, func(r *run, s step) {
		if p := r.process(s.a); p != nil && len(p.views) > 0 {
			i := int(s.b % uint64(len(p.views)))
			if v := p.views[i]; !v.owner {
				v.close()
				p.views = append(p.views[:i:i], p.views[i+1:]...)
			}
		}
	}},
	{"watcher", 4, false, func(r *run, s step) {
		if v := r.view(s); v != nil && len(v.replicas) < 3 {
			v.listen()
		}
	}},
	{"watcher ends", 3, false, func(r *run, s step) {
		if v := r.view(s); v != nil {
			v.stopOne()
		}
	}},
	{"filter", 3, false, func(r *run, s step) {
		if v := r.view(s); v != nil {
			f := filter{}
			if n := s.c % uint64(len(filters)+2); n < uint64(len(filters)) {
				f = filters[n]
			}
			v.setFilter(f)
		}
	}},
	{"use", 6, false, func(r *run, s step) {
		if v := r.view(s); v != nil {
			v.d.GetServices()
			v.check("use")
		}
	}},

	// What servers do that register.
	{"server", 4, false, func(r *run, s step) {
		if len(r.serving()) < 4 {
			r.serve(s.a, registrantKey(int(s.b%3)))
		}
	}},
	{"register", 8, false, func(r *run, s step) {
		if g := r.registrant(s.a); g != nil {
			g.register(s.service())
		}
	}},
	{"unregister", 3, false, func(r *run, s step) {
		if g := r.registrant(s.a); g != nil {
			g.unregister(s.service())
		}
	}},
	{"drain", 1, false, func(r *run, s step) {
		if g := r.registrant(s.a); g != nil {
			g.drain()
		}
	}},
	{"server ends", 2, false, func(r *run, s step) {
		if g := r.registrant(s.a); g != nil {
			g.stop(false)
		}
	}},
	{"server killed", 2, true, func(r *run, s step) {
		if g := r.registrant(s.a); g != nil {
			g.stop(true)
		}
	}},
	{"registration deleted", 2, true, func(r *run, s step) {
		_ = r.zk.Delete(top + s.service() + "/" + registrantKey(int(s.a%3)))
		r.note("deleted by hand: %s of %s", registrantKey(int(s.a%3)), s.service())
	}},
	{"registration written", 2, true, func(r *run, s step) {
		value := r.value() + "&state=inactive"
		r.note("written by hand: %s of %s: %v", registrantKey(int(s.a%3)), s.service(), r.zk.Set(top+s.service()+"/"+registrantKey(int(s.a%3)), []byte(value)))
	}},

	// What ZooKeeper does.
	{"another version", 3, true, func(r *run, s step) {
		v := versions[s.a%uint64(len(versions))]
		r.note("ZooKeeper is %v", v)
		r.zk.SetVersion(v)
	}},
	{"stopped", 3, true, func(r *run, s step) { r.toggle("stopped", s.long(), r.zk.Stop, func() { _ = r.zk.Start() }) }},
	{"restarted", 2, true, func(r *run, _ step) {
		if !r.is("stopped") {
			r.note("restarted")
			r.zk.Stop()
			_ = r.zk.Start()
		}
	}},
	{"no new connections", 3, true, func(r *run, s step) {
		r.toggle("refusing", s.long(), func() { r.zk.Refuse(true) }, func() { r.zk.Refuse(false) })
	}},
	{"silent", 3, true, func(r *run, s step) {
		r.toggle("silent", s.long(), func() { r.zk.Silence(true) }, func() { r.zk.Silence(false) })
	}},
	{"all connections break", 3, true, func(r *run, _ step) { r.note("all connections break"); r.zk.DropConnections() }},
	{"a session expires", 3, true, func(r *run, s step) {
		if ids := r.zk.Sessions(); len(ids) > 0 {
			r.note("a session expires")
			r.zk.ExpireSession(ids[s.a%uint64(len(ids))])
		}
	}},
	{"all sessions expire", 2, true, func(r *run, _ step) { r.note("all sessions expire"); r.zk.ExpireAll() }},
	{"wiped", 1, true, func(r *run, _ step) {
		r.note("wiped")
		r.zk.Wipe()
		r.restored = true
		_ = r.zk.Put("/prod", nil) // nobody else makes the chroot
	}},
	{"checkpoint", 2, false, func(r *run, _ step) { r.note("checkpoint"); r.zk.Checkpoint(); r.backup = true }},
	{"restored with its sessions", 1, true, func(r *run, _ step) {
		if r.backup {
			r.note("restored with its sessions")
			r.zk.Rollback()
			r.restored = true
		}
	}},
	{"restored without its sessions", 1, true, func(r *run, _ step) {
		if r.backup {
			r.note("restored without its sessions")
			r.zk.Rollback()
			r.restored = true
			r.zk.ExpireAll()
		}
	}},
	{"watches are lost", 1, true, func(r *run, _ step) { r.note("watches are lost"); r.zk.ForgetWatches(); r.forgotten = true }},
	{"slow replies", 3, true, func(r *run, s step) {
		d := time.Duration(s.a%4000) * time.Millisecond
		r.toggle("slow", s.long(), func() { r.zk.Delay(d) }, func() { r.zk.Delay(0) })
	}},
	{"credentials refused", 2, true, func(r *run, s step) {
		r.toggle("credentials", s.long(), func() {
			r.zk.FailNext(zktest.OpAuth, zktest.CodeAuthFailed, 1<<30)
			r.zk.DropConnections()
		}, func() { r.zk.FailNext(zktest.OpAuth, 0, 0) })
	}},
	{"error codes", 5, true, func(r *run, s step) {
		op, code := ops[s.a%uint64(len(ops))], codes[s.b%uint64(len(codes))]
		if isAnswer(op, code) {
			return
		}
		n := 1 + int(s.c/15%5)
		if s.c%2 == 0 {
			n = 1 << 30
		}
		r.note("%v fails with %d, %d times", op, code, n)
		r.zk.FailNext(op, code, n)
		r.later(s.long(), func() { r.zk.FailNext(op, 0, 0) })
	}},
	{"cut before", 3, true, func(r *run, s step) {
		op := ops[s.a%uint64(len(ops))]
		r.note("cut before %v", op)
		r.zk.CutBefore(op, 1+int(s.b%4))
		r.later(s.long(), func() { r.zk.CutBefore(op, 0) })
	}},
	{"cut after", 3, true, func(r *run, s step) {
		op := ops[s.a%uint64(len(ops))]
		r.note("cut after %v", op)
		r.zk.CutAfter(op, 1+int(s.b%4))
		r.later(s.long(), func() { r.zk.CutAfter(op, 0) })
	}},
	{"hangs up", 2, true, func(r *run, s step) {
		r.toggle("hangs up", s.long(), func() { r.zk.CutBefore(zktest.OpConnect, 1<<30); r.zk.DropConnections() },
			func() { r.zk.CutBefore(zktest.OpConnect, 0) })
	}},

	// What networks do.
	{"link refused", 2, true, link(refused)},
	{"no name server", 2, true, link(nameless)},
	{"no such name", 2, true, link(nameless404)},
	{"names moved", 2, true, link(moved)},
	{"dialling hangs", 2, true, link(hanging)},
	{"silent upwards", 2, true, link(silentUp)},
	{"silent downwards", 2, true, link(silentDown)},
	{"link silent", 2, true, link(silentUp, silentDown)},
	{"torn frames", 2, true, link(torn)},
	{"merged frames", 2, true, link(merged)},
	{"replies over the limit", 2, true, link(tooLarge)},
	{"link breaks", 2, true, func(r *run, s step) { r.note("link breaks"); r.way(s.a).drop() }},
	{"half open", 2, true, func(r *run, s step) { r.note("half open"); r.way(s.a).strand() }},
	{"reset in mid-frame", 2, true, func(r *run, s step) {
		w, n := r.way(s.a), 1+int(s.b%500)
		r.note("reset after %d bytes", n)
		w.update(func() { w.resetAt = n })
	}},
	{"slow upwards", 2, true, slowLink(up)},
	{"slow downwards", 2, true, slowLink(down)},
	{"few bytes per second", 2, true, func(r *run, s step) {
		w, n := r.way(s.a), []int{50, 500, 5000, 48 << 10}[s.b%4]
		r.note("%d bytes per second", n)
		w.update(func() { w.speed = n })
		r.later(s.long(), func() { w.update(func() { w.speed = 0 }) })
	}},

	// What disks do.
	{"disk away", 2, true, func(r *run, s step) {
		d := r.disk(s.a)
		r.note("%s is away", d.dir)
		d.takeAway()
		r.later(s.long(), d.bringBack)
	}},
	{"files lost", 2, true, func(r *run, s step) { r.note("files lost"); r.disk(s.a).lose() }},
	{"file damaged", 2, true, func(r *run, s step) { r.note("file damaged"); r.disk(s.a).damage(int(s.b % 100)) }},
	{"disk full", 2, true, func(r *run, s step) { r.smallDisk(s, false) }},
	{"disk read-only", 2, true, func(r *run, s step) { r.smallDisk(s, true) }},

	{"no credentials", 2, true, func(r *run, s step) {
		r.toggle("no credentials", s.long(), func() {}, func() {})
		r.way(s.a).drop()
	}},
	{"not ready", 2, true, func(r *run, s step) { r.toggle("not ready", s.long(), func() {}, func() {}) }},
	{forSome, 2, true, func(r *run, s step) { // those with credentials: see planOf
		service, key, path := s.node()
		acl := []zktest.ACL{
			{Perms: 31, Scheme: "digest", ID: digestOf("user:password")}, {Perms: 31, Scheme: "digest", ID: digestOf("rotated:password")},
		}
		for n := 0; r.zk.SetACL(path, acl) != nil; n++ { // of one that there is
			if n == instances {
				return
			}
			s.a++
			service, key, path = s.node()
		}
		r.record.hide(service, key)
		r.note("%s can be read with a password only, and is written: %v", path, r.zk.Set(path, []byte(r.value())))
		r.later(10*time.Minute+s.long(), func() { _ = r.zk.SetACL(path, []zktest.ACL{{Perms: 31, Scheme: "world", ID: "anyone"}}) })
	}},
	{allLook, 1, false, func(r *run, s step) {
		for _, p := range r.processes {
			if len(p.views) < 5 && !slices.ContainsFunc(p.views, func(v *view) bool { return v.service == s.service() }) {
				p.clone(s.service(), false)
			}
		}
	}},
	{allEnd, 1, true, func(r *run, _ step) { // for a night: see planOf
		for _, p := range slices.Clone(r.processes) {
			p.leave()
			r.remove(p)
		}
	}},
}

func (r *run) smallDisk(s step, readOnly bool) {
	d := r.disk(s.a)
	if d.small(readOnly) {
		r.note("%s is full or read-only: %v", d.dir, readOnly)
		r.later(s.long(), d.large)
	}
}

// overrideName is the name of an override in a flat directory.
func overrideName(p *process, service string) string {
	path := p.base + "/" + service
	if strings.HasSuffix(p.servers[len(p.servers)-1], "/prod") {
		path = "prod/" + path
	}
	return strings.ReplaceAll(strings.Trim(strings.ReplaceAll(path, "//", "/"), "/"), "/", "__") + ".json"
}

func link(troubles ...trouble) func(r *run, s step) {
	return func(r *run, s step) {
		w := r.way(s.a)
		r.note("trouble %v of a link", troubles)
		for _, t := range troubles {
			w.begin(t)
			r.later(s.long(), func() { w.end(t) })
		}
		if s.b%2 == 0 && troubles[0] <= hanging {
			w.drop()
		}
	}
}

func slowLink(d direction) func(r *run, s step) {
	return func(r *run, s step) {
		w, delay := r.way(s.a), time.Duration(s.b%3000)*time.Millisecond
		r.note("slow link, direction %d, %v", d, delay)
		w.update(func() { w.slow[d] = delay })
		r.later(s.long(), func() { w.update(func() { w.slow[d] = 0 }) })
	}
}
