package session

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseServersTakesWhatZooKeepersConnectStringsHave(t *testing.T) {
	for _, tc := range []struct {
		rule   string
		in     []string
		addrs  []string
		chroot string
	}{
		{"one", []string{"zk:2181"}, []string{"zk:2181"}, ""},
		{"several", []string{"a:1", "b:65535"}, []string{"a:1", "b:65535"}, ""},
		{"addresses", []string{"127.0.0.1:2181", "[::1]:2181", "[fe80::1%eth0]:2181"}, []string{"127.0.0.1:2181", "[::1]:2181", "[fe80::1%eth0]:2181"}, ""},
		{"a chroot behind the last", []string{"a:1", "b:2/prod/eu"}, []string{"a:1", "b:2"}, "/prod/eu"},
		{"the root as chroot is none", []string{"a:1/"}, []string{"a:1"}, ""},
		{"names with underscores, as Docker's", []string{"my_zk.local:2181"}, []string{"my_zk.local:2181"}, ""},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			addrs, chroot, err := ParseServers(tc.in)
			if diff := cmp.Diff(tc.addrs, addrs); diff != "" || chroot != tc.chroot || err != nil {
				t.Errorf("chroot %q, error %v, addresses:\n%s", chroot, err, diff)
			}
		})
	}
}

func TestParseServersNamesEveryMistakeAndItsRule(t *testing.T) {
	for _, tc := range []struct {
		rule string
		in   []string
		want []string // what the error has to say
	}{
		{"none", nil, []string{"empty list"}},
		{"an empty one", []string{""}, []string{`""`, "is empty"}},
		{"no port", []string{"zk"}, []string{`"zk"`, "no port"}},
		{"an empty port", []string{"zk:"}, []string{`port ""`}},
		{"no host", []string{":2181"}, []string{"no valid host"}},
		{"a blank", []string{" zk:2181"}, []string{"no valid host"}},
		{"a control character", []string{"z\x00k:2181"}, []string{"no valid host"}},
		{"a user", []string{"me@zk:2181"}, []string{"no valid host"}},
		{"port 0", []string{"zk:0"}, []string{`port "0"`, "1 to 65535"}},
		{"a port too large", []string{"zk:65536"}, []string{`port "65536"`}},
		{"a port with a sign", []string{"zk:+2181"}, []string{`port "+2181"`}},
		{"a port by name", []string{"zk:http"}, []string{`port "http"`}},
		{"a bare IPv6 address", []string{"::1:2181"}, []string{"brackets"}},
		{"an IPv6 address without a port", []string{"[::1]"}, []string{"no port"}},
		{"a name in brackets", []string{"[zk]:2181"}, []string{"brackets"}},
		{"a scheme", []string{"zk://a:1"}, []string{"scheme"}},
		{"several in one", []string{"a:1,b:2"}, []string{"list"}},
		{"a chroot too early", []string{"a:1/x", "b:2"}, []string{`"a:1/x"`, "last server only"}},
		{"a bad chroot", []string{"a:1//x"}, []string{`"//x"`, "empty part"}},
		{"only a chroot", []string{"/prod"}, []string{"is empty"}},
		{"all mistakes at once", []string{"a", "b:0", "c:1/x/"}, []string{`"a"`, `"b:0"`, `"/x/"`}},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			addrs, chroot, err := ParseServers(tc.in)
			if err == nil {
				t.Fatalf("accepted: %q %q", addrs, chroot)
			}
			for _, w := range tc.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error %q does not say %q", err, w)
				}
			}
		})
	}
}

var pathCases = []struct {
	path string
	want string // the mistake, or a part of it
}{
	{"/", ""},
	{"/a", ""},
	{"/a/b", ""},
	{"/a b", ""},
	{"/ä/…", ""},
	{"/a.b/...", ""},
	{"/.a", ""},
	{"/\ue000"[:1] + "a", ""},
	{"/tcp@[fe80::1%eth0]:1", ""},
	{"/\u00a0", ""},
	{"/\uf900", ""},
	{"/\uffef", ""},
	{"", "empty"},
	{"a", "start"},
	{"a/", "start"},
	{"/a/", "ends"},
	{"//", "ends"},
	{"//a", "empty part"},
	{"/a//b", "empty part"},
	{"/.", "relative"},
	{"/a/./b", "relative"},
	{"/..", "relative"},
	{"/a/../b", "relative"},
	{"/\x00", "U+0000"},
	{"/a\x1f", "U+001F"},
	{"/\x7f", "U+007F"},
	{"/\u0085", "U+0085"},
	{"/\u009f", "U+009F"},
	{"/\ue000", "U+E000"},
	{"/\uf8ff", "U+F8FF"},
	{"/\ufff0", "U+FFF0"},
	{"/\uffff", "U+FFFF"},
	{"/\xff", "U+FFFD"},
	{"/\U0001F600", "U+1F600"},
}

func TestPathMistakeNamesTheRule(t *testing.T) {
	for _, tc := range pathCases {
		if got := PathMistake(tc.path); (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
			t.Errorf("%q: %q, want %q", tc.path, got, tc.want)
		}
	}
}

func FuzzParseServers(f *testing.F) {
	f.Add("a:1,b:2/c", "")
	f.Add("[::1]:2181", "zk:2181/prod")
	f.Add("zk://x:1/y", "::1")
	f.Fuzz(func(t *testing.T, first, last string) {
		addrs, chroot, err := ParseServers([]string{first, last})
		if err != nil {
			return
		}
		if PathMistake(chroot) != "" && chroot != "" || chroot == "/" {
			t.Errorf("chroot %q", chroot)
		}
		if addrs[0] != first || strings.TrimSuffix(addrs[1]+chroot, "/") != strings.TrimSuffix(last, "/") {
			t.Errorf("%q, %q became %q and %q", first, last, addrs, chroot)
		}
		for _, a := range addrs { // each is one that parses again, alone
			if again, c, err := ParseServers([]string{a}); err != nil || c != "" || again[0] != a {
				t.Errorf("%q: %q, %q, %v", a, again, c, err)
			}
		}
	})
}
