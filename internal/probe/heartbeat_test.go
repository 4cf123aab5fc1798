package probe

import (
	"bytes"
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
	"strings"
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

func reach(t *testing.T, probe Probe, network, address string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	return probe(ctx, network, address)
}

func TestHeartbeatAsksAnRPCXServer(t *testing.T) {
	if err := reach(t, Heartbeat(nil), "tcp", serve(t, "tcp", "127.0.0.1:0")); err != nil {
		t.Errorf("tcp: %v", err)
	}
	if err := reach(t, Heartbeat(nil), "http", serve(t, "http", "127.0.0.1:0")); err != nil {
		t.Errorf("http: %v", err)
	}
	sock := filepath.Join(t.TempDir(), "s")
	serve(t, "unix", sock)
	if err := reach(t, Heartbeat(nil), "unix", sock); err != nil {
		t.Errorf("unix: %v", err)
	}
}

func TestHeartbeatTakesARefusedAuthenticationForAnAnswer(t *testing.T) {
	s := server.NewServer()
	s.AuthFunc = func(context.Context, *protocol.Message, string) error { return io.ErrUnexpectedEOF }
	if err := reach(t, Heartbeat(nil), "tcp", serveOn(t, s, "tcp", "127.0.0.1:0")); err != nil {
		t.Error(err)
	}
}

// certificate signs itself, for 127.0.0.1.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestHeartbeatUsesTLS(t *testing.T) {
	pair := certificate(t)
	cert, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	serverTLS := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13}
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
	if err := reach(t, Heartbeat(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}), "tcp", addr); err != nil {
		t.Errorf("with TLS: %v", err)
	}
	if err := reach(t, Heartbeat(&tls.Config{MinVersion: tls.VersionTLS13}), "tcp", addr); err == nil {
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
	return serveOnListener(t, ln, f)
}

// serveOnListener lets f have each connection of a listener, which it closes.
func serveOnListener(t *testing.T, ln net.Listener, f func(net.Conn)) string {
	t.Helper()
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
	if err := reach(t, Heartbeat(nil), "tcp", addr); err == nil {
		t.Error("a mail server counts as an rpcx server")
	}
	echo := listen(t, func(c net.Conn) { _, _ = io.CopyN(c, c, 12) })
	if err := reach(t, Heartbeat(nil), "tcp", echo); err == nil {
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
	if err := reach(t, Heartbeat(nil), "tcp", addr); err == nil {
		t.Error("a closed port counts as an answer")
	}
}

// forEver writes head and then as much as it can.
func forEver(head string) func(net.Conn) {
	return func(c net.Conn) {
		_, err := io.WriteString(c, head)
		for junk := bytes.Repeat([]byte("a"), 1<<16); err == nil; {
			_, err = c.Write(junk)
		}
	}
}

// A probe over HTTP of something that sent headers for ever took 759 MB.
func TestWhatAnswersForEverIsReadALittle(t *testing.T) {
	for name, tc := range map[string]struct{ network, head string }{
		"headers":     {"http", "HTTP/1.0 200 Connected to Go RPC\r\nX: "},
		"many":        {"http", "HTTP/1.0 200 Connected to Go RPC\r\n" + strings.Repeat("A: b\r\n", 1000)},
		"status line": {"http", "HTTP/1.0 "},
		"no rpcx":     {"tcp", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var read atomic.Int64
			conn, theirs := net.Pipe()
			done := make(chan struct{})
			go func() {
				defer close(done)
				go func() { _, _ = io.Copy(io.Discard, theirs) }()
				forEver(tc.head)(theirs)
			}()
			err := converse(&counted{conn, &read}, tc.network, true)
			_ = conn.Close()
			<-done
			if err == nil || read.Load() > maxAnswer {
				t.Errorf("%v after %d bytes", err, read.Load())
			}
		})
	}
}

// The bounds of crypto/tls hold for what a heartbeat reads before its own.
func TestATLSHandshakeForEverIsReadALittle(t *testing.T) {
	record := append([]byte{0x16, 3, 3, 0x40, 0}, make([]byte, 1<<14)...) // 16 KB of type handshake
	for name, first := range map[string][]byte{
		"a message of 16 MB":      {2, 0xff, 0xff, 0xff},
		"a certificate of 16 MB":  {11, 0xff, 0xff, 0xff},
		"hello requests for ever": {0, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			copy(record[5:], first)
			var read atomic.Int64
			conn, theirs := net.Pipe()
			done := make(chan struct{})
			go func() {
				defer close(done)
				go func() { _, _ = io.Copy(io.Discard, theirs) }()
				forEver(strings.Repeat(string(record), 1000))(theirs)
			}()
			tc := &tls.Config{ServerName: "a", MinVersion: tls.VersionTLS12}
			err := converse(tls.Client(&counted{conn, &read}, tc), "tcp", false)
			_ = conn.Close()
			<-done
			if err == nil || read.Load() > 1<<20 {
				t.Errorf("%v after %d bytes", err, read.Load())
			}
		})
	}
}

// counted counts what is read.
type counted struct {
	net.Conn
	n *atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.n.Add(int64(n))
	return n, err
}

func TestTheErrorOfAPlainQuestionToATLSServerSaysTLS(t *testing.T) {
	cert := certificate(t)
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	addrs := map[string]string{
		"Go's, which hangs up": serveOnListener(t, ln, func(c net.Conn) { _ = c.(*tls.Conn).HandshakeContext(t.Context()) }),
		"one that sends an alert": listen(t, func(c net.Conn) {
			_, _ = c.Read(make([]byte, 100))
			_, _ = c.Write([]byte("\x15\x03\x01\x00\x02\x02\x46"))
		}),
		"net/http's": listen(t, func(c net.Conn) {
			_, _ = c.Read(make([]byte, 100))
			_, _ = io.WriteString(c, "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
		}),
	}
	for name, addr := range addrs {
		for _, network := range []string{"tcp", "http"} {
			if name == "net/http's" && network == "tcp" {
				continue
			}
			err := reach(t, Heartbeat(nil), network, addr)
			if o := outcomeOf(err); o.Answer != Silent || !strings.Contains(o.Err.Error(), "TLS?") {
				t.Errorf("%s over %s: %v, %v", name, network, o.Answer, o.Err)
			}
		}
	}
	if err := reach(t, Heartbeat(nil), "tcp", listen(t, func(c net.Conn) { _, _ = io.WriteString(c, "220 mail.example ESMTP\r\n") })); err == nil || strings.Contains(err.Error(), "TLS") {
		t.Errorf("a mail server: %v", err)
	}
}

// A refused certificate is no answer of the instance that was meant, and the error says what it is about.
func TestARefusedCertificateIsSilence(t *testing.T) {
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate(t)}, MinVersion: tls.VersionTLS13})
	if err != nil {
		t.Fatal(err)
	}
	addr := serveOnListener(t, ln, func(c net.Conn) { _ = c.(*tls.Conn).HandshakeContext(t.Context()) })
	o := outcomeOf(reach(t, Heartbeat(&tls.Config{MinVersion: tls.VersionTLS13}), "tcp", addr))
	if o.Answer != Silent || !strings.Contains(o.Err.Error(), "tls") {
		t.Errorf("%v, %v", o.Answer, o.Err)
	}
}
