package session

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

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
	return callMany(ctx, s, func(l *line, p *progress) (Listing, error) {
		for !p.abandoned.Load() {
			ls, err := l.list(path)
			if !errors.Is(err, ErrNoNode) {
				return ls, err
			}
			exists, err := l.awaitNode(path)
			switch {
			case err != nil:
				return Listing{}, err
			case !exists:
				return Listing{}, ErrNoNode
			}
			// It was made in between.
		}
		return Listing{}, ErrClosed
	})
}

func (l *line) list(path string) (Listing, error) {
	key := watchKey{l.s.cfg.Chroot + path, childWatch}
	if l.watches.want(key) {
		defer l.watches.unwant(key)
	}
	names, st, err := l.conn.Children(key.path)
	if err != nil {
		return Listing{}, err
	}
	return Listing{names, *st}, nil
}

// awaitNode leaves a watch for the creation of path.
func (l *line) awaitNode(path string) (exists bool, err error) {
	key := watchKey{l.s.cfg.Chroot + path, existWatch}
	if l.watches.want(key) {
		defer l.watches.unwant(key)
	}
	exists, _, err = l.conn.Exists(key.path)
	return exists, err
}

// Read returns the named children of parent, in the order of names, with the requests pipelined; it leaves a watch on the data of each that
// has none outstanding, unless watch is false. An error means that not all could be asked.
func (s *Session) Read(ctx context.Context, parent string, names []string, watch bool) ([]Node, error) {
	return callMany(ctx, s, func(l *line, p *progress) ([]Node, error) {
		nodes := make([]Node, len(names))
		var next atomic.Int64
		var failed atomic.Pointer[error]
		var wg sync.WaitGroup
		for range min(pipelined, len(names)) {
			wg.Go(func() {
				for failed.Load() == nil && !p.abandoned.Load() {
					i := int(next.Add(1)) - 1
					if i >= len(names) {
						return
					}
					var err error
					if nodes[i], err = l.read(parent, names[i], watch); err != nil {
						failed.CompareAndSwap(nil, &err)
						return
					}
					p.note()
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
	if watch && l.watches.want(key) {
		defer l.watches.unwant(key)
	}
	data, st, err := l.conn.Get(key.path)
	switch {
	case err == nil:
		return Node{Name: name, Data: data, Stat: *st}, nil
	case isAny(err, ErrNoNode, ErrNoAuth):
		return Node{Name: name, Err: err}, nil
	}
	return Node{}, err
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

// Sync makes the server that this session is connected to catch up with the leader before it answers later requests.
func (s *Session) Sync(ctx context.Context, path string) error {
	_, err := call(ctx, s, func(l *line) (struct{}, error) {
		_, err := l.conn.Sync(s.cfg.Chroot + path)
		return struct{}{}, err
	})
	return err
}
