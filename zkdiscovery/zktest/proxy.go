package zktest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Proxy is a TCP connection's way through a network that misbehaves on command: it listens on a free port of 127.0.0.1 and passes on
// what it receives to its target and back. All methods may be called at once from anywhere, and take effect on the connections that
// there are as on those to come.
type Proxy struct {
	target string
	port   *port
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	tasks  sync.WaitGroup // every goroutine of the proxy

	delay                atomic.Int64 // nanoseconds, both ways together
	toTarget, fromTarget atomic.Int64

	mu        sync.Mutex
	listener  net.Listener  // nil while connections are refused
	accepting chan struct{} // closed by the accept loop when it has ended
	passing   chan struct{} // closed by Cut(false), replaced by Cut(true): the goroutines that carry bytes wait on it
	links     map[*link]struct{}
	accepted  int
	closed    bool
}

// ProxyStats counts what a Proxy has seen.
type ProxyStats struct {
	ToTarget, FromTarget int64 // bytes delivered
	Accepted             int   // connections so far
	Open                 int   // connections of these that have not ended
}

// NewProxy listens; it dials target, a host:port, for each connection that it accepts. The caller must Close it.
func NewProxy(target string) (*Proxy, error) {
	port, err := claimPort()
	if err != nil {
		return nil, err
	}
	p := &Proxy{target: target, port: port, passing: make(chan struct{}), links: make(map[*link]struct{})}
	close(p.passing)
	p.ctx, p.cancel = context.WithCancel(context.Background())
	if err := p.Refuse(false); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// Addr is where the proxy listens, as host:port. It never changes.
func (p *Proxy) Addr() string { return loopback(p.port.number) }

// Delay makes every round trip d longer: bytes arrive d/2 after they were sent, in each direction. It is a latency and not a rate:
// what is sent in a row arrives in a row. Opening a connection is not delayed.
func (p *Proxy) Delay(d time.Duration) { p.delay.Store(int64(d)) }

// Cut makes the network drop every packet (iptables … DROP), or stop doing so: connections fall silent without a FIN, and new ones are
// accepted (by the kernel) and silent. As with TCP, what was sent meanwhile is not lost but late: Cut(false) delivers it, and the end
// of a connection whose other side went away.
func (p *Proxy) Cut(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.passing:
		if on {
			p.passing = make(chan struct{})
		}
	default:
		if !on {
			close(p.passing)
		}
	}
}

// Strand leaves the connections that there are half-open for ever, as a firewall does that forgot them: silent, without a FIN, neither
// Cut(false) nor the other side's end wakes them. New ones work. Drop and Close end them.
func (p *Proxy) Strand() {
	for _, l := range p.open() {
		l.strandOnce.Do(func() { close(l.stranded) })
	}
}

// Drop closes the connections that there are, on both sides.
func (p *Proxy) Drop() {
	for _, l := range p.open() {
		l.close()
	}
}

// Refuse closes the listener, so that the kernel refuses new connections, or listens again, which fails if something else has taken the
// port. Connections that there are go on.
func (p *Proxy) Refuse(on bool) error {
	if on {
		p.mu.Lock()
		l := p.listener
		p.listener = nil
		accepting := p.accepting
		p.mu.Unlock()
		if l != nil {
			l.Close()
		}
		if accepting != nil {
			<-accepting
		}
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return errors.New("zktest: the proxy is closed")
	}
	if p.listener != nil {
		return nil
	}
	l, err := new(net.ListenConfig).Listen(p.ctx, "tcp", p.Addr())
	if err != nil {
		return fmt.Errorf("zktest: %w", err)
	}
	done := make(chan struct{})
	p.listener, p.accepting = l, done
	p.tasks.Go(func() {
		defer close(done)
		p.accept(l)
	})
	return nil
}

// Stats counts what the proxy has seen until now.
func (p *Proxy) Stats() ProxyStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return ProxyStats{ToTarget: p.toTarget.Load(), FromTarget: p.fromTarget.Load(), Accepted: p.accepted, Open: len(p.links)}
}

// Close refuses new connections, ends those that there are and waits until the last goroutine has ended. A second Close does nothing.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.cancel()
	_ = p.Refuse(true) // cannot fail
	p.Drop()
	p.tasks.Wait()
	p.port.release()
}

func (p *Proxy) accept(l net.Listener) {
	for {
		client, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // that one connection went away again, or there are no file descriptors just now
			if !sleep(p.ctx, time.Millisecond) {
				return
			}
			continue
		}
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			client.Close()
			return
		}
		k := newLink(p, client)
		p.links[k] = struct{}{}
		p.accepted++
		p.mu.Unlock()
		p.tasks.Go(k.run)
	}
}

func (p *Proxy) open() []*link {
	p.mu.Lock()
	defer p.mu.Unlock()
	links := make([]*link, 0, len(p.links))
	for l := range p.links {
		links = append(links, l)
	}
	return links
}

func (p *Proxy) forget(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
}

func (p *Proxy) gate() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.passing
}
