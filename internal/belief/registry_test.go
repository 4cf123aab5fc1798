package belief

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/smallnest/rpcx/client"
)

// registry is a model of ZooKeeper below one path. Its states stay, since a server may lag behind, and a backup may be restored.
type registry struct {
	states   []regState // the newest is the truth
	lineages int
	events   int64 // so many histories have begun after the first
	pairs    map[client.KVPair]*client.KVPair
}

type regState struct {
	lineage   string
	zxid      int64 // of the newest transaction
	pzxid     int64 // of the newest that added an instance, or took one away
	instances map[string]regNode
}

type regNode struct {
	value string
	mzxid int64
}

func newRegistry() *registry {
	r := &registry{pairs: make(map[client.KVPair]*client.KVPair)}
	r.wipe()
	r.events = 0
	return r
}

func (r *registry) truth() *regState { return &r.states[len(r.states)-1] }

// change is a transaction.
func (r *registry) change(f func(s *regState)) {
	if r.truth().lineage == "" {
		r.wipe() // the path is made first
	}
	s := *r.truth()
	s.instances = maps.Clone(s.instances)
	s.zxid++
	f(&s)
	r.states = append(r.states, s)
}

func (r *registry) create(key, value string) {
	r.change(func(s *regState) {
		_, there := s.instances[key]
		s.instances[key] = regNode{value, s.zxid}
		if !there {
			s.pzxid = s.zxid
		}
	})
}

func (r *registry) remove(key string) {
	if _, there := r.truth().instances[key]; there {
		r.change(func(s *regState) {
			delete(s.instances, key)
			s.pzxid = s.zxid
		})
	}
}

// wipe is another registry, or the path made anew.
func (r *registry) wipe() {
	r.lineages++
	r.events++
	lineage := strconv.Itoa(r.lineages)
	r.states = append(r.states, regState{lineage: lineage, zxid: 1, pzxid: 1, instances: make(map[string]regNode)})
}

// vanish is the path's deletion.
func (r *registry) vanish() {
	if r.truth().lineage != "" {
		r.events++
		r.states = append(r.states, regState{instances: make(map[string]regNode)})
	}
}

// restore makes a backup the truth, of so many transactions ago.
func (r *registry) restore(ago int) {
	s := r.states[max(0, len(r.states)-1-ago)]
	r.events++
	r.states = append(r.states, s)
}

// pair is the pair that an instance has as long as it says the same.
func (r *registry) pair(key, value string) *client.KVPair {
	p := client.KVPair{Key: key, Value: value}
	if r.pairs[p] == nil {
		r.pairs[p] = &p
	}
	return r.pairs[p]
}

// mirror is a model of what one process has read.
type mirror struct {
	seen      map[string]regNode
	pairs     []*client.KVPair
	edits     int64
	at        int // the newest state that was read over this connection
	forbidden map[string]bool
	noData    bool // no watches for metadata
}

// read reads a state. all says that every instance is read, and not only those that have changed.
func (m *mirror) read(r *registry, at int, all, synced bool, doubt int64, now time.Time) *Listing {
	m.at = at
	s := r.states[at]
	l := &Listing{Lineage: s.lineage, Zxid: s.pzxid, Synced: synced, Proof: synced && all, Doubt: doubt, AsOf: now}
	var list []*client.KVPair
	next := make(map[string]regNode)
	for _, key := range slices.Sorted(maps.Keys(s.instances)) {
		is := s.instances[key]
		was, known := m.seen[key]
		switch {
		case m.forbidden[key]:
			is = regNode{value: was.value}
			l.Proof = false
		case known && !all && m.noData:
			is = was
		}
		next[key] = is
		l.Zxid = max(l.Zxid, is.mzxid)
		list = append(list, r.pair(key, is.value))
	}
	m.seen = next
	if !slices.Equal(list, m.pairs) {
		m.pairs = list
		m.edits++
	}
	l.Pairs, l.Edits = m.pairs, m.edits
	return l
}
