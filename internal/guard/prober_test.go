package guard

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smallnest/rpcx/protocol"
	"github.com/smallnest/rpcx/server"
)

// serve starts an rpcx server on a listener that is open already, and returns its address.
func serve(t *testing.T, network, address string) string {
	t.Helper()
	return serveOn(t, server.NewServer(), network, address)
}

func serveOn(t *testing.T, s *server.Server, network, address string) string {
	t.Helper()
	listenOn := network
	if network == "http" {
		listenOn = "tcp"
	}
	ln, err := net.Listen(listenOn, address)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1) // the serving goroutine sends once
	go func() { done <- s.ServeListener(network, ln) }()
	t.Cleanup(func() {
		_ = s.Close()
		_ = ln.Close()
		t.Log(<-done)
	})
	return ln.Addr().String()
}

func ask(t *testing.T, probe Probe, network, address string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	return probe(ctx, network, address)
}

func TestHeartbeatAsksAnRPCXServer(t *testing.T) {
	if err := ask(t, Heartbeat(nil), "tcp", serve(t, "tcp", "127.0.0.1:0")); err != nil {
		t.Errorf("tcp: %v", err)
	}
	if err := ask(t, Heartbeat(nil), "http", serve(t, "http", "127.0.0.1:0")); err != nil {
		t.Errorf("http: %v", err)
	}
	sock := filepath.Join(t.TempDir(), "s")
	serve(t, "unix", sock)
	if err := ask(t, Heartbeat(nil), "unix", sock); err != nil {
		t.Errorf("unix: %v", err)
	}
}

func TestHeartbeatTakesARefusedAuthenticationForAnAnswer(t *testing.T) {
	s := server.NewServer()
	s.AuthFunc = func(context.Context, *protocol.Message, string) error { return io.ErrUnexpectedEOF }
	if err := ask(t, Heartbeat(nil), "tcp", serveOn(t, s, "tcp", "127.0.0.1:0")); err != nil {
		t.Error(err)
	}
}

func TestHeartbeatUsesTLS(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	serverTLS := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS13}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", serverTLS)
	if err != nil {
		t.Fatal(err)
	}
	s := server.NewServer()
	done := make(chan error, 1)
	go func() { done <- s.ServeListener("tcp", ln) }()
	defer func() {
		_ = s.Close()
		_ = ln.Close()
		t.Log(<-done)
	}()
	addr := ln.Addr().String()
	if err := ask(t, Heartbeat(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}), "tcp", addr); err != nil {
		t.Errorf("with TLS: %v", err)
	}
	if err := ask(t, Heartbeat(&tls.Config{MinVersion: tls.VersionTLS13}), "tcp", addr); err == nil {
		t.Error("an unknown certificate counts as an answer")
	}
}

// listen accepts connections on loopback and lets f have each.
func listen(t *testing.T, f func(net.Conn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			f(c)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		<-done
	})
	return ln.Addr().String()
}

func TestSomethingElseOnAReusedAddressIsNoAnswer(t *testing.T) {
	addr := listen(t, func(c net.Conn) { _, _ = io.WriteString(c, "220 mail.example ESMTP\r\n") })
	if err := ask(t, Heartbeat(nil), "tcp", addr); err == nil {
		t.Error("a mail server counts as an rpcx server")
	}
	echo := listen(t, func(c net.Conn) { _, _ = io.CopyN(c, c, 12) })
	if err := ask(t, Heartbeat(nil), "tcp", echo); err == nil {
		t.Error("an echo counts as an rpcx server")
	}
}

func TestAClosedPortIsNoAnswer(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	_ = ln.Close()
	if err := ask(t, Heartbeat(nil), "tcp", addr); err == nil {
		t.Error("a closed port counts as an answer")
	}
}

func TestANetworkThatIsNoStreamCannotBeAsked(t *testing.T) {
	for name, probe := range map[string]Probe{"heartbeat": Heartbeat(nil), "dial": Dial} {
		p := NewProber(probe, time.Second, 1)
		for _, key := range []string{"quic@127.0.0.1:1", "kcp@127.0.0.1:1", "ws@127.0.0.1:1", "memu@a", "@"} {
			p.Go(t.Context(), key, func(a Answer) {
				if a != Unaskable {
					t.Errorf("%s of %s: %d, not that it cannot be asked", name, key, a)
				}
			})
		}
		p.Wait()
	}
}

func TestAKeyWithoutANetworkIsTCP(t *testing.T) {
	addr := serve(t, "tcp", "127.0.0.1:0")
	p := NewProber(Dial, 5*time.Second, 1)
	p.Go(t.Context(), addr, func(a Answer) {
		if a != Alive {
			t.Errorf("%s: %d", addr, a)
		}
	})
	p.Wait()
}

func TestProberBoundsAProbeThatHangsAndSurvivesOneThatPanics(t *testing.T) {
	const parallel = 2
	release := make(chan struct{})
	var started, ended atomic.Int32
	p := NewProber(func(_ context.Context, _, address string) error {
		switch address {
		case "panic":
			panic("probe")
		case "hang":
			started.Add(1)
			defer ended.Add(1)
			<-release // whatever the context says
		}
		return nil
	}, 10*time.Millisecond, parallel)
	want := func(key string, want Answer) {
		t.Helper()
		p.Go(t.Context(), key, func(got Answer) {
			if got != want {
				t.Errorf("%s: answer %d, want %d", key, got, want)
			}
		})
		p.Wait()
	}
	want("tcp@panic", Silent)
	for range maxHung {
		want("tcp@hang", Silent)
	}
	want("tcp@fine", Alive) // whoever hangs takes no turn from the others
	for range 2 * maxHung {
		want("tcp@hang", Silent)
	}
	if n := started.Load(); n != maxHung+parallel {
		t.Errorf("%d probes hang, want %d", n, maxHung+parallel)
	}
	close(release)
	for ended.Load() < maxHung+parallel {
		runtime.Gosched()
	}
}
