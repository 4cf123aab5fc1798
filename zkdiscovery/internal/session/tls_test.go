package session

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// authority makes certificates for a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	a := &authority{cert: cert, key: key, pool: x509.NewCertPool()}
	a.pool.AddCert(cert)
	return a
}

// server is a configuration with a certificate for host, a name or an address.
func (a *authority) server(t testing.TB, host string) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: host}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour),
	}
	if ip := net.ParseIP(host); ip != nil {
		tmpl.IPAddresses = []net.IP{ip}
	} else {
		tmpl.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &key.PublicKey, a.key)
	must(t, err)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// behindTLS puts a terminator of TLS before what dial reaches: each server has the configuration that config returns for its address.
func behindTLS(dial dialler, config func(addr string) *tls.Config) dialler {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		plain, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		client, server := net.Pipe()
		go terminate(tls.Server(buffered(server), config(addr)), plain)
		return buffered(client), nil
	}
}

// terminate carries bytes between the two until one ends.
func terminate(secure *tls.Conn, plain net.Conn) {
	var wg sync.WaitGroup
	carry := func(to, from net.Conn) {
		defer secure.NetConn().Close()
		defer plain.Close()
		b := make([]byte, 32<<10)
		for {
			n, err := from.Read(b)
			if n > 0 {
				if _, err := to.Write(b[:n]); err != nil {
					return
				}
			}
			if err != nil {
				return
			}
		}
	}
	wg.Go(func() { carry(plain, secure) })
	wg.Go(func() { carry(secure, plain) })
	wg.Wait()
}

// buffered makes the write of the shorter messages of a handshake not wait for a reader, as a socket does: TLS speaks in both directions at
// once.
func buffered(c net.Conn) net.Conn {
	b := &bufferedConn{Conn: c, out: make(chan []byte, 100), done: make(chan struct{})}
	go func() {
		for {
			select {
			case p := <-b.out:
				if _, err := c.Write(p); err != nil {
					return
				}
			case <-b.done:
				return
			}
		}
	}()
	return b
}

type bufferedConn struct {
	net.Conn
	out  chan []byte
	done chan struct{}
	once sync.Once
}

func (c *bufferedConn) Write(b []byte) (int, error) {
	select {
	case c.out <- append([]byte(nil), b...):
		return len(b), nil
	case <-c.done:
		return 0, net.ErrClosed
	}
}

func (c *bufferedConn) Close() error {
	c.once.Do(func() { close(c.done) })
	return c.Conn.Close()
}

func TestTLSVerifiesEachServersOwnName(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		ca := newAuthority(t)
		good := map[string]*tls.Config{"alpha.example:1": ca.server(t, "alpha.example"), "10.0.0.7:2": ca.server(t, "10.0.0.7")}
		bad := ca.server(t, "mallory.example")
		var names sync.Map
		cfg.Servers = []string{"alpha.example:1", "10.0.0.7:2"}
		cfg.TLS = &tls.Config{RootCAs: ca.pool}
		var swapped atomic.Bool
		cfg.Dial = behindTLS(zk.Dial, func(addr string) *tls.Config {
			c := good[addr]
			if swapped.Load() {
				c = bad
			}
			c = c.Clone()
			c.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
				names.Store(addr+" "+h.ServerName, true)
				return nil, nil
			}
			return c
		})
		s := connected(t, cfg)
		seen := make(map[string]bool)
		for range 30 {
			if _, err := s.List(t.Context(), "/app"); err != nil {
				t.Fatal(err)
			}
			seen[s.State().Server] = true
			settle(stableAfter)
			zk.DropConnections()
			settle(time.Second)
		}
		if len(seen) != 2 {
			t.Errorf("connected to %v only", seen)
		}
		if _, ok := names.Load("alpha.example:1 alpha.example"); !ok {
			t.Error("the server was not told its name")
		}
		swapped.Store(true)
		zk.DropConnections()
		settle(time.Minute)
		var wrongName x509.HostnameError // of either server, whichever was tried last
		if st := s.State(); st.Connected || !errors.As(st.Err, &wrongName) || st.Rounds == 0 {
			t.Errorf("a certificate for another name: %+v", st)
		}
		if cfg.TLS.ServerName != "" {
			t.Error("the user's configuration was changed")
		}
	})
}

func TestTLSServerNameOfTheConfigurationWins(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		ca := newAuthority(t)
		cert := ca.server(t, "ensemble.example")
		cfg.TLS = &tls.Config{RootCAs: ca.pool, ServerName: "ensemble.example"}
		cfg.Dial = behindTLS(zk.Dial, func(string) *tls.Config { return cert })
		connected(t, cfg)
	})
}

func TestTLSOfAnUnknownAuthorityIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		cert := newAuthority(t).server(t, "zk")
		cfg.TLS = &tls.Config{RootCAs: newAuthority(t).pool}
		cfg.Dial = behindTLS(zk.Dial, func(string) *tls.Config { return cert })
		s := Open(cfg)
		defer s.Close()
		settle(time.Minute)
		if st := s.State(); st.Connected || !strings.Contains(st.Err.Error(), "unknown authority") || !st.Refused {
			t.Errorf("%+v", st)
		}
	})
}

// A handshake may stall because the other side is silent, is no TLS at all, or because a callback of the user's does not come back.
func TestTLSHandshakeIsBoundedAndSoIsClose(t *testing.T) {
	for _, tc := range []struct {
		what   string
		change func(t *testing.T, zk *zktest.Server, cfg *Config)
		within time.Duration
	}{
		{"a silent server", func(_ *testing.T, _ *zktest.Server, cfg *Config) { cfg.Dial = piped(silent) }, firstStep},
		{"no TLS", func(_ *testing.T, zk *zktest.Server, cfg *Config) { cfg.Dial = zk.Dial }, firstStep},
		{"a silent server without deadlines", func(_ *testing.T, _ *zktest.Server, cfg *Config) {
			cfg.Dial = wrapping(piped(silent), func(c net.Conn) net.Conn { return tunnel{c} })
		}, firstStep},
		{"a callback that hangs", func(t *testing.T, zk *zktest.Server, cfg *Config) {
			ca := newAuthority(t)
			cert := ca.server(t, "zk")
			cfg.Dial = behindTLS(zk.Dial, func(string) *tls.Config { return cert })
			cfg.TLS = &tls.Config{RootCAs: ca.pool, VerifyConnection: func(tls.ConnectionState) error { time.Sleep(time.Hour); return nil }}
		}, firstStep},
	} {
		t.Run(tc.what, func(t *testing.T) {
			bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
				cfg.TLS = &tls.Config{RootCAs: newAuthority(t).pool}
				tc.change(t, zk, &cfg)
				var open atomic.Int64
				cfg.Dial = opened(&open, cfg.Dial)
				s := Open(cfg)
				t.Cleanup(s.Close)
				awaitState(t, s, tc.within+time.Millisecond, func(st State) bool { return st.Rounds == 1 })
				settle(time.Second)
				closing(t, s)
				settle(2 * time.Hour)
				if n := open.Load(); n != 0 {
					t.Errorf("%d connections are open", n)
				}
			})
		})
	}
}

// tls.Conn.Close says goodbye, and waits up to five seconds for room to say it.
func TestTLSConnectionThatTakesNothingEndsAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		ca := newAuthority(t)
		cert := ca.server(t, "zk")
		cfg.TLS = &tls.Config{RootCAs: ca.pool}
		var stall atomic.Bool
		dial := behindTLS(zk.Dial, func(string) *tls.Config { return cert })
		cfg.Dial = wrapping(dial, func(c net.Conn) net.Conn { return &full{Conn: c, stall: &stall, closed: make(chan struct{})} })
		s := connected(t, cfg)
		stall.Store(true)
		go func() { _, _ = s.List(context.Background(), "/app") }()
		synctest.Wait()
		closing(t, s)
	})
}

// full takes no more writes while stall says so, and has no deadlines.
type full struct {
	net.Conn
	stall  *atomic.Bool
	closed chan struct{}
	once   sync.Once
}

func (c *full) SetWriteDeadline(time.Time) error { return nil }

func (c *full) Write(b []byte) (int, error) {
	if !c.stall.Load() {
		return c.Conn.Write(b)
	}
	<-c.closed
	return 0, net.ErrClosed
}

func (c *full) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}
