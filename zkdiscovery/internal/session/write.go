package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-zookeeper/zk"
)

// What ZooKeeper answers to a write that is not to be, besides ErrNoNode and ErrNoAuth. None of it was executed then.
var (
	ErrNodeExists = zk.ErrNodeExists
	ErrBadVersion = zk.ErrBadVersion
	ErrNotEmpty   = zk.ErrNotEmpty
)

// ACL is one entry of a znode's access control list, as go-zookeeper has it.
type ACL = zk.ACL

// PermAll is every permission of an ACL.
const PermAll = zk.PermAll

// Op is one change of one znode: Create, Set or Delete.
type Op interface{ request(chroot string) any }

// Create makes a znode. An ephemeral one belongs to the session and ends with it.
type Create struct {
	Path      string
	Data      []byte
	ACL       []ACL
	Ephemeral bool
}

// Set replaces a znode's data, if its version is Version; -1 for any.
type Set struct {
	Path    string
	Data    []byte
	Version int32
}

// Delete removes a znode, if its version is Version; -1 for any.
type Delete struct {
	Path    string
	Version int32
}

func (o Create) request(chroot string) any {
	var flags int32
	if o.Ephemeral {
		flags = zk.FlagEphemeral
	}
	return &zk.CreateRequest{Path: chroot + o.Path, Data: o.Data, Acl: o.ACL, Flags: flags}
}

func (o Set) request(chroot string) any {
	return &zk.SetDataRequest{Path: chroot + o.Path, Data: o.Data, Version: o.Version}
}

func (o Delete) request(chroot string) any {
	return &zk.DeleteRequest{Path: chroot + o.Path, Version: o.Version}
}

// Write performs all of ops or none, in one transaction, in the session of number in (State.Session) and in no other.
//
// When it returns, the transaction will not be executed any more, unless ctx ended meanwhile; if it had ended before, nothing was done. If the connection is lost meanwhile, that is not
// before the session's next connection has answered, or the session is over: what go-zookeeper had not sent yet, it sends on the next one.
//
// The error is nil when all was done; ErrNotConnected (the session of that number is not connected; nothing was done); ErrLost (nobody knows:
// look); ctx's; or ZooKeeper's own answer, and nothing was done: failed is the index of the Op that it refused then, if it has said that.
func (s *Session) Write(ctx context.Context, in int64, ops ...Op) (failed int, err error) {
	requests := make([]any, len(ops))
	for i, op := range ops {
		requests[i] = op.request(s.cfg.Chroot)
	}
	failed, err = s.write(ctx, in, func(c *zk.Conn) (int, error) {
		if len(requests) == 1 {
			return 0, single(c, requests[0])
		}
		results, err := c.Multi(requests...)
		if err != nil {
			for i, r := range results {
				if r.Error != nil {
					return i, err
				}
			}
		}
		return -1, err
	})
	return failed, inWords(err)
}

// single does without the cost of a multi.
func single(c *zk.Conn, request any) error {
	var err error
	switch r := request.(type) {
	case *zk.CreateRequest:
		_, err = c.Create(r.Path, r.Data, r.Flags, r.Acl)
	case *zk.SetDataRequest:
		_, err = c.Set(r.Path, r.Data, r.Version)
	case *zk.DeleteRequest:
		err = c.Delete(r.Path, r.Version)
	}
	return err
}

// write runs f, which sends one request, on the line of session number in, and returns when it has ended. Other than call it does not leave f
// behind when the link ends. A link that does not answer within the session timeout is broken, as call does it.
func (s *Session) write(ctx context.Context, in int64, f func(*zk.Conn) (int, error)) (int, error) {
	if err := ctx.Err(); err != nil {
		return -1, err // nothing is begun
	}
	s.mu.Lock()
	err := s.notConnected()
	if err == nil && s.state.Session != in {
		err = fmt.Errorf("%w: that session is over", ErrNotConnected)
	}
	if err != nil {
		s.mu.Unlock()
		return -1, err
	}
	l, k, limit := s.line, s.link, s.state.Timeout
	l.wrote.Store(true)
	type result struct {
		failed int
		err    error
	}
	done := make(chan result, 1) // f's goroutine sends once
	s.wg.Go(func() {
		failed, err := f(l.conn)
		done <- result{failed, err}
	})
	s.mu.Unlock()

	begun := time.Now()
	t := time.NewTimer(limit)
	defer t.Stop()
	ended, changed := k.done, (<-chan struct{})(nil)
	for {
		select {
		case r := <-done:
			return r.failed, writeError(r.err, k)
		case <-t.C:
			if idle := k.idleSince(begun); idle < limit {
				t.Reset(limit - idle)
				continue
			}
			k.end(errRequest)
		case <-ended:
			// Sent, it ends at once, with an error; if not, it goes out on the next link of this line, or ends with the line.
			_, changed = s.Changed()
			if next := s.linkOf(l); next != nil && next != k {
				k, ended, changed = next, next.done, nil
				begun = time.Now()
				t.Reset(limit)
			} else {
				ended = nil
			}
		case <-changed:
			ended = k.done // look again
		case <-ctx.Done():
			return -1, ctx.Err()
		}
	}
}

// linkOf is the link of l that is connected, nil when there is none.
func (s *Session) linkOf(l *line) *link {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.line != l || !s.state.Connected {
		return nil
	}
	return s.link
}

// writeError tells ZooKeeper's own answers, after which nothing was done, from everything else, after which nobody knows. k is the newest link
// that the request can have been sent on.
func writeError(err error, k *link) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, zk.ErrNoNode), errors.Is(err, zk.ErrNoAuth), errors.Is(err, zk.ErrBadVersion), errors.Is(err, zk.ErrNodeExists),
		errors.Is(err, zk.ErrNotEmpty), errors.Is(err, zk.ErrNoChildrenForEphemerals), errors.Is(err, zk.ErrInvalidACL),
		errors.Is(err, zk.ErrShortBuffer), errors.Is(err, zk.ErrBadArguments):
		return err
	case isDone(k):
		return because(ErrLost, k.cause) // whatever go-zookeeper calls it: the error of a write to the socket, for instance
	}
	return requestError(err, nil) // codes that go-zookeeper has no name for are answers too
}
