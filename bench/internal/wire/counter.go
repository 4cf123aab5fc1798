// Package wire counts what a ZooKeeper client says and hears: requests by kind and bytes, by reading along on the way.
package wire

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// Operation codes of ZooKeeper's protocol that a client sends by itself, as far as they matter here.
const (
	opPing  = 11
	opClose = -11
)

// Counter listens on a free port of 127.0.0.1 and passes on what it receives to its target and back. It counts whole requests as they pass.
// All methods may be called at once.
type Counter struct {
	target   string
	listener net.Listener
	tasks    sync.WaitGroup

	requests, pings     atomic.Int64
	toServer, toClients atomic.Int64

	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	opened int
	closed bool
}

// Counts is what has passed. Pings, and the connecting and closing of sessions, are no Requests, but their bytes are counted.
type Counts struct {
	Requests  int64
	Pings     int64
	ToServer  int64 // bytes
	ToClients int64 // bytes
	Opened    int   // connections so far
	Open      int   // connections now
}

// Since is what has been counted since an earlier Counts; Open stays as it is.
func (c Counts) Since(earlier Counts) Counts {
	c.Requests -= earlier.Requests
	c.Pings -= earlier.Pings
	c.ToServer -= earlier.ToServer
	c.ToClients -= earlier.ToClients
	c.Opened -= earlier.Opened
	return c
}

// NewCounter starts one; the caller must Close it.
func NewCounter(target string) (*Counter, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it returns at once
	if err != nil {
		return nil, err
	}
	c := &Counter{target: target, listener: l, conns: make(map[net.Conn]struct{})}
	c.tasks.Go(c.accept)
	return c, nil
}

// Addr is where it listens, as host:port.
func (c *Counter) Addr() string { return c.listener.Addr().String() }

// Counts returns what has passed until now.
func (c *Counter) Counts() Counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Counts{
		Requests: c.requests.Load(), Pings: c.pings.Load(), ToServer: c.toServer.Load(), ToClients: c.toClients.Load(),
		Opened: c.opened, Open: len(c.conns) / 2,
	}
}

// Close ends every connection and returns when all goroutines have ended.
func (c *Counter) Close() {
	c.mu.Lock()
	c.closed = true
	for conn := range c.conns {
		conn.Close()
	}
	c.mu.Unlock()
	c.listener.Close()
	c.tasks.Wait()
}

func (c *Counter) accept() {
	for {
		client, err := c.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			c.tasks.Go(func() { c.carry(client) })
		}
	}
}

func (c *Counter) carry(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", c.target) //nolint:noctx // loopback
	if err != nil {
		return
	}
	defer server.Close()
	if !c.add(client, server) {
		return
	}
	defer c.remove(client, server)
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(&tally{server: false, c: c, w: client}, server)
		client.Close()
	})
	_, _ = io.Copy(&tally{server: true, c: c, w: server}, client)
	server.Close()
	back.Wait()
}

func (c *Counter) add(conns ...net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	for _, conn := range conns {
		c.conns[conn] = struct{}{}
	}
	c.opened++
	return true
}

func (c *Counter) remove(conns ...net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range conns {
		delete(c.conns, conn)
	}
}

// tally counts what is written to w. A frame is its length in four bytes, then as many: a request's begin with its number and its kind. The
// first frame of a connection is the session's and has neither.
type tally struct {
	server bool
	c      *Counter
	w      io.Writer

	head   []byte // of the frame that is passing, up to 12 bytes
	left   int    // bytes of it to come; 0: its head is incomplete
	frames int
}

func (t *tally) Write(p []byte) (int, error) {
	if !t.server {
		t.c.toClients.Add(int64(len(p)))
		return t.w.Write(p)
	}
	t.c.toServer.Add(int64(len(p)))
	t.read(p)
	return t.w.Write(p)
}

func (t *tally) read(p []byte) {
	for len(p) > 0 {
		if t.left > 0 {
			n := min(t.left, len(p))
			t.left -= n
			p = p[n:]
			continue
		}
		n := min(12-len(t.head), len(p))
		t.head = append(t.head, p[:n]...)
		p = p[n:]
		if len(t.head) == 12 { // the shortest frames, a ping's and a close's, are that long
			t.frame()
		}
	}
}

func (t *tally) frame() {
	t.left = int(binary.BigEndian.Uint32(t.head)) - 8
	kind := int32(binary.BigEndian.Uint32(t.head[8:])) //nolint:gosec // the wire's integers are signed
	t.head = t.head[:0]
	t.frames++
	switch {
	case t.frames == 1 || kind == opClose:
	case kind == opPing:
		t.c.pings.Add(1)
	default:
		t.c.requests.Add(1)
	}
}
