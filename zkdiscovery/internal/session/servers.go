package session

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// ParseServers splits a list of "host:port" entries (IPv6 in brackets), the last of which may carry a chroot, "host:2181/prod", as
// ZooKeeper's own connect strings do. The error joins every mistake.
func ParseServers(servers []string) (addrs []string, chroot string, err error) {
	if len(servers) == 0 {
		return nil, "", errors.New("servers: empty list: at least one host:port is needed")
	}
	var errs []error
	for i, s := range servers {
		addr := s
		if at := strings.IndexByte(s, '/'); at >= 0 && !strings.Contains(s, "://") {
			addr = s[:at]
			if i != len(servers)-1 {
				errs = append(errs, fmt.Errorf("server %q: a chroot belongs behind the last server only", s))
			} else if c := s[at:]; c != "/" {
				chroot = c
				if why := PathMistake(c); why != "" {
					errs = append(errs, fmt.Errorf("server %q: chroot %q %s", s, c, why))
				}
			}
		}
		if why := addressMistake(addr); why != "" {
			errs = append(errs, fmt.Errorf("server %q: %s", s, why))
		}
		addrs = append(addrs, addr)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, "", err
	}
	return addrs, chroot, nil
}

func addressMistake(addr string) string {
	switch {
	case addr == "":
		return "is empty: host:port is needed"
	case strings.Contains(addr, "://"):
		return "has a scheme: host:port is needed"
	case strings.Contains(addr, ","):
		return "is a list: one entry per server is needed"
	}
	if addr[0] != '[' && strings.Count(addr, ":") > 1 {
		return "is a bare IPv6 address: brackets are needed, [::1]:2181"
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "has no port: host:port is needed"
	}
	if host == "" || strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune("@?#\\", r) }) {
		return "has no valid host: host:port is needed"
	}
	if addr[0] == '[' && !isAddress(host) {
		return "has something else than an IPv6 address in brackets"
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Sprintf("has port %q: 1 to 65535 is needed", port)
	}
	return ""
}

// PathMistake says what is wrong with an absolute znode path, by ZooKeeper's rules (PathUtils.validatePath), as the end of a sentence that
// begins with the path; "" when nothing is.
func PathMistake(path string) string {
	switch {
	case path == "":
		return "is empty"
	case path[0] != '/':
		return "does not start with /"
	case path == "/":
		return ""
	case path[len(path)-1] == '/':
		return "ends with /"
	}
	for part := range strings.SplitSeq(path[1:], "/") {
		switch part {
		case "":
			return "has an empty part (//)"
		case ".", "..":
			return "has a relative part (" + part + ")"
		}
		for _, r := range part {
			if r < 0x20 || r >= 0x7f && r <= 0x9f || r >= 0xd800 && r <= 0xf8ff || r >= 0xfff0 { // it looks at halves of longer ones
				return fmt.Sprintf("has a character that ZooKeeper does not allow (%U)", r)
			}
		}
	}
	return ""
}
