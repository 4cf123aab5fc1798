package filecache

import (
	"encoding/hex"
	"path/filepath"
	"strings"
	"testing"
)

func TestEscape(t *testing.T) {
	long := "/" + strings.Repeat("long/", 50)
	for _, tt := range []struct{ rule, service, want string }{
		{"a path reads as a path", "/prod/rpcx/payment", "prod,rpcx,payment"},
		{"upper case is marked, for file systems that ignore it", "/prod/rpcx/Arith", "prod,rpcx,_Arith"},
		{"a plain name stays", "arith-2.1", "arith-2.1"},
		{"a dotted name stays", "com.example.arith", "com.example.arith"},
		{"the mark itself is doubled", "my_service", "my__service"},
		{"a single level keeps its slash", "/arith", "%2Farith"},
		{"a relative path keeps its slashes", "rpcx/arith", "rpcx%2Farith"},
		{"a comma is not a slash", "/prod/a,b", "prod,a%2Cb"},
		{"nothing leaves the directory", "..", "%2E."},
		{"however it tries", "/../../etc/passwd", "%2E.,..,etc,passwd"},
		{"nothing is hidden", ".hidden", "%2Ehidden"},
		{"nothing looks like a flag", "-rf", "%2Drf"},
		{"a backslash is no separator", `a\b`, "a%5Cb"},
		{"control characters, spaces and colons go", "a b\x00\n:", "a%20b%00%0A%3A"},
		{"so does what Unicode may fold or compose", "é", "%C3%A9"},
		{"a percent sign is not an escape", "%2F", "%252_F"},
		{"another's ensemble is not taken for ours", "arith~0123abcd", "arith%7E0123abcd"},
		{"another's predecessor neither", "arith.prev", "arith%2Eprev"},
		{"nor its override", "arith.override", "arith%2Eoverride"},
		{"a predecessor's predecessor", "arith.prev.prev", "arith.prev%2Eprev"},
		{"the suffix alone", ".prev", "%2Eprev"},
		{"devices of Windows", "con", "%63on"},
		{"with whatever follows the dot", "nul.v1", "%6Eul.v1"},
		{"numbered", "com1", "%63om1"},
		{"in upper case they are escaped already", "LPT9", "_L_P_T9"},
		{"not what only looks like one", "console", "console"},
		{"a trailing dot is not last in the file's name", "arith.", "arith."},
		{"a long name is cut and has its hash", long, strings.Repeat("long,", 33) + "lo~" + "ddc5315a0e1503f0ca947518c5362537"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if got := escape(tt.service); got != tt.want {
				t.Errorf("escape(%q) = %q, want %q", tt.service, got, tt.want)
			}
			checkEscaped(t, tt.service)
		})
	}
}

// Two names meet if they have the same escape, in whatever case. That cannot be when each can be read back from its escape in lower case.
func FuzzEscape(f *testing.F) {
	for _, s := range []string{"/prod/rpcx/Arith", "arith.PREV", "CON", "a,b/c", "/", "//", "/a", ",", "_", "__A", "%2f", "\xff", strings.Repeat("X", 99)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, service string) {
		if service != "" { // Open refuses it
			checkEscaped(t, service)
		}
	})
}

func checkEscaped(t *testing.T, service string) {
	t.Helper()
	name := escape(service)
	longest := name + ensembleSuffix("x") + ".prev.json.corrupt-20260102T150405.000000000Z"
	switch {
	case len(longest) > 255:
		t.Errorf("escape(%q) = %q: %d bytes with all that is added", service, name, len(longest))
	case name == "" || filepath.Base(name) != name || strings.ContainsAny(name, `/\:*?"<>|$&'`+"` \t\r\n"):
		t.Errorf("escape(%q) = %q: not a safe file name", service, name)
	case strings.HasPrefix(name, ".") || reservedByWindows(name+".json"):
		t.Errorf("escape(%q) = %q: the name means something else", service, name)
	case strings.HasSuffix(name, ".prev") || strings.HasSuffix(name, ".override"):
		t.Errorf("escape(%q) = %q: another service's", service, name)
	}
	if stem, digest, cut := strings.Cut(name, "~"); cut {
		if len(digest) != 32 || len(name) != maxName || stem == "" {
			t.Errorf("escape(%q) = %q: cut wrongly", service, name)
		}
		return
	}
	if got := unescape(t, strings.ToLower(name)); got != service {
		t.Errorf("escape(%q) = %q, which reads as %q", service, name, got)
	}
}

// unescape is escape's inverse for names that are not cut, written in lower case.
func unescape(t *testing.T, name string) string {
	t.Helper()
	path := strings.Contains(name, ",")
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		switch ch := name[i]; ch {
		case ',':
			b.WriteByte('/')
		case '_':
			i++
			b.WriteString(strings.ToUpper(name[i : i+1]))
		case '%':
			raw, err := hex.DecodeString(name[i+1 : i+3])
			if err != nil {
				t.Fatalf("%q: %v", name, err)
			}
			b.Write(raw)
			i += 2
		default:
			b.WriteByte(ch)
		}
	}
	if path {
		return "/" + b.String()
	}
	return b.String()
}
