package session

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"
)

// target is a server to try.
type target struct {
	server string   // host:port, as it was given
	addrs  []string // those to dial; none: the server's name has to be resolved
	// asNew hides from the server what the session has seen. ZooKeeper hangs up, without a word, on a client that has seen a newer state
	// than it has itself; after a restore from a backup that would go on for ever, since go-zookeeper never forgets what it has seen
	// (ZOOKEEPER-4508). It does the same while it does not serve, for want of a leader, which no session needs to die of. So a server
	// that hangs up for longer than a session lives without one is asked again like this: if it answers now, it is behind.
	asNew bool
}

// newTarget is a server as it was given. A dialler of the user's gets it as it is: names are its business.
func newTarget(server string, byName bool) target {
	t := target{server: server}
	if byName || isAddress(t.host()) {
		t.addrs = []string{server}
	}
	return t
}

// host is the name that TLS verifies.
func (t target) host() string {
	host, _, _ := net.SplitHostPort(t.server) // ParseServers has checked it
	return host
}

// String is what is dialled, or is to be resolved.
func (t target) String() string {
	if len(t.addrs) == 1 {
		return t.addrs[0]
	}
	return t.server
}

// at is the target of one of its addresses, or of some.
func (t target) at(addrs ...string) target {
	t.addrs = addrs
	return t
}

func (t target) as(asNew bool) target {
	t.asNew = asNew
	return t
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// withPort puts the server's port behind each host.
func (t target) withPort(hosts []string) []string {
	_, port, _ := net.SplitHostPort(t.server) // ParseServers has checked it
	for i, host := range hosts {
		hosts[i] = net.JoinHostPort(host, port)
	}
	return hosts
}

// connect makes the transport: it resolves the name, dials the addresses, and does TLS with the first that connects. Each step has its own limit, and
// its name is in the error. It returns the target of the address that is connected, and that of the addresses which have not failed, if any.
func (s *Session) connect(ctx context.Context, t target, lim limits) (c net.Conn, at, rest target, err error) {
	addrs := t.addrs
	if len(addrs) == 0 {
		hosts, err := s.addresses(ctx, t.host(), lim.step)
		if err != nil {
			return nil, t, rest, inStep("name", err)
		}
		addrs = t.withPort(hosts)
	}
	c, won, others, err := race(ctx, addrs, func(ctx context.Context, addr string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, lim.step)
		defer cancel()
		return s.cfg.dial(ctx, addr)
	})
	if err != nil {
		return nil, t, rest, inStep("dial", err)
	}
	at, rest = t.at(addrs[won]), t.at(others...)
	if s.cfg.TLS == nil {
		return c, at, rest, nil
	}
	secure, err := s.cfg.secure(ctx, c, t.host(), lim.step)
	if err != nil {
		_ = hangUp(c) // the handshake's error is the one that says something
		return nil, at, rest, fmt.Errorf("TLS with %s: %w", t.host(), err)
	}
	return secure, at, rest, nil
}

// inStep says which step of an attempt err is of, unless it says so itself, as net.OpError does.
func inStep(step string, err error) error {
	if strings.HasPrefix(err.Error(), step) {
		return err
	}
	return fmt.Errorf("%s: %w", step, err)
}

// dial makes a connection by TCP or by the user's dialler.
func (cfg *Config) dial(ctx context.Context, addr string) (net.Conn, error) {
	if cfg.Dial == nil {
		return new(net.Dialer).DialContext(ctx, "tcp", addr)
	}
	return abandonable(ctx, func() (net.Conn, error) {
		c, err := cfg.Dial(ctx, "tcp", addr)
		if err == nil && c == nil {
			err = errors.New("the dialler returned neither a connection nor an error for " + addr)
		}
		return c, err
	})
}

// secure does the TLS handshake.
func (cfg *Config) secure(ctx context.Context, c net.Conn, host string, limit time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tc := cfg.TLS
	if tc.ServerName == "" {
		tc = tc.Clone()
		tc.ServerName = host
	}
	return abandonable(ctx, func() (net.Conn, error) {
		secure := tls.Client(c, tc)
		return secure, secure.HandshakeContext(ctx)
	})
}

// abandonable calls f, which runs the user's code, a dialler or a callback of TLS, and may ignore ctx: then it is left behind, and a connection that
// it makes later is closed.
func abandonable(ctx context.Context, f func() (net.Conn, error)) (net.Conn, error) {
	type result struct {
		c   net.Conn
		err error
	}
	done := make(chan result) // f's goroutine sends once, unless nobody waits any more
	go func() {
		c, err := f()
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
		return nil, fmt.Errorf("no answer in time: %w", ctx.Err())
	}
}

// hangUp closes the socket below TLS: tls.Conn.Close would first say goodbye, for up to five seconds where nobody reads.
func hangUp(c net.Conn) error {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	return c.Close()
}
