//go:build unix

package scenario

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// blackHole is an address that does not answer: its listener accepts nothing and has no room for another connection, so that the operating system drops
// who knocks, as a host does that is gone. No rule of a firewall is needed, and no rights.
type blackHole struct {
	listener int
	waiting  []net.Conn // what fills it
}

// holeDeep is how many connections may fit in before it is full, whatever is asked for. A system that takes more has no black hole.
const holeDeep = 64

// newBlackHole takes over an address of IPv4 where nobody listens any more; connections that it has had may be there. The caller must close it.
func newBlackHole(ctx context.Context, address string) (*blackHole, error) {
	addr, err := net.ResolveTCPAddr("tcp4", address)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	unix.CloseOnExec(fd)
	h := &blackHole{listener: fd}
	at := &unix.SockaddrInet4{Port: addr.Port, Addr: [4]byte(addr.IP.To4())}
	err = errors.Join(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1), unix.Bind(fd, at), unix.Listen(fd, 0))
	for err == nil {
		if len(h.waiting) == holeDeep {
			err = fmt.Errorf("this system accepts %d connections that nobody takes", holeDeep)
			break
		}
		var c net.Conn
		if c, err = (&net.Dialer{Timeout: holePatience}).DialContext(ctx, "tcp4", address); err == nil {
			h.waiting = append(h.waiting, c)
		}
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() && ctx.Err() == nil {
		return h, nil // it is full
	}
	h.close()
	return nil, fmt.Errorf("no address can be made silent: %w", err)
}

// holePatience is how long a connection over loopback may take at most: there it takes microseconds.
const holePatience = 200 * time.Millisecond

func (h *blackHole) close() {
	if h == nil {
		return
	}
	for _, c := range h.waiting {
		c.Close()
	}
	_ = unix.Close(h.listener) // nothing was written to it
}
