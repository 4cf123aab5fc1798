package znode

import "strings"

// InstanceName returns the znode's name for an instance, whose key is network@address. It is the key itself, unless the address has a slash,
// or the very text that stands for one:
//
//   - a slash becomes %2F: unix@/run/a.sock is unix@%2Frun%2Fa.sock;
//   - a percent sign becomes %25 where 2F or 25 follows, so that the name can be told from one that was escaped. Others stay, so that the
//     zone of an IPv6 address is what it was: tcp@[fe80::1%eth0]:8972.
//
// [InstanceKey] reverses it. Clients of rpcx-zookeeper do not: to them, the instance has the escaped address, which they cannot dial. What
// rpcx-zookeeper's own server makes of such a key, a node unix@ with others nested in it, nobody can dial either.
func InstanceName(key string) string {
	network, addr, found := strings.Cut(key, "@")
	if !found || !strings.ContainsAny(addr, "/%") {
		return key
	}
	var b strings.Builder
	b.WriteString(network)
	b.WriteByte('@')
	for i := range len(addr) {
		switch {
		case addr[i] == '/':
			b.WriteString("%2F")
		case escapeAt(addr, i):
			b.WriteString("%25")
		default:
			b.WriteByte(addr[i])
		}
	}
	return b.String()
}

// isInstance reports whether s is network@address: both parts non-empty, no space and no control character in either.
func isInstance(s string) bool {
	network, addr, found := strings.Cut(s, "@")
	return found && network != "" && addr != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f })
}

// InstanceKey returns the key of the instance that a child of a service's node stands for. ok is false when it stands for none: its name is not
// network@address, or escapes what needs no escape, so that another name stands for that key already. No two names have one key.
func InstanceKey(name string) (key string, ok bool) {
	if !isInstance(name) {
		return name, false
	}
	network, addr, _ := strings.Cut(name, "@")
	if !strings.Contains(addr, "%2") {
		return name, true
	}
	var b strings.Builder
	b.WriteString(network)
	b.WriteByte('@')
	for i := 0; i < len(addr); i++ {
		switch {
		case !escapeAt(addr, i):
			b.WriteByte(addr[i])
			continue
		case addr[i+2] == 'F':
			b.WriteByte('/')
		default:
			b.WriteByte('%')
		}
		i += 2
	}
	if key = b.String(); InstanceName(key) != name {
		return name, false
	}
	return key, true
}

// escapeAt reports whether one of the two escapes stands at s[i:].
func escapeAt(s string, i int) bool {
	return strings.HasPrefix(s[i:], "%2F") || strings.HasPrefix(s[i:], "%25")
}
