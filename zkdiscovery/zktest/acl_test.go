package zktest

import (
	"net"
	"slices"
	"testing"
)

func pipeEnd(t *testing.T) net.Conn {
	t.Helper()
	a, b := net.Pipe()
	t.Cleanup(func() { _, _ = a.Close(), b.Close() })
	return a
}

func TestDigestIsZooKeepersOwn(t *testing.T) {
	// From the manual: echo -n user:password | openssl dgst -binary -sha1 | openssl base64
	id, ok := authenticate(schemeDigest, []byte("user:password"), remoteIP(pipeEnd(t)))
	if want := (identity{schemeDigest, "user:tpUq/4Pn5A64fVZyQ0gOJ8ZWqkY="}); !ok || id != want {
		t.Errorf("%v %v, want %v", id, ok, want)
	}
}

func TestAllowed(t *testing.T) {
	ann, bob := identity{schemeDigest, "ann:1"}, identity{schemeDigest, "bob:2"}
	local := identity{schemeIP, "127.0.0.1"}
	for _, c := range []struct {
		name  string
		acl   []ACL
		perms int32
		ids   []identity
		want  bool
	}{
		{"everybody where there is no list", nil, permWrite, nil, true},
		{"nobody who is not listed", []ACL{{permAll, schemeDigest, "ann:1"}}, permRead, []identity{bob, local}, false},
		{"who is listed", []ACL{{permAll, schemeDigest, "ann:1"}}, permRead, []identity{bob, ann}, true},
		{"only what is listed", []ACL{{permRead, schemeDigest, "ann:1"}}, permWrite, []identity{ann}, false},
		{"one of several permissions", []ACL{{permAdmin, schemeDigest, "ann:1"}}, permRead | permAdmin, []identity{ann}, true},
		{"anyone", []ACL{{permRead, schemeWorld, "anyone"}}, permRead, nil, true},
		{"an address", []ACL{{permRead, schemeIP, "127.0.0.0/8"}}, permRead, []identity{local}, true},
		{"no other address", []ACL{{permRead, schemeIP, "10.0.0.0/8"}}, permRead, []identity{local}, false},
		{"the server itself everything", []ACL{{permRead, schemeDigest, "ann:1"}}, permAdmin, direct.ids, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := allowed(c.acl, c.perms, c.ids); got != c.want {
				t.Errorf("%v", got)
			}
		})
	}
}

func TestACLIsFixedOrRefused(t *testing.T) {
	ann, local := identity{schemeDigest, "ann:1"}, identity{schemeIP, "127.0.0.1"}
	digest := func(id string) ACL { return ACL{permAll, schemeDigest, id} }
	ip := func(id string) ACL { return ACL{permRead, schemeIP, id} }
	for _, c := range []struct {
		name  string
		asked []ACL
		want  []ACL // nil: refused
	}{
		{"none", nil, nil},
		{"anyone", openACL(), openACL()},
		{"somebody of the world", []ACL{{permAll, schemeWorld, "bob"}}, nil},
		{"the same twice", []ACL{digest("a:b"), digest("a:b")}, []ACL{digest("a:b")}},
		{"a digest without a hash", []ACL{digest("a")}, nil},
		{"whoever asks", []ACL{{permRead, schemeAuth, ""}}, []ACL{{permRead, schemeDigest, "ann:1"}}},
		{"addresses", []ACL{ip("10.0.0.1"), ip("10.0.0.0/8"), ip("0.0.0.0/0")}, []ACL{ip("10.0.0.1"), ip("10.0.0.0/8"), ip("0.0.0.0/0")}},
		{"an address that is none", []ACL{ip("10.1")}, nil},
		{"an address of version 6", []ACL{ip("::1")}, nil},
		{"more bits than an address has", []ACL{ip("10.0.0.0/33")}, nil},
		{"fewer bits than none", []ACL{ip("10.0.0.0/-1")}, nil},
		{"no bits", []ACL{ip("10.0.0.0/")}, nil},
		{"an unknown scheme", []ACL{{permAll, "sasl", "x"}}, nil},
		{"one bad one among good ones", []ACL{digest("a:b"), ip("x")}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := fixACL(c.asked, []identity{local, ann})
			if ok != (c.want != nil) || ok && !slices.Equal(got, c.want) {
				t.Errorf("%v, %v; want %v", got, ok, c.want)
			}
		})
	}
}

func TestPathIsValid(t *testing.T) {
	for path, want := range map[string]bool{
		"/": true, "/a": true, "/a/b.c/..d": true, "/tcp@127.0.0.1:80": true, "/ä…": true, "/...": true,
		"": false, "a": false, "/a/": false, "//": false, "/a//b": false, "/.": false, "/a/..": false, "/./a": false,
		"/\x00": false, "/\x1f": false, "/\x7f": false, "/\u009f": false, "/\ue000": false, "/\ufff0": false, "/😀": false,
	} {
		if got := validPath(path); got != want {
			t.Errorf("%q: %v, want %v", path, got, want)
		}
	}
}
