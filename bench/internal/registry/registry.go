// Package registry is the other side of what is measured: whoever registers, changes and removes instances in ZooKeeper, over a connection of
// its own, and knows what is really there.
package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/holdfast-go/holdfast/internal/impatient"
)

// Registry changes services below a path. Methods of one service are not called at once.
type Registry struct {
	conn    *zk.Conn
	servers []string
	base    string
	ended   chan struct{} // closed when the connection's events have ended
	stop    func() bool   // keeps ctx's end from ending the connection, and reports whether it is in time
	stopped chan struct{} // closed when ctx's end has ended the connection
}

// Connect returns when one of the servers has a session for us, or ctx's error, or, after the timeout, that none has answered. The base path
// is created; Close removes it with all below it. When ctx ends, what is waited for ends with an error.
func Connect(ctx context.Context, servers []string, base string, timeout time.Duration) (*Registry, error) {
	conn, events, err := zk.Connect(servers, 30*time.Second, zk.WithLogger(silent{}), zk.WithDialer(impatient.Dial))
	if err != nil {
		return nil, err
	}
	r := &Registry{conn: conn, servers: servers, base: base, ended: make(chan struct{}), stopped: make(chan struct{})}
	connected := make(chan struct{})
	go func() {
		defer close(r.ended)
		first := true
		for e := range events {
			if e.State == zk.StateHasSession && first {
				first = false
				close(connected)
			}
		}
	}()
	r.stop = context.AfterFunc(ctx, func() {
		defer close(r.stopped)
		conn.Close()
	})
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-connected:
		if err = r.ensure(base); err != nil && ctx.Err() != nil {
			return nil, errors.Join(err, r.Close()) // some of it may be there
		}
	case <-ctx.Done():
		err = ctx.Err()
	case <-timer.C:
		err = fmt.Errorf("no ZooKeeper answers at %s within %v", strings.Join(servers, ","), timeout)
	}
	if err != nil {
		r.hangUp()
		return nil, err
	}
	return r, nil
}

type silent struct{}

func (silent) Printf(string, ...any) {}

// hangUp ends the connection, and reports whether ctx had done so.
func (r *Registry) hangUp() (before bool) {
	inTime := r.stop()
	if inTime {
		r.conn.Close()
	} else {
		<-r.stopped
	}
	<-r.ended
	return !inTime
}

// Close removes the base path and all below it, where ZooKeeper can be asked, and ends the connection. When ctx has ended that takes another one.
func (r *Registry) Close() error {
	err := r.removeAll()
	if !r.hangUp() {
		return err
	}
	again, err := Connect(context.Background(), r.servers, r.base, 10*time.Second)
	if err != nil {
		return fmt.Errorf("what is below %s stays: %w", r.base, err)
	}
	defer again.hangUp()
	return again.removeAll()
}

// removeAll tries again when something has appeared below a path that was empty: an operation that was on its way.
func (r *Registry) removeAll() error {
	err := r.remove(r.base)
	for tries := 0; errors.Is(err, zk.ErrNotEmpty) && tries < 5; tries++ {
		err = r.remove(r.base)
	}
	return err
}

// Forget ends the connection only.
func (r *Registry) Forget() { r.hangUp() }

// Base is the path below which the services are.
func (r *Registry) Base() string { return r.base }

func (r *Registry) ensure(path string) error {
	for i := 1; i <= len(path); i++ {
		if i < len(path) && path[i] != '/' {
			continue
		}
		if _, err := r.conn.Create(path[:i], nil, 0, zk.WorldACL(zk.PermAll)); err != nil && !errors.Is(err, zk.ErrNodeExists) {
			return fmt.Errorf("create %s: %w", path[:i], err)
		}
	}
	return nil
}

func (r *Registry) remove(path string) error {
	names, _, err := r.conn.Children(path)
	if errors.Is(err, zk.ErrNoNode) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list %s: %w", path, err)
	}
	leaf := true
	for _, name := range names {
		_, st, err := r.conn.Exists(path + "/" + name)
		if err == nil && st.NumChildren > 0 {
			leaf = false
		}
		if !leaf {
			break
		}
	}
	if leaf {
		for batch := range slices.Chunk(names, batchSize) {
			ops := make([]any, len(batch))
			for i, name := range batch {
				ops[i] = &zk.DeleteRequest{Path: path + "/" + name, Version: -1}
			}
			if _, err := r.conn.Multi(ops...); err != nil {
				leaf = false // somebody's session has ended meanwhile: one by one, then
				break
			}
		}
	}
	if !leaf {
		for _, name := range names {
			if err := r.remove(path + "/" + name); err != nil {
				return err
			}
		}
	}
	if err := r.conn.Delete(path, -1); err != nil && !errors.Is(err, zk.ErrNoNode) {
		return fmt.Errorf("delete %s: %w", path, err)
	}
	return nil
}

// batchSize keeps a transaction well below ZooKeeper's largest request.
const batchSize = 500

// Service is one service with its instances, which have no session: nothing but the benchmark takes them away.
type Service struct {
	registry *Registry
	layout   Layout
	Name     string
	path     string
	made     map[string]string // what it must have, as nobody else changes it
}

// Service is ServiceIn in rpcx's layout.
func (r *Registry) Service(name string, n int) (*Service, error) { return r.ServiceIn(RPCX{}, name, n) }

// ServiceIn creates the service with n instances, Key(0) to Key(n-1).
func (r *Registry) ServiceIn(layout Layout, name string, n int) (*Service, error) {
	s := &Service{registry: r, layout: layout, Name: name, path: r.base + "/" + layout.Dir(name), made: make(map[string]string, n)}
	if err := r.ensure(s.path); err != nil {
		return nil, err
	}
	for from := 0; from < n; from += batchSize {
		var ops []any
		for i := from; i < min(from+batchSize, n); i++ {
			s.made[Key(i)] = Metadata
			path, data := s.node(Key(i), Metadata)
			ops = append(ops, &zk.CreateRequest{Path: path, Data: data, Acl: zk.WorldACL(zk.PermAll)})
		}
		if _, err := r.conn.Multi(ops...); err != nil {
			return nil, fmt.Errorf("register %d instances of %s: %w", n, s.path, err)
		}
	}
	return s, nil
}

// Metadata is what every instance has until it is changed: as long as people's are.
const Metadata = "group=blue&weight=1&zone=eu-central-1a"

// Key names instance i.
func Key(i int) string { return fmt.Sprintf("tcp@127.%d.%d.%d:8972", 1+i/62_500, i/250%250, i%250+1) }

// Path is the one below which the instances are.
func (s *Service) Path() string { return s.path }

// MovesToChange reports whether an instance gets another node when its metadata changes.
func (s *Service) MovesToChange() bool {
	one, _ := s.node(Key(0), "1")
	other, _ := s.node(Key(0), "2")
	return one != other
}

func (s *Service) node(key, metadata string) (path string, data []byte) {
	name, data := s.layout.Node(s.Name, key, metadata)
	return s.path + "/" + name, data
}

// Add registers an instance.
func (s *Service) Add(key, metadata string) error {
	path, data := s.node(key, metadata)
	_, err := s.registry.conn.Create(path, data, 0, zk.WorldACL(zk.PermAll))
	if err == nil {
		s.made[key] = metadata
	}
	return s.wrap("add", key, err)
}

// Remove takes an instance away.
func (s *Service) Remove(key string) error {
	path, _ := s.node(key, s.made[key])
	err := s.registry.conn.Delete(path, -1)
	if err == nil {
		delete(s.made, key)
	}
	return s.wrap("remove", key, err)
}

// Set changes an instance's metadata, in one request. Where it stands in the node's name that is a transaction: the old node goes when the new one comes.
func (s *Service) Set(key, metadata string) error {
	was, _ := s.node(key, s.made[key])
	path, data := s.node(key, metadata)
	var err error
	if path == was {
		_, err = s.registry.conn.Set(path, data, -1)
	} else {
		_, err = s.registry.conn.Multi(
			&zk.DeleteRequest{Path: was, Version: -1}, &zk.CreateRequest{Path: path, Data: data, Acl: zk.WorldACL(zk.PermAll)})
	}
	if err == nil {
		s.made[key] = metadata
	}
	return s.wrap("set", key, err)
}

// Made is Digest of what these methods have made of the service. It asks nobody, so that it may be part of what is measured.
func (s *Service) Made() string { return Digest(s.made) }

func (s *Service) wrap(op, key string, err error) error {
	if err != nil {
		return fmt.Errorf("%s %s/%s: %w", op, s.path, key, err)
	}
	return nil
}

// Digest is Digest of what ZooKeeper has.
func (s *Service) Digest() (string, error) {
	names, _, err := s.registry.conn.Children(s.path)
	if err != nil {
		return "", fmt.Errorf("list %s: %w", s.path, err)
	}
	list := make(map[string]string, len(names))
	for _, name := range names {
		data, _, err := s.registry.conn.Get(s.path + "/" + name)
		if err != nil {
			return "", fmt.Errorf("read %s/%s: %w", s.path, name, err)
		}
		key, metadata, err := s.layout.Instance(name, data)
		if err != nil {
			return "", fmt.Errorf("%s/%s: %w", s.path, name, err)
		}
		list[key] = metadata
	}
	return Digest(list), nil
}

// Digest is a fingerprint of keys and metadata, the same for the same list in whatever language: the SHA-256, in hexadecimal, of its lines
// key=metadata, sorted.
func Digest(list map[string]string) string {
	lines := make([]string, 0, len(list))
	for k, v := range list {
		lines = append(lines, k+"="+v+"\n")
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "")))
	return hex.EncodeToString(sum[:])
}

// Owned waits until an instance is registered by another session than not, and tells whose it is and when that was seen. It looks every
// millisecond: a watch would be one more thing to trust.
func (r *Registry) Owned(ctx context.Context, service, key string, not int64) (owner int64, at time.Time, err error) {
	path := r.base + "/" + service + "/" + key
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		exists, st, err := r.conn.Exists(path)
		switch {
		case err != nil:
			return 0, time.Time{}, fmt.Errorf("look for %s: %w", path, err)
		case exists && st.EphemeralOwner != not:
			return st.EphemeralOwner, time.Now(), nil
		}
		select {
		case <-ctx.Done():
			return 0, time.Time{}, ctx.Err()
		case <-tick.C:
		}
	}
}

// Owner is the session that owns a node, and whether the node exists.
func (r *Registry) Owner(service, key string) (owner int64, exists bool, err error) {
	exists, st, err := r.conn.Exists(r.base + "/" + service + "/" + key)
	if err != nil {
		return 0, false, err
	}
	return st.EphemeralOwner, exists, nil
}

// RemoveFromAll removes an instance from services whose names are the prefix and a number from 0 to n-1, in one transaction. Where its session has ended
// before, there is none.
func (r *Registry) RemoveFromAll(prefix string, n int, key string) error {
	ops := make([]any, n)
	for i := range n {
		ops[i] = &zk.DeleteRequest{Path: fmt.Sprintf("%s/%s%d/%s", r.base, prefix, i, key), Version: -1}
	}
	if _, err := r.conn.Multi(ops...); err != nil && !errors.Is(err, zk.ErrNoNode) {
		return fmt.Errorf("remove %s from %d services: %w", key, n, err)
	}
	return nil
}

// Emptied waits until a service has no instances.
func (r *Registry) Emptied(ctx context.Context, service string) error {
	path := r.base + "/" + service
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		_, st, err := r.conn.Exists(path)
		if err != nil {
			return fmt.Errorf("look for %s: %w", path, err)
		}
		if st.NumChildren == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
