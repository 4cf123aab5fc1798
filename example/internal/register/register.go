// Package register keeps a server in ZooKeeper by hand, for the examples only. It is a stopgap until zkdiscovery/serverplugin is there, which
// does this and more (metrics, drain, yielding an address to a newer process) as an rpcx server plugin; nothing but the examples may use it.
package register

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
)

// retryAfter is the pause after a failed attempt while the session lives; a new session is an attempt of its own.
const retryAfter = 200 * time.Millisecond

// Config says what to register where.
type Config struct {
	Servers        []string // ZooKeeper's, host:port; the last may carry a chroot, host:port/path
	BasePath       string
	ServicePath    string
	Address        string        // network@host:port, the name of the znode
	Metadata       string        // a URL query, such as "weight=3"
	SessionTimeout time.Duration // asked for: how long the node outlives a process that was killed
}

// Registration is one ephemeral znode. While the process lives and ZooKeeper can be reached it exists, belongs to the present session and
// carries the present metadata; otherwise it goes with its session.
type Registration struct {
	conn *zk.Conn
	path string
	wake chan struct{}  // one token: the session is new, or the metadata is; go-zookeeper's callback and Set send
	over chan struct{}  // closed by Close
	runs sync.WaitGroup // run

	mu       sync.Mutex
	metadata string
}

// Register returns when the node exists, or with an error when ctx has ended before: then nothing is left behind. The caller closes the
// Registration.
func Register(ctx context.Context, c Config) (*Registration, error) {
	servers := append([]string(nil), c.Servers...)
	chroot := ""
	if n := len(servers) - 1; n >= 0 {
		servers[n], chroot, _ = strings.Cut(servers[n], "/") // go-zookeeper knows no chroot
	}
	r := &Registration{
		path: joinPath(chroot, c.BasePath, c.ServicePath, c.Address), metadata: c.Metadata,
		wake: make(chan struct{}, 1), over: make(chan struct{}),
	}
	conn, events, err := zk.Connect(servers, c.SessionTimeout, zk.WithLogger(quiet{}), zk.WithLogInfo(false),
		zk.WithEventCallback(func(ev zk.Event) { // must not block, and not ask ZooKeeper anything
			if ev.State == zk.StateHasSession {
				r.poke()
			}
		}))
	if err != nil {
		return nil, fmt.Errorf("register %s: %w", r.path, err)
	}
	r.conn = conn
	registered := make(chan struct{})
	r.runs.Go(func() {
		r.run(registered)
		for range events { // closed by go-zookeeper when its last goroutine has ended, which is what is waited for
		}
	})
	select {
	case <-registered:
		return r, nil
	case <-ctx.Done():
		r.Close()
		return nil, fmt.Errorf("register %s in ZooKeeper at %s: %w", r.path, strings.Join(c.Servers, ","), context.Cause(ctx))
	}
}

// Set changes the metadata. It does not wait for ZooKeeper.
func (r *Registration) Set(metadata string) {
	r.mu.Lock()
	r.metadata = metadata
	r.mu.Unlock()
	r.poke()
}

// Close ends the session, which takes the node away at once; while ZooKeeper cannot be told, when the session expires. It waits a second at
// most for ZooKeeper, and for everything of the Registration to end. It may be called once.
func (r *Registration) Close() {
	close(r.over)
	r.conn.Close()
	r.runs.Wait()
}

func (r *Registration) poke() {
	select {
	case r.wake <- struct{}{}:
	default: // one is there already
	}
}

// run claims the node whenever that is needed, and closes registered after the first success.
func (r *Registration) run(registered chan struct{}) {
	retry := time.NewTimer(retryAfter)
	retry.Stop()
	defer retry.Stop()
	for {
		select {
		case <-r.over:
			return
		case <-r.wake:
		case <-retry.C:
		}
		if err := r.claim(); err != nil {
			retry.Reset(retryAfter)
			continue
		}
		select {
		case <-registered:
		default:
			close(registered)
		}
	}
}

// claim makes the node exist in the present session with the present metadata. A node of an earlier session, this process's or a killed
// predecessor's, is replaced in one transaction: left alone it would be deleted when that session expires.
func (r *Registration) claim() error {
	r.mu.Lock()
	metadata := []byte(r.metadata)
	r.mu.Unlock()
	acl := zk.WorldACL(zk.PermAll)
	was, stat, err := r.conn.Get(r.path)
	switch {
	case errors.Is(err, zk.ErrNoNode):
		if err := r.makeParents(); err != nil {
			return err
		}
		_, err = r.conn.Create(r.path, metadata, zk.FlagEphemeral, acl)
		return err
	case err != nil:
		return err
	case stat.EphemeralOwner != r.conn.SessionID():
		_, err = r.conn.Multi(&zk.DeleteRequest{Path: r.path, Version: -1},
			&zk.CreateRequest{Path: r.path, Data: metadata, Acl: acl, Flags: zk.FlagEphemeral})
		return err
	case string(was) != string(metadata):
		_, err = r.conn.Set(r.path, metadata, -1)
		return err
	}
	return nil
}

func (r *Registration) makeParents() error {
	for i := 1; i < len(r.path); i++ {
		if r.path[i] != '/' {
			continue
		}
		if _, err := r.conn.Create(r.path[:i], nil, 0, zk.WorldACL(zk.PermAll)); err != nil && !errors.Is(err, zk.ErrNodeExists) {
			return err
		}
	}
	return nil
}

// joinPath joins path elements that may begin and end with slashes, or be empty.
func joinPath(elements ...string) string {
	var b strings.Builder
	for _, e := range elements {
		if e = strings.Trim(e, "/"); e != "" {
			b.WriteString("/" + e)
		}
	}
	return b.String()
}

// quiet is a logger for go-zookeeper, which would write to standard error.
type quiet struct{}

func (quiet) Printf(string, ...any) {}
