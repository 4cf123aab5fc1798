package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// DefaultTimeout bounds one probe.
const DefaultTimeout = time.Second

// Probe asks an instance whether it is there: nil says that it is, errors.ErrUnsupported that this probe cannot ask on that network. It must
// return when ctx ends.
type Probe = func(ctx context.Context, network, address string) error

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
	return (&net.Dialer{KeepAlive: -1}).DialContext(ctx, n, address)
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

// split takes a key of a list apart as XClient does.
func split(key string) (network, address string) {
	network, address, found := strings.Cut(key, "@")
	if !found {
		return "tcp", key
	}
	return network, address
}

// call runs a probe, which may be the user's code.
func call(ctx context.Context, probe Probe, key string) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("probe panicked: %v", r)
		}
	}()
	network, address := split(key)
	return probe(ctx, network, address)
}
