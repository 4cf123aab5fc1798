package session

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"
)

// longestLookup bounds a lookup that nobody waits for any more. Its answer serves the next attempt.
const longestLookup = time.Minute

// names knows the addresses of the servers' names: they are looked up for every attempt, and the last ones that were found serve when that fails
// or takes too long.
type names struct {
	mu sync.Mutex
	of map[string]*name
}

type name struct {
	known []string      // the addresses that were found last
	err   error         // of the last lookup
	ended chan struct{} // closed by the lookup under way when it has ended, nil when there is none
}

func (n *names) get(host string) *name {
	if n.of == nil {
		n.of = make(map[string]*name)
	}
	if n.of[host] == nil {
		n.of[host] = &name{}
	}
	return n.of[host]
}

// known are the addresses of a name that were found last, in random order. It asks nobody.
func (n *names) known(host string) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return shuffled(n.get(host).known)
}

func shuffled(list []string) []string {
	list = slices.Clone(list)
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// addresses returns those of a name, one at least, in random order: what the resolver says, if it does so within limit, or else those that were found
// last. A lookup that takes longer goes on, one per name at once, and a later call has its answer.
func (s *Session) addresses(ctx context.Context, host string, limit time.Duration) ([]string, error) {
	n := &s.names
	n.mu.Lock()
	e := n.get(host)
	if e.ended == nil {
		e.ended = make(chan struct{})
		s.wg.Go(func() { s.lookUp(host, e) }) // the line that this is for is in wg, too
	}
	ended := e.ended
	n.mu.Unlock()

	t := time.NewTimer(limit)
	defer t.Stop()
	var err error
	select {
	case <-ended:
	case <-t.C:
		err = fmt.Errorf("no answer for %s within %v: %w", host, limit, context.DeadlineExceeded)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if err == nil {
		err = e.err
	}
	if len(e.known) == 0 {
		return nil, err
	}
	if err != nil {
		s.log.Debug("name not resolved, its last known addresses serve", "name", host, "err", err)
	}
	return shuffled(e.known), nil
}

func (s *Session) lookUp(host string, e *name) {
	ctx, cancel := context.WithTimeout(s.ctx, longestLookup)
	defer cancel()
	found, err := net.DefaultResolver.LookupIPAddr(ctx, host) // unlike LookupHost, it ends with ctx at once
	if err == nil && len(found) == 0 {
		err = errors.New("no address")
	}
	s.names.mu.Lock()
	defer s.names.mu.Unlock()
	if e.err = err; err == nil {
		e.known = nil
		for _, ip := range found {
			e.known = append(e.known, ip.String())
		}
	}
	close(e.ended)
	e.ended = nil
}
