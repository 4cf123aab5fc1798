package session

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
)

// target is one address to try.
type target struct {
	addr  string // host:port
	host  string // the name that TLS verifies
	final bool   // nothing left to resolve
	// asNew hides from the server what the session has seen. ZooKeeper hangs up, without a word, on a client that has seen a newer state
	// than it has itself; after a restore from a backup that would go on for ever, since go-zookeeper never forgets what it has seen
	// (ZOOKEEPER-4508). It does the same while it does not serve, for want of a leader, which no session needs to die of. So a server
	// that hangs up for longer than a session lives without one is asked again like this: if it answers now, it is behind.
	asNew bool
}

func (t target) as(asNew bool) target {
	t.asNew = asNew
	return t
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// resolve looks the name up and returns its addresses in random order, one at least.
func (t target) resolve(ctx context.Context) ([]target, error) {
	addrs, err := net.DefaultResolver.LookupHost(ctx, t.host)
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(t.addr) // ParseServers has checked it
	ts := make([]target, len(addrs))
	for i, j := range rand.Perm(len(addrs)) {
		ts[i] = target{addr: net.JoinHostPort(addrs[j], port), host: t.host, final: true}
	}
	return ts, nil
}

// connect makes the transport: TCP or the user's, and TLS. The user's code, a dialler or a callback of TLS, may ignore ctx: then it is left
// behind, and a connection that it makes later is closed.
func (t target) connect(ctx context.Context, cfg *Config) (net.Conn, error) {
	if cfg.Dial == nil && cfg.TLS == nil {
		return dialTCP(ctx, "tcp", t.addr)
	}
	type result struct {
		c   net.Conn
		err error
	}
	done := make(chan result) // the dialling goroutine sends once, unless nobody waits any more
	go func() {
		c, err := t.connectAsConfigured(ctx, cfg)
		select {
		case done <- result{c, err}:
		case <-ctx.Done():
			if err == nil {
				_ = hangUp(c) // there is nobody to be told
			}
		}
	}()
	select {
	case r := <-done:
		return r.c, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func dialTCP(ctx context.Context, network, addr string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, network, addr)
}

func (t target) connectAsConfigured(ctx context.Context, cfg *Config) (net.Conn, error) {
	dial := cfg.Dial
	if dial == nil {
		dial = dialTCP
	}
	c, err := dial(ctx, "tcp", t.addr)
	if err != nil {
		return nil, err
	}
	if c == nil {
		return nil, fmt.Errorf("dialler returned neither a connection nor an error for %s", t.addr)
	}
	if cfg.TLS == nil {
		return c, nil
	}
	tc := cfg.TLS
	if tc.ServerName == "" {
		tc = tc.Clone()
		tc.ServerName = t.host
	}
	secure := tls.Client(c, tc)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = c.Close() // the handshake's error is the one that says something
		return nil, fmt.Errorf("TLS with %s: %w", t.host, err)
	}
	return secure, nil
}

// hangUp closes the socket below TLS: tls.Conn.Close would first say goodbye, for up to five seconds where nobody reads.
func hangUp(c net.Conn) error {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	return c.Close()
}
