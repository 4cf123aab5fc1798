package zktest

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"
)

// conn is one client's connection. Two goroutines belong to it, a reader and a writer; both have ended when done is closed.
type conn struct {
	srv  *Server
	nc   net.Conn
	id   watcher
	out  *outbox
	done chan struct{}

	// The rest is guarded by srv.mu.
	session *session // nil before the handshake and after the end
	ids     []identity
	held    [][]byte // requests that wait for the end of a silence
	dead    bool     // nothing that it asks for is done any more
}

// serve takes over nc, unless the server is not there. The caller holds s.mu.
func (s *Server) serve(nc net.Conn) bool {
	if !s.reachable() {
		s.stats.Refused++
		return false
	}
	s.stats.Accepted++
	s.lastConn++
	c := &conn{srv: s, nc: nc, id: s.lastConn, out: newOutbox(s.silent), done: make(chan struct{})}
	c.ids = []identity{{schemeIP, remoteIP(nc).String()}}
	s.conns[c.id] = c
	written := make(chan struct{})
	go func() {
		defer close(written)
		c.write()
	}()
	go func() {
		defer close(c.done)
		c.read()
		<-written
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.conns, c.id)
	}()
	return true
}

// remoteIP is the loopback address for a pipe, which has none.
func remoteIP(nc net.Conn) netip.Addr {
	if ap, err := netip.ParseAddrPort(nc.RemoteAddr().String()); err == nil {
		return ap.Addr().Unmap()
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

// read passes every frame on until the connection ends.
func (c *conn) read() {
	r := bufio.NewReader(c.nc)
	for c.out.room() {
		frame, err := readFrame(r, c.srv.cfg.maxFrame)
		if err != nil {
			break
		}
		c.srv.traffic.in.Add(int64(4 + len(frame)))
		c.srv.receive(c, frame)
	}
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	c.kill()
}

// readFrame does not allocate what a length claims before it is known to be allowed.
func readFrame(r io.Reader, limit int) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := int32(binary.BigEndian.Uint32(head[:])) //nolint:gosec // the bits as they are
	if n < 0 || int(n) > limit {
		return nil, fmt.Errorf("frame of %d bytes, at most %d allowed", n, limit)
	}
	frame := make([]byte, n)
	_, err := io.ReadFull(r, frame)
	return frame, err
}

// write writes what is due until the connection is closed or has come to its end.
func (c *conn) write() {
	defer func() {
		c.out.close() // a reader that waits for room need not any more
		_ = c.nc.Close()
	}()
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	var buf []byte
	for {
		due, wait, end := c.out.next(buf)
		switch {
		case end:
			return
		case len(due) > 0:
			c.srv.traffic.out.Add(int64(len(due))) // before the client can have seen them
			if _, err := c.nc.Write(due); err != nil {
				return
			}
			if cap(due) <= 2*outboxPiece { // a large list is no reason to keep as much for ever
				buf = due
			}
		case wait > 0:
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-c.out.wake:
			}
			timer.Stop()
		default:
			<-c.out.wake
		}
	}
}

// reply queues an answer. The caller holds srv.mu, as for all below: the order of the queue is the order of what happened.
func (c *conn) reply(b []byte) { c.out.put(b, c.srv.delay) }

// leave takes the connection out of everything but its goroutines.
func (c *conn) leave() {
	if c.dead {
		return
	}
	c.dead = true
	c.held = nil
	c.srv.watches.drop(c.id)
	if c.session != nil && c.session.conn == c {
		c.session.conn = nil
	}
	c.session = nil
}

// kill ends the connection at once, without what is still queued.
func (c *conn) kill() {
	c.leave()
	c.out.close()
	_ = c.nc.Close() // the goroutines end by it
}

// finish ends the connection after what is queued.
func (c *conn) finish() {
	c.leave()
	c.out.end()
}

// cut is what the server does to a connection that it no longer wants: kill, or during a silence, when the client cannot hear of it, finish.
func (c *conn) cut() {
	if c.srv.silent {
		c.finish()
	} else {
		c.kill()
	}
}
