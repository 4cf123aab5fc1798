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
	"sync/atomic"
	"time"

	"github.com/smallnest/rpcx/protocol"
	"github.com/smallnest/rpcx/share"
)

// DefaultProbeTimeout bounds one probe.
const DefaultProbeTimeout = time.Second

// maxHung bounds how many probes that ignore their context are left behind; beyond that nothing is asked any more.
const maxHung = 64

// Probe asks an instance whether it is there: nil says that it is. It must return when ctx ends.
type Probe func(ctx context.Context, network, address string) error

// Prober performs probes. Its owner gives it what a Guard asks for.
type Prober struct {
	Probe   Probe
	Timeout time.Duration

	wg   sync.WaitGroup
	hung atomic.Int32
}

// Go probes the instance of key in the background and calls done once: with the outcome, or with false when the timeout or ctx ends first, the
// probe panics, or too many before it have not come back. done must not block for longer than ctx lasts.
func (p *Prober) Go(ctx context.Context, key string, done func(answered bool)) {
	p.wg.Go(func() { done(p.ask(ctx, key)) })
}

// Wait returns when every call of Go has called done. A probe that ignores its context is not waited for.
func (p *Prober) Wait() { p.wg.Wait() }

func (p *Prober) ask(ctx context.Context, key string) bool {
	if p.hung.Load() >= maxHung {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	network, address, _ := strings.Cut(key, "@")
	outcome := make(chan error, 1) // the probe's goroutine sends once
	p.hung.Add(1)
	go func() {
		defer p.hung.Add(-1)
		outcome <- call(ctx, p.Probe, network, address)
	}()
	select {
	case err := <-outcome:
		return err == nil
	case <-ctx.Done():
		return false
	}
}

func call(ctx context.Context, probe Probe, network, address string) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("probe panicked: %v", r)
		}
	}()
	return probe(ctx, network, address)
}

// CanHeartbeat reports whether Heartbeat can ask an instance on that network.
func CanHeartbeat(key string) bool {
	network, _, _ := strings.Cut(key, "@")
	switch network {
	case "tcp", "tcp4", "tcp6", "unix", "http":
		return true
	}
	return false
}

// Heartbeat returns a probe that connects and exchanges one rpcx heartbeat, with TLS where tc is not nil. Something else that listens on a
// reused address does not count as an answer; an rpcx server that answers with an error does.
func Heartbeat(tc *tls.Config) Probe {
	return func(ctx context.Context, network, address string) error {
		dialNetwork := network
		if network == "http" {
			dialNetwork = "tcp"
		}
		conn, err := new(net.Dialer).DialContext(ctx, dialNetwork, address)
		if err != nil {
			return err
		}
		stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) // ends whatever waits on it
		defer stop()
		defer conn.Close() //nolint:errcheck // nothing is lost
		if tc != nil {
			conn = tls.Client(conn, withServerName(tc, address))
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
