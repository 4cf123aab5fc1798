package wire

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// Line is what a way is like, the same in both directions. It is made in this process, so that no rights are needed; ZooKeeper's packets themselves are
// never lost, but what a program sees of a loss is shown: everything behind the lost segment waits a round trip for it.
type Line struct {
	Rate      int           // bytes a second
	RoundTrip time.Duration // with nothing in the way
	Loss      float64       // of the segments
}

// segment is how much an Ethernet packet carries of a TCP connection.
const segment = 1448

// queued is how many segments a direction holds before its sender has to wait: about 64 KB, as a router might.
const queued = 45

// Slow listens on a free port of 127.0.0.1 and passes on what it receives to its target and back, as a Line does.
type Slow struct {
	line     Line
	target   string
	listener net.Listener
	ctx      context.Context //nolint:containedctx // of the goroutines that it owns
	cancel   context.CancelFunc
	tasks    sync.WaitGroup
}

// NewSlow starts one; the caller must Close it.
func NewSlow(target string, line Line) (*Slow, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it returns at once
	if err != nil {
		return nil, err
	}
	s := &Slow{line: line, target: target, listener: l}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.tasks.Go(func() {
		for {
			c, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				s.tasks.Go(func() { s.carry(c) })
			}
		}
	})
	return s, nil
}

// Addr is where it listens, as host:port.
func (s *Slow) Addr() string { return s.listener.Addr().String() }

// Close ends every connection and returns when all goroutines have ended.
func (s *Slow) Close() {
	s.cancel()
	s.listener.Close()
	s.tasks.Wait()
}

// carry connects the two directions, after the round trip that a handshake takes.
func (s *Slow) carry(client net.Conn) {
	defer client.Close()
	if !until(s.ctx, time.Now().Add(s.line.RoundTrip)) {
		return
	}
	server, err := net.Dial("tcp", s.target) //nolint:noctx // loopback
	if err != nil {
		return
	}
	defer server.Close()
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		client.Close()
		server.Close()
	})
	defer stop()
	var back sync.WaitGroup
	back.Go(func() {
		defer cancel()
		s.pass(ctx, client, server)
	})
	s.pass(ctx, server, client)
	cancel()
	back.Wait()
}

// sent is a segment on its way.
type sent struct {
	data   []byte
	arrive time.Time
}

// pass carries one direction until it ends.
func (s *Slow) pass(ctx context.Context, to io.Writer, from io.Reader) {
	way := make(chan sent, queued)
	var arriving sync.WaitGroup
	defer arriving.Wait()
	defer close(way)
	arriving.Go(func() {
		for p := range way {
			if !until(ctx, p.arrive) {
				continue
			}
			if _, err := to.Write(p.data); err != nil {
				return // the reader's next send ends with ctx
			}
		}
	})
	d := direction{line: s.line}
	for {
		b := make([]byte, segment)
		n, err := from.Read(b)
		if n > 0 {
			select {
			case way <- sent{b[:n], d.arrival(time.Now(), n, rand.Float64() < s.line.Loss)}:
			case <-ctx.Done():
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// direction knows when what is sent arrives.
type direction struct {
	line Line
	free time.Time // when the line can take the next segment
	last time.Time // when the last one arrives
}

// arrival is when n bytes that are sent now arrive. They wait for the line, take their time on it, and overtake nothing. What is lost is sent again a
// round trip later.
func (d *direction) arrival(now time.Time, n int, lost bool) time.Time {
	if now.After(d.free) {
		d.free = now
	}
	d.free = d.free.Add(time.Duration(n) * time.Second / time.Duration(d.line.Rate))
	at := d.free.Add(d.line.RoundTrip / 2)
	if lost {
		at = at.Add(d.line.RoundTrip)
	}
	if at.Before(d.last) {
		at = d.last
	}
	d.last = at
	return at
}

// until waits, and reports whether ctx has not ended.
func until(ctx context.Context, at time.Time) bool {
	t := time.NewTimer(time.Until(at))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
