package probe

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
	"syscall"
	"time"

	"github.com/smallnest/rpcx/protocol"
	"github.com/smallnest/rpcx/share"
)

// maxAnswer bounds what a heartbeat reads from an instance, above TLS, which has bounds of its own: the head of an HTTP response and 12 bytes.
const maxAnswer = 4096

// Heartbeat is a probe that connects and exchanges one rpcx heartbeat, with TLS where tc is not nil. Something else that listens on a
// reused address does not count as an answer; an rpcx server that answers with an error does. The error says "TLS?" where the other side may want TLS.
func Heartbeat(tc *tls.Config) Probe {
	return func(ctx context.Context, network, address string) error {
		wire, err := dial(ctx, network, address)
		if err != nil {
			return err
		}
		stop := context.AfterFunc(ctx, func() { _ = wire.SetDeadline(time.Unix(1, 0)) }) // ends whatever waits on it
		defer stop()
		defer wire.Close()
		if tc == nil {
			return converse(wire, network, true)
		}
		return converse(tls.Client(wire, withServerName(tc, address)), network, false)
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

// converse exchanges a heartbeat over conn. plain says that it is without TLS.
func converse(conn net.Conn, network string, plain bool) error {
	limited := &io.LimitedReader{R: conn, N: maxAnswer}
	c := &conversation{w: conn, r: bufio.NewReader(limited), plain: plain}
	err := c.heartbeat(network)
	if err != nil && limited.N == 0 {
		return errors.New("something answers without end, and not with rpcx's protocol")
	}
	return err
}

// conversation is the two directions of a connection.
type conversation struct {
	w     io.Writer
	r     *bufio.Reader
	plain bool
}

// send writes a request and waits for the beginning of the answer. It knows how a TLS server treats somebody who comes without TLS.
func (c *conversation) send(request []byte) error {
	_, err := c.w.Write(request)
	var first []byte
	if err == nil {
		first, err = c.r.Peek(2)
	}
	switch {
	case !c.plain:
	case len(first) == 2 && first[0] == 0x15 && first[1] == 3: // a record of type alert, of any version since SSL 3.0
		return errors.New("TLS? it answers a plain request with a TLS alert")
	case len(first) == 0 && hungUp(err):
		return fmt.Errorf("TLS? it hung up on a plain request: %w", err)
	}
	return err
}

func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// connectHTTP switches a connection to an rpcx server behind HTTP to rpcx's own protocol (rpcx client/connection.go, newDirectHTTPConn).
func (c *conversation) connectHTTP() error {
	if err := c.send([]byte("CONNECT " + share.DefaultRPCPath + " HTTP/1.0\n\n")); err != nil {
		return err
	}
	resp, err := http.ReadResponse(c.r, &http.Request{Method: http.MethodConnect})
	if err != nil {
		return err
	}
	_ = resp.Body.Close() // a CONNECT has none
	switch {
	case resp.StatusCode == http.StatusOK:
		return nil
	case resp.StatusCode == http.StatusBadRequest && c.plain: // as net/http answers on a TLS port
		return errors.New("TLS? unexpected HTTP response: " + resp.Status)
	}
	return errors.New("unexpected HTTP response: " + resp.Status)
}

// heartbeat exchanges one message of rpcx's protocol: a 12-byte header (magic number, version, flags, serialisation, sequence number), of
// which flag bit 7 says response.
func (c *conversation) heartbeat(network string) error {
	if network == "http" {
		if err := c.connectHTTP(); err != nil {
			return err
		}
	}
	const seq = 0x686f6c6466617374 // "holdfast"
	req := protocol.NewMessage()
	req.SetMessageType(protocol.Request)
	req.SetHeartbeat(true)
	req.SetSeq(seq)
	if err := c.send(req.Encode()); err != nil {
		return err
	}
	var head [12]byte
	if _, err := io.ReadFull(c.r, head[:]); err != nil {
		return err
	}
	if head[0] != req.Header[0] || head[2]&0x80 == 0 || binary.BigEndian.Uint64(head[4:]) != seq {
		return errors.New("something answers, but not with rpcx's protocol")
	}
	return nil
}
