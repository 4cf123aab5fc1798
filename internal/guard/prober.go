package guard

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/smallnest/rpcx/protocol"
	"github.com/smallnest/rpcx/share"
)

// DefaultProbeTimeout bounds one probe.
const DefaultProbeTimeout = time.Second

// maxHung bounds how many probes that ignore their context are left behind; beyond that nobody is asked any more.
const maxHung = 64

// Probe asks an instance whether it is there: nil says that it is, errors.ErrUnsupported that this probe cannot ask on that network. It must
// return when ctx ends.
type Probe = func(ctx context.Context, network, address string) error

// Answer is the outcome of a probe.
type Answer uint8

const (
	Silent    Answer = iota // nobody answered in time, or somebody else
	Alive                   // the instance is there
	Unaskable               // the probe does not know the network
)

// Prober performs the probes that a Guard asks for.
type Prober struct {
	probe   Probe
	timeout time.Duration
	slots   chan struct{} // one per probe that runs, also when nobody waits for it any more
	wg      sync.WaitGroup
}

// NewProber returns a Prober that gives each probe timeout, and of which at most parallel are asked for at once.
func NewProber(probe Probe, timeout time.Duration, parallel int) *Prober {
	return &Prober{probe: probe, timeout: timeout, slots: make(chan struct{}, parallel+maxHung)}
}

// Go probes the instance of key in the background and calls done once: with the outcome, or with Silent when the timeout or ctx ends first,
// the probe panics, or too many before it have not come back. done must not block for longer than ctx lasts.
func (p *Prober) Go(ctx context.Context, key string, done func(Answer)) {
	p.wg.Go(func() { done(p.ask(ctx, key)) })
}

// Wait returns when every call of Go has called done. A probe that ignores its context is not waited for.
func (p *Prober) Wait() { p.wg.Wait() }

func (p *Prober) ask(ctx context.Context, key string) Answer {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return Silent
	}
	network, address, found := strings.Cut(key, "@")
	if !found {
		network, address = "tcp", key // as XClient reads it
	}
	outcome := make(chan error, 1) // the probe's goroutine sends once
	go func() {
		defer func() { <-p.slots }()
		outcome <- call(ctx, p.probe, network, address)
	}()
	select {
	case err := <-outcome:
		switch {
		case err == nil:
			return Alive
		case errors.Is(err, errors.ErrUnsupported):
			return Unaskable
		}
	case <-ctx.Done():
	}
	return Silent
}

func call(ctx context.Context, probe Probe, network, address string) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("probe panicked: %v", r)
		}
	}()
	return probe(ctx, network, address)
}

// streamNetwork is what to dial for an instance on one of rpcx's networks; the empty string when that is no plain stream.
func streamNetwork(network string) string {
	switch network {
	case "tcp", "tcp4", "tcp6", "unix":
		return network
	case "http":
		return "tcp"
	}
	return ""
}

// Dial is a probe that connects and asks for nothing.
func Dial(ctx context.Context, network, address string) error {
	conn, err := dial(ctx, network, address)
	if err != nil {
		return err
	}
	return conn.Close()
}

func dial(ctx context.Context, network, address string) (net.Conn, error) {
	n := streamNetwork(network)
	if n == "" {
		return nil, fmt.Errorf("no probe for network %q: %w", network, errors.ErrUnsupported)
	}
	return new(net.Dialer).DialContext(ctx, n, address)
}

// Heartbeat returns a probe that connects and exchanges one rpcx heartbeat, with TLS where tc is not nil. Something else that listens on a
// reused address does not count as an answer; an rpcx server that answers with an error does.
func Heartbeat(tc *tls.Config) Probe {
	return func(ctx context.Context, network, address string) error {
		wire, err := dial(ctx, network, address)
		if err != nil {
			return err
		}
		stop := context.AfterFunc(ctx, func() { _ = wire.SetDeadline(time.Unix(1, 0)) }) // ends whatever waits on it
		defer stop()
		defer wire.Close()
		conn := wire
		if tc != nil {
			conn = tls.Client(wire, withServerName(tc, address))
		}
		r := bufio.NewReader(conn)
		if network == "http" {
			if err := connectHTTP(conn, r); err != nil {
				return err
			}
		}
		return heartbeat(conn, r)
	}
}

func withServerName(tc *tls.Config, address string) *tls.Config {
	if tc.ServerName != "" || tc.InsecureSkipVerify {
		return tc
	}
	tc = tc.Clone()
	tc.ServerName, _, _ = net.SplitHostPort(address)
	return tc
}

// connectHTTP switches a connection to an rpcx server behind HTTP to rpcx's own protocol (rpcx client/connection.go, newDirectHTTPConn).
func connectHTTP(conn net.Conn, r *bufio.Reader) error {
	if _, err := io.WriteString(conn, "CONNECT "+share.DefaultRPCPath+" HTTP/1.0\n\n"); err != nil {
		return err
	}
	resp, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
	if err != nil {
		return err
	}
	_ = resp.Body.Close() // a CONNECT has none
	if resp.StatusCode != http.StatusOK {
		return errors.New("unexpected HTTP response: " + resp.Status)
	}
	return nil
}

// heartbeat exchanges one message of rpcx's protocol: a 12-byte header (magic number, version, flags, serialisation, sequence number), of
// which flag bit 7 says response.
func heartbeat(conn net.Conn, r *bufio.Reader) error {
	const seq = 0x686f6c6466617374 // "holdfast"
	req := protocol.NewMessage()
	req.SetMessageType(protocol.Request)
	req.SetHeartbeat(true)
	req.SetSeq(seq)
	if _, err := conn.Write(req.Encode()); err != nil {
		return err
	}
	var head [12]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	if head[0] != req.Header[0] || head[2]&0x80 == 0 || binary.BigEndian.Uint64(head[4:]) != seq {
		return errors.New("something answers, but not with rpcx's protocol")
	}
	return nil
}
