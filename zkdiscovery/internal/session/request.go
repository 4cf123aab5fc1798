package session

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-zookeeper/zk"
)

// pipelined is how many requests of one Read are under way at once.
const pipelined = 128

// Stat is what ZooKeeper keeps of a znode, as go-zookeeper has it.
type Stat = zk.Stat

// Listing is a znode's children, in no order.
type Listing struct {
	Names []string
	Stat  Stat // the parent's
}

// Node is a child as it was read. Err is nil, ErrNoNode (it is gone) or ErrNoAuth (it may not be read: Data is nil).
type Node struct {
	Name string
	Data []byte
	Stat Stat
	Err  error
}

// List returns the children of path, or ErrNoNode, or ErrNoAuth. It leaves a watch on them if none is outstanding; if path is missing, one
// that waits for it.
func (s *Session) List(ctx context.Context, path string) (Listing, error) {
	return call(ctx, s, func(l *line) (Listing, error) {
		for {
			ls, err := l.list(path)
			if !errors.Is(err, zk.ErrNoNode) {
				return ls, err
			}
			if exists, err := l.awaitNode(path); err != nil || !exists {
				return Listing{}, orNoNode(err)
			}
		}
	})
}

func orNoNode(err error) error {
	if err == nil {
		return ErrNoNode
	}
	return err
}

func (l *line) list(path string) (Listing, error) {
	key := watchKey{l.s.cfg.Chroot + path, childWatch}
	defer l.watches.want(key)()
	names, st, err := l.conn.Children(key.path)
	return listing(names, st, err)
}

func listing(names []string, st *zk.Stat, err error) (Listing, error) {
	if err != nil {
		return Listing{}, err
	}
	return Listing{names, *st}, nil
}

// awaitNode leaves a watch for the creation of path.
func (l *line) awaitNode(path string) (exists bool, err error) {
	key := watchKey{l.s.cfg.Chroot + path, existWatch}
	defer l.watches.want(key)()
	exists, _, err = l.conn.Exists(key.path)
	return exists, err
}

// Read returns the named children of parent, in the order of names, with the requests pipelined; it leaves a watch on the data of each that
// has none outstanding, unless watch is false. An error means that not all could be asked.
func (s *Session) Read(ctx context.Context, parent string, names []string, watch bool) ([]Node, error) {
	return call(ctx, s, func(l *line) ([]Node, error) {
		nodes := make([]Node, len(names))
		var next atomic.Int64
		var failed atomic.Pointer[error]
		var wg sync.WaitGroup
		for range min(pipelined, len(names)) {
			wg.Go(func() {
				for failed.Load() == nil {
					i := int(next.Add(1)) - 1
					if i >= len(names) {
						return
					}
					n, err := l.read(parent, names[i], watch)
					if err != nil {
						failed.CompareAndSwap(nil, &err)
						return
					}
					nodes[i] = n
				}
			})
		}
		wg.Wait()
		if err := failed.Load(); err != nil {
			return nil, *err
		}
		return nodes, nil
	})
}

func (l *line) read(parent, name string, watch bool) (Node, error) {
	key := watchKey{l.s.cfg.Chroot + parent + "/" + name, dataWatch}
	if watch {
		defer l.watches.want(key)()
	}
	data, st, err := l.conn.Get(key.path)
	switch {
	case err == nil:
		return Node{Name: name, Data: data, Stat: *st}, nil
	case errors.Is(err, zk.ErrNoNode), errors.Is(err, zk.ErrNoAuth):
		return Node{Name: name, Err: err}, nil
	}
	return Node{}, err
}

// Sync makes the server that this session is connected to catch up with the leader before it answers later requests.
func (s *Session) Sync(ctx context.Context, path string) error {
	_, err := call(ctx, s, func(l *line) (struct{}, error) {
		_, err := l.conn.Sync(s.cfg.Chroot + path)
		return struct{}{}, err
	})
	return err
}

// call runs f on the line that is connected, and returns its result, or an error when the link of this moment or ctx ends first, or when
// the session timeout passes: then the link is broken, since a server that answers pings but not requests is no use. What f waits for by
// then ends with its line at the latest.
func call[T any](ctx context.Context, s *Session, f func(*line) (T, error)) (T, error) {
	var zero T
	s.mu.Lock()
	if s.state.Closed {
		s.mu.Unlock()
		return zero, ErrClosed
	}
	if !s.state.Connected {
		err := because(ErrNotConnected, s.state.Err)
		s.mu.Unlock()
		return zero, err
	}
	l, k, limit := s.line, s.link, s.state.Timeout
	type result struct {
		v   T
		err error
	}
	done := make(chan result, 1) // f's goroutine sends once
	s.wg.Go(func() {
		v, err := f(l)
		done <- result{v, err}
	})
	s.mu.Unlock()

	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case r := <-done:
		if r.err == nil {
			return r.v, nil
		}
		var cause error
		if isDone(k) {
			cause = k.cause
		}
		return zero, requestError(r.err, cause)
	case <-k.done:
		return zero, because(ErrLost, k.cause)
	case <-t.C:
		k.end(errRequest)
		return zero, because(ErrLost, errRequest)
	case <-ctx.Done():
		return zero, ctx.Err()
	}
}

// Stat returns what ZooKeeper keeps of path, nil when it does not exist. It leaves no watch.
func (s *Session) Stat(ctx context.Context, path string) (*Stat, error) {
	return call(ctx, s, func(l *line) (*Stat, error) {
		exists, st, err := l.conn.Exists(s.cfg.Chroot + path)
		if err != nil || !exists {
			return nil, err
		}
		return st, nil
	})
}
