package zktest_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// silence is how long a connection must say nothing to count as silent.
const silence = 50 * time.Millisecond

func TestProxyPassesAndCountsBytes(t *testing.T) {
	p := startProxy(t)
	sent := bytes.Repeat([]byte("holdfast"), 1<<17)
	conn := dial(t, p.Addr())
	defer conn.Close()
	var writer sync.WaitGroup
	writer.Go(func() {
		if _, err := conn.Write(sent); err != nil {
			t.Error(err)
		}
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Error(err)
		}
	})
	received, err := io.ReadAll(conn) // ends because the end passes through, there and back
	writer.Wait()
	if err != nil || !bytes.Equal(sent, received) {
		t.Errorf("sent %d bytes, received %d or others: %v", len(sent), len(received), err)
	}
	eventually(t, "the connection to be over", func() bool { return p.Stats().Open == 0 })
	want := zktest.ProxyStats{ToTarget: int64(len(sent)), FromTarget: int64(len(sent)), Accepted: 1}
	if got := p.Stats(); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
}

// TestProxyDelayIsALatencyNotARate sends messages closer to each other than the delay. A proxy that slept between reading and writing
// would make those wait that arrive during its sleep: for half a delay on average, each way.
func TestProxyDelayIsALatencyNotARate(t *testing.T) {
	const delay, messages = 100 * time.Millisecond, 50
	p := startProxy(t)
	conn := dial(t, p.Addr())
	defer conn.Close()
	say(t, conn, "a connection that is there already")
	hear(t, conn, "a connection that is there already")
	p.Delay(delay)

	start := time.Now()
	var writer sync.WaitGroup
	writer.Go(func() {
		for range messages {
			if err := binary.Write(conn, binary.BigEndian, int64(time.Since(start))); err != nil {
				t.Error(err)
			}
			time.Sleep(delay / 20)
		}
	})
	defer writer.Wait()
	var took []time.Duration
	for range messages {
		var sent int64
		must(t, binary.Read(conn, binary.BigEndian, &sent))
		took = append(took, time.Since(start)-time.Duration(sent))
	}
	slices.Sort(took)
	if took[0] < delay {
		t.Errorf("a message was back after %v, before the delay of %v", took[0], delay)
	}
	if median := took[messages/2]; median > delay*13/10 {
		t.Errorf("messages took %v, with a delay of %v", median, delay)
	}
}

func TestProxyCutIsSilentAndLate(t *testing.T) {
	p := startProxy(t)
	conn, leaving := dial(t, p.Addr()), dial(t, p.Addr())
	defer conn.Close()
	for _, c := range []net.Conn{conn, leaving} {
		say(t, c, "before")
		hear(t, c, "before")
	}

	p.Cut(true)
	p.Cut(true) // once more is no change
	say(t, conn, "meanwhile")
	must(t, leaving.Close())
	late := dial(t, p.Addr())
	defer late.Close()
	say(t, late, "from a new one")
	for _, c := range []net.Conn{conn, late} {
		isSilent(t, c)
	}
	if got := p.Stats().Open; got != 3 {
		t.Errorf("%d connections are open, want 3: an end passed through the cut", got)
	}

	p.Cut(false)
	hear(t, conn, "meanwhile")
	hear(t, late, "from a new one")
	eventually(t, "the end that was cut off", func() bool { return p.Stats().Open == 2 })
}

func TestProxyStrandedConnectionsStaySilent(t *testing.T) {
	p := startProxy(t)
	conn := dial(t, p.Addr())
	defer conn.Close()
	say(t, conn, "before")
	hear(t, conn, "before")

	p.Strand()
	say(t, conn, "meanwhile")
	p.Cut(true)
	p.Cut(false)
	isSilent(t, conn)
	other := dial(t, p.Addr())
	defer other.Close()
	say(t, other, "new")
	hear(t, other, "new")
	isSilent(t, conn)

	p.Drop()
	isOver(t, conn)
}

func TestProxyRefusesNewConnectionsOnly(t *testing.T) {
	p := startProxy(t)
	conn := dial(t, p.Addr())
	defer conn.Close()
	say(t, conn, "before")
	hear(t, conn, "before")

	must(t, p.Refuse(true))
	must(t, p.Refuse(true))
	refuses(t, p.Addr())
	say(t, conn, "meanwhile")
	hear(t, conn, "meanwhile")

	must(t, p.Refuse(false))
	must(t, p.Refuse(false))
	other := dial(t, p.Addr())
	defer other.Close()
	say(t, other, "after")
	hear(t, other, "after")
}

func TestProxyClosesAConnectionWhoseTargetRefuses(t *testing.T) {
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, nobody.Close())
	p, err := zktest.NewProxy(nobody.Addr().String())
	must(t, err)
	defer p.Close()
	conn := dial(t, p.Addr())
	defer conn.Close()
	isOver(t, conn)
}

func TestProxyDropEndsBothSides(t *testing.T) {
	targets := make(chan net.Conn, 1)
	p := startProxyTo(t, func(c net.Conn) { targets <- c })
	conn := dial(t, p.Addr())
	defer conn.Close()
	target := <-targets
	defer target.Close()
	p.Drop()
	isOver(t, conn)
	isOver(t, target)
}

func TestProxyCloseEndsEverythingInAnyState(t *testing.T) {
	for name, trouble := range map[string]func(*zktest.Proxy){
		"healthy":  func(*zktest.Proxy) {},
		"cut":      func(p *zktest.Proxy) { p.Cut(true) },
		"delayed":  func(p *zktest.Proxy) { p.Delay(time.Hour) },
		"stranded": func(p *zktest.Proxy) { p.Strand() },
		"refusing": func(p *zktest.Proxy) { must(t, p.Refuse(true)) },
	} {
		t.Run(name, func(t *testing.T) {
			p := startProxy(t)
			conn := dial(t, p.Addr())
			defer conn.Close()
			say(t, conn, "before")
			hear(t, conn, "before")
			trouble(p)
			say(t, conn, "on its way")
			p.Close()
			p.Close()
			isOver(t, conn)
			refuses(t, p.Addr())
			if err := p.Refuse(false); err == nil {
				t.Error("it listens again after Close")
			}
			if open := p.Stats().Open; open != 0 {
				t.Errorf("%d connections are open after Close", open)
			}
		})
	}
}

func TestProxyCarriesARealSessionThroughACut(t *testing.T) {
	e := zktest.StartEnsemble(t, 1)
	p, err := zktest.NewProxy(e.Servers()[0])
	must(t, err)
	t.Cleanup(p.Close)
	conn := connect(t, []string{p.Addr()})
	session := conn.SessionID()
	p.Cut(true)
	answered := make(chan error)
	go func() {
		_, _, err := conn.Exists("/")
		answered <- err
	}()
	select {
	case err := <-answered:
		t.Errorf("an answer through the cut: %v", err)
	case <-time.After(silence):
		p.Cut(false)
		if err := <-answered; err != nil {
			t.Errorf("after the cut: %v", err)
		}
	}
	if conn.SessionID() != session {
		t.Error("the session was lost in a cut much shorter than it")
	}
}

// startProxy proxies an echo.
func startProxy(t *testing.T) *zktest.Proxy {
	t.Helper()
	return startProxyTo(t, func(c net.Conn) {
		defer c.Close()
		_, _ = io.Copy(c, c) // ends with the connection, however that ends
	})
}

// startProxyTo proxies a listener which hands its connections to serve.
func startProxyTo(t *testing.T, serve func(net.Conn)) *zktest.Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	var tasks sync.WaitGroup
	tasks.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			tasks.Go(func() { serve(c) })
		}
	})
	p, err := zktest.NewProxy(l.Addr().String())
	must(t, err)
	t.Cleanup(func() {
		p.Close()
		l.Close()
		tasks.Wait()
	})
	return p
}

func say(t *testing.T, c net.Conn, what string) {
	t.Helper()
	if _, err := io.WriteString(c, what); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, c net.Conn, want string) {
	t.Helper()
	must(t, c.SetReadDeadline(time.Now().Add(patience)))
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Fatalf("heard %q, want %q: %v", got, want, err)
	}
}

func isSilent(t *testing.T, c net.Conn) {
	t.Helper()
	must(t, c.SetReadDeadline(time.Now().Add(silence)))
	if n, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("not silent: %d bytes, %v", n, err)
	}
}

func isOver(t *testing.T, c net.Conn) {
	t.Helper()
	must(t, c.SetReadDeadline(time.Now().Add(patience)))
	if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("the connection is still open")
	}
}

func eventually(t *testing.T, what string, reached func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !reached(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
