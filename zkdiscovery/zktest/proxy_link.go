package zktest

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// link is one connection through a Proxy.
type link struct {
	proxy  *Proxy
	client net.Conn
	ctx    context.Context // ends with the link
	cancel context.CancelFunc

	stranded   chan struct{} // closed by Strand
	strandOnce sync.Once
}

func newLink(p *Proxy, client net.Conn) *link {
	l := &link{proxy: p, client: client, stranded: make(chan struct{})}
	l.ctx, l.cancel = context.WithCancel(p.ctx)
	return l
}

// close ends the link from outside; run closes the connections.
func (l *link) close() { l.cancel() }

// run carries bytes in both directions until both sides have ended, one of them broke, or the link was closed.
func (l *link) run() {
	defer l.proxy.forget(l)
	defer l.cancel()
	defer l.client.Close()
	if !l.passable() {
		return
	}
	server, err := new(net.Dialer).DialContext(l.ctx, "tcp", l.proxy.target)
	if err != nil {
		return
	}
	var carriers, closer sync.WaitGroup
	carriers.Go(func() { l.carry(server, l.client, &l.proxy.toTarget) })
	carriers.Go(func() { l.carry(l.client, server, &l.proxy.fromTarget) })
	closer.Go(func() { // wakes the carriers from their reads and writes
		<-l.ctx.Done()
		l.client.Close()
		server.Close()
	})
	carriers.Wait()
	l.cancel()
	closer.Wait()
}

// chunk is what one read returned; one without data is the end.
type chunk struct {
	due  time.Time
	data []byte
}

// carry delivers to dst what comes from src, each chunk when it is due.
func (l *link) carry(dst, src net.Conn, delivered *atomic.Int64) {
	// On its way is what a busy sender can send within the delay; beyond that the sender has to wait, as for any full buffer.
	way := make(chan chunk, 1024)
	var reader sync.WaitGroup
	reader.Go(func() { l.read(src, way) })
	defer reader.Wait()
	for c := range way {
		if !sleep(l.ctx, time.Until(c.due)) || !l.passable() {
			l.cancel()
			return
		}
		if c.data == nil {
			if err := dst.(*net.TCPConn).CloseWrite(); err != nil {
				l.cancel()
			}
			return
		}
		n, err := dst.Write(c.data)
		delivered.Add(int64(n))
		if err != nil {
			l.cancel()
			return
		}
	}
}

// read stops reading while nothing passes, so that no more than a socket's buffers and way's are filled then.
func (l *link) read(src net.Conn, way chan<- chunk) {
	defer close(way)
	for l.passable() {
		buf := make([]byte, 32<<10)
		n, err := src.Read(buf)
		due := time.Now().Add(time.Duration(l.proxy.delay.Load() / 2))
		if n > 0 && !l.send(way, chunk{due: due, data: buf[:n]}) {
			return
		}
		if errors.Is(err, io.EOF) {
			l.send(way, chunk{due: due})
			return
		}
		if err != nil {
			if l.passable() { // a reset does not pass through a cut either
				l.cancel()
			}
			return
		}
	}
}

func (l *link) send(way chan<- chunk, c chunk) bool {
	select {
	case way <- c:
		return true
	case <-l.ctx.Done():
		return false
	}
}

// passable waits while the network is cut, for ever on a stranded link, and reports whether the link is still alive.
func (l *link) passable() bool {
	select {
	case <-l.proxy.gate():
	case <-l.ctx.Done():
	}
	select {
	case <-l.stranded:
		<-l.ctx.Done()
	default:
	}
	return l.ctx.Err() == nil
}
