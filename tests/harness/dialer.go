package harness

import (
	"context"
	"net"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Dial is what zkdiscovery.WithDialer takes.
type Dial = func(ctx context.Context, network, addr string) (net.Conn, error)

// Refuse is a network in which nobody listens.
func Refuse(context.Context, string, string) (net.Conn, error) { return nil, syscall.ECONNREFUSED }

// Dialer is the network of one client. It counts the connections that the client tries to make, and can break each on the way.
type Dialer struct {
	mu    sync.Mutex
	to    Dial
	times []time.Time
	conns []*breakable
}

// NewDialer is a network that leads where to leads.
func NewDialer(to Dial) *Dialer { return &Dialer{to: to} }

// Dial is for zkdiscovery.WithDialer.
func (d *Dialer) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	d.mu.Lock()
	d.times = append(d.times, time.Now())
	to := d.to
	d.mu.Unlock()
	c, err := to(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	b := &breakable{Conn: c, gone: make(chan struct{})}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.conns = append(d.conns, b)
	return b, nil
}

// Attempts are the times of all attempts to connect so far.
func (d *Dialer) Attempts() []time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.times)
}

// Redirect makes the network lead elsewhere from now on. Connections stay.
func (d *Dialer) Redirect(to Dial) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.to = to
}

// Drop breaks the connections that there are.
func (d *Dialer) Drop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.conns {
		_ = c.Close() // it may be closed already
	}
	d.conns = nil
}

// Strand makes the connections that there are silent for ever, in both directions, as a firewall does that has forgotten them.
func (d *Dialer) Strand() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.conns {
		c.strand()
	}
}

// Spaced fails the test unless rounds of attempts to connect are a few seconds apart after the first minute, and not in step. A round is one
// attempt, or two where the server hangs up: the second asks whether the server would rather have a client that knows nothing.
func Spaced(tb testing.TB, times []time.Time) {
	tb.Helper()
	gaps := make(map[time.Duration]int)
	for i, at := range times {
		if at.Sub(times[0]) < time.Minute {
			continue
		}
		gap := at.Sub(times[i-2]).Round(10 * time.Millisecond)
		gaps[gap]++
		if gap < 2*time.Second {
			tb.Errorf("three attempts within %v, %v after the first", gap, at.Sub(times[0]))
			return
		}
	}
	if len(times) > 100 && len(gaps) < 20 {
		tb.Errorf("the attempts are in step: %v", gaps)
	}
}

// breakable is a connection that can be stranded.
type breakable struct {
	net.Conn
	gone chan struct{} // closed by strand
	once sync.Once
}

func (c *breakable) strand() { c.once.Do(func() { close(c.gone) }) }

func (c *breakable) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		select {
		case <-c.gone:
			if err != nil {
				return 0, err // a deadline, or the end
			}
		default:
			return n, err
		}
	}
}

func (c *breakable) Write(b []byte) (int, error) {
	select {
	case <-c.gone:
		return len(b), nil
	default:
		return c.Conn.Write(b)
	}
}
