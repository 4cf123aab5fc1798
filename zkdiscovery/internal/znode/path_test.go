package znode

import (
	"strings"
	"testing"
)

func TestPaths(t *testing.T) {
	for _, tc := range []struct{ base, service, want string }{
		{"rpcx", "Arith", "/rpcx/Arith"},
		{"/rpcx", "Arith", "/rpcx/Arith"},
		{"/rpcx/", "/Arith/", "/rpcx/Arith"},
		{"a/b", "c/d", "/a/b/c/d"},
		{"/", "Arith", "/Arith"},
	} {
		base, err := BasePath(tc.base)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ServicePath(base, tc.service); got != tc.want || err != nil {
			t.Errorf("%q, %q: %q, %v, want %q", tc.base, tc.service, got, err, tc.want)
		}
	}
}

func TestBadPathsAreNamedWithTheRule(t *testing.T) {
	for base, rule := range map[string]string{"": "is empty", "a//b": "empty part", "a/../b": "relative part", "a\x01": "does not allow", "//": "empty part", "a//": "empty part", "//a": "empty part"} {
		if _, err := BasePath(base); err == nil || !strings.Contains(err.Error(), rule) {
			t.Errorf("base %q: %v, want %q", base, err, rule)
		}
	}
	for service, rule := range map[string]string{"": "is empty", " ": "is empty", "/": "is empty", "//": "is empty", "///": "empty part", "a//b": "empty part", "a//": "empty part", "//a": "empty part", ".": "relative part", "\ufff0": "does not allow"} {
		if _, err := ServicePath("/rpcx", service); err == nil || !strings.Contains(err.Error(), rule) {
			t.Errorf("service %q: %v, want %q", service, err, rule)
		}
	}
}
