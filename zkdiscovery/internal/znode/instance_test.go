package znode

import (
	"strings"
	"testing"
)

func TestInstanceNameAndKeyReverseEachOther(t *testing.T) {
	for _, tc := range []struct{ rule, key, name string }{
		{"an address is its own name", "tcp@127.0.0.1:8972", "tcp@127.0.0.1:8972"},
		{"IPv6 too", "tcp@[2001:db8::1]:8972", "tcp@[2001:db8::1]:8972"},
		{"every network too", "quic@host:1", "quic@host:1"},
		{"a zone keeps its percent sign", "tcp@[fe80::1%eth0]:8972", "tcp@[fe80::1%eth0]:8972"},
		{"slashes are escaped", "unix@/run/a.sock", "unix@%2Frun%2Fa.sock"},
		{"what looks like an escape is escaped", "unix@/run/a%2Fb", "unix@%2Frun%2Fa%252Fb"},
		{"an escaped escape too", "x@%252F", "x@%25252F"},
		{"half an escape before a slash is none", "x@%2/%/", "x@%2%2F%%2F"},
		{"lower case is no escape", "x@%2f", "x@%2f"},
		{"a second @ belongs to the address", "memu@a@b/c", "memu@a@b%2Fc"},
		{"a zone that looks like an escape", "tcp@[fe80::1%25]:1", "tcp@[fe80::1%2525]:1"},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			if got := InstanceName(tc.key); got != tc.name {
				t.Errorf("InstanceName(%q) = %q, want %q", tc.key, got, tc.name)
			}
			if got, ok := InstanceKey(tc.name); got != tc.key || !ok {
				t.Errorf("InstanceKey(%q) = %q, %v, want %q", tc.name, got, ok, tc.key)
			}
		})
	}
}

func TestInstanceKeyRefusesWhatIsNoInstance(t *testing.T) {
	for _, name := range []string{"", "@", "tcp@", "@127.0.0.1:1", "127.0.0.1:1", "tcp @a", "tcp@a b", "tcp@a\x00", "tcp@a\x7f", "tcp@a%25b"} {
		if key, ok := InstanceKey(name); ok {
			t.Errorf("InstanceKey(%q) = %q, want none", name, key)
		}
	}
}

// Two znodes with one key would be two instances in one place: what the one is told would be shown of the other.
func TestNoTwoNamesStandForOneKey(t *testing.T) {
	names := []string{""}
	keys := make(map[string]string)
	for range 6 {
		var longer []string
		for _, name := range names {
			for _, more := range []string{"%", "2", "5", "F", "%25", "%2F"} {
				longer = append(longer, name+more)
			}
		}
		names = longer
		for _, addr := range names {
			name := "tcp@" + addr
			key, ok := InstanceKey(name)
			if !ok {
				continue
			}
			if other, found := keys[key]; found && other != name {
				t.Fatalf("%q and %q are both %q", name, other, key)
			}
			keys[key] = name
		}
	}
}

func FuzzInstanceName(f *testing.F) {
	for _, s := range []string{"tcp@127.0.0.1:1", "unix@/a/b", "x@%2F%25%2%", "x@%%%252/2F", "@", "a@b c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, key string) {
		name := InstanceName(key)
		network, addr, _ := strings.Cut(name, "@")
		if strings.Contains(addr, "/") {
			t.Errorf("InstanceName(%q) = %q nests", key, name)
		}
		if was, _, _ := strings.Cut(key, "@"); network != was {
			t.Errorf("InstanceName(%q) = %q has another network", key, name)
		}
		// What is an instance stays one, and the same; what is none becomes none.
		got, nameOK := InstanceKey(name)
		if isInstance(key) != nameOK || nameOK && got != key {
			t.Errorf("key %q (%v), name %q, key again %q (%v)", key, isInstance(key), name, got, nameOK)
		}
		// A name that is no key's stands for none.
		if got, ok := InstanceKey(key); ok && !strings.Contains(key, "/") && InstanceName(got) != key {
			t.Errorf("InstanceKey(%q) = %q, whose name is %q", key, got, InstanceName(got))
		}
	})
}
