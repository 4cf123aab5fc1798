package session

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/blackhole"
	"github.com/holdfast-go/holdfast/tests/bubbles"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// nameServer answers every question about an IPv4 address with ips, after a delay; with "no such name" when there are none. It is this process's
// only one until the test ends.
type nameServer struct {
	mu     sync.Mutex
	delay  time.Duration
	ips    []string
	mute   map[string]bool // by question, where every other one gets no answer; nil: all do
	asked  int
	conns  []net.Conn
	closed bool
}

// silence leaves the first question of each kind without an answer, then every other one: who asks again asks the second of two name servers, of
// which the first is dead.
func (n *nameServer) silence() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mute = make(map[string]bool)
}

func newNameServer(t *testing.T, delay time.Duration, ips ...string) *nameServer {
	t.Helper()
	n := &nameServer{delay: delay, ips: ips}
	was := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe() // no packets: as DNS over TCP, each message is behind its length
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.closed {
			return nil, net.ErrClosed
		}
		n.conns = append(n.conns, server)
		go n.serve(server)
		return client, nil
	}}
	t.Cleanup(func() {
		net.DefaultResolver = was
		n.mu.Lock()
		defer n.mu.Unlock()
		n.closed = true
		for _, c := range n.conns {
			_ = c.Close() // wakes lookups that nobody waits for
		}
	})
	return n
}

func (n *nameServer) change(delay time.Duration, ips ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.delay, n.ips = delay, ips
}

func (n *nameServer) serve(c net.Conn) {
	defer c.Close()
	size := make([]byte, 2)
	for {
		if _, err := io.ReadFull(c, size); err != nil {
			return
		}
		q := make([]byte, be.Uint16(size))
		if _, err := io.ReadFull(c, q); err != nil {
			return
		}
		n.mu.Lock()
		delay, ips := n.delay, n.ips
		n.asked++
		if n.mute != nil {
			n.mute[string(q[12:])] = !n.mute[string(q[12:])] // behind the message's number and flags
			if n.mute[string(q[12:])] {
				delay = time.Hour
			}
		}
		n.mu.Unlock()
		_ = c.SetReadDeadline(time.Now().Add(delay))
		if _, err := c.Read(size); !timedOut(err) {
			return // who asked does not wait any more
		}
		_ = c.SetReadDeadline(time.Time{})
		end := 12
		for q[end] != 0 {
			end += int(q[end]) + 1
		}
		code := byte(0)
		if len(ips) == 0 {
			code = 3 // no such name
		}
		if be.Uint16(q[end+1:]) != 1 {
			ips = nil // not about IPv4
		}
		a := append(q[:2:2], 0x81, 0x80|code, 0, 1, 0, byte(len(ips)), 0, 0, 0, 0)
		a = append(a, q[12:end+5]...)
		for _, ip := range ips {
			a = append(append(a, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4), net.ParseIP(ip).To4()...)
		}
		if _, err := c.Write(append(be.AppendUint16(nil, uint16(len(a))), a...)); err != nil {
			return
		}
	}
}

func TestAddressesAreWhatTheResolverSaysOrWasTheLastItSaid(t *testing.T) {
	const limit = time.Second
	bubbles.Test(t, func(t *testing.T) {
		ns := newNameServer(t, 0)
		s := Open(Config{Servers: []string{"a:1"}, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errNo }})
		t.Cleanup(s.Close)
		ask := func(took time.Duration, want ...string) {
			t.Helper()
			begin := time.Now()
			got, err := s.addresses(t.Context(), "zk.test", limit)
			slices.Sort(got)
			if time.Since(begin) != took || !slices.Equal(got, want) || (err == nil) != (len(want) > 0) {
				t.Errorf("%v after %v: %v; want %v after %v", got, time.Since(begin), err, want, took)
			}
		}
		ask(0)
		ns.change(4500*time.Millisecond, "10.0.0.1", "10.0.0.2")
		ask(limit) // too slow, and nothing is known; but the lookup goes on
		settle(2 * time.Second)
		asked := ns.asked
		ask(limit)
		if ns.asked != asked {
			t.Error("the name was asked for twice at once")
		}
		settle(time.Minute)
		ask(limit, "10.0.0.1", "10.0.0.2")
		settle(time.Minute)
		ns.change(0, "10.0.0.3")
		ask(0, "10.0.0.3")
		ns.change(0)
		ask(0, "10.0.0.3") // the name server has lost it
		ns.change(time.Hour, "10.0.0.4")
		ask(limit, "10.0.0.3") // or is away
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.addresses(ctx, "zk.test", limit); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if closing(t, s) > closeHeadStart { // although the name server is away
			t.Error("Close has waited for a lookup")
		}
		settle(time.Minute) // the resolver's own limit
	})
}

// listening is a server at some of the loopback's addresses, of which the last has a free port; the others have the same.
func listening(t *testing.T, ip string) (zk *zktest.Server, port string) {
	t.Helper()
	zk = zktest.NewServer()
	t.Cleanup(zk.Close)
	must(t, zk.Listen(ip+":0"))
	_, port, _ = net.SplitHostPort(zk.Addr())
	return zk, port
}

// Issue 10, S3: half of the starts failed where one of a name's two addresses was dead.
func TestNameOfWhichOneAddressIsDeadIsConnectedToInTheFirstRound(t *testing.T) {
	_, port := listening(t, "127.0.0.41")
	blackhole.Open(t, "127.0.0.42:"+port)
	newNameServer(t, 0, "127.0.0.41", "127.0.0.42")
	for range 8 {
		s := Open(Config{Servers: []string{"zk.test:" + port}})
		awaitRound(t, s)
		if st := s.State(); !st.Connected || st.Server != "127.0.0.41:"+port {
			t.Errorf("%+v", st)
		}
		s.Close()
	}
}

// awaitRound waits until s is connected or a round through the servers has failed.
func awaitRound(t *testing.T, s *Session) {
	t.Helper()
	eventually(t, "connected", func() bool { st := s.State(); return st.Connected || st.Rounds > 0 })
}

// What connects need not be ZooKeeper: the other addresses are tried in the same round.
func TestNameOfWhichOneAddressIsNotZooKeeperIsConnectedToInTheFirstRound(t *testing.T) {
	_, port := listening(t, "127.0.0.41")
	ln, err := net.Listen("tcp", "127.0.0.43:"+port)
	must(t, err)
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	newNameServer(t, 0, "127.0.0.41", "127.0.0.43")
	for range 8 {
		s := Open(Config{Servers: []string{"zk.test:" + port}})
		awaitRound(t, s)
		if st := s.State(); !st.Connected {
			t.Errorf("%+v", st)
		}
		s.Close()
	}
}

// Issue 10, S4: where the first of two name servers was dead, each name took 2 s or 5 s, and no connection ever came.
func TestSlowNameServerIsConnectedWithLate(t *testing.T) {
	_, port := listening(t, "127.0.0.41")
	for what, slow := range map[string]func(*nameServer){
		"a name takes 2 s": func(n *nameServer) { n.change(2*time.Second, "127.0.0.41") },
		"a name takes the 5 s after which the resolver turns to the second name server": (*nameServer).silence,
	} {
		t.Run(what, func(t *testing.T) {
			slow(newNameServer(t, 0, "127.0.0.41"))
			s := Open(Config{Servers: []string{"zk1.test:" + port, "zk2.test:" + port, "zk3.test:" + port}})
			defer s.Close()
			eventually(t, "connected", func() bool { return s.State().Connected })
		})
	}
}

// Issue 10, S5: one lost connection while the name servers were away was the end of the session.
func TestLastKnownAddressesServeWhileNamesCannotBeResolved(t *testing.T) {
	for _, delay := range []time.Duration{0, time.Hour} {
		zk, port := listening(t, "127.0.0.41")
		ns := newNameServer(t, 0, "127.0.0.41")
		s := Open(Config{Servers: []string{"zk.test:" + port}})
		eventually(t, "connected", func() bool { return s.State().Connected })
		ns.change(delay)
		zk.DropConnections()
		eventually(t, "connected again", func() bool { st := s.State(); return st.Connected && st.Link == 2 })
		if st := s.State(); st.Session != 1 || st.Rounds != 0 {
			t.Errorf("%+v", st)
		}
		s.Close()
	}
}

func TestTargetOfANameHasThePortBehindEveryAddress(t *testing.T) {
	got := newTarget("zk.test:2181", false).withPort([]string{"10.0.0.1", "::1"})
	if want := "10.0.0.1:2181 [::1]:2181"; strings.Join(got, " ") != want {
		t.Errorf("%v, want %s", got, want)
	}
	for server, addrs := range map[string]int{"zk:1": 0, "10.0.0.1:1": 1, "[::1]:1": 1} {
		if got := newTarget(server, false); len(got.addrs) != addrs || len(newTarget(server, true).addrs) != 1 {
			t.Errorf("%s: %s", server, strconv.Quote(got.String()))
		}
	}
}
