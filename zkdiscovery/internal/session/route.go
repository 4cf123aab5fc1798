package session

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"time"
)

// target is one address to try.
type target struct {
	addr  string // host:port; the host is an address where resolved is true
	host  string // the name that TLS verifies
	final bool   // nothing left to resolve
}

// route decides which server is tried next, and when: all of them in random order, then a pause, then all of them again.
type route struct {
	servers []string
	byName  bool // the names are the dialler's business
	pending []target
	// failedRounds counts those since a connection lasted; allRefused and inRound are about the round under way.
	failedRounds int
	inRound      int
	allRefused   bool
	wait         time.Duration // before the next attempt
}

func newRoute(cfg Config) route {
	return route{servers: cfg.Servers, byName: cfg.Dial != nil}
}

// next returns the target of the next attempt and how long to wait before it.
func (r *route) next() (target, time.Duration) {
	if len(r.pending) == 0 {
		for _, i := range rand.Perm(len(r.servers)) {
			host, _, _ := net.SplitHostPort(r.servers[i]) // ParseServers has checked it
			r.pending = append(r.pending, target{addr: r.servers[i], host: host, final: r.byName || net.ParseIP(host) != nil})
		}
		r.inRound, r.allRefused = 0, true
	}
	t := r.pending[0]
	r.pending = r.pending[1:]
	wait := r.wait
	r.wait = 0
	return t, wait
}

// resolved puts the addresses of a name in the name's place: all are tried before the round is over.
func (r *route) resolved(ts []target) { r.pending = slices.Insert(r.pending, 0, ts...) }

// failed notes that an attempt failed and reports whether that ended the round.
func (r *route) failed(err error) bool {
	r.inRound++
	r.allRefused = r.allRefused && !timedOut(err)
	if len(r.pending) > 0 {
		return false
	}
	r.failedRounds++
	r.wait = pause(r.failedRounds)
	return true
}

// lost notes that an established connection ended after it had lasted so long: a new round begins.
func (r *route) lost(lasted time.Duration) {
	r.pending = nil
	if lasted >= stableAfter {
		r.failedRounds = 0
		r.wait = rand.N(herdJitter)
		return
	}
	r.failedRounds++
	r.wait = pause(r.failedRounds)
}

// resolve looks a name up.
func resolve(ctx context.Context, t target) ([]target, error) {
	addrs, err := net.DefaultResolver.LookupHost(ctx, t.host)
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(t.addr)
	ts := make([]target, 0, len(addrs))
	for _, i := range rand.Perm(len(addrs)) {
		ts = append(ts, target{addr: net.JoinHostPort(addrs[i], port), host: t.host, final: true})
	}
	return ts, nil
}

// connect makes the transport: TCP or the user's, and TLS.
func connect(ctx context.Context, cfg *Config, t target) (net.Conn, error) {
	var c net.Conn
	var err error
	if cfg.Dial == nil {
		c, err = new(net.Dialer).DialContext(ctx, "tcp", t.addr)
	} else {
		c, err = dialAbandoning(ctx, cfg, t.addr)
	}
	if err != nil {
		return nil, err
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

// dialAbandoning calls the user's dialler, which may ignore its context: then it is left behind, and a connection that it makes later is
// closed.
func dialAbandoning(ctx context.Context, cfg *Config, addr string) (net.Conn, error) {
	type result struct {
		c   net.Conn
		err error
	}
	done := make(chan result, 1) // the dialling goroutine sends once
	go func() {
		c, err := cfg.Dial(ctx, "tcp", addr)
		if c == nil && err == nil {
			err = fmt.Errorf("dialler returned neither a connection nor an error for %s", addr)
		}
		done <- result{c, err}
	}()
	select {
	case r := <-done:
		return r.c, r.err
	case <-ctx.Done():
		go func() {
			if r := <-done; r.c != nil {
				_ = r.c.Close() // nobody waits for it any more
			}
		}()
		return nil, ctx.Err()
	}
}
