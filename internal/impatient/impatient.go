// Package impatient dials for plain go-zookeeper connections: those of tests, of the drill and of the benchmarks, whose ZooKeeper is killed on purpose.
package impatient

import (
	"net"
	"time"
)

// handshake is how long a server may take for its part of the handshake.
const handshake = 5 * time.Second

// Dial is a zk.Dialer whose connections end when a server does not answer the handshake within 5 s. go-zookeeper waits ten times as long for that as for
// anything else, 200 s where a session's timeout is 30 s, and without a limit for the last part of it. So a server that is killed or stopped in that
// moment holds up whoever waits. It is for session timeouts up to 90 s.
func Dial(network, addr string, timeout time.Duration) (net.Conn, error) {
	c, err := net.DialTimeout(network, addr, timeout) //nolint:noctx // a zk.Dialer has none
	if err != nil {
		return nil, err
	}
	return conn{c}, nil
}

type conn struct{ net.Conn }

// SetReadDeadline knows the handshake by its deadline, which is far away or none.
func (c conn) SetReadDeadline(t time.Time) error {
	if t.IsZero() || time.Until(t) > time.Minute {
		t = time.Now().Add(handshake)
	}
	return c.Conn.SetReadDeadline(t)
}
