package weather

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/zkdiscovery"
)

// sight is what one view has shown so far, and which of ZooKeeper's states that was.
type sight struct {
	mu      sync.Mutex
	matched int            // index of the earliest state that the newest list can be
	values  map[string]int // the same for each instance's metadata
	prev    *shown         // nil: nothing that the next list follows
	zxid    int64
	backs   int            // how often the zxid was lower than before
	letGo   map[string]int // who was let go, and how many states there were then
	live    time.Time      // when the list was seen live first
}

// shown is a list that came from ZooKeeper, at first or second hand.
type shown struct {
	zkdiscovery.Snapshot
	at      time.Time
	list    map[string]string
	held    map[string]bool
	matched int
}

// check takes a look at what the view shows, and judges it.
func (v *view) check(where string) {
	s := &v.sight
	s.mu.Lock()
	defer s.mu.Unlock()
	snap := v.d.Snapshot()
	now := &shown{Snapshot: snap, at: time.Now(), list: make(map[string]string), held: make(map[string]bool)}
	for _, p := range snap.Servers {
		now.list[p.Key] = p.Value
	}
	for _, k := range snap.Held {
		now.held[k] = true
	}
	bad := func(check, format string, args ...any) {
		v.p.run.violate(check, v.name+" ("+where+", "+snap.Source.String()+"): "+format, args...)
	}
	if !slices.IsSortedFunc(snap.Servers, func(a, b client.KVPair) int { return strings.Compare(a.Key, b.Key) }) || len(now.list) != len(snap.Servers) {
		bad("listsAreSorted", "%v", snap.Servers)
	}
	switch snap.Source {
	case zkdiscovery.None:
		if len(now.list) > 0 && !v.isOverride(now.list) {
			bad("withoutASourceNothingIsListed", "%v", now.list)
		}
		return
	case zkdiscovery.Override:
		if !v.isOverride(now.list) {
			bad("overridesAreListedAsTheyAre", "%v is no override that there was", now.list)
		}
		s.prev = nil
		return
	case zkdiscovery.File, zkdiscovery.Stale, zkdiscovery.Live:
	}
	if !v.listsWereHeld(now, bad) {
		s.prev = nil
		return
	}
	if v.metadataWasHeld(now, bad); now.Source == zkdiscovery.File && !v.p.guarded {
		s.prev = nil
		return
	}
	if s.live.IsZero() && now.Source == zkdiscovery.Live {
		s.live = now.at
	}
	v.zxidsNeverGoBack(now, bad)
	if len(now.held) > 0 && !v.p.guarded && snap.Source != zkdiscovery.File { // the file of another process has its marks
		bad("withoutAGuardNobodyIsHeld", "%v", snap.Held)
	}
	if v.isUnfiltered() {
		if p := s.prev; p != nil && v.heardItself(p) && snap.Source == zkdiscovery.Live && snap.Revision == p.Revision+1 && v.p.guarded {
			v.lossesAreGuarded(p, now, bad)
		}
		v.nobodyLetGoComesBack(now, bad)
	}
	s.prev = now
}

// heardItself reports whether what follows p is what the process has heard of ZooKeeper itself. While it cannot ask, it takes the word of another
// process that shares the file, for losses too; so does a clone that was let go. A process without a guard holds nobody, and its file does not tell
// whom the others hold: the manual advises to give it a directory of its own.
func (v *view) heardItself(p *shown) bool {
	if v.wasIdle && v.p.disk.unguarded {
		return false
	}
	return p.Source == zkdiscovery.Live || p.Source == zkdiscovery.Stale && v.p.disk.users == 1
}

type complaint = func(check, format string, args ...any)

// listsWereHeld: each list, without who is held, has the instances that ZooKeeper had at some time, no earlier than the list before it.
func (v *view) listsWereHeld(now *shown, bad complaint) bool {
	states := v.p.run.record.states(v.service)
	if now.Source == zkdiscovery.File && !v.p.guarded {
		return true // it has whom another process holds, and does not hold them itself: metadataWasHeld looks at each
	}
	for i := v.sight.matched; i < len(states); i++ {
		if v.fits(now, states, i) {
			v.sight.matched, now.matched = i, i
			return true
		}
	}
	// A first list that is older than what another process has saved since, and was shown: whom the file alone has is held until the next pass tells.
	if all := *now; v.p.disk.users > 1 && len(now.held) > 0 {
		all.held = nil
		for i := v.sight.matched; i < len(states); i++ {
			if v.fits(&all, states, i) {
				now.matched = v.sight.matched
				return true
			}
		}
	}
	for i := range v.sight.matched {
		if v.fits(now, states, i) {
			bad("listsNeverGoBack", "%v, held %v, is state %d, and state %d was shown before: %v", now.list, now.Held, i, v.sight.matched,
				states[v.sight.matched].nodes)
			return false
		}
	}
	bad("listsWereHeld", "%v, held %v, is nothing that ZooKeeper has had; now that is %v", now.list, now.Held, states[len(states)-1].nodes)
	return false
}

// fits reports whether a list can be that of a state: all of it, but for those that a filter leaves out, and those that were gone when they were read.
func (v *view) fits(now *shown, states []state, i int) bool {
	nodes := states[i].nodes
	n := 0
	for k := range now.list {
		if now.held[k] {
			continue
		}
		if _, ok := nodes[k]; !ok {
			return false
		}
		n++
	}
	if n == len(nodes) {
		return true
	}
	for k := range nodes {
		if _, ok := now.list[k]; ok && !now.held[k] {
			continue
		}
		if !v.mayReject(k, states) && !isGone(k, states[i+1:]) {
			return false
		}
	}
	return true
}

func isGone(key string, states []state) bool {
	for _, st := range states {
		if _, ok := st.nodes[key]; !ok {
			return true
		}
	}
	return false
}

// mayReject reports whether a filter that v has had leaves out an instance with some of the metadata that it has had.
func (v *view) mayReject(key string, states []state) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, f := range v.past {
		if f.keeps == nil {
			continue
		}
		if f.rejects(key, "") && v.p.run.record.wasHidden(v.service, key) {
			return true
		}
		for _, st := range states {
			if value, ok := st.nodes[key]; ok && f.rejects(key, value) {
				return true
			}
		}
	}
	return false
}

func (v *view) isUnfiltered() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, f := range v.past {
		if f.keeps != nil {
			return false
		}
	}
	return true
}

// metadataWasHeld: each instance's metadata is what ZooKeeper had for it at some time, no earlier than what was shown before.
func (v *view) metadataWasHeld(now *shown, bad complaint) {
	r := v.p.run.record
	states := r.states(v.service)
	if v.sight.values == nil {
		v.sight.values = make(map[string]int)
	}
next:
	for k, value := range now.list {
		if r.wasHidden(v.service, k) {
			continue
		}
		for i := v.sight.values[k]; i < len(states); i++ {
			if is, ok := states[i].nodes[k]; ok && is == value {
				v.sight.values[k] = i
				continue next
			}
		}
		// What another process has saved who reads metadata once, and whom it holds, also when this one is live again.
		if v.p.disk.membersOnly && (now.Source == zkdiscovery.File || now.held[k]) {
			continue
		}
		older := now.held[k] && v.p.disk.wasDamaged() // another process holds it with what the disk had kept of it
		for i := range v.sight.values[k] {
			if is, ok := states[i].nodes[k]; ok && is == value {
				if older {
					continue next
				}
				bad("metadataNeverGoesBack", "%s has %q, of state %d, and that of state %d was shown before", k, value, i, v.sight.values[k])
				continue next
			}
		}
		bad("metadataWasHeld", "%s has %q, which ZooKeeper never had", k, value)
	}
}

// zxidsNeverGoBack: but for once with each restore and each new life of the path.
func (v *view) zxidsNeverGoBack(now *shown, bad complaint) {
	s := &v.sight
	if now.Zxid < s.zxid {
		s.backs++
		if epochs := v.p.run.record.now(v.service).epoch; s.backs > epochs {
			bad("zxidsNeverGoBack", "%#x after %#x: %d times back, in %d epochs", now.Zxid, s.zxid, s.backs, epochs)
		}
	}
	s.zxid = now.Zxid
}

func isActive(value string) bool { return !strings.Contains(value, "state=inactive") }

// lossesAreGuarded compares a list with the one right before it. Who answers, or could not be asked, is not gone when many are.
func (v *view) lossesAreGuarded(p, now *shown, bad complaint) {
	run := v.p.run
	states := run.record.states(v.service)[p.matched:]
	goodbye := func(k string) bool { // it said so before it went
		for _, st := range states {
			if value, ok := st.nodes[k]; ok && !isActive(value) {
				return true
			}
		}
		return !isActive(p.list[k])
	}
	wasListed := func(k string) bool {
		for _, st := range states[min(1, len(states)):] {
			if _, ok := st.nodes[k]; ok {
				return true
			}
		}
		return false
	}
	var gone, answering []string
	for k := range p.list {
		if _, ok := now.list[k]; ok || goodbye(k) || run.record.wasHidden(v.service, k) {
			continue
		}
		gone = append(gone, k)
		if run.fleet.mayNotLeave(k, p.at.Add(-15*time.Second)) {
			answering = append(answering, k)
		}
	}
	slices.Sort(answering)
	active := 0
	for _, value := range now.list {
		if isActive(value) {
			active++
		}
	}
	for _, k := range gone {
		if p.held[k] && !wasListed(k) {
			if v.sight.letGo == nil {
				v.sight.letGo = make(map[string]int)
			}
			v.sight.letGo[k] = len(run.record.states(v.service))
			if slices.Contains(answering, k) {
				bad("nobodyWhoAnswersIsLetGo", "%s was held, answers, and is gone: %v", k, now.list)
			}
		}
	}
	if len(answering) == 0 {
		return
	}
	v.removalsAfterAReconnectAreHeld(answering, now, states, bad)
	if active == 0 {
		bad("theListIsNotEmptiedWhileOneAnswers", "%v answer, and no active instance is left: %v after %v", answering, now.list, p.list)
	}
	if share := max(v.p.guard.Share, 0.5*float64(isZero(v.p.guard.Share))); float64(len(gone)) > share*float64(len(gone)+active) && !v.newcomers(p, states) {
		bad("massLossesAreHeld", "%v of %v went at once, of which %v answer: %v", gone, p.list, answering, now.list)
	}
}

// removalsAfterAReconnectAreHeld: an instance that goes while the process is away from ZooKeeper, or in the window after, is kept while it answers, be it
// one of many: after an outage sessions expire one by one. A process that relays what another has heard is left out.
func (v *view) removalsAfterAReconnectAreHeld(gone []string, now *shown, states []state, bad complaint) {
	if !v.p.has["WithoutCache"] && v.p.disk.users > 1 {
		return
	}
	window := v.p.guard.Window
	if window == 0 {
		window = 30 * time.Second
	}
	history := v.d.Status().History
	for _, k := range gone {
		at, ok := goneAt(k, states)
		i := slices.IndexFunc(history, func(e zkdiscovery.ConnectionEvent) bool { return !e.At.Before(at) })
		if i < 0 {
			i = len(history)
		}
		if !ok || i == 0 || !v.sight.live.Before(history[i-1].At) { // live over an earlier connection
			continue
		}
		if e := history[i-1]; !e.Connected || now.at.Before(e.At.Add(window)) {
			bad("removalsAfterAReconnectAreHeld", "%s answers, went at %v, and is not held; connected %v since %v", k, at, e.Connected, e.At)
		}
	}
}

// goneAt is when an instance went for the last time.
func goneAt(key string, states []state) (at time.Time, ok bool) {
	for i := len(states) - 1; i > 0; i-- {
		_, is := states[i].nodes[key]
		if _, was := states[i-1].nodes[key]; was && !is {
			return states[i].at, true
		}
	}
	return at, false
}

func isZero(x float64) int {
	if x == 0 {
		return 1
	}
	return 0
}

// newcomers reports whether somebody has come who may have made a loss good.
func (v *view) newcomers(p *shown, states []state) bool {
	for _, st := range states {
		for k := range st.nodes {
			if _, ok := p.list[k]; !ok {
				return true
			}
			if !isActive(p.list[k]) {
				return true
			}
		}
	}
	return false
}

// nobodyLetGoComesBack: but when ZooKeeper has listed it since.
func (v *view) nobodyLetGoComesBack(now *shown, bad complaint) {
	states := v.p.run.record.states(v.service)
	for k, since := range v.sight.letGo {
		if _, ok := now.list[k]; !ok {
			continue
		}
		listed := false
		for _, st := range states[since-1:] {
			if _, ok := st.nodes[k]; ok {
				listed = true
			}
		}
		if !listed {
			bad("nobodyLetGoComesBack", "%s was let go, ZooKeeper has not listed it since, and it is back: held %v", k, now.Held)
		}
		delete(v.sight.letGo, k)
	}
}

// checkHeard: what a watcher was told has nothing in it that never was.
func (v *view) checkHeard(list map[string]string) {
	r := v.p.run
	if v.isOverride(list) {
		return
	}
	states := r.record.states(v.service)
next:
	for k, value := range list {
		if r.record.wasHidden(v.service, k) || r.overrides.names(k, value) {
			continue
		}
		for _, st := range states {
			if is, ok := st.nodes[k]; ok && is == value {
				continue next
			}
		}
		r.violate("watchersHearWhatWas", "%s: %s with %q never was", v.name, k, value)
	}
}

// isOverride reports whether a list is one of the overrides that there have been, filtered.
func (v *view) isOverride(list map[string]string) bool {
	v.mu.Lock()
	past := slices.Clone(v.past)
	v.mu.Unlock()
	for _, o := range v.p.run.overrides.all(v.service) {
		for _, f := range past {
			want := maps.Clone(o)
			maps.DeleteFunc(want, func(k, value string) bool { return f.rejects(k, value) })
			if maps.Equal(want, list) {
				return true
			}
		}
	}
	return false
}
