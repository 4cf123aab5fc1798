package zktest

import (
	"crypto/sha1" //nolint:gosec // the digest scheme is defined with it
	"encoding/base64"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// identity is who a connection has proved to be; a connection may have several.
type identity struct{ scheme, id string }

// user is who a whoAmI says it is: of a digest, without what was made of the password.
func (i identity) user() string {
	if i.scheme != schemeDigest {
		return i.id
	}
	user, _, _ := strings.Cut(i.id, ":")
	return user
}

const (
	schemeWorld  = "world"
	schemeAuth   = "auth" // in a new ACL: the caller, under its credentials
	schemeDigest = "digest"
	schemeIP     = "ip"
	schemeSuper  = "super" // may everything; here only the Server's own methods do
)

// authenticate returns the identity that credentials prove in a scheme. A digest is refused only without any: wrong credentials are somebody
// else's.
func authenticate(scheme string, credentials []byte, from netip.Addr) (identity, bool) {
	switch scheme {
	case schemeDigest:
		if credentials == nil {
			return identity{}, false
		}
		user, _, _ := strings.Cut(string(credentials), ":")
		sum := sha1.Sum(credentials) //nolint:gosec // see the import
		return identity{schemeDigest, user + ":" + base64.StdEncoding.EncodeToString(sum[:])}, true
	case schemeIP:
		return identity{schemeIP, from.String()}, true
	default:
		return identity{}, false
	}
}

// allowed reports whether one of ids, or anyone, may do one of perms. A node without an ACL is open.
func allowed(acl []ACL, perms int32, ids []identity) bool {
	if len(acl) == 0 {
		return true
	}
	for _, id := range ids {
		if id.scheme == schemeSuper {
			return true
		}
	}
	for _, a := range acl {
		if a.Perms&perms == 0 {
			continue
		}
		if a.Scheme == schemeWorld && a.ID == "anyone" {
			return true
		}
		for _, id := range ids {
			if id.scheme == a.Scheme && matches(a, id.id) {
				return true
			}
		}
	}
	return false
}

func matches(a ACL, id string) bool {
	if a.Scheme != schemeIP {
		return a.ID == id
	}
	network, ok := parseNetwork(a.ID)
	addr, err := netip.ParseAddr(id)
	return ok && err == nil && network.Contains(addr)
}

// parseNetwork reads "10.0.0.0/8" or a single address; like ZooKeeper, of version 4 only.
func parseNetwork(s string) (netip.Prefix, bool) {
	addr, bits, hasBits := strings.Cut(s, "/")
	a, err := netip.ParseAddr(addr)
	if err != nil || !a.Is4() {
		return netip.Prefix{}, false
	}
	n := a.BitLen()
	if hasBits {
		if n, err = strconv.Atoi(bits); err != nil || n < 0 || n > a.BitLen() {
			return netip.Prefix{}, false
		}
	}
	return netip.PrefixFrom(a, n), true
}

// fixACL is the ACL that a node is given when a caller asks for one: without duplicates, and with the caller's own identities in place of
// the scheme "auth". It is not ok when there is nothing left or an entry can match nobody.
func fixACL(asked []ACL, ids []identity) (acl []ACL, ok bool) {
	for i, a := range asked {
		if slices.Contains(asked[:i], a) {
			continue
		}
		switch a.Scheme {
		case schemeWorld:
			if a.ID != "anyone" {
				return nil, false
			}
			acl = append(acl, a)
		case schemeAuth:
			mine := false
			for _, id := range ids {
				if id.scheme == schemeDigest {
					acl, mine = append(acl, ACL{a.Perms, id.scheme, id.id}), true
				}
			}
			if !mine {
				return nil, false
			}
		case schemeDigest:
			if !isDigest(a.ID) {
				return nil, false
			}
			acl = append(acl, a)
		case schemeIP:
			if _, ok := parseNetwork(a.ID); !ok {
				return nil, false
			}
			acl = append(acl, a)
		default:
			return nil, false
		}
	}
	return acl, len(acl) > 0
}

// isDigest wants two parts, "user:hash", as Java's String.split counts them: empty ones at the end do not.
func isDigest(id string) bool { return strings.Count(strings.TrimRight(id, ":"), ":") == 1 }

// maskACL hides the hashes from those who may read a node but not administer it.
func maskACL(acl []ACL) []ACL {
	masked := slices.Clone(acl)
	for i, a := range masked {
		if a.Scheme == schemeDigest {
			user, _, _ := strings.Cut(a.ID, ":")
			masked[i].ID = user + ":x"
		}
	}
	return masked
}
