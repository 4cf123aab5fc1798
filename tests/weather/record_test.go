package weather

import (
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// top is the path of all services on the server, whatever chroot and base path a process has.
const top = "/prod/rpcx/"

var services = [...]string{"Arith", "Other", "deep/er"}

// state is what a service's path had from one transaction to the next.
type state struct {
	at    time.Time
	zxid  int64
	epoch int               // restores, and lives of the path, so far
	nodes map[string]string // instances only; nil: there is no path. Never changed
}

// record is every state that each service has had, and what was done against the rules of registrations.
type record struct {
	mu         sync.Mutex
	of         map[string][]state
	unreadable map[string]bool // instances that could not be read by everybody at some time, "service key"
	complain   func(check, format string, args ...any)
	wanted     func(service, key string) bool // whether a plugin registers there
	commits    int
	restored   int // so many times all was replaced
}

func newRecord() *record {
	r := &record{of: make(map[string][]state), unreadable: make(map[string]bool)}
	for _, s := range services {
		r.of[s] = []state{{at: time.Now(), epoch: 1}}
	}
	return r
}

// take is the server's journal.
func (r *record) take(c zktest.Commit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.commits++
	if c.Replaced {
		r.restored++
	}
	for _, service := range services {
		list := r.of[service]
		last := list[len(list)-1]
		next := state{at: time.Now(), zxid: c.Zxid, epoch: last.epoch, nodes: last.nodes}
		changed := false
		if c.Replaced {
			next.nodes, changed = nil, true
			next.epoch++
		}
		copied := false
		own := func() {
			if !copied {
				nodes := make(map[string]string, len(next.nodes)+1)
				maps.Copy(nodes, next.nodes)
				next.nodes, copied = nodes, true
			}
			changed = true
		}
		path := top + service
		for _, ch := range c.Changes { // the path before what is below it
			if ch.Path == path && !ch.Deleted && next.nodes == nil {
				next.nodes, copied, changed = make(map[string]string), true, true
				if !c.Replaced {
					next.epoch++
				}
			}
		}
		for _, ch := range c.Changes {
			if ch.Path == path && ch.Deleted {
				next.nodes, copied, changed = nil, true, true
				next.epoch++
				continue
			}
			key, ok := strings.CutPrefix(ch.Path, path+"/")
			if !ok || !strings.Contains(key, "@") || strings.Contains(key, "/") {
				continue
			}
			own()
			if ch.Deleted {
				delete(next.nodes, key)
				continue
			}
			next.nodes[key] = string(ch.Data)
			if !c.Replaced {
				r.checkRegistration(service, key, ch)
			}
		}
		if changed {
			r.of[service] = append(list, next)
		}
	}
}

// checkRegistration: a plugin's node is never persistent, and never visible without its metadata.
func (r *record) checkRegistration(service, key string, ch zktest.Change) {
	if r.wanted == nil || !r.wanted(service, key) {
		return
	}
	if ch.Stat.EphemeralOwner == 0 {
		r.complain("registrationsAreEphemeral", "%s of %s was made persistent: %q", key, service, ch.Data)
	}
	if len(ch.Data) == 0 {
		r.complain("registrationsHaveMetadata", "%s of %s was made without metadata", key, service)
	}
}

// states are those of a service so far.
func (r *record) states(service string) []state {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.of[service]
}

func (r *record) now(service string) state {
	list := r.states(service)
	return list[len(list)-1]
}

// restores are those of the whole tree so far, to a backup or to nothing.
func (r *record) restores() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.restored
}

// gaps are the times without the service's path, before its first life and between two. A process that has looked then counts one era more than one
// that has not, and saves it in the same life.
func (r *record) gaps(service string) (n int) {
	list := r.states(service)
	for i := range list {
		if list[i].nodes == nil && (i == 0 || list[i-1].nodes != nil) {
			n++
		}
	}
	return n
}

func (r *record) hide(service, key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unreadable[service+" "+key] = true
}

// hasHidden reports whether there was an instance that not everybody may read.
func (r *record) hasHidden() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.unreadable) > 0
}

func (r *record) wasHidden(service, key string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.unreadable[service+" "+key]
}
