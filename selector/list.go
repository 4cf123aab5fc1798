package selector

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
)

// list is what UpdateServer brought last. Selector.mu guards it.
type list struct {
	servers []*server          // by key
	byKey   map[string]*server // the same; replaced, never changed: tables share it
	ranked  []*server          // those that are not drained, in the order in which a subset takes them
	used    int                // how many of ranked the pool has
	pool    *pool
	gone    map[string]*server // those that left lately, in case they come back
}

// remembered is how long a server that left the list keeps its state: the members of a pool of clients see a change at different times.
const remembered = time.Minute

// UpdateServer implements client.Selector: the servers from now on, each with its metadata. The map is only read, and not kept. It does not block,
// but for the function given to WithLive.
func (s *Selector) UpdateServer(servers map[string]string) {
	live := s.liveness.ask(s.config.live, s.now())
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.update(servers, live) {
		return
	}
	s.publish(s.now())
	if len(servers) > 0 && !s.started && !s.closed {
		s.started = true
		s.wg.Go(s.run)
	}
	s.poke()
}

// update takes a list, and says whether it differs from the last one in what matters here: servers that tell of their load in their metadata
// bring a list every few seconds.
func (s *Selector) update(servers map[string]string, live bool) bool {
	l, now := &s.list, s.now()
	var joined []*server
	changed := len(servers) != len(l.servers)
	var strange []*server
	for key, data := range servers {
		srv := l.byKey[key]
		if srv == nil {
			srv = s.join(key, live, now)
			joined = append(joined, srv)
		}
		if srv.data == data {
			continue
		}
		is := parseTraits(data)
		changed = changed || !is.same(srv.traits)
		srv.data, srv.traits = data, is
		if is.strange {
			strange = append(strange, srv)
		}
	}
	s.report(strange)
	if !changed && len(joined) == 0 {
		return false
	}

	if len(joined) > 0 || len(servers) != len(l.servers) {
		kept := make([]*server, 0, len(servers))
		for _, srv := range l.servers {
			if _, ok := servers[srv.key]; ok {
				kept = append(kept, srv)
				continue
			}
			srv.gone = now
			l.gone[srv.key] = srv
			s.release(srv)
		}
		slices.SortFunc(joined, byKey)
		l.servers = merge(kept, joined)
		l.byKey = make(map[string]*server, len(l.servers))
		for _, srv := range l.servers {
			l.byKey[srv.key] = srv
		}
		for key, srv := range l.gone {
			if now-srv.gone > int64(remembered) {
				delete(l.gone, key)
			}
		}
	}
	l.ranked = make([]*server, 0, len(l.servers))
	for _, srv := range l.servers {
		if srv.traits.weight > 0 {
			l.ranked = append(l.ranked, srv)
		}
	}
	if len(l.ranked) == 0 {
		l.ranked = append(l.ranked, l.servers...)
	}
	if s.config.subset > 0 {
		rank(l.ranked, s.config.client)
	}
	l.pool = nil
	return true
}

func byKey(a, b *server) int { return strings.Compare(a.key, b.key) }

// merge returns the servers of both, which are in the order of their keys.
func merge(a, b []*server) []*server {
	if len(b) == 0 {
		return a
	}
	all := make([]*server, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if byKey(a[0], b[0]) < 0 {
			all, a = append(all, a[0]), a[1:]
		} else {
			all, b = append(all, b[0]), b[1:]
		}
	}
	return append(append(all, a...), b...)
}

// join returns the server of a key that was not listed. One that was lately is what it was. A real newcomer starts slowly: one in a live list that
// is not the first.
func (s *Selector) join(key string, live bool, now int64) *server {
	if srv := s.list.gone[key]; srv != nil && now-srv.gone <= int64(remembered) {
		delete(s.list.gone, key)
		return srv
	}
	srv := &server{key: key, hash: xxhash.Sum64String(key), traits: parseTraits("")}
	if s.closed {
		srv.health.state = Up
	} else if s.config.ramp > 0 && live && len(s.list.servers) > 0 {
		srv.ramp.Store(-1)
	}
	srv.mark()
	return srv
}

// report tells once of metadata that was not understood.
func (s *Selector) report(strange []*server) {
	if len(strange) == 0 {
		return
	}
	n, example := len(strange), slices.MinFunc(strange, byKey)
	s.tell(func() {
		s.config.log.Warn("metadata not understood, defaults used", slog.Int("servers", n), slog.String("for_example", example.key))
	})
}

// publish makes a table of the list and its servers' states. s.mu must be held.
func (s *Selector) publish(now int64) {
	l, was := &s.list, s.table.Load()
	used := len(l.ranked)
	if n := s.config.subset; n > 0 {
		used = subset(l.ranked, n)
	}
	if l.pool == nil || used != l.used {
		l.used, l.pool = used, newPool(l.ranked[:used], s.config, was.pool)
		if s.config.policy == WeightedRoundRobin {
			s.turns.reset(l.pool.members)
		}
	}
	t := newTable(l.pool, l.byKey, s.config, now)
	if was.counts.up == 0 && t.counts.up > 0 && t.counts.aside > 0 {
		s.returned(t, now)
	}
	s.changed = false
	s.table.Store(t)
	if t.panic != was.panic {
		s.tellPanic(t.panic, t.counts)
	}
}

// returned asks those put aside again soon: when the first one answers after none did, it was not the servers.
func (s *Selector) returned(t *table, now int64) {
	for _, m := range t.pool.members {
		if h := &m.server.health; h.state == Aside {
			h.dials = 1
			h.until = min(h.until, now+int64(backoff(1, s.roll(), s.config.ejection.DialBase, s.config.ejection.DialMax)))
		}
	}
}

func (c counts) String() string { return fmt.Sprintf("%d of %d", c.failing, c.all) }
