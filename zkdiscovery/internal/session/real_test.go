package session

import (
	"context"
	"crypto/sha1" // the digest scheme is defined with it
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// real returns a session with a real ensemble, which is connected, and a second one to change things with.
func real(t testing.TB, e *zktest.Ensemble, cfg Config) (s, other *Session) {
	t.Helper()
	if cfg.Servers == nil {
		cfg.Servers = e.Servers()
	}
	s, other = Open(cfg), Open(Config{Servers: e.Servers()})
	t.Cleanup(s.Close)
	t.Cleanup(other.Close)
	for _, x := range []*Session{s, other} {
		eventually(t, "connected", func() bool { return x.State().Connected })
	}
	return s, other
}

// write performs ops, again where a connection was lost.
func write(t testing.TB, s *Session, ops ...Op) {
	t.Helper()
	var err error
	eventually(t, "written", func() bool {
		_, err = s.Write(t.Context(), s.State().Session, ops...)
		return !isAny(err, ErrLost, ErrNotConnected)
	})
	must(t, err)
}

func populate(t testing.TB, s *Session, n int) (names []string) {
	t.Helper()
	write(t, s, Create{Path: "/app", ACL: everybody})
	for i := range n {
		names = append(names, fmt.Sprintf("tcp@10.0.%d.%d:8972", i/256, i%256))
	}
	for batch := range slices.Chunk(names, 500) {
		var ops []Op
		for _, name := range batch {
			ops = append(ops, Create{Path: "/app/" + name, Data: []byte("weight=10&group=blue&state=active"), ACL: everybody})
		}
		write(t, s, ops...)
	}
	return names
}

// watchesOfReal compares what s believes with what the server knows.
func watchesOfReal(t testing.TB, e *zktest.Ensemble, s *Session, want int) {
	t.Helper()
	if got := s.Outstanding(); got != want {
		t.Errorf("%d watches in the session, want %d", got, want)
	}
	eventually(t, fmt.Sprintf("%d watches on the server", want), func() bool {
		figures, err := e.Command(0, "mntr")
		return err == nil && strings.Contains(figures, fmt.Sprintf("zk_watch_count\t%d\n", want))
	})
}

func TestRealZooKeeperKeepsOneWatchPerNodeAndKind(t *testing.T) {
	e := zktest.StartEnsemble(t, 1)
	s, other := real(t, e, Config{})
	populate(t, other, 100)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			mirrored(t, s)
			_, _ = s.List(t.Context(), "/missing")
		})
	}
	wg.Wait()
	watchesOfReal(t, e, s, 102)
}

// Promise: after Close no live session is left. Told in the middle of a handshake, too, by a request that stands behind it.
func TestRealZooKeeperKnowsNoSessionAfterClose(t *testing.T) {
	e := zktest.StartEnsemble(t, 1)
	proxy, err := zktest.NewProxy(e.Servers()[0])
	must(t, err)
	defer proxy.Close()
	proxy.Delay(200 * time.Millisecond)
	_, other := real(t, e, Config{}) // two sessions
	write(t, other, Create{Path: "/app", ACL: everybody})
	names := make([]string, 300)
	for _, wait := range []time.Duration{0, 50, 100, 150, 250, 350} {
		s := Open(Config{Servers: []string{proxy.Addr()}, SessionTimeout: 30 * time.Second})
		for range 2 {
			go func() { _, _ = s.Read(context.Background(), "/app", names, true) }()
		}
		time.Sleep(wait * time.Millisecond)
		begin := time.Now()
		s.Close()
		if took := time.Since(begin); took > 3*time.Second {
			t.Errorf("closed after %v ms: Close took %v", int(wait), took)
		}
	}
	eventually(t, "those two sessions left", func() bool {
		dump, err := e.Command(0, "dump")
		must(t, err)
		return strings.Contains(dump, ")/(2):\n") // the first number is that of times at which sessions may expire
	})
}

func TestRealACLOpensToTheRightCredentialsOnly(t *testing.T) {
	e := zktest.StartEnsemble(t, 1)
	sum := sha1.Sum([]byte("ann:secret"))
	ann := []ACL{{Perms: PermAll, Scheme: "digest", ID: "ann:" + base64.StdEncoding.EncodeToString(sum[:])}}
	owner, stranger := real(t, e, Config{Auth: credentials})
	write(t, owner, Create{Path: "/app", ACL: ann}, Create{Path: "/app/x", Data: []byte("hidden"), ACL: ann})
	for range 3 {
		if found := mirrored(t, owner); found["x"] != "hidden" {
			t.Errorf("%v", found)
		}
		if _, err := stranger.List(t.Context(), "/app"); !errors.Is(err, ErrNoAuth) {
			t.Error(err)
		}
		if nodes, err := stranger.Read(t.Context(), "/app", []string{"x"}, true); err != nil || !errors.Is(nodes[0].Err, ErrNoAuth) {
			t.Errorf("%+v, %v", nodes, err)
		}
		was := owner.State()
		must(t, e.Restart(0)) // and again on a new connection
		eventually(t, "connected", func() bool {
			st := owner.State()
			return st.Connected && st.Link > was.Link && stranger.State().Connected
		})
	}
}

func TestRealZooKeeperRefusesASchemeThatItDoesNotKnow(t *testing.T) {
	e := zktest.StartEnsemble(t, 1)
	log := &journal{}
	s := Open(Config{Servers: e.Servers(), Auth: []Auth{{"nonsense", []byte("x")}}, Logger: slog.New(log)})
	defer s.Close()
	eventually(t, "several rounds", func() bool { return s.State().Rounds >= 4 })
	if st := s.State(); st.Connected || !errors.Is(st.Err, ErrAuthRefused) || len(log.seen()) != 1 {
		t.Errorf("%+v\n%v", st, log.seen())
	}
}

func TestRealZooKeeperBehindTLS(t *testing.T) {
	e := zktest.StartEnsemble(t, 1)
	ca := newAuthority(t)
	ln, err := tls.Listen("tcp", "127.0.0.1:0", ca.server(t, "127.0.0.1"))
	must(t, err)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer ln.Close()
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			plain, err := net.Dial("tcp", e.Servers()[0])
			if err != nil {
				c.Close()
				continue
			}
			wg.Go(func() { terminate(c.(*tls.Conn), plain) })
		}
	})
	cfg := Config{Servers: []string{ln.Addr().String()}, TLS: &tls.Config{RootCAs: ca.pool}}
	s, other := real(t, e, cfg)
	defer s.Close() // before the terminator is waited for
	populate(t, other, 2000)
	if got := len(mirrored(t, s)); got != 2000 {
		t.Errorf("%d children", got)
	}
	wrong := Open(Config{Servers: []string{"localhost:" + strings.Split(ln.Addr().String(), ":")[1]}, TLS: cfg.TLS})
	defer wrong.Close()
	eventually(t, "refused", func() bool { return wrong.State().Rounds > 0 })
	if err := wrong.State().Err; err == nil || !strings.Contains(err.Error(), "localhost") {
		t.Errorf("a certificate for another name: %v", err)
	}
}

func TestRealChroot(t *testing.T) {
	e := zktest.StartEnsemble(t, 1)
	addrs, chroot, err := ParseServers([]string{e.Servers()[0] + "/prod/eu"})
	must(t, err)
	s, other := real(t, e, Config{Servers: addrs, Chroot: chroot})
	write(t, other, Create{Path: "/prod", ACL: everybody}, Create{Path: "/prod/eu", ACL: everybody})
	sub := s.Subscribe("/app")
	defer sub.Close()
	if _, err := s.List(t.Context(), "/app"); !errors.Is(err, ErrNoNode) {
		t.Fatal(err)
	}
	write(t, other, Create{Path: "/prod/eu/app", ACL: everybody}, Create{Path: "/prod/eu/app/x", Data: []byte("1"), ACL: everybody})
	eventually(t, "told", func() bool { return sub.Take().List })
	if found := mirrored(t, s); found["x"] != "1" {
		t.Errorf("%v", found)
	}
	write(t, other, Set{Path: "/prod/eu/app/x", Version: -1})
	eventually(t, "told", func() bool { return sub.Take().Children["x"] == Changed })
}

// PathMistake has to agree with the server: what it lets through is made there, and what it refuses is refused.
func TestRealZooKeeperAgreesAboutPaths(t *testing.T) {
	e := zktest.StartEnsemble(t, 1)
	s, _ := real(t, e, Config{})
	write(t, s, Create{Path: "/a", ACL: everybody}, Create{Path: "/ä", ACL: everybody})
	for _, tc := range pathCases {
		if tc.path == "/" || tc.path == "" || tc.path[0] != '/' || strings.ContainsRune(tc.path, '\xff') {
			continue
		}
		_, err := s.Write(t.Context(), s.State().Session, Create{Path: tc.path, ACL: everybody})
		if made := err == nil || isAny(err, ErrNodeExists, ErrNoNode); made != (tc.want == "") || errors.Is(err, ErrLost) {
			t.Errorf("%q: %v, want %q", tc.path, err, tc.want)
		}
	}
}

func TestSomethingElseOnThePortIsNamed(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer ln.Close()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = fmt.Fprint(c, "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n400 Bad Request")
			_, _ = io.ReadFull(c, make([]byte, 40))
			c.Close()
		}
	})
	s := Open(Config{Servers: []string{ln.Addr().String()}})
	defer s.Close()
	eventually(t, "a round", func() bool { return s.State().Rounds > 0 })
	if err := s.State().Err; !errors.Is(err, errForeign) {
		t.Error(err)
	}
	ln.Close()
}
