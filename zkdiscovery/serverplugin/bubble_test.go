package serverplugin

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/tests/bubbles"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

const (
	address  = "tcp@127.0.0.1:8972"
	nodePath = "/rpcx/Arith/" + address
)

// bubble is a test in a synctest bubble with a ZooKeeper of its own.
type bubble struct {
	*testing.T
	zk *zktest.Server
}

func inBubble(t *testing.T, body func(b bubble)) {
	t.Helper()
	bubbles.Test(t, func(t *testing.T) {
		t.Cleanup(synctest.Wait)
		zk := zktest.NewServer()
		t.Cleanup(zk.Close) // after the plugins' ends
		body(bubble{t, zk})
	})
}

// pass lets d go by and everything settle.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// plugin starts a plugin with the bubble's ZooKeeper. It is stopped when the test ends.
func (b bubble) plugin(opts ...ZooKeeperOpt) *ZooKeeperRegisterPlugin {
	b.Helper()
	p := NewZooKeeperRegisterPlugin(append([]ZooKeeperOpt{
		WithZKServiceAddress(address), WithZKServersAddress([]string{"zk:2181"}), WithZKBasePath("rpcx"), WithDialer(b.zk.Dial),
		WithLogger(slog.New(slog.NewTextHandler(b.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))),
	}, opts...)...)
	if err := p.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = p.Stop() })
	return p
}

// mortal is a process's way to ZooKeeper, which ends as a kill -9 ends it: without a goodbye.
type mortal struct {
	zk *zktest.Server

	mu    sync.Mutex
	dead  bool
	conns []net.Conn
}

func (m *mortal) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return nil, syscall.ENETUNREACH
	}
	c, err := m.zk.Dial(ctx, network, addr)
	if err == nil {
		m.conns = append(m.conns, c)
	}
	return c, err
}

func (m *mortal) kill() {
	m.mu.Lock()
	m.dead = true
	m.mu.Unlock()
	m.cut()
}

// revive lets a process that was only cut off connect again.
func (m *mortal) revive() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dead = false
}

// cut ends the connection that there is.
func (m *mortal) cut() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.conns {
		_ = c.Close()
	}
	m.conns = nil
}

func (b bubble) register(p *ZooKeeperRegisterPlugin, name, metadata string) {
	b.Helper()
	if err := p.Register(name, nil, metadata); err != nil {
		b.Fatal(err)
	}
}

// owner is the session that the node at nodePath belongs to, which must say data.
func (b bubble) owner(data string) int64 {
	b.Helper()
	n, err := b.zk.Get(nodePath)
	if err != nil {
		b.Fatal(err)
	}
	if string(n.Data) != data {
		b.Fatalf("the node says %q, want %q", n.Data, data)
	}
	return n.Stat.EphemeralOwner
}

// mustOwn asserts that p is registered, truly.
func (b bubble) mustOwn(p *ZooKeeperRegisterPlugin, data string) {
	b.Helper()
	if owner := b.owner(data); owner == 0 || owner != p.Status().SessionID || !p.Registered() {
		b.Fatalf("owner %#x, status %v, registered %v", owner, p.Status(), p.Registered())
	}
}

func (b bubble) mustBeGone() {
	b.Helper()
	if n, err := b.zk.Get(nodePath); err == nil {
		b.Fatalf("the node is still there: %+v", n)
	}
}
