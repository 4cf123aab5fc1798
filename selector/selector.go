package selector

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Selector chooses servers for rpcx's XClient. Its methods may be called at once from anywhere, so XClients of one service may share one.
type Selector struct {
	config *config
	table  atomic.Pointer[table]
	views  views
	mu     sync.Mutex // updates
}

// table is what Select chooses from. It never changes once it is published.
type table struct {
	servers []*server // by key
	byKey   map[string]*server
}

// New returns a Selector without servers: XClient gives it those of its discovery. Its error joins every mistake in the options. Close it when no
// client uses it any more.
func New(opts ...Option) (*Selector, error) {
	c, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	s := &Selector{config: c}
	s.table.Store(&table{})
	return s, nil
}

// Select implements client.Selector: the key of a listed server, or "" when the list is empty. It does not block.
func (s *Selector) Select(ctx context.Context, servicePath, serviceMethod string, args any) string {
	srv := s.next(ctx, servicePath, serviceMethod, args)
	if srv == nil {
		return ""
	}
	if h := holderOf(ctx); h != nil && h.x.s == s {
		if h.had(srv.key) {
			srv = s.elsewhere(srv)
		}
		srv.inFlight.Add(1)
		h.add(pick{s, srv})
	}
	return srv.key
}

// choose picks a server for one attempt and counts it as in flight until the pick is done. The key is "" when the list is empty.
func (s *Selector) choose(ctx context.Context, servicePath, serviceMethod string, args any) (key string, p pick) {
	srv := s.next(ctx, servicePath, serviceMethod, args)
	if srv == nil {
		return "", pick{}
	}
	srv.inFlight.Add(1)
	return srv.key, pick{s, srv}
}

func (s *Selector) next(context.Context, string, string, any) *server {
	servers := s.table.Load().servers
	if len(servers) == 0 {
		return nil
	}
	a := servers[rand.N(len(servers))]
	if s.config.policy == P2C {
		if b := servers[rand.N(len(servers))]; b.inFlight.Load() < a.inFlight.Load() {
			a = b
		}
	}
	a.picks.Add(1)
	return a
}

// UpdateServer implements client.Selector: the servers from now on, each with its metadata. The map is only read, and not kept.
func (s *Selector) UpdateServer(servers map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.table.Load()
	t := &table{servers: make([]*server, 0, len(servers)), byKey: make(map[string]*server, len(servers))}
	for key := range servers {
		srv := old.byKey[key]
		if srv == nil {
			srv = &server{key: key}
		}
		t.servers = append(t.servers, srv)
		t.byKey[key] = srv
	}
	slices.SortFunc(t.servers, func(a, b *server) int { return strings.Compare(a.key, b.key) })
	s.table.Store(t)
}

// dialFailed tells of a dial that failed, where there is no pick to report it.
func (s *Selector) dialFailed(key string, _ error) { s.observe(key, dialFailed, 0) }

// observe tells of an outcome of the server of key, where there is no pick to report it. Keys that are not listed are ignored.
func (s *Selector) observe(key string, o outcome, latency time.Duration) {
	if srv := s.table.Load().byKey[key]; srv != nil {
		s.feed(srv, o, latency)
	}
}

// feed lets a server answer for the outcome of an attempt.
func (s *Selector) feed(srv *server, o outcome, _ time.Duration) {
	srv.outcomes[o].Add(1)
}

// Close ends what the Selector does in the background. Select goes on answering from the last list. It may be called twice.
func (s *Selector) Close() error { return nil }
