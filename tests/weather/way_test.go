package weather

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// way is the network between one process and ZooKeeper. Each trouble is a count of those who want it, so that two may overlap.
type way struct {
	zk  *zktest.Server
	tls *tls.Config // of the servers; nil: they speak plainly

	mu       sync.Mutex
	changed  chan struct{} // closed, and replaced, with every change
	trouble  map[trouble]int
	slow     [2]time.Duration // delay of what goes up and comes down
	speed    int              // bytes per second in each direction; 0: no limit
	resetAt  int              // break a connection when it has brought so many bytes more; 0: never
	dead     bool             // the process was killed
	large    bool             // replies have been over the limit
	conns    map[*wire]struct{}
	attempts int
	last     time.Time   // of the newest attempt
	atOnce   int         // so many were made at that moment
	spun     atomic.Bool // they were too many
}

// manyAtOnce is more than rounds through all servers are without a pause between them. In a bubble, where refusing takes no time, they would go on for ever.
const manyAtOnce = 100

// trouble is something that a way has or not.
type trouble int

const (
	refused     trouble = iota
	nameless            // the name server has no answer
	nameless404         // the name server says that there is no such name
	moved               // the names lead to addresses that nobody has any more
	hanging             // dialling ends with its context
	silentUp            // what the process sends is held back
	silentDown          // what it is sent is
	torn                // bytes come a few at a time
	merged              // bytes come in heaps
	tooLarge            // replies claim to be over the limit
	troubles            // how many there are
)

type direction int

const (
	up direction = iota
	down
)

func newWay(zk *zktest.Server) *way {
	return &way{zk: zk, changed: make(chan struct{}), trouble: make(map[trouble]int), conns: make(map[*wire]struct{})}
}

// update changes the way, and wakes who waits for it.
func (w *way) update(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *way) begin(t trouble) {
	w.update(func() { w.trouble[t]++; w.large = w.large || t == tooLarge })
}
func (w *way) end(t trouble) { w.update(func() { w.trouble[t]-- }) }

func (w *way) has(t trouble) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.trouble[t] > 0
}

// drop breaks the connections that there are.
func (w *way) drop() {
	for _, c := range w.wires() {
		c.close()
	}
}

// strand makes the connections that there are silent for ever, in both directions.
func (w *way) strand() {
	for _, c := range w.wires() {
		c.strand()
	}
}

func (w *way) wires() (conns []*wire) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.conns {
		conns = append(conns, c)
	}
	return conns
}

// kill ends the process without a goodbye.
func (w *way) kill() {
	w.update(func() { w.dead = true })
	w.drop()
}

// heal ends every trouble, and what was stranded.
func (w *way) heal() {
	w.update(func() {
		clear(w.trouble)
		w.slow, w.speed, w.resetAt = [2]time.Duration{}, 0, 0
	})
	for _, c := range w.wires() {
		if c.isStranded() {
			c.close()
		}
	}
}

// Dial is what a process dials with. It resolves the names, which are the servers' business otherwise.
func (w *way) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	w.mu.Lock()
	w.attempts++
	if now := time.Now(); !now.Equal(w.last) {
		w.last, w.atOnce = now, 0
	}
	w.atOnce++
	t, dead := w.trouble, w.dead
	no := func(t_ trouble) bool { return t[t_] > 0 }
	var err error
	wait := false
	switch {
	case w.spun.Load(), w.atOnce > manyAtOnce: // it has failed: the rest of the history is to end soon
		w.spun.Store(true)
		wait = true
	case dead:
		err = syscall.ENETUNREACH
	case no(nameless):
		err = &net.DNSError{Err: "server misbehaving", Name: addr, IsTemporary: true}
	case no(nameless404):
		err = &net.DNSError{Err: "no such host", Name: addr, IsNotFound: true}
	case no(refused):
		err = &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	case no(hanging), no(moved):
		wait = true
	}
	w.mu.Unlock()
	if wait {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	server, err := w.zk.Dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	server = &exaggerating{Conn: server, way: w}
	near, far := net.Pipe()
	c := &wire{way: w, far: far, server: server, gone: make(chan struct{}), stranded: make(chan struct{})}
	w.mu.Lock()
	w.conns[c] = struct{}{}
	w.mu.Unlock()
	c.run()
	return near, nil
}

// wire is one connection: two pumps, one in each direction.
type wire struct {
	way         *way
	far, server net.Conn
	gone        chan struct{} // closed by close
	once        sync.Once
	stranded    chan struct{} // closed by strand
	strandOnce  sync.Once
}

func (c *wire) close() {
	c.once.Do(func() {
		close(c.gone)
		_ = c.far.Close()
		_ = c.server.Close()
		c.way.mu.Lock()
		delete(c.way.conns, c)
		c.way.mu.Unlock()
	})
}

func (c *wire) strand() { c.strandOnce.Do(func() { close(c.stranded) }) }

func (c *wire) isStranded() bool {
	select {
	case <-c.stranded:
		return true
	default:
		return false
	}
}

func (c *wire) run() {
	server := c.server
	if c.way.tls != nil {
		inner, outer := net.Pipe()
		secure := tls.Server(outer, c.way.tls)
		go copyUntilTheEnd(secure, c.server)
		go copyUntilTheEnd(c.server, secure)
		server = inner
	}
	go c.pump(up, c.far, server)
	go c.pump(down, server, c.far)
}

func copyUntilTheEnd(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	hangUp(to)
	hangUp(from)
}

// hangUp closes the pipe below TLS: tls.Conn.Close would say goodbye to nobody.
func hangUp(c net.Conn) {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	_ = c.Close()
}

type packet struct {
	at time.Time
	b  []byte
}

// pump carries bytes from one end to the other, as the way has it.
func (c *wire) pump(d direction, from, to net.Conn) {
	packets := make(chan packet, 512)
	go func() {
		defer close(packets)
		buf := make([]byte, 32<<10)
		for {
			n, err := from.Read(buf)
			if n > 0 {
				c.way.mu.Lock()
				at := time.Now().Add(c.way.slow[d])
				c.way.mu.Unlock()
				select {
				case packets <- packet{at, append([]byte(nil), buf[:n]...)}:
				case <-c.gone:
					return
				}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range packets {
		if !c.wait(time.Until(p.at)) || !c.passes(d) || !c.carry(d, p.b, packets, to) {
			break
		}
	}
	if c.isStranded() { // the other end is not told
		for range packets {
		}
		return
	}
	hangUp(to)
	hangUp(from)
	c.close()
	for range packets { // the reader has ended, or does so now
	}
}

// wait reports false when the connection is gone first.
func (c *wire) wait(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.gone:
		return false
	}
}

// passes waits while the direction is silent.
func (c *wire) passes(d direction) bool {
	for {
		c.way.mu.Lock()
		held, changed := c.way.trouble[silentUp+trouble(d)] > 0, c.way.changed
		c.way.mu.Unlock()
		if c.isStranded() {
			return false
		}
		if !held {
			return true
		}
		select {
		case <-changed:
		case <-c.stranded:
			return false
		case <-c.gone:
			return false
		}
	}
}

// carry writes b, whole or in pieces, with what else has come.
func (c *wire) carry(d direction, b []byte, more <-chan packet, to net.Conn) bool {
	w := c.way
	w.mu.Lock()
	tear, merge, speed := w.trouble[torn] > 0, w.trouble[merged] > 0, w.speed
	broken := false
	if d == down && w.resetAt > 0 {
		if w.resetAt > len(b) {
			w.resetAt -= len(b)
		} else {
			b, w.resetAt, broken = b[:w.resetAt], 0, true
		}
	}
	w.mu.Unlock()
	if merge && !broken {
		if !c.wait(20 * time.Millisecond) {
			return false
		}
		for len(more) > 0 {
			p := <-more
			b = append(b, p.b...)
		}
	}
	if speed > 0 && !c.wait(time.Duration(len(b))*time.Second/time.Duration(speed)) {
		return false
	}
	for size := len(b); len(b) > 0; {
		n := size
		if tear && size < 4096 {
			n = 1 + len(b)%7
		}
		n = min(n, len(b))
		if _, err := to.Write(b[:n]); err != nil {
			return false
		}
		b = b[n:]
	}
	return !broken
}

// exaggerating claims of replies of some length that they are longer than any client takes, while the way is so.
type exaggerating struct {
	net.Conn
	way  *way
	rest []byte // of the frame that is being read
}

func (e *exaggerating) Read(b []byte) (int, error) {
	if len(e.rest) == 0 {
		head := make([]byte, 4)
		if _, err := io.ReadFull(e.Conn, head); err != nil {
			return 0, plainEOF(err)
		}
		size := binary.BigEndian.Uint32(head)
		frame := make([]byte, size)
		if _, err := io.ReadFull(e.Conn, frame); err != nil {
			return 0, plainEOF(err)
		}
		if size > 120 && e.way.has(tooLarge) { // longer than a handshake, a ping and most events
			binary.BigEndian.PutUint32(head, 1<<30)
		}
		e.rest = append(head, frame...)
	}
	n := copy(b, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

func plainEOF(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return io.EOF
	}
	return err
}
