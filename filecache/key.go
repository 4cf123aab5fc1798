package filecache

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"unicode"
)

// checkKey says what is wrong with key as an rpcx address.
func checkKey(key string) error {
	network, address, ok := strings.Cut(key, "@")
	switch {
	case strings.ContainsFunc(key, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }):
		return fmt.Errorf("%q: a key has no white space", key)
	case !ok:
		return fmt.Errorf("%q: no network; a key is network@address, as in %q", key, "tcp@"+key)
	case network == "":
		return fmt.Errorf("%q: the network before the @ is missing", key)
	case address == "":
		return fmt.Errorf("%q: the address behind the @ is missing", key)
	}
	switch network {
	case "unix", "unixpacket", "memu", "inprocess":
		return nil // a path or a name
	}
	if err := checkHostPort(address); err != nil {
		return fmt.Errorf("%q: %w", key, err)
	}
	return nil
}

func checkHostPort(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		if e, ok := errors.AsType[*net.AddrError](err); ok {
			return fmt.Errorf("the address must be host:port: %s", e.Err)
		}
		return err
	}
	if host == "" {
		return errors.New("the host is missing")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("port %q: must be a number from 1 to 65535", port)
	}
	return nil
}
