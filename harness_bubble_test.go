package holdfast_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// inProcess is the in-process server in a bubble.
type inProcess struct {
	t      *testing.T
	server *zktest.Server
	away   bool // stopped or silent
}

func (z *inProcess) servers() []string { return []string{"zk:2181"} }

// options leave inotify out: a goroutine that waits for it would stop the bubble's clock.
func (z *inProcess) options() []zkdiscovery.Option {
	return []zkdiscovery.Option{zkdiscovery.WithDialer(z.server.Dial), zkdiscovery.WithCachePolling()}
}

func (z *inProcess) put(path, data string) { must(z.t, z.server.Put(path, []byte(data))) }
func (z *inProcess) set(path, data string) { must(z.t, z.server.Set(path, []byte(data))) }

func (z *inProcess) children(path string) map[string]string {
	return childrenIn(z.server.Tree(), path)
}

func childrenIn(tree map[string]zktest.Node, path string) map[string]string {
	m := make(map[string]string)
	for p, n := range tree {
		if name, ok := strings.CutPrefix(p, path+"/"); ok && !strings.Contains(name, "/") {
			m[name] = string(n.Data)
		}
	}
	return m
}

// as runs f as a client of its own.
func (z *inProcess) as(f func(*zk.Conn)) {
	z.t.Helper()
	c := connect(z.t, []string{"127.0.0.1:2181"}, func(_, addr string, _ time.Duration) (net.Conn, error) {
		return z.server.Dial(context.Background(), "tcp", addr)
	})
	defer c.Close()
	f(c)
}

// In the absence of clients a transaction is as good as its parts: nobody reads between them.

func (z *inProcess) remove(paths ...string) {
	if !z.away {
		z.as(func(c *zk.Conn) { transact(z.t, c, deletions(paths)) })
		return
	}
	for _, p := range paths {
		must(z.t, z.server.Delete(p))
	}
}

func (z *inProcess) create(paths ...string) {
	if !z.away {
		z.as(func(c *zk.Conn) { transact(z.t, c, creations(paths)) })
		return
	}
	for _, p := range paths {
		must(z.t, z.server.Create(p, []byte("n=1")))
	}
}

func (z *inProcess) takeover(path, data string) {
	if !z.away {
		z.as(func(c *zk.Conn) { takeover(z.t, c, path, data) })
		return
	}
	must(z.t, z.server.Delete(path))
	must(z.t, z.server.Create(path, []byte(data)))
}

func (z *inProcess) stop()       { z.away = true; z.server.Stop() }
func (z *inProcess) start()      { z.away = false; must(z.t, z.server.Start()) }
func (z *inProcess) die()        { z.stop() }
func (z *inProcess) rise()       { z.start() }
func (z *inProcess) wipe()       { z.server.Wipe() }
func (z *inProcess) cut(on bool) { z.away = on; z.server.Silence(on) }
func (z *inProcess) expire()     { z.server.ExpireAll() }

func (z *inProcess) wait()                   { pass(5 * time.Millisecond) }
func (z *inProcess) patience() time.Duration { return time.Minute }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// dialer counts the connections that a client tries to make, and can break each on the way.
type dialer struct {
	to func(ctx context.Context, network, addr string) (net.Conn, error)

	mu    sync.Mutex
	times []time.Time
	conns []*breakable
}

func (d *dialer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
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

// attempts are the times of all so far.
func (d *dialer) attempts() []time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]time.Time(nil), d.times...)
}

// redirect sends what is dialled from now on elsewhere.
func (d *dialer) redirect(to func(ctx context.Context, network, addr string) (net.Conn, error)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.to = to
}

// drop breaks the connections that there are.
func (d *dialer) drop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.conns {
		_ = c.Close() // it may be closed already
	}
	d.conns = nil
}

// strand makes the connections that there are silent for ever, in both directions, as a firewall does that has forgotten them.
func (d *dialer) strand() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.conns {
		c.strand()
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

// exaggerating claims for the replies to lists that they are too long, while on is set.
type exaggerating struct {
	net.Conn
	on   *atomic.Bool
	rest []byte // of the frame that is being read
}

func (c *exaggerating) Read(b []byte) (int, error) {
	if len(c.rest) == 0 {
		head := make([]byte, 4)
		if _, err := io.ReadFull(c.Conn, head); err != nil {
			return 0, err
		}
		frame := make([]byte, binary.BigEndian.Uint32(head))
		if _, err := io.ReadFull(c.Conn, frame); err != nil {
			return 0, err
		}
		if xid := int32(binary.BigEndian.Uint32(frame)); c.on.Load() && xid != -1 && len(frame) > 100 {
			binary.BigEndian.PutUint32(head, 1<<30)
		}
		c.rest = append(head, frame...)
	}
	n := copy(b, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}
